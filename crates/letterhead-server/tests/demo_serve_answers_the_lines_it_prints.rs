//! `letterhead demo --serve`: every `curl` line that it prints works at the server that printed it.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "the functions that tests share fail by panicking, as tests do")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

/// The demo's server, which ends with the test.
struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
    printed: String,
}

impl Demo {
    fn start(temporary: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_letterhead"))
            .args(["demo", "--serve", "--listen", "127.0.0.1:0"])
            .env("TMPDIR", temporary)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut printed = String::new();
        while !printed.contains("/handoff billing") {
            assert_ne!(out.read_line(&mut printed).unwrap(), 0, "it ended: {printed}");
        }
        Self { child, out, printed }
    }

    /// Ends it as Ctrl-C does, and gives its exit code.
    fn interrupt(mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// A `curl` line, read again: URL, headers, body.
#[derive(Debug)]
struct Curl {
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

impl Curl {
    fn all(printed: &str) -> Vec<Self> {
        printed.split("\ncurl ").skip(1).map(Self::of).collect()
    }

    fn of(text: &str) -> Self {
        let mut curl = Self { url: String::new(), headers: Vec::new(), body: None };
        let words = words(text);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-H" => {
                    let (name, value) = words.next().unwrap().split_once(": ").unwrap();
                    curl.headers.push((name.to_owned(), value.to_owned()));
                }
                "-d" => curl.body = words.next().cloned(),
                "-X" => assert_eq!(words.next().unwrap(), "POST"),
                "-N" => {}
                url if url.starts_with("http") => curl.url = url.to_owned(),
                other => panic!("{other} in {text}"),
            }
        }
        curl
    }

    async fn send(&self) -> (u16, String) {
        let client = reqwest::Client::new();
        let mut request = match &self.body {
            Some(body) => client.post(&self.url).body(body.clone()),
            None => client.get(&self.url),
        };
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

/// The words of the first command of a text, as a shell divides it; there are no escapes within quotes.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') if characters.peek() == Some(&'\n') => {
                characters.next();
            }
            (None, '\n') => break,
            (None, ' ') => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The text of an answer, in either protocol.
fn text(stream: &str) -> String {
    let chunks = stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let piece = |data: &str| {
        let chunk: Value = serde_json::from_str(data).unwrap();
        let piece = [chunk.pointer("/choices/0/delta/content"), chunk.get("delta")].into_iter().flatten().next();
        piece.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    chunks.map(piece).collect()
}

#[tokio::test]
async fn every_line_that_it_prints_works() {
    let temporary = tempfile::tempdir().unwrap();
    let demo = Demo::start(temporary.path());
    let lines = Curl::all(&demo.printed);
    let [personal, by_path, by_header, first_trail, second_trail] = lines.as_slice() else {
        panic!("five lines: {}", demo.printed)
    };

    let (status, stream) = personal.send().await;
    assert_eq!(status, 200, "{stream}");
    assert!(text(&stream).contains("a member of Acme Corp. User ID: u_123"), "{stream}");
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");

    for (line, messages) in [(by_path, "I was sent 1 message."), (by_header, "I was sent 3 messages.")] {
        let (status, stream) = line.send().await;
        assert_eq!(status, 200, "{stream}");
        let text = text(&stream);
        assert!(text.contains("You are an orchestrator for user-123."), "{text}");
        assert!(text.contains("\"Research neural networks\"") && text.contains(messages), "{text}");
        assert!(stream.contains("anthropic:claude-sonnet-4-5-20250929"), "the model that was asked for: {stream}");
    }

    for (line, destination) in [(first_trail, "providers.openai"), (second_trail, "providers.anthropic")] {
        let (status, trail) = line.send().await;
        assert_eq!(status, 200, "{trail}");
        assert!(trail.contains(destination) && !trail.contains("t_abc"), "{trail}");
    }
    let without_caller = Curl { headers: Vec::new(), ..Curl::of(&format!("\"{}\"", second_trail.url)) };
    assert_eq!(without_caller.send().await.0, 404, "a session is its caller's alone");

    assert_eq!(demo.interrupt(), Some(0));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing is left");
}

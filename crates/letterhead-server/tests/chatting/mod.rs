//! `letterhead chat` as a process, and servers for it to talk to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// What a run of `letterhead chat` gave.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `letterhead chat` with nothing to read.
pub(crate) fn chat(arguments: &[&str]) -> Said {
    chat_with_input(arguments, "")
}

/// Runs `letterhead chat` with something to read.
pub(crate) fn chat_with_input(arguments: &[&str], input: &str) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_letterhead"))
        .arg("chat")
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed at once: what was to be read is read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Said {
        status: output.status,
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs `letterhead chat` until a line has come, interrupts it as Ctrl-C does, and gives how it ended.
#[cfg(unix)]
pub(crate) fn interrupted_after(line: &str, arguments: &[&str]) -> ExitStatus {
    let mut child = Command::new(env!("CARGO_BIN_EXE_letterhead"))
        .arg("chat")
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut came = String::new();
    out.read_line(&mut came).unwrap();
    assert_eq!(came, line);
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    child.wait().unwrap()
}

/// `letterhead chat` at a terminal.
#[cfg(unix)]
pub(crate) struct Terminal {
    child: Child,
    keys: std::fs::File,
    screen: mpsc::Receiver<u8>,
}

#[cfg(unix)]
impl Terminal {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let pty = nix::pty::openpty(None, None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_letterhead"))
            .arg("chat")
            .args(arguments)
            .env_remove("RUST_LOG")
            // One that only writes lines: nothing is drawn anew.
            .env("TERM", "dumb")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let keys = std::fs::File::from(pty.master);
        let (shown, screen) = mpsc::channel();
        let bytes = BufReader::new(keys.try_clone().unwrap()).bytes();
        std::thread::spawn(move || bytes.map_while(Result::ok).try_for_each(|byte| shown.send(byte)));
        Self { child, keys, screen }
    }

    /// What is shown until this is.
    #[track_caller]
    pub(crate) fn until(&self, text: &str) -> String {
        let mut shown = Vec::new();
        while !shown.ends_with(text.as_bytes()) {
            match self.screen.recv_timeout(Duration::from_secs(30)) {
                Ok(byte) => shown.push(byte),
                Err(_) => panic!("{text} was not shown: {}", String::from_utf8_lossy(&shown)),
            }
        }
        String::from_utf8(shown).unwrap()
    }

    /// Types a line.
    pub(crate) fn says(&mut self, line: &str) {
        writeln!(self.keys, "{line}").unwrap();
    }

    /// Presses Ctrl-D.
    pub(crate) fn ends_the_input(&mut self) {
        self.keys.write_all(&[4]).unwrap();
    }

    /// Ends the conversation.
    pub(crate) fn quits(mut self) -> ExitStatus {
        self.says("/quit");
        self.child.wait().unwrap()
    }
}

#[cfg(unix)]
impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `letterhead serve`, which ends with the test.
pub(crate) struct Served {
    child: Child,
    pub(crate) url: String,
    /// Kept open: who writes to nobody ends.
    _log: BufReader<ChildStderr>,
}

impl Served {
    pub(crate) fn start(config: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_letterhead"))
            .args(["serve", "--config", config, "--port", "0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("listening on ") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended");
        }
        let url = line.trim_start_matches("listening on ").trim().to_owned();
        Self { child, url, _log: log }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `letterhead demo --serve`, which ends with the test.
pub(crate) struct Demo {
    child: Child,
    pub(crate) url: String,
    /// Kept open: who prints to nobody ends.
    _out: BufReader<ChildStdout>,
    _temporary: tempfile::TempDir,
}

impl Demo {
    pub(crate) fn start() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_letterhead"))
            .env("TMPDIR", temporary.path())
            .args(["demo", "--serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let url = line.split([' ', ';']).find(|word| word.starts_with("http://")).unwrap_or_else(|| panic!("{line}"));
        Self { child, url: url.to_owned(), _out: out, _temporary: temporary }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that gives each connection the same bytes, and hangs up.
pub(crate) struct Scripted {
    pub(crate) url: String,
    received: Arc<Mutex<String>>,
}

impl Scripted {
    /// Streams events and ends the connection, without the protocol's own end.
    pub(crate) fn streaming(events: &str) -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        Self::answering(&format!("{head}{events}"))
    }

    /// Streams events, and then says nothing more.
    pub(crate) fn falling_silent(events: &str) -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        // The client ends the connection: until then reading from it blocks.
        Self::serving(&format!("{head}{events}"), |stream| drop(stream.read(&mut [0])))
    }

    /// Answers with these bytes.
    pub(crate) fn answering(answer: &str) -> Self {
        Self::serving(answer, |_| {})
    }

    fn serving(answer: &str, then: impl Fn(&mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(String::new()));
        let (keep, answer) = (Arc::clone(&received), answer.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                keep.lock().unwrap().push_str(&request(&mut stream));
                stream.write_all(answer.as_bytes()).unwrap();
                then(&mut stream);
            }
        });
        Self { url, received }
    }

    /// Everything that was sent to it.
    pub(crate) fn received(&self) -> String {
        self.received.lock().unwrap().clone()
    }
}

/// Reads one request whole: closing a connection with bytes unread would reset it.
fn request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        text.push_str(&line);
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    text
}

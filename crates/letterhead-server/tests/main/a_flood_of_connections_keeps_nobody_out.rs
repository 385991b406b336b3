//! DESIGN 9: connections are bounded, so that those who are served have the files that their answers need.

use std::time::Duration;

use letterhead_server::serve::Patience;
use letterhead_testkit::{Answer, Reply, ScriptedLlm};

use crate::support::{House, PATIENCE, app, memory, request, said_streaming};

const YAML: &str = "
providers: { openai: { kind: openai, base_url: '${LLM}', api_key: k } }
model: 'openai:m'
agents: { assistant: { instructions: Hi. } }";

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Long before the header timeout, which is a minute.
async fn soon<T>(comes: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), comes).await.unwrap()
}

#[tokio::test]
async fn who_comes_when_all_seats_are_taken_gets_that_of_one_who_only_sits() {
    let llm = ScriptedLlm::start().await;
    let patience = Patience { max_connections: 5, ..PATIENCE };
    let house = House::serve(app(&llm.openai_url(), YAML, memory), patience).await;
    let (answer, tap) = Answer::live();
    llm.then(answer);
    let body = said_streaming("Hi").to_string();
    let asked = String::from_utf8(request("/v1/chat/completions", &[], body.as_bytes())).unwrap();

    let mut answered = house.wire().await;
    answered.send(asked.replace("connection: close\r\n", "").as_bytes()).await;
    tap.event(r#"{"choices":[{"index":0,"delta":{"content":"Half "}}]}"#);
    answered.until("Half ").await;
    let mut kept = house.wire().await;
    kept.send(HEALTH).await;
    kept.until("ok").await;
    let mut silent = house.wire().await;
    let mut half = house.wire().await;
    half.send(b"GET /hea").await;
    let mut half_a_body = house.wire().await;
    half_a_body.send(asked.split_at(asked.len() - 1).0.as_bytes()).await;

    // They keep their seats, and are too new to be sent away.
    let mut newer = Vec::new();
    for sitting in [&mut kept, &mut silent, &mut half, &mut half_a_body] {
        let mut comes = house.wire().await;
        comes.send(HEALTH).await;
        assert!(soon(comes.until("ok")).await.starts_with("HTTP/1.1 200"));
        assert!(soon(sitting.rest()).await.is_empty());
        newer.push(comes);
    }

    tap.event(r#"{"choices":[{"index":0,"delta":{"content":"done."},"finish_reason":"stop"}]}"#);
    tap.event("[DONE]");
    tap.end();
    // A whole answer first.
    let rest = String::from_utf8(answered.rest().await).unwrap();
    assert!(rest.contains("done.") && rest.contains("[DONE]") && rest.ends_with("0\r\n\r\n"), "{rest}");
}

#[tokio::test]
async fn who_was_answered_before_may_finish_the_next_request() {
    let house = House::serve(
        app("", "agents: { assistant: { instructions: Hi. } }", memory),
        Patience { max_connections: 2, ..PATIENCE },
    )
    .await;
    let mut kept = house.wire().await;
    kept.send(HEALTH).await;
    kept.until("ok").await;
    let mut silent = house.wire().await;
    let body = said_streaming("Hi").to_string();
    let asked = request("/v1/chat/completions", &[], body.as_bytes());
    let (begun, rest) = asked.split_at(asked.len() - 5);
    kept.send(begun).await;
    let mut comes = house.wire().await;
    comes.send(HEALTH).await;
    // The older connection was told to leave before.
    assert!(soon(silent.rest()).await.is_empty());
    soon(comes.until("ok")).await;
    kept.send(rest).await;
    let answer = String::from_utf8(soon(kept.rest()).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("[DONE]"), "{answer}");
}

#[cfg(unix)]
mod with_few_files {
    use std::process::Command;

    use reqwest::Client;
    use tokio::net::TcpStream;

    use super::*;
    use crate::support::{Program, Send, said};

    #[tokio::test]
    async fn turns_are_answered_and_stored_whatever_others_hold_open() {
        let llm = ScriptedLlm::start().await;
        let folder = tempfile::tempdir().unwrap();
        let (config, log) = (folder.path().join("letterhead.yaml"), folder.path().join("log"));
        let yaml = YAML.replace("${LLM}", &llm.openai_url());
        std::fs::write(&config, format!("{yaml}\nstore: sqlite://letterhead.db")).unwrap();
        let program = Program::start_after("ulimit -n 256", &config, &log).await;
        let address = program.url.strip_prefix("http://").unwrap();
        let mut held = Vec::new();
        for _ in 0..300 {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        let ready = client.get(format!("{}/ready", program.url)).answered().await;
        assert_eq!((ready.status, ready.text.as_str()), (200, r#"{"status":"ready"}"#));
        for turn in 0..20 {
            llm.then(Reply::text("Here."));
            let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
            let path = format!("{}/api/v1/chat/completions/s{turn}", program.url);
            let answered = client.post(path).json(&said("Hi")).answered().await;
            assert_eq!(answered.status, 200, "{}", answered.text);
        }
        drop(held);
        let said = program.said();
        assert!(said.contains("96 connections are open, and no more are taken"), "{said}");
        assert!(!said.contains("Too many open files"), "{said}");
    }

    #[tokio::test]
    async fn a_number_that_the_files_do_not_allow_is_said_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("letterhead.yaml");
        let check = |connections: &str| {
            std::fs::write(&config, format!("server:\n  max_connections: {connections}\nagents: {{ a: {{}} }}"))
                .unwrap();
            let script = r#"ulimit -n 256 && exec "$0" check --config letterhead.yaml"#;
            let mut command = Command::new("sh");
            command.args(["-c", script, env!("CARGO_BIN_EXE_letterhead")]).current_dir(folder.path());
            let output = command.output().unwrap();
            (output.status.success(), String::from_utf8(output.stderr).unwrap())
        };
        let (is_well, said) = check("97");
        assert!(is_well, "a warning");
        for part in [
            "letterhead.yaml:2:20: warning: no more than 96 connections are taken at a time: a process may open 256 files",
            "help: half of them are for calls out: allow 258 (`ulimit -Hn`, `LimitNOFILE` of systemd), or write a smaller",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(check("96"), (true, "letterhead.yaml is valid\n".to_owned()));
        for (wrong, part) in [("0", "at least 1"), ("1000001", "at most 1000000"), ("1.5", "a whole number")] {
            let (is_well, said) = check(wrong);
            assert!(!is_well && said.contains(part), "{wrong}: {said}");
        }
    }
}

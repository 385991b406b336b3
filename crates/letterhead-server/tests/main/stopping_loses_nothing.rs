//! DESIGN 9, "running it": a stopping server takes no new turns, lets running ones finish, and stores what it cuts off.

use std::time::Duration;

use letterhead_server::serve::Patience;
use letterhead_testkit::{Answer, ScriptedLlm};
use tokio::net::TcpStream;

use crate::support::{House, Send, app, key, memory, request, said, said_streaming, sqlite};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:gpt-test
agents: { assistant: { instructions: Hi. } }
"#;

const FIRST: &str = r#"{"choices":[{"index":0,"delta":{"content":"Once upon"}}]}"#;
const LAST: &str = r#"{"choices":[{"index":0,"delta":{"content":" a time."},"finish_reason":"stop"}]}"#;

/// A chat on a connection of its own that has said its first words.
async fn running(house: &House, llm: &ScriptedLlm, path: &str) -> (crate::support::Wire, letterhead_testkit::Tap) {
    let (answer, tap) = Answer::live();
    llm.then(answer);
    let mut wire = house.wire().await;
    wire.send(&request(path, &[], said_streaming("Tell me.").to_string().as_bytes())).await;
    tap.event(FIRST);
    wire.until("Once upon").await;
    (wire, tap)
}

/// Waits until nothing listens any more.
async fn closed(address: std::net::SocketAddr) {
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_running_turn_finishes_and_the_port_is_closed_meanwhile() {
    let llm = ScriptedLlm::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letterhead.db");
    let house = House::on_file(&llm, YAML, &path).await;
    let (mut wire, tap) = running(&house, &llm, "/api/v1/chat/completions/s").await;
    // A connection that is kept open and idle does not hold the server up.
    let mut idle = house.wire().await;
    idle.send(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    idle.until("ok").await;
    house.stop();
    closed(house.address).await;
    assert!(idle.rest().await.is_empty());
    tap.event(LAST);
    tap.event("[DONE]");
    tap.end();
    let rest = String::from_utf8(wire.rest().await).unwrap();
    assert!(rest.contains(" a time.") && rest.contains("[DONE]"), "{rest}");
    house.stopped().await;

    let store = sqlite(&path, None);
    let session = store.session(&key(None, None, "s")).await.unwrap().unwrap();
    assert!(session.messages.last().unwrap().body.contains("Once upon a time."));
}

#[tokio::test]
async fn one_that_does_not_is_cut_off_told_and_stored_as_incomplete() {
    let llm = ScriptedLlm::start().await;
    for (path, end) in [
        ("/v1/chat/completions", r#""code":"shutting_down""#),
        ("/api/v1/chat/completions", r#""reason":"error""#),
        ("/api/chat", r#""type":"error""#),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("letterhead.db");
        let patience = Patience { drain: Duration::from_millis(50), ..crate::support::PATIENCE };
        let house = House::serve(app(&llm.openai_url(), YAML, || sqlite(&file, None)), patience).await;
        let (answer, tap) = Answer::live();
        llm.then(answer);
        let mut wire = house.wire().await;
        let mut body = said_streaming("Tell me.");
        body["conversationId"] = "s".into();
        wire.send(&request(path, &[], body.to_string().as_bytes())).await;
        tap.event(FIRST);
        wire.until("Once upon").await;
        house.stopped().await;
        let rest = String::from_utf8(wire.rest().await).unwrap();
        assert!(rest.contains(end), "{path}: {rest}");
        assert!(!rest.contains("[DONE]") && !rest.contains(r#""finish_reason":"stop""#), "{path}: a clean end: {rest}");
        assert!(rest.ends_with("0\r\n\r\n"), "{path}: the stream is cut: {rest}");
        tap.left().await;

        let store = sqlite(&file, None);
        let session = store.session(&key(None, None, "s")).await.unwrap().unwrap();
        let last = session.messages.last().unwrap();
        assert!(last.body.contains("Once upon"), "{path}");
        assert_eq!(last.status, letterhead_store::Status::Incomplete);
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_whole_answer_that_is_cut_off_is_an_error_and_not_half_an_answer() {
    let llm = ScriptedLlm::start().await;
    let patience = Patience { drain: Duration::from_millis(50), ..crate::support::PATIENCE };
    let house = House::serve(app(&llm.openai_url(), YAML, memory), patience).await;
    llm.then(Answer::hang());
    let waiting = tokio::spawn(house.say("Hi").answered());
    llm.received(1).await;
    house.stopped().await;
    let answered = waiting.await.unwrap();
    answered.problem(503, "shutting_down");
    assert_eq!(answered.header("x-should-retry"), Some("false"));
}

#[tokio::test]
async fn a_turn_that_arrives_while_it_stops_is_refused() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    let (mut wire, tap) = running(&house, &llm, "/v1/chat/completions").await;
    // Its head has arrived before the stop, its body comes after.
    let late = request("/v1/chat/completions", &[], said("Hi").to_string().as_bytes());
    let mut second = house.wire().await;
    second.send(&late[..late.len() - 5]).await;
    assert_eq!(house.get("/health").answered().await.status, 200);
    house.stop();
    closed(house.address).await;
    second.send(&late[late.len() - 5..]).await;
    let answered = crate::support::parse(&second.rest().await);
    answered.problem(503, "shutting_down");
    assert_eq!(answered.header("retry-after"), Some("1"));
    tap.event(LAST);
    tap.event("[DONE]");
    tap.end();
    assert!(String::from_utf8(wire.rest().await).unwrap().contains("[DONE]"));
    house.stopped().await;
    assert_eq!(llm.requests().len(), 1);
}

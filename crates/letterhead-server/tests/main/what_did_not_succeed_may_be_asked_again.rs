//! CONTRACT 7, `Idempotency-Key`: only what succeeded is kept. A failure frees the key, and so does what was cut short.

use letterhead_testkit::{Answer, Reply, ScriptedLlm, Tap};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::a_request_is_done_once::{WAYS, YAML, body, house, house_on, keyed, text, whole};
use crate::support::{House, Send, request, said};

#[tokio::test]
async fn a_failure_frees_the_key() {
    let llm = ScriptedLlm::start().await;
    let house = house(&llm).await;
    for (n, way) in WAYS.into_iter().enumerate() {
        for stream in [false, true] {
            let key = format!("k{n}-{stream}");
            let send = || keyed(house.post(way.0, &body(way, stream)), &key).answered();
            llm.then(Answer::status(400));
            send().await.problem(400, "upstream_rejected");
            // A stream that has begun and breaks off is a failure, too.
            llm.then(Answer::cut(
                "text/event-stream",
                r#"data: {"choices":[{"index":0,"delta":{"content":"On"}}]}"#.to_owned() + "\n\n",
            ));
            let broken = send().await;
            assert!(
                broken.text.contains("upstream_failed") || broken.text.contains(r#""type":"error""#),
                "{}",
                broken.text
            );
            llm.then(Reply::text("Well."));
            assert_eq!(text(&send().await), "Well.", "{way:?}");
            assert_eq!(text(&send().await), "Well.", "{way:?}");
        }
    }
}

#[tokio::test]
async fn so_does_a_store_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letterhead.db");
    let llm = ScriptedLlm::start().await;
    let house = house_on(&llm, &file).await;
    let other = Connection::open(&file).unwrap();
    // What belongs to a session is not announced unless it is stored. An answer that only could not be kept is given.
    for (n, (path, status)) in
        [("/api/v1/chat/completions/s", 503), ("/v1/chat/completions", 200)].into_iter().enumerate()
    {
        let send = || keyed(house.post(path, &said("Hello")), "k");
        let (held, gate) = whole("Lost.").held();
        llm.then(held);
        let first = tokio::spawn(send().send());
        llm.received(2 * n + 1).await;
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        gate.open();
        assert_eq!(first.await.unwrap().unwrap().status(), status);
        other.execute_batch("ROLLBACK").unwrap();
        llm.then(Reply::text("Kept."));
        assert_eq!(send().answered().await.content(), "Kept.");
        assert_eq!(send().answered().await.content(), "Kept.");
    }
    house.stopped().await;
}

#[tokio::test]
async fn what_is_refused_before_it_begins_frees_the_key_for_any_request() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Well."));
    let house = house(&llm).await;
    let wrong = json!({ "messages": [{ "role": "tool", "tool_call_id": "none", "content": "4" }] });
    let send = |body: &Value| keyed(house.post("/api/v1/chat/completions/s", body), "k").answered();
    send(&wrong).await.problem(400, "invalid_body");
    assert_eq!(send(&said("Hello")).await.content(), "Well.");
    // What is wrong with the headers is told whatever was answered before.
    let again = keyed(house.say_in("s", "Hello"), "k").header("seats", "many").answered().await;
    again.problem(400, "invalid_header");
}

/// Asks, and leaves when the answer has begun.
async fn leave_early(house: &House, path: &str, key: &str, body: &Value, tap: &Tap) {
    let mut wire = house.wire().await;
    wire.send(&request(path, &[("idempotency-key", key.as_bytes())], body.to_string().as_bytes())).await;
    tap.event(r#"{"choices":[{"index":0,"delta":{"content":"Once upon"}}]}"#);
    wire.until("Once upon").await;
}

#[tokio::test]
async fn a_client_that_leaves_finds_its_answer_when_it_comes_back_within_the_grace() {
    let llm = ScriptedLlm::start().await;
    let yaml = format!("sessions: {{ disconnect_grace: 60s }}\n{}", YAML.trim());
    let house = House::open(&llm, &yaml).await;
    for (n, way) in WAYS.into_iter().enumerate() {
        let key = format!("k{n}");
        let (answer, tap) = Answer::live();
        llm.then(answer);
        let body = body(way, true);
        leave_early(&house, way.0, &key, &body, &tap).await;
        let send = || keyed(house.post(way.0, &body), &key).answered();
        send().await.problem(409, "idempotency_running");
        tap.event(r#"{"choices":[{"index":0,"delta":{"content":" a time."},"finish_reason":"stop"}]}"#);
        tap.event("[DONE]");
        tap.end();
        let mut again = send().await;
        while again.status == 409 {
            again = send().await;
        }
        assert_eq!(text(&again), "Once upon a time.", "{way:?}");
        assert_eq!(llm.requests().len(), n + 1, "{way:?}");
    }
}

#[tokio::test]
async fn what_a_client_cut_short_by_leaving_is_not_kept() {
    let llm = ScriptedLlm::start().await;
    let house = house(&llm).await;
    for (n, way) in WAYS.into_iter().enumerate() {
        let key = format!("k{n}");
        let (answer, tap) = Answer::live();
        llm.then(answer).then(Reply::text("Whole."));
        let body = body(way, true);
        leave_early(&house, way.0, &key, &body, &tap).await;
        tap.left().await;
        let send = || keyed(house.post(way.0, &body), &key).answered();
        let mut again = send().await;
        while again.status == 409 {
            again = send().await;
        }
        assert_eq!(text(&again), "Whole.", "{way:?}");
    }
}

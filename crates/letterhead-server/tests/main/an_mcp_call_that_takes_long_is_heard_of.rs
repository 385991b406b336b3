//! CONTRACT 9, `/mcp`: progress and keep-alive on long turns; closing the stream cancels.

use std::time::Duration;

use letterhead_testkit::{Answer, Reply, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::mcp::{YAML, arguments, open, result, rpc};
use crate::support::{House, PATIENCE, Send, app, memory, request};

#[tokio::test]
async fn who_asks_for_progress_hears_of_it_and_gets_the_result_last() {
    let (llm, house) = open().await;
    llm.then(Reply::tool("ask_agent", json!({ "agent": "researcher", "input": "?" })))
        .then(Reply::text("It is so."))
        .then(Reply::text("They say it is so."));
    let params = json!({
        "name": "assistant", "arguments": { "input": "Is it?", "session_id": "s" }, "_meta": { "progressToken": "t-1" },
    });
    let answered = house.new_mcp("tools/call", params).header("user_name", "Ada").answered().await;
    assert_eq!(answered.header("x-session-id"), Some("s"));
    let events = answered.events();
    let (last, progress) = events.split_last().unwrap();
    let last = last.json();
    assert_eq!(last["id"], 7);
    assert_eq!(last["result"]["content"][0]["text"], "They say it is so.");
    assert_eq!(last["result"]["_meta"], json!({ "session_id": "s", "agent": "assistant" }));
    let mut child = String::new();
    for (at, event) in progress.iter().enumerate() {
        let notification = event.json();
        assert_eq!((&event.name, &notification["method"]), (&None, &json!("notifications/progress")));
        assert!(notification.get("id").is_none());
        assert_eq!(notification["params"]["progressToken"], "t-1");
        assert_eq!(notification["params"]["progress"], at + 1, "it grows");
        if let Some(text) = notification["params"]["message"].as_str().unwrap().strip_prefix("researcher: ") {
            child.push_str(text);
        }
    }
    assert_eq!(child, "It is so.", "a child's text is told whole");
    let messages: Vec<String> =
        progress.iter().map(|event| event.json()["params"]["message"].as_str().unwrap().to_owned()).collect();
    assert!(messages.contains(&"assistant is thinking".to_owned()), "{messages:?}");
    assert!(messages.contains(&"calling ask_agent".to_owned()), "{messages:?}");
}

#[tokio::test]
async fn progress_is_not_sent_to_who_cannot_take_it() {
    let (llm, house) = open().await;
    llm.then(Reply::text("Good."));
    let params = json!({ "name": "assistant", "arguments": arguments(), "_meta": { "progressToken": 3 } });
    let request = house.post("/mcp", &rpc("tools/call", &params)).header("accept", "application/json");
    let said = result(&request.header("user_name", "Ada").answered().await);
    assert_eq!(said["content"][0]["text"], "Good.");
}

#[tokio::test]
async fn a_long_turn_keeps_its_connection_and_renews_patience() {
    let llm = ScriptedLlm::start().await;
    let mut app = app(&llm.openai_url(), YAML, memory);
    app.timing.keep_alive = Duration::from_millis(20);
    let house = House::serve(app, PATIENCE).await;
    let headers: [(&str, &[u8]); 2] = [("user_name", b"Ada"), ("accept", b"application/json, text/event-stream")];
    for (meta, sign) in [(json!({}), ": keep-alive"), (json!({ "progressToken": 1 }), "still working")] {
        let (answer, gate) = Answer::json(
            &json!({ "choices": [{ "message": { "role": "assistant", "content": "Late." }, "finish_reason": "stop" }] }),
        )
        .held();
        let (streamed, tap) = Answer::live();
        let quiet = meta.get("progressToken").is_none();
        llm.then(if quiet { answer } else { streamed });
        let call = rpc("tools/call", &json!({ "name": "assistant", "arguments": arguments(), "_meta": meta }));
        let mut wire = house.wire().await;
        wire.send(&request("/mcp", &headers, call.to_string().as_bytes())).await;
        let head = wire.until(sign).await;
        assert!(head.contains("content-type: text/event-stream") && head.contains("x-session-id: "), "{head}");
        if quiet {
            gate.open();
        } else {
            tap.event(r#"{"choices":[{"index":0,"delta":{"content":"Late."},"finish_reason":"stop"}]}"#);
            tap.event("[DONE]");
            tap.end();
        }
        let rest = wire.until(r#""text":"Late.""#).await;
        assert!(rest.contains(r#"data: {"jsonrpc":"2.0","id":7,"result":"#), "{rest}");
    }
}

#[tokio::test]
async fn closing_the_stream_cancels_at_once_and_what_was_said_is_kept() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, &format!("sessions: {{ disconnect_grace: 60s }}{YAML}")).await;
    let headers: [(&str, &[u8]); 2] = [("user_name", b"Ada"), ("accept", b"application/json, text/event-stream")];
    let call = |session: &str, meta: &Value| {
        let arguments = json!({ "input": "Tell me.", "session_id": session });
        let body = rpc("tools/call", &json!({ "name": "assistant", "arguments": arguments, "_meta": meta }));
        request("/mcp", &headers, body.to_string().as_bytes())
    };
    let (answer, tap) = Answer::live();
    llm.then(answer);
    let mut wire = house.wire().await;
    wire.send(&call("told", &json!({ "progressToken": 1 }))).await;
    tap.event(r#"{"choices":[{"index":0,"delta":{"content":"Once upon"}}]}"#);
    wire.until("writing").await;
    drop(wire);
    tap.left().await;
    llm.then(Answer::hang());
    let mut wire = house.wire().await;
    wire.send(&call("quiet", &json!({}))).await;
    llm.received(2).await;
    drop(wire);
    llm.left(2).await;
    // A turn that waits for these begins when they have been stored.
    for (session, kept) in [("told", vec!["user: Tell me.", "assistant: Once upon"]), ("quiet", vec!["user: Tell me."])]
    {
        drop(house.app.store.begin(&crate::support::key(None, None, session), Duration::from_secs(10)).await.unwrap());
        assert_eq!(house.transcript(session).await, kept);
    }
}

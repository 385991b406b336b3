//! Tasks of a house with one scripted model: begun, followed on a connection of their own, and looked at until they stand as wanted.

use std::time::Duration;

use letterhead_testkit::{Answer, ScriptedLlm, Tap};
use serde_json::{Value, json};

use super::a2a::{message, rpc, state};
use super::{House, Send, Wire, request};

/// An agent that may ask two others, and one that needs a header for its model.
pub(crate) const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
headers: { properties: { token: { writeOnly: true } } }
agents:
  assistant: { instructions: Hi., delegates: [a, b] }
  a: { description: A., instructions: A. }
  b: { description: B., instructions: B. }
  paying: { description: Pays., instructions: Pay., headers: { Authorization: "Bearer {{ headers.token }}" } }
entry: assistant
"#;

pub(crate) async fn open() -> (ScriptedLlm, House) {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    (llm, house)
}

/// A piece of an answer.
pub(crate) fn chunk(text: &str) -> String {
    json!({ "choices": [{ "index": 0, "delta": { "content": text } }] }).to_string()
}

/// An answer of one word, to the byte.
pub(crate) fn done() -> Answer {
    let last = json!({ "choices": [{ "index": 0, "delta": { "content": "Done." }, "finish_reason": "stop" }] });
    Answer::sse([last.to_string(), "[DONE]".to_owned()])
}

/// The last words of an answer.
pub(crate) fn end(tap: Tap) {
    tap.event(r#"{"choices":[{"index":0,"delta":{"content":" a time."},"finish_reason":"stop"}]}"#);
    tap.event("[DONE]");
    tap.end();
}

/// Sends a message on a connection of its own, where what comes is read by hand.
pub(crate) async fn sent(house: &House, method: &str, message: &Value) -> Wire {
    let mut wire = house.wire().await;
    let body = rpc(method, &json!({ "message": message })).to_string();
    wire.send(&request("/a2a", &[], body.as_bytes())).await;
    wire
}

/// A stream, up to the first words of the answer, and the task's id.
pub(crate) async fn streaming(house: &House, llm: &ScriptedLlm) -> (Wire, Tap, String) {
    let (answer, tap) = Answer::live();
    llm.then(answer);
    let mut wire = sent(house, "SendStreamingMessage", &message("Tell me.")).await;
    tap.event(&chunk("Once upon"));
    let seen = wire.until("Once upon").await;
    let id = seen.split(r#""task":{"id":""#).nth(1).unwrap().get(..36).unwrap().to_owned();
    (wire, tap, id)
}

/// Asks until the task stands so.
pub(crate) async fn until(house: &House, id: &str, wanted: &str) -> Value {
    for _ in 0..2000 {
        let task = house.about("GetTask", id).answered().await.task();
        if state(&task) == wanted {
            return task;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the task never was {wanted}");
}

//! `agents.<name>.output`: an answer that fits, or a clear error, in every protocol.

use letterhead_server::assembly;
use letterhead_testkit::{Reply, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{Event, House, Send, said, said_streaming};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
agents:
  clerk:
    output:
      required: [total]
      additionalProperties: false
      properties: { total: { type: number } }
  front: { instructions: Help., delegates: [clerk] }
entry: clerk
"#;

const GOOD: &str = r#"{"total": 42}"#;
const BAD: &str = r#"{"total": "canary"}"#;

async fn scene() -> (ScriptedLlm, House) {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    (llm, house)
}

/// The text of a stream of chunks, piece by piece.
fn pieces(events: &[Event]) -> Vec<String> {
    let chunks = events.iter().filter(|event| event.data.starts_with('{')).map(Event::json);
    chunks
        .filter_map(|chunk| Some(chunk["choices"].get(0)?["delta"]["content"].as_str()?.to_owned()))
        .filter(|piece| !piece.is_empty())
        .collect()
}

#[tokio::test]
async fn the_model_is_sent_the_schema_and_the_agents_own_form_wins_over_the_clients() {
    let (llm, house) = scene().await;
    llm.then(Reply::text(GOOD));
    let mut body = said("Hi");
    body["response_format"] = json!({ "type": "json_object" });
    assert_eq!(house.post("/v1/chat/completions", &body).answered().await.content(), GOOD);
    let sent = llm.last().json()["response_format"].clone();
    let schema = json!({ "required": ["total"], "additionalProperties": false,
                         "properties": { "total": { "type": "number" } }, "type": "object" });
    let named = json!({ "name": "clerk", "schema": schema, "strict": true });
    assert_eq!(sent, json!({ "type": "json_schema", "json_schema": named }));
}

#[tokio::test]
async fn a_stream_is_silent_until_there_is_an_answer_that_fits() {
    let (llm, house) = scene().await;
    for path in ["/v1/chat/completions", "/api/v1/chat/completions"] {
        llm.then(Reply::text(BAD)).then(Reply::text(GOOD));
        let answered = house.post(path, &said_streaming("Hi")).answered().await;
        assert_eq!(pieces(&answered.events()), [GOOD], "{path}");
        assert!(!answered.text.contains("canary"), "{path}: {}", answered.text);
    }
    llm.then(Reply::text(BAD)).then(Reply::text(GOOD));
    let answered = house
        .post(
            "/api/chat",
            &json!({ "id": "ui", "messages": [
        { "id": "m1", "role": "user", "parts": [{ "type": "text", "text": "Hi" }] }] }),
        )
        .answered()
        .await;
    assert_eq!(answered.text.matches("text-delta").count(), 1, "{}", answered.text);
    assert!(!answered.text.contains("canary"), "{}", answered.text);
}

#[tokio::test]
async fn the_conversation_has_the_answer_that_fits_and_the_usage_of_both() {
    let (llm, house) = scene().await;
    llm.then(Reply::text(BAD)).then(Reply::text(GOOD)).then(Reply::text(GOOD));
    let answered = house.say_in("s", "How much?").answered().await;
    assert_eq!((answered.content().as_str(), &answered.json()["usage"]["prompt_tokens"]), (GOOD, &json!(20)));
    house.say_in("s", "And now?").answered().await;
    let sent = llm.last().json()["messages"].as_array().unwrap().clone();
    let roles: Vec<&Value> = sent.iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(sent[1]["content"], GOOD);
}

#[tokio::test]
async fn two_answers_that_do_not_fit_are_an_upstreams_failure() {
    let (llm, house) = scene().await;
    llm.always(Reply::text(BAD));
    let answered = house.say_in("s", "How much?").answered().await;
    let problem = answered.problem(502, "upstream_failed");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`clerk`") && detail.contains("`/properties/total/type`"), "{detail}");
    assert!(!answered.text.contains("canary"), "{}", answered.text);
    assert_eq!(answered.header("x-should-retry"), Some("false"));
    assert_eq!(llm.requests().len(), 2);

    let events = house.post("/v1/chat/completions", &said_streaming("Hi")).answered().await.events();
    assert!(pieces(&events).is_empty());
    assert_eq!(events.last().unwrap().json()["error"]["code"], "upstream_failed", "and no clean end");

    // The turn is kept for who looks after the agent, and is no part of what follows.
    let kept = house.rows(house.get("/api/v1/sessions/s/messages")).await;
    let last = kept.last().unwrap();
    assert_eq!((&last["status"], &last["content"]), (&json!("failed"), &json!(BAD)));
    llm.always(Reply::text(GOOD));
    house.say_in("s", "Again").answered().await;
    assert_eq!(llm.last().json()["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_agent_that_asks_gets_the_checked_json() {
    let (llm, house) = scene().await;
    llm.then(Reply::tool("ask_agent", json!({ "agent": "clerk", "input": "How much?" })))
        .then(Reply::text(BAD))
        .then(Reply::text(GOOD))
        .then(Reply::text("It is 42."));
    let answered = house.say("Hi").header("x-agent-schema", "front").answered().await;
    assert_eq!(answered.content(), "It is 42.");
    let last = llm.last().json();
    assert_eq!(last["messages"].as_array().unwrap().last().unwrap()["content"], GOOD);
    assert_eq!(last.get("response_format"), None, "the form is the delegate's own");
}

#[test]
fn a_schema_that_is_none_is_a_fault_with_its_place() {
    let yaml = "agents:\n  a:\n    output:\n      properties:\n        total: { type: nmber }\n";
    let report = assembly::check_text("letterhead.yaml", yaml, &|_: &str| None).err().unwrap();
    let shown = report.to_string();
    assert!(shown.contains("letterhead.yaml:5:24") && shown.contains("this is no JSON Schema"), "{shown}");
}

//! CONTRACT 6: how many turns a caller may begin, and have at the same time, is the caller's own matter and nobody else's.

use letterhead_testkit::{Answer, Reply, ScriptedLlm};
use serde_json::json;

use crate::support::{House, Send, said};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
headers: { properties: { seats: { type: integer }, team: {} } }
agents: { assistant: { instructions: Be brief. }, strict: { instructions: Hi., requires: [team] } }
entry: assistant
"#;

async fn open(limits: &str) -> (ScriptedLlm, House) {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let house = House::open(&llm, &format!("{YAML}limits: {limits}\n")).await;
    (llm, house)
}

#[tokio::test]
async fn who_has_begun_too_many_turns_is_told_when_to_come_back() {
    let (llm, house) = open("{ requests_per_minute: { user: 2 } }").await;
    for _ in 0..2 {
        assert_eq!(house.say("Hi").header("x-user-id", "u_1").answered().await.status, 200);
    }
    let refused = house.say("Hi").header("x-user-id", "u_1").answered().await;
    refused.problem(429, "rate_limited");
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""user";q=2;w=60"#));
    let wait = refused.header("retry-after").unwrap();
    assert!((1..=30).contains(&wait.parse().unwrap()), "{wait}");
    assert_eq!(refused.header("ratelimit"), Some(format!(r#""user";r=0;t={wait}"#).as_str()));
    assert_eq!(llm.requests().len(), 2);
    // Others are not concerned, and reading is free.
    assert_eq!(house.say("Hi").header("x-user-id", "u_2").answered().await.status, 200);
    assert_eq!(house.say("Hi").answered().await.status, 200);
    assert_eq!(house.get("/api/v1/sessions").header("x-user-id", "u_1").answered().await.status, 200);
    // Nothing else in a request makes it another caller's.
    let other = house.say("Hi").header("x-user-id", "u_1").header("x-client-id", "other").header("x-session-id", "new");
    other.answered().await.problem(429, "rate_limited");
}

#[tokio::test]
async fn who_has_too_many_turns_running_waits_for_one_to_end() {
    let (llm, house) = open("{ concurrent_turns: { tenant: 1 } }").await;
    let late =
        json!({ "choices": [{ "message": { "role": "assistant", "content": "Late." }, "finish_reason": "stop" }] });
    let (answer, gate) = Answer::json(&late).held();
    llm.then(answer);
    let first = tokio::spawn(house.say("Hi").header("x-user-id", "u_1").answered());
    llm.received(1).await;
    let refused = house.say("Hi").header("x-user-id", "u_2").answered().await;
    refused.problem(429, "rate_limited");
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""tenant-turns";q=1;qu="concurrent-requests""#));
    assert_eq!(refused.header("retry-after"), Some("1"));
    let elsewhere = house.say("Hi").header("x-user-id", "u_1").header("x-tenant-id", "other");
    assert_eq!(elsewhere.answered().await.status, 200);
    gate.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(house.say("Hi").header("x-user-id", "u_2").answered().await.status, 200);
}

#[tokio::test]
async fn what_begins_no_turn_is_not_counted() {
    let (llm, house) = open("{ requests_per_minute: { user: 2 } }").await;
    let once = || house.say("Hi").header("idempotency-key", "k").answered();
    assert_eq!(once().await.status, 200);
    for _ in 0..3 {
        house.say("Hi").header("seats", "many").answered().await.problem(400, "invalid_header");
        house.say("Hi").header("x-agent-schema", "strict").answered().await.problem(400, "missing_header");
        house.say("Hi").header("x-model-name", "nobody").answered().await.problem(404, "model_not_found");
        house.post("/v1/chat/completions", &json!([])).answered().await.problem(400, "invalid_body");
        house.say("Ho").header("idempotency-key", "k").answered().await.problem(422, "idempotency_mismatch");
        assert_eq!(once().await.status, 200);
    }
    assert_eq!(house.say("Hi").answered().await.status, 200);
    let refused = house.say("Hi").header("idempotency-key", "l").answered().await;
    refused.problem(429, "rate_limited");
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""user";q=2;w=60"#));
    // Nothing is kept of a request that its limit refused: its key is free.
    house.say("Ho").header("idempotency-key", "l").answered().await.problem(429, "rate_limited");
    // What was answered is told again all the same.
    assert_eq!(once().await.status, 200);
    assert_eq!(llm.requests().len(), 2);
}

#[tokio::test]
async fn whose_request_still_runs_is_told_that_and_not_of_a_limit() {
    let (llm, house) = open("{ concurrent_turns: { user: 1 } }").await;
    let message = json!({ "role": "assistant", "content": "Late." });
    let (answer, gate) = Answer::json(&json!({ "choices": [{ "message": message, "finish_reason": "stop" }] })).held();
    llm.then(answer);
    let once = || house.post("/v1/chat/completions", &said("Hi")).header("idempotency-key", "k").answered();
    let first = tokio::spawn(once());
    llm.received(1).await;
    once().await.problem(409, "idempotency_running");
    house.say("Hi").answered().await.problem(429, "rate_limited");
    gate.open();
    let first = first.await.unwrap();
    assert_eq!((first.status, once().await.text), (200, first.text));
    assert_eq!(llm.requests().len(), 1);
}

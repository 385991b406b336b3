//! CONTRACT 2: what was sent is remembered, what is sent wins, what is sent wrong never falls back.

use letterhead_testkit::{Answer, Reply, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{House, Send, key};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
headers:
  required: [user_id]
  properties:
    user_id: { type: string, maxLength: 8 }
    locale:  { type: string, default: en }
    note:    { type: string }
    token:   { type: string, writeOnly: true }
agents:
  assistant: { instructions: "user={{ headers.user_id }} locale={{ headers.locale }} note={{ headers.note }}", handoffs: [strict] }
  strict: { description: Needs a note., instructions: "strict note={{ headers.note }}", requires: [note] }
  secret: { description: Carries a token., instructions: Secret., headers: { X-Token: "{{ headers.token }}" } }
entry: assistant
"#;

fn told(llm: &ScriptedLlm) -> String {
    llm.last().json()["messages"][0]["content"].as_str().unwrap().to_owned()
}

async fn names(house: &House, session: &str) -> Vec<String> {
    let body = house.get(&format!("/api/v1/sessions/{session}")).answered().await.json();
    let mut names: Vec<String> =
        body["headers"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_second_turn_needs_no_headers_and_a_new_value_wins_field_by_field() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let house = House::open(&llm, YAML).await;
    let first = house.say_in("s", "1").header("user_id", "u_1").header("note", "first");
    assert_eq!(first.answered().await.status, 200);
    assert_eq!(told(&llm), "user=u_1 locale=en note=first");
    // A default is not stored: it is not sent.
    assert_eq!(names(&house, "s").await, ["note", "user_id"]);

    assert_eq!(house.say_in("s", "2").answered().await.status, 200);
    assert_eq!(told(&llm), "user=u_1 locale=en note=first");

    assert_eq!(house.say_in("s", "3").header("NOTE", "second").answered().await.status, 200);
    assert_eq!(told(&llm), "user=u_1 locale=en note=second");

    assert_eq!(house.say_in("s", "4").answered().await.status, 200);
    assert_eq!(told(&llm), "user=u_1 locale=en note=second");
}

#[tokio::test]
async fn they_belong_to_their_session_alone() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let house = House::open(&llm, YAML).await;
    house.say_in("one", "1").header("user_id", "u_1").answered().await;
    house.say_in("two", "1").answered().await.problem(400, "missing_header");
    house.say("stateless").answered().await.problem(400, "missing_header");
    assert_eq!(house.say("stateless").header("user_id", "u_2").answered().await.status, 200);
    house.say("stateless").answered().await.problem(400, "missing_header");
}

#[tokio::test]
async fn a_field_sent_empty_is_cleared_and_then_missing() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let house = House::open(&llm, YAML).await;
    house.say_in("s", "1").header("user_id", "u_1").header("note", "n").header("locale", "de").answered().await;
    assert_eq!(house.say_in("s", "2").header("note", "").header("locale", "").answered().await.status, 200);
    // What has a default falls back to that.
    assert_eq!(told(&llm), "user=u_1 locale=en note=");
    assert_eq!(names(&house, "s").await, ["user_id"]);

    let answered = house.say_in("s", "3").header("user_id", "").answered().await;
    answered.problem(400, "missing_header");
    // That request was refused, so it cleared nothing.
    assert_eq!(house.say_in("s", "4").answered().await.status, 200);
    assert!(told(&llm).starts_with("user=u_1"));
}

#[tokio::test]
async fn a_field_sent_wrong_is_a_400_and_nothing_of_the_request_is_stored() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let house = House::open(&llm, YAML).await;
    house.say_in("s", "1").header("user_id", "u_1").header("note", "old").answered().await;
    let wrong = house.say_in("s", "2").header("user_id", "much-too-long").header("note", "new");
    let answered = wrong.answered().await;
    answered.problem(400, "invalid_header");
    assert_eq!(answered.faults(), [("user_id".to_owned(), "invalid_header".to_owned())]);
    assert_eq!(llm.requests().len(), 1);
    assert_eq!(house.transcript("s").await, ["user: 1", "assistant: Good."]);

    assert_eq!(house.say_in("s", "3").answered().await.status, 200);
    assert_eq!(told(&llm), "user=u_1 locale=en note=old");
}

#[tokio::test]
async fn they_are_stored_however_the_turn_ended() {
    let llm = ScriptedLlm::start().await;
    llm.then(Answer::status(500)).then(Reply::text("Good."));
    let house = House::open(&llm, YAML).await;
    house.say_in("s", "1").header("user_id", "u_1").answered().await.problem(502, "upstream_failed");
    assert_eq!(house.say_in("s", "2").answered().await.status, 200);
    assert_eq!(told(&llm), "user=u_1 locale=en note=");
}

#[tokio::test]
async fn what_came_with_a_question_that_lacked_a_credential_is_remembered_and_the_question_is_not() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let house =
        House::open(&llm, &YAML.replace("instructions: Secret.", r#"instructions: "{{ headers.user_id }}""#)).await;
    let secret = |text: &str| house.say_in("s", text).header("x-agent-schema", "secret");
    // As an SDK does that tries again.
    for _ in 0..2 {
        let answered = secret("1").header("user_id", "u_1").answered().await;
        answered.problem(400, "missing_credential");
        assert_eq!(answered.header("x-session-id"), Some("s"));
    }
    assert_eq!(names(&house, "s").await, ["user_id"]);
    assert!(house.transcript("s").await.is_empty());

    assert_eq!(secret("1").header("token", "tok").answered().await.status, 200);
    assert_eq!(told(&llm), "u_1");
    assert_eq!(house.transcript("s").await, ["user: 1", "assistant: Good."]);

    // Nor does the conversation change otherwise: neither its agent nor its messages.
    let strict = YAML.replace("X-Token: ", "X-Note: \"{{ headers.note }}\", X-Token: ");
    let house = House::open(&llm, &strict).await;
    let ask = |text: &str, id: &str| {
        let message = json!({ "id": id, "role": "user", "content": text });
        house.post("/api/v1/chat/completions/s", &json!({ "messages": [message] }))
    };
    assert_eq!(ask("One", "m1").header("user_id", "u_1").answered().await.status, 200);
    let refused = ask("One", "m1").header("x-agent-schema", "secret").header("locale", "de");
    refused.answered().await.problem(400, "missing_credential");
    assert_eq!(house.transcript("s").await, ["user: One", "assistant: Good."]);
    assert_eq!(house.get("/api/v1/sessions/s").answered().await.json()["agent"], "assistant");
    assert_eq!(names(&house, "s").await, ["locale", "user_id"]);

    // What may be the fault itself is not remembered: it would stand in the way of every later request.
    let broken = ask("Two", "m2").header("x-agent-schema", "secret").header("token", "tok");
    let broken = broken.header("note", "=?base64?YQpi?=").answered().await;
    broken.problem(400, "invalid_header_value");
    assert_eq!(names(&house, "s").await, ["locale", "user_id"]);
}

#[tokio::test]
async fn what_is_stored_meets_what_an_agent_requires() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let house = House::open(&llm, YAML).await;
    let strict = |text: &str| house.say_in("s", text).header("x-agent-schema", "strict");
    let answered = strict("1").header("user_id", "u").answered().await;
    assert_eq!(answered.faults(), [("note".to_owned(), "missing_header".to_owned())]);
    assert_eq!(strict("2").header("user_id", "u").header("note", "n").answered().await.status, 200);
    assert_eq!(strict("3").answered().await.status, 200);
    assert_eq!(told(&llm), "strict note=n");
}

#[tokio::test]
async fn handing_over_to_an_agent_whose_headers_are_missing_is_a_tool_error() {
    let llm = ScriptedLlm::start().await;
    llm.then(Reply::tool("handoff_to_strict", json!({}))).then(Reply::text("I keep it."));
    let house = House::open(&llm, YAML).await;
    let answered = house.say_in("s", "Give me strict.").header("user_id", "u").answered().await;
    assert_eq!(answered.content(), "I keep it.");
    let body = llm.last().json();
    let result = body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
    assert!(result.contains("`note`"), "{result}");
    assert_eq!(house.get("/api/v1/sessions/s").answered().await.json()["agent"], "assistant");
}

#[tokio::test]
async fn a_concurrent_request_does_not_change_what_a_turn_works_with() {
    let llm = ScriptedLlm::start().await;
    let (answer, tap) = Answer::live();
    llm.then(answer.header("content-type", "application/json")).then(Reply::text("Second."));
    let house = House::open(&llm, YAML).await;
    let running = tokio::spawn(house.say_in("s", "1").header("user_id", "u_1").send());
    llm.received(1).await;
    // The second waits its turn; its headers are not in the store before that.
    let waiting = tokio::spawn(house.say_in("s", "2").header("note", "later").send());
    assert!(house.app.store.session(&key(None, None, "s")).await.unwrap().is_none());
    let choice =
        json!({ "index": 0, "message": { "role": "assistant", "content": "First." }, "finish_reason": "stop" });
    tap.send(json!({ "choices": [choice] }).to_string());
    tap.end();
    assert_eq!(running.await.unwrap().unwrap().status(), 200);
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
    assert_eq!(told(&llm), "user=u_1 locale=en note=later");
}

#[tokio::test]
async fn without_a_key_a_secret_is_remembered_in_memory_and_not_over_a_restart() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letterhead.db");
    let open = || House::on_file(&llm, YAML, &path);
    let house = open().await;
    let secret = |house: &House| house.say_in("s", "Hi").header("x-agent-schema", "secret");
    let sent = secret(&house).header("user_id", "u_1").header("token", "tok-CANARY");
    assert_eq!(sent.answered().await.status, 200);
    assert_eq!(secret(&house).answered().await.status, 200);
    assert_eq!(llm.last().header("x-token"), ["tok-CANARY"]);
    house.stopped().await;

    let house = open().await;
    // The other headers are there still; the secret is asked for by the ordinary 400.
    let answered = secret(&house).answered().await;
    let problem = answered.problem(400, "missing_credential");
    assert_eq!(problem["errors"][0]["header"], Value::from("token"));
    assert_eq!(secret(&house).header("token", "tok-2").answered().await.status, 200);
    assert_eq!(llm.last().header("x-token"), ["tok-2"]);
    house.stopped().await;
}

#[tokio::test]
async fn a_runtime_header_is_never_remembered_even_where_it_is_a_declared_one() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let yaml = r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:m
runtime_headers: [X-Run, x-plan]
headers: { properties: { x-plan: {} } }
agents: { assistant: { instructions: "plan={{ headers.x-plan }}" } }
"#;
    let house = House::open(&llm, yaml).await;
    house.say_in("s", "1").header("x-run", "r1").header("x-plan", "pro").answered().await;
    assert_eq!((llm.last().header("x-run"), llm.last().header("x-plan")), (vec!["r1"], vec!["pro"]));
    house.say_in("s", "2").answered().await;
    assert_eq!(told(&llm), "plan=pro", "as a context header it is");
    assert!(llm.last().header("x-run").is_empty() && llm.last().header("x-plan").is_empty());
    assert_eq!(names(&house, "s").await, ["x-plan"]);
}

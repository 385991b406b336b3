//! CONTRACT 7 and 9, `/api/chat`: what `useChat` sends when a user goes on, edits, retries, or a tool has answered.

use letterhead_testkit::{Answer, Reply, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{Answered, House, Send};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:gpt-test
agents: { assistant: { instructions: Hi. } }
"#;

async fn house() -> (ScriptedLlm, House) {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    (llm, house)
}

fn user(id: &str, text: &str) -> Value {
    json!({ "id": id, "role": "user", "parts": [{ "type": "text", "text": text }] })
}

fn assistant(id: &str, parts: &Value) -> Value {
    json!({ "id": id, "role": "assistant", "parts": parts })
}

fn weather() -> Value {
    json!([{ "type": "function", "function": { "name": "weather", "parameters": { "type": "object" } } }])
}

async fn chat(house: &House, body: Value) -> Answered {
    let mut body = body;
    body["id"] = "chat-1".into();
    let answered = house.post("/api/chat", &body).answered().await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    answered
}

/// What the model was sent after its instructions, as `role: content`.
fn sent(llm: &ScriptedLlm) -> Vec<String> {
    let body = llm.last().json();
    let line = |message: &Value| {
        let content = message["content"].as_str().map_or_else(|| message["content"].to_string(), str::to_owned);
        format!("{}: {content}", message["role"].as_str().unwrap())
    };
    body["messages"].as_array().unwrap().iter().skip(1).map(line).collect()
}

fn message_id(answered: &Answered) -> String {
    answered.events()[0].json()["messageId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_next_message_comes_with_the_whole_conversation_and_only_it_is_new() {
    let (llm, house) = house().await;
    llm.then(Reply::text("One.")).then(Reply::text("Two."));
    let first = chat(&house, json!({ "messages": [user("m1", "First")] })).await;
    let said = assistant(
        &message_id(&first),
        &json!([{ "type": "step-start" }, { "type": "text", "text": "One.", "state": "done" }]),
    );
    let body = json!({ "messages": [user("m1", "First"), said, user("m2", "Second")], "trigger": "submit-message" });
    let second = chat(&house, body).await;
    assert_ne!(message_id(&second), message_id(&first), "a new answer needs a new id");
    assert_eq!(sent(&llm), ["user: First", "assistant: One.", "user: Second"]);
    assert_eq!(house.transcript("chat-1").await, ["user: First", "assistant: One.", "user: Second", "assistant: Two."]);
    let rows = house.rows(house.get("/api/v1/sessions/chat-1/messages")).await;
    assert_eq!((&rows[0]["id"], &rows[2]["id"]), (&json!("m1"), &json!("m2")), "client ids are kept");
}

#[tokio::test]
async fn one_message_alone_does_as_well() {
    let (llm, house) = house().await;
    llm.then(Reply::text("One.")).then(Reply::text("Two."));
    chat(&house, json!({ "message": user("m1", "First") })).await;
    chat(&house, json!({ "message": user("m2", "Second") })).await;
    assert_eq!(sent(&llm), ["user: First", "assistant: One.", "user: Second"]);
}

#[tokio::test]
async fn regenerating_answers_the_same_question_again() {
    let (llm, house) = house().await;
    llm.then(Reply::text("One.")).then(Reply::text("Two.")).then(Reply::text("Better."));
    chat(&house, json!({ "message": user("m1", "First") })).await;
    chat(&house, json!({ "message": user("m2", "Second") })).await;
    let said = assistant("a1", &json!([{ "type": "text", "text": "One." }]));
    let body =
        json!({ "messages": [user("m1", "First"), said, user("m2", "Second")], "trigger": "regenerate-message" });
    chat(&house, body).await;
    assert_eq!(sent(&llm), ["user: First", "assistant: One.", "user: Second"]);
    assert_eq!(
        house.transcript("chat-1").await,
        ["user: First", "assistant: One.", "user: Second", "assistant: Better."]
    );
}

#[tokio::test]
async fn an_edited_message_takes_the_place_of_the_old_and_of_what_followed() {
    let (llm, house) = house().await;
    llm.then(Reply::text("One.")).then(Reply::text("Two.")).then(Reply::text("New."));
    chat(&house, json!({ "message": user("m1", "First") })).await;
    chat(&house, json!({ "message": user("m2", "Second") })).await;
    let body = json!({ "messages": [user("m1", "Other")], "trigger": "submit-message", "messageId": "m1" });
    chat(&house, body).await;
    assert_eq!(sent(&llm), ["user: Other"]);
    assert_eq!(house.transcript("chat-1").await, ["user: Other", "assistant: New."]);
}

#[tokio::test]
async fn a_tools_result_inside_the_last_message_goes_on_with_that_message() {
    let (llm, house) = house().await;
    llm.then(Reply::tool("weather", json!({ "city": "Bonn" }))).then(Reply::text("It rains."));
    let first = chat(&house, json!({ "messages": [user("m1", "Weather?")], "tools": weather() })).await;
    let finish = first.events().iter().rev().nth(1).unwrap().json();
    assert_eq!((&finish["type"], &finish["finishReason"]), (&json!("finish"), &json!("tool-calls")));
    let call = json!({ "type": "tool-weather", "toolCallId": "call_0_0", "state": "output-available",
                       "input": { "city": "Bonn" }, "output": { "sky": "rain" } });
    // A result for a call that is not open, and one of the agent's own, are ignored.
    let stray = json!({ "type": "tool-weather", "toolCallId": "call_9_9", "state": "output-available", "input": {}, "output": "CANARY" });
    let own = json!({ "type": "dynamic-tool", "toolName": "x", "toolCallId": "call_0_0", "providerExecuted": true,
                      "state": "output-available", "input": {}, "output": "CANARY" });
    let last = assistant("a1", &json!([{ "type": "step-start" }, own, stray, call]));
    let body = json!({ "messages": [user("m1", "Weather?"), last], "messageId": "a1", "tools": weather() });
    let second = chat(&house, body).await;
    assert_eq!(message_id(&second), "a1", "another id would show the message twice");
    assert_eq!(sent(&llm)[2..], [r#"tool: {"sky":"rain"}"#.to_owned()]);
    assert!(!llm.last().json().to_string().contains("CANARY"));
    let roles: Vec<String> =
        house.transcript("chat-1").await.iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "assistant"]);
}

#[tokio::test]
async fn a_tools_failure_is_told_to_the_model() {
    let (llm, house) = house().await;
    llm.then(Reply::tool("weather", json!({}))).then(Reply::text("Sorry."));
    chat(&house, json!({ "messages": [user("m1", "Weather?")], "tools": weather() })).await;
    let call = json!({ "type": "tool-weather", "toolCallId": "call_0_0", "state": "output-error", "input": {}, "errorText": "no network" });
    chat(&house, json!({ "messages": [user("m1", "Weather?"), assistant("a1", &json!([call]))], "tools": weather() }))
        .await;
    assert!(sent(&llm)[2].contains("no network"), "{:?}", sent(&llm));
}

#[tokio::test]
async fn a_call_that_the_user_passed_over_is_answered_for() {
    let (llm, house) = house().await;
    llm.then(Reply::tool("weather", json!({}))).then(Reply::text("Well."));
    chat(&house, json!({ "messages": [user("m1", "Weather?")], "tools": weather() })).await;
    let open = json!({ "type": "tool-weather", "toolCallId": "call_0_0", "state": "input-available", "input": {} });
    let body =
        json!({ "messages": [user("m1", "Weather?"), assistant("a1", &json!([open])), user("m2", "Never mind.")] });
    chat(&house, body).await;
    let lines = sent(&llm);
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[2].starts_with("tool: ") && lines[3] == "user: Never mind.", "{lines:?}");
}

#[tokio::test]
async fn a_tools_result_in_openais_protocol_goes_on_too() {
    let (llm, house) = house().await;
    let ask = json!({ "messages": [{ "role": "user", "content": "Weather?" }], "tools": weather() });
    let call = json!({ "id": "call_0_0", "type": "function", "function": { "name": "weather", "arguments": "{}" } });
    let result = json!({ "role": "tool", "tool_call_id": "call_0_0", "content": "rain" });
    for path in ["/v1/chat/completions", "/api/v1/chat/completions/s"] {
        llm.then(Reply::tool("weather", json!({}))).then(Reply::text("It rains."));
        let mut ask = ask.clone();
        let first = house.post(path, &ask).answered().await.json();
        assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");
        let id = first["choices"][0]["message"]["tool_calls"][0]["id"].clone();
        let (mut call, mut result) = (call.clone(), result.clone());
        call["id"] = id.clone();
        result["tool_call_id"] = id;
        ask["messages"] =
            json!([ask["messages"][0], { "role": "assistant", "content": null, "tool_calls": [call] }, result]);
        assert_eq!(house.post(path, &ask).answered().await.content(), "It rains.");
        assert_eq!(sent(&llm).last().map(String::as_str), Some("tool: rain"));
    }
}

#[tokio::test]
async fn files_and_pictures_reach_the_model_in_its_form() {
    let (llm, house) = house().await;
    llm.then(Reply::text("Nice."));
    let parts = json!([
        { "type": "file", "mediaType": "image/png", "url": "data:image/png;base64,AAAA" },
        { "type": "file", "mediaType": "application/pdf", "url": "data:application/pdf;base64,BBBB", "filename": "a.pdf" },
        { "type": "text", "text": "What is this?" },
    ]);
    chat(&house, json!({ "messages": [{ "id": "m1", "role": "user", "parts": parts }] })).await;
    assert_eq!(
        llm.last().json()["messages"][1]["content"],
        json!([
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } },
            { "type": "file", "file": { "file_data": "data:application/pdf;base64,BBBB", "filename": "a.pdf" } },
            { "type": "text", "text": "What is this?" },
        ])
    );
}

#[tokio::test]
async fn a_question_whose_turn_failed_can_be_asked_again_under_its_id() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, &YAML.replace("\"${LLM}\"", "\"${LLM}\", retries: 0")).await;
    llm.then(Answer::status(500)).then(Reply::text("Good."));
    let mut body = json!({ "id": "chat-1", "messages": [user("m1", "First")] });
    house.post("/api/chat", &body).answered().await.problem(502, "upstream_failed");
    body["trigger"] = "regenerate-message".into();
    let answered = chat(&house, body).await;
    assert!(answered.text.contains("Good."));
    assert_eq!(sent(&llm), ["user: First"]);
    let rows = house.rows(house.get("/api/v1/sessions/chat-1/messages")).await;
    let told: Vec<String> = rows.iter().map(|row| format!("{} {}", row["status"], row["id"] == "m1")).collect();
    assert_eq!(told, [r#""failed" false"#, r#""complete" true"#, r#""complete" false"#]);
}

//! CONTRACT 9: what goes over the wire, to the byte, with ids and times replaced.

use std::time::Duration;

use insta::{assert_json_snapshot, assert_snapshot};
use letterhead_testkit::{Answer, Reply, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{Event, House, PATIENCE, Send, app, memory, request, said, said_streaming, tidy, transcript};

const DEMO: &str = r#"
model: demo
model_aliases: { gpt-4o: assistant }
allow_models: ["demo"]
headers: { required: [user_id], properties: { user_id: { type: string, maxLength: 8 }, age: { type: integer } } }
agents:
  assistant:
    instructions: "Serve {{ headers.user_id }}."
    delegates: [helper]
    handoffs: [billing]
  helper: { description: Helps., instructions: Help. }
  billing: { description: Invoices., instructions: Bill. }
entry: assistant
"#;

async fn demo(path: &str, body: &Value) -> crate::support::Answered {
    let house = House::alone(DEMO).await;
    house.post(path, body).header("user_id", "u_1").header("x-session-id", "s-1").answered().await
}

fn tool() -> Value {
    let parameters = json!({ "type": "object", "required": ["city"], "properties": { "city": { "type": "string" } } });
    json!([{ "type": "function", "function": { "name": "weather", "description": "The weather.", "parameters": parameters } }])
}

fn with_tool(stream: bool) -> Value {
    let mut body = said(r#"/tool weather {"city":"Bonn"}"#);
    body["tools"] = tool();
    body["stream"] = stream.into();
    body
}

/// What OpenAI's official clients need of a stream.
#[track_caller]
fn is_openais(events: &[Event]) {
    let (last, chunks) = events.split_last().unwrap();
    assert_eq!(last.data, "[DONE]");
    let plain: Vec<Value> = chunks.iter().filter(|event| event.name.is_none()).map(Event::json).collect();
    assert_eq!(plain[0]["choices"][0]["delta"]["role"], "assistant", "the first delta has the role");
    for event in chunks {
        let chunk = event.json();
        let choices = chunk["choices"].as_array().unwrap_or_else(|| panic!("choices is a list: {chunk}"));
        assert!(event.name.is_none() || choices.is_empty(), "named events are passed over: {chunk}");
        assert_eq!(chunk["object"], "chat.completion.chunk");
        for call in choices.iter().flat_map(|choice| choice["delta"]["tool_calls"].as_array().into_iter().flatten()) {
            assert!(call["index"].is_u64(), "{call}");
        }
    }
    let finishes: Vec<&Value> =
        plain.iter().map(|chunk| &chunk["choices"][0]["finish_reason"]).filter(|reason| !reason.is_null()).collect();
    assert_eq!(finishes.len(), 1, "one finish_reason: {finishes:?}");
}

/// What every version of the AI SDK needs of a stream, in order.
#[track_caller]
fn is_a_ui_stream(events: &[Event]) {
    let (last, chunks) = events.split_last().unwrap();
    assert_eq!(last.data, "[DONE]");
    let (mut open, mut in_step, mut calls): (Option<String>, bool, Vec<String>) = (None, false, Vec::new());
    let allowed: &[(&str, &[&str])] = &[
        ("start", &["messageId", "messageMetadata"]),
        ("start-step", &[]),
        ("finish-step", &[]),
        ("text-start", &["id"]),
        ("text-delta", &["id", "delta"]),
        ("text-end", &["id"]),
        ("reasoning-start", &["id"]),
        ("reasoning-delta", &["id", "delta"]),
        ("reasoning-end", &["id"]),
        ("tool-input-available", &["toolCallId", "toolName", "input", "providerExecuted", "dynamic"]),
        ("tool-output-available", &["toolCallId", "output", "providerExecuted", "dynamic", "preliminary"]),
        ("tool-output-error", &["toolCallId", "errorText", "providerExecuted", "dynamic"]),
        ("message-metadata", &["messageMetadata"]),
        ("finish", &["finishReason", "messageMetadata"]),
    ];
    for event in chunks {
        assert!(event.name.is_none(), "named events kill the stream");
        let chunk = event.json();
        let kind = chunk["type"].as_str().unwrap();
        let fields = allowed.iter().find(|(known, _)| *known == kind).unwrap_or_else(|| panic!("{chunk}")).1;
        for (name, value) in chunk.as_object().unwrap().iter().filter(|(name, _)| *name != "type") {
            assert!(fields.contains(&name.as_str()), "`{name}` kills older clients: {chunk}");
            assert!(!value.is_null(), "a null kills every client: {chunk}");
        }
        let id = || chunk["id"].as_str().unwrap().to_owned();
        match kind {
            "start-step" => assert!(!std::mem::replace(&mut in_step, true), "a step in a step"),
            "finish-step" => assert!(std::mem::replace(&mut in_step, false) && open.is_none(), "{chunk}"),
            "text-start" | "reasoning-start" => assert!(in_step && open.replace(id()).is_none(), "{chunk}"),
            "text-delta" | "reasoning-delta" => assert_eq!(open, Some(id())),
            "text-end" | "reasoning-end" => assert_eq!(open.take(), Some(id())),
            "tool-input-available" => calls.push(chunk["toolCallId"].as_str().unwrap().to_owned()),
            "tool-output-available" | "tool-output-error" => {
                assert!(calls.iter().any(|call| chunk["toolCallId"] == call.as_str()), "{chunk}");
            }
            _ => {}
        }
    }
    assert!(!in_step && open.is_none());
    assert_eq!(chunks[0].json()["type"], "start");
    assert_eq!(chunks.last().unwrap().json()["type"], "finish");
}

#[tokio::test]
async fn openais_answer() {
    let answered = demo("/v1/chat/completions", &said("Hello!")).await;
    assert_eq!(answered.header("content-type"), Some("application/json"));
    assert_json_snapshot!(tidy(answered.json()));
}

#[tokio::test]
async fn openais_stream_with_usage() {
    let mut body = said_streaming("Hello!");
    body["stream_options"] = json!({ "include_usage": true });
    body["model"] = "gpt-4o".into();
    let events = demo("/v1/chat/completions", &body).await.events();
    is_openais(&events);
    assert_snapshot!(transcript(&events));
}

#[tokio::test]
async fn without_include_usage_there_is_no_usage_chunk() {
    let answered = demo("/v1/chat/completions", &said_streaming("Hello!")).await;
    is_openais(&answered.events());
    assert!(!answered.text.contains("usage"), "{}", answered.text);
    assert!(!answered.text.contains("event:") && !answered.text.contains("\nid:"), "{}", answered.text);
}

#[tokio::test]
async fn openais_stream_shows_no_call_of_the_agents_own() {
    let answered = demo("/v1/chat/completions", &said_streaming("/ask helper How are you?")).await;
    is_openais(&answered.events());
    assert!(!answered.text.contains("tool_calls"), "{}", answered.text);
}

#[tokio::test]
async fn openais_stream_with_events() {
    let events = demo("/api/v1/chat/completions", &said_streaming("/ask helper Hi")).await.events();
    is_openais(&events);
    assert_snapshot!(transcript(&events));
}

#[tokio::test]
async fn openais_stream_with_a_handoff() {
    let events = demo("/api/v1/chat/completions", &said_streaming("/handoff billing")).await.events();
    is_openais(&events);
    assert_snapshot!(transcript(&events));
}

#[tokio::test]
async fn a_ui_stream_with_a_call_of_the_agents_own() {
    let body = json!({ "id": "chat-1", "messages": [{ "id": "m1", "role": "user", "parts": [{ "type": "text", "text": "/ask helper Hi" }] }] });
    let answered = demo("/api/chat", &body).await;
    assert_eq!(answered.header("x-vercel-ai-ui-message-stream"), Some("v1"));
    let events = answered.events();
    is_a_ui_stream(&events);
    assert_snapshot!(transcript(&events));
}

#[tokio::test]
async fn a_ui_stream_of_the_plain_form() {
    let body = json!({ "messages": [{ "role": "user", "content": "Hello!" }], "conversationId": "conv-123" });
    let events = demo("/api/chat", &body).await.events();
    is_a_ui_stream(&events);
    assert_snapshot!(transcript(&events));
}

#[tokio::test]
async fn a_ui_answer_in_one_piece() {
    let mut body = said("/ask helper Hi");
    body["stream"] = false.into();
    let answered = demo("/api/chat", &body).await;
    assert_eq!(answered.header("content-type"), Some("application/json"));
    assert_json_snapshot!(tidy(answered.json()));
}

#[tokio::test]
async fn a_call_of_the_clients_own_tool_in_openais_answer() {
    let answered = demo("/v1/chat/completions", &with_tool(false)).await;
    assert_json_snapshot!(tidy(answered.json()));
}

#[tokio::test]
async fn a_call_of_the_clients_own_tool_in_openais_stream() {
    let events = demo("/v1/chat/completions", &with_tool(true)).await.events();
    is_openais(&events);
    assert_snapshot!(transcript(&events));
}

#[tokio::test]
async fn a_call_of_the_clients_own_tool_in_a_ui_stream() {
    let events = demo("/api/chat", &with_tool(true)).await.events();
    is_a_ui_stream(&events);
    assert_snapshot!(transcript(&events));
}

#[tokio::test]
async fn reasoning_and_refusals_have_their_own_places() {
    let llm = ScriptedLlm::start().await;
    let yaml = "providers: { openai: { kind: openai, base_url: \"${LLM}\" } }\nmodel: openai:m\nagents: { a: { instructions: Hi. } }";
    let house = House::open(&llm, yaml).await;
    let delta = |delta: Value, finish: Value| {
        json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] }).to_string()
    };
    let script = || {
        llm.then(Answer::sse([
            delta(json!({ "role": "assistant", "reasoning_content": "Let me " }), Value::Null),
            delta(json!({ "reasoning_content": "think." }), Value::Null),
            delta(json!({ "content": "Well, " }), Value::Null),
            delta(json!({ "content": "yes." }), Value::Null),
            delta(json!({ "refusal": " But no more." }), Value::Null),
            delta(json!({}), json!("length")),
            "[DONE]".to_owned(),
        ]));
    };
    let mut said = Vec::new();
    for path in ["/v1/chat/completions", "/api/v1/chat/completions", "/api/chat"] {
        script();
        let events = house.post(path, &said_streaming("Hi")).header("x-session-id", "s").answered().await.events();
        if path == "/api/chat" {
            is_a_ui_stream(&events);
        } else {
            is_openais(&events);
        }
        said.push(format!("{path}\n{}", transcript(&events)));
    }
    assert_snapshot!(said.join("\n"));
}

#[tokio::test]
async fn odd_reasons_to_finish_are_told_in_the_words_that_clients_know() {
    let llm = ScriptedLlm::start().await;
    let yaml = "providers: { openai: { kind: openai, base_url: \"${LLM}\" } }\nmodel: openai:m\nagents: { a: { instructions: Hi. } }";
    let house = House::open(&llm, yaml).await;
    for (reason, told, ui) in [
        ("stop", "stop", "stop"),
        ("length", "length", "length"),
        ("content_filter", "content_filter", "content-filter"),
        ("eos_token", "stop", "stop"),
        ("max_tokens", "length", "length"),
    ] {
        llm.then(Reply::text("Good.").finish(reason)).then(Reply::text("Good.").finish(reason));
        let answered = house.say("Hi").answered().await.json();
        assert_eq!(answered["choices"][0]["finish_reason"], told, "{reason}");
        let events = house.post("/api/chat", &said_streaming("Hi")).answered().await.events();
        assert_eq!(events[events.len() - 2].json()["finishReason"], ui, "{reason}");
    }
}

#[tokio::test]
async fn errors() {
    let house = House::alone(DEMO).await;
    let mut all = Vec::new();
    let faulty = house.say("Hi").header("user_id", "much-too-long").header("age", "old").header("x-request-id", "r1");
    all.push(tidy(faulty.answered().await.json()));
    let mut body = said("Hi");
    body["model"] = "gpt-5".into();
    all.push(tidy(house.post("/v1/chat/completions", &body).answered().await.json()));
    all.push(tidy(house.get("/api/v1/sessions/none").answered().await.json()));
    let body = json!({ "messages": [{ "role": "wizard", "content": "Hi" }] });
    all.push(tidy(house.post("/v1/chat/completions", &body).header("user_id", "u").answered().await.json()));
    assert_json_snapshot!(all);
}

#[tokio::test]
async fn the_models() {
    let house = House::alone(DEMO).await;
    assert_json_snapshot!(house.get("/v1/models").answered().await.json());
}

#[tokio::test]
async fn a_silent_stream_begins_all_the_same_and_gets_comments() {
    let llm = ScriptedLlm::start().await;
    let yaml = "providers: { openai: { kind: openai, base_url: \"${LLM}\" } }\nmodel: openai:m\nagents: { a: { instructions: Hi. } }";
    let mut app = app(&llm.openai_url(), yaml, memory);
    assert_eq!(app.timing.keep_alive.as_secs(), 15);
    app.timing.keep_alive = Duration::from_millis(20);
    let house = House::serve(app, PATIENCE).await;
    for path in ["/v1/chat/completions", "/api/v1/chat/completions", "/api/chat"] {
        let (answer, tap) = Answer::live();
        llm.then(answer);
        let mut wire = house.wire().await;
        wire.send(&request(path, &[], said_streaming("Hi").to_string().as_bytes())).await;
        // The model says nothing for longer than a comment is due: the head comes, and comments.
        let begun = wire.until(": keep-alive\n\n").await;
        assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
        tap.event(r#"{"choices":[{"index":0,"delta":{"content":"Hi."},"finish_reason":"stop"}]}"#);
        tap.event("[DONE]");
        tap.end();
        assert!(wire.until("[DONE]").await.contains("Hi."), "{path}");
    }
}

#[tokio::test]
async fn a_long_answer_of_a_child_is_shown_in_steps_and_does_not_grow_with_its_square() {
    let llm = ScriptedLlm::start().await;
    let yaml = r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:m
agents: { a: { delegates: [b] }, b: { description: B. } }
entry: a
"#;
    let house = House::open(&llm, yaml).await;
    let long: String = (0..4000).map(|at| format!("word{at} ")).collect();
    llm.then(Reply::tool("ask_agent", json!({ "agent": "b", "input": "?" })))
        .then(Reply::text(&long))
        .then(Reply::text("Done."));
    let answered = house.post("/api/chat", &said_streaming("Hi")).answered().await;
    is_a_ui_stream(&answered.events());
    assert!(answered.text.len() < long.len() * 40, "{} bytes for {}", answered.text.len(), long.len());
    let outputs: Vec<Value> =
        answered.events().iter().filter(|event| event.data.contains("tool-output")).map(Event::json).collect();
    assert!(outputs.len() > 50, "it is shown while it grows");
    assert_eq!(outputs.last().unwrap()["output"], long.as_str(), "and whole at the end");
}

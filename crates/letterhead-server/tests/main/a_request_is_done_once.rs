//! CONTRACT 7, `Idempotency-Key`: who sends a request again is told what the first one was told, and nothing happens twice.

use std::path::Path;
use std::sync::Arc;

use letterhead_server::assembly;
use letterhead_store::{Clock, SystemClock};
use letterhead_testkit::{Answer, Postgres, Reply, ScriptedLlm};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Answered, House, PATIENCE, Send, said, said_streaming};

pub(crate) const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:gpt-test
headers: { properties: { seats: { type: integer }, user_id: {}, api_token: { writeOnly: true } } }
allow_models: ["openai:*"]
entry: first
agents:
  first: { instructions: Hi., handoffs: [second] }
  second: { description: Goes on., instructions: Ho. }
"#;

/// Every way to ask: the path, and whether the body names a session.
pub(crate) const WAYS: [(&str, bool); 6] = [
    ("/v1/chat/completions", false),
    ("/v1/chat/completions", true),
    ("/api/v1/chat/completions", false),
    ("/api/v1/chat/completions/s-path", false),
    ("/api/chat", false),
    ("/api/chat", true),
];

pub(crate) async fn house(llm: &ScriptedLlm) -> House {
    House::open(llm, YAML).await
}

pub(crate) async fn house_on(llm: &ScriptedLlm, file: &Path) -> House {
    House::on_file(llm, YAML, file).await
}

pub(crate) fn keyed(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("idempotency-key", key)
}

/// What a model answers that is not asked to stream.
pub(crate) fn whole(text: &str) -> Answer {
    let message = json!({ "role": "assistant", "content": text });
    Answer::json(&json!({ "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] }))
}

/// A body for one of the ways.
pub(crate) fn body(way: (&str, bool), stream: bool) -> Value {
    let mut body = said("Hello");
    body["stream"] = stream.into();
    if way.1 {
        body["conversationId"] = format!("s{}", way.0.replace('/', "-")).into();
    }
    body
}

/// The text of an answer, whichever way it came.
pub(crate) fn text(answered: &Answered) -> String {
    assert_eq!(answered.status, 200, "{}", answered.text);
    if answered.header("content-type") == Some("text/event-stream") {
        let events = answered.events();
        assert_eq!(events.last().unwrap().data, "[DONE]", "{}", answered.text);
        let piece = |data: &Value| {
            let piece = data["choices"][0]["delta"]["content"].as_str().or_else(|| data["delta"].as_str());
            piece.unwrap_or_default().to_owned()
        };
        return events.iter().filter(|event| event.data != "[DONE]").map(|event| piece(&event.json())).collect();
    }
    let body = answered.json();
    let parts = body["message"]["parts"].as_array().map(|parts| parts.iter().filter_map(|part| part["text"].as_str()));
    parts.map_or_else(|| answered.content(), Iterator::collect)
}

/// The id of an answer, whichever way it came.
fn id(answered: &Answered) -> Value {
    let body = if answered.text.starts_with('{') { answered.json() } else { answered.events()[0].json() };
    [&body["id"], &body["messageId"], &body["message"]["id"]].into_iter().find(|id| id.is_string()).unwrap().clone()
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_in_every_protocol_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letterhead.db");
    for (n, way) in WAYS.into_iter().enumerate() {
        let llm = ScriptedLlm::start().await;
        llm.then(Reply::text("Once.")).always(Reply::text("Twice."));
        let send = |house: &House| keyed(house.post(way.0, &body(way, false)), &format!("key-{n}")).answered();
        for durable in [false, true] {
            let one = if durable { house_on(&llm, &file).await } else { house(&llm).await };
            let before = llm.requests().len();
            let first = send(&one).await;
            let again = send(&one).await;
            assert_eq!(first.status, 200, "{}", first.text);
            assert_eq!(again.text, first.text, "{way:?}");
            assert_eq!(again.header("x-session-id"), first.header("x-session-id"));
            assert_eq!(llm.requests().len(), before + 1, "{way:?}");
            one.stopped().await;
            if durable {
                let other = house_on(&llm, &file).await;
                assert_eq!(send(&other).await.text, first.text, "{way:?}");
                assert_eq!(llm.requests().len(), before + 1, "{way:?}");
                // A session has heard the question once.
                if let Some(session) = first.header("x-session-id") {
                    assert_eq!(other.transcript(session).await, ["user: Hello", "assistant: Twice."], "{way:?}");
                }
                other.stopped().await;
            }
        }
    }
}

#[tokio::test]
async fn without_a_key_every_request_is_a_new_one() {
    let llm = ScriptedLlm::start().await;
    llm.then(Reply::text("Once.")).then(Reply::text("Twice."));
    let house = house(&llm).await;
    assert_eq!(house.say("Hello").answered().await.content(), "Once.");
    assert_eq!(house.say("Hello").answered().await.content(), "Twice.");
}

#[tokio::test]
async fn it_is_told_again_in_the_manner_that_is_asked_for() {
    for way in WAYS {
        for stream_first in [false, true] {
            let llm = ScriptedLlm::start().await;
            llm.then(Reply::text("Once upon a time."));
            let house = house(&llm).await;
            let send = |stream| keyed(house.post(way.0, &body(way, stream)), "k").answered();
            let first = send(stream_first).await;
            for stream in [!stream_first, stream_first] {
                let again = send(stream).await;
                let kind = if stream { "text/event-stream" } else { "application/json" };
                assert_eq!(again.header("content-type"), Some(kind));
                assert_eq!((text(&again), id(&again)), ("Once upon a time.".to_owned(), id(&first)), "{way:?}");
                assert_eq!(again.header("x-session-id"), first.header("x-session-id"), "{way:?}");
            }
            assert_eq!(llm.requests().len(), 1, "{way:?}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_told_again_has_all_that_clients_count_on() {
    let llm = ScriptedLlm::start().await;
    llm.then(Reply::tool("handoff_to_second", json!({ "reason": "sums" }))).then(Reply::text("Over here.").usage(7, 3));
    let house = house(&llm).await;
    let mut body = said_streaming("Hello");
    body["stream_options"] = json!({ "include_usage": true });
    let send = || keyed(house.post("/api/v1/chat/completions/s", &body), "k").answered();
    let (first, again) = (send().await, send().await);
    let shown = |answered: &Answered| -> Vec<(String, Value)> {
        let events = answered.events();
        let data = |data: &str| serde_json::from_str(data).unwrap_or_else(|_| Value::from(data));
        let shown = events.iter().map(|event| (event.name.clone().unwrap_or_default(), data(&event.data)));
        // The same words, but in one piece.
        shown.filter(|(_, data)| data["choices"][0]["delta"]["content"].as_str().is_none_or(str::is_empty)).collect()
    };
    assert_eq!(shown(&again), shown(&first));
    assert_eq!(text(&again), "Over here.");
    assert!(again.text.contains(r#""agent_schema":"second""#) && again.text.contains("handoff_to_second"));

    llm.then(Reply::tool("handoff_to_second", json!({}))).then(Reply::text("Over here."));
    let body = json!({ "id": "c", "messages": [{ "role": "user", "parts": [{ "type": "text", "text": "Hello" }] }] });
    let send = || keyed(house.post("/api/chat", &body), "k").answered();
    let (first, again) = (send().await, send().await);
    let types = |answered: &Answered| -> Vec<Value> {
        let events = answered.events();
        let types = events.iter().filter(|event| event.data != "[DONE]").map(|event| event.json()["type"].clone());
        let mut types: Vec<Value> = types.collect();
        types.dedup();
        types
    };
    assert_eq!(types(&again), types(&first));
    assert_eq!(again.events()[0], first.events()[0], "the same message, with the same metadata");
    assert_eq!(llm.requests().len(), 4);
}

#[tokio::test]
async fn calls_of_the_clients_tools_are_told_again() {
    let llm = ScriptedLlm::start().await;
    let house = house(&llm).await;
    for (n, (path, stream_first)) in
        [("/v1/chat/completions", false), ("/v1/chat/completions", true), ("/api/chat", true)].into_iter().enumerate()
    {
        llm.then(Reply::tool("weather", json!({ "city": "Rome" })));
        let mut body = said("Rain?");
        body["tools"] = json!([{ "type": "function", "function": { "name": "weather" } }]);
        body["stream"] = stream_first.into();
        let send = |body: &Value| keyed(house.post(path, body), &format!("k{n}")).answered();
        let first = send(&body).await;
        assert!(first.text.contains("Rome"), "{}", first.text);
        body["stream"] = true.into();
        let streamed = send(&body).await;
        let events = streamed.events();
        let call = format!("call_{n}_0");
        if path == "/api/chat" {
            let input = events.iter().find(|event| event.data.contains("tool-input-available")).unwrap().json();
            assert_eq!((&input["toolCallId"], &input["input"]), (&json!(call), &json!({ "city": "Rome" })));
            assert!(input.get("providerExecuted").is_none() && streamed.text.contains(r#""tool-calls""#));
        } else {
            let choices =
                events.iter().filter(|event| event.data != "[DONE]").map(|event| event.json()["choices"].clone());
            let choices: Vec<Value> = choices.collect();
            let calls: Vec<&Value> = choices.iter().map(|choice| &choice[0]["delta"]["tool_calls"][0]).collect();
            let told = calls.iter().find(|call| call.is_object()).unwrap();
            assert_eq!((&told["index"], &told["id"]), (&json!(0), &json!(call)));
            assert_eq!(choices.last().unwrap()[0]["finish_reason"], "tool_calls");
            body["stream"] = false.into();
            let whole = send(&body).await.json();
            assert_eq!(whole["choices"][0]["message"]["tool_calls"][0]["id"], call);
            assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
        }
    }
    assert_eq!(llm.requests().len(), 3);
}

#[tokio::test]
async fn while_the_first_runs_the_second_is_told_to_ask_again() {
    let llm = ScriptedLlm::start().await;
    let house = house(&llm).await;
    for (n, way) in WAYS.into_iter().enumerate() {
        let (held, gate) = whole("Done.").held();
        llm.then(held);
        let send = || keyed(house.post(way.0, &body(way, false)), &format!("k{n}"));
        let first = tokio::spawn(send().send());
        llm.received(n + 1).await;
        let refused = send().answered().await;
        refused.problem(409, "idempotency_running");
        assert_eq!(refused.header("retry-after"), Some("1"));
        let mut other = body(way, false);
        other["seed"] = 1.into();
        let refused = keyed(house.post(way.0, &other), &format!("k{n}")).answered().await;
        refused.problem(422, "idempotency_mismatch");
        gate.open();
        assert_eq!(first.await.unwrap().unwrap().status(), 200, "{way:?}");
        assert_eq!(text(&send().answered().await), "Done.", "{way:?}");
        assert_eq!(llm.requests().len(), n + 1, "{way:?}");
    }
}

#[tokio::test]
async fn of_a_turn_that_stores_nothing_the_answer_alone_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let llm = ScriptedLlm::start().await;
    llm.then(Reply::tool("handoff_to_second", json!({ "reason": "CANARY" }))).then(Reply::text("The answer."));
    let house = house_on(&llm, &folder.path().join("letterhead.db")).await;
    let answered = keyed(house.say("Hello"), "k").answered().await;
    assert_eq!(answered.content(), "The answer.");
    assert!(house.rows(house.get("/api/v1/sessions")).await.is_empty());
    house.stopped().await;
    let kept = std::fs::read(folder.path().join("letterhead.db")).unwrap();
    let kept = String::from_utf8_lossy(&kept);
    assert!(kept.contains("The answer.") && !kept.contains("CANARY") && !kept.contains("Hello"));
}

#[tokio::test]
async fn with_its_session_an_answer_is_deleted() {
    let llm = ScriptedLlm::start().await;
    llm.then(Reply::text("Once.")).then(Reply::text("Twice."));
    let house = house(&llm).await;
    let send = || keyed(house.say_in("s", "Hello"), "k").answered();
    assert_eq!(send().await.content(), "Once.");
    assert_eq!(house.delete("/api/v1/sessions/s").answered().await.status, 204);
    assert_eq!(send().await.content(), "Twice.");
}

#[tokio::test]
async fn servers_that_share_a_database_do_a_request_once() {
    let Some(postgres) = Postgres::shared() else { return };
    let (llm, store) = (ScriptedLlm::start().await, postgres.url(&postgres.database()));
    let server = async || {
        let env = |name: &str| match name {
            "LLM" => Some(llm.openai_url()),
            "STORE" => Some(store.clone()),
            _ => None,
        };
        let yaml = format!("store: \"${{STORE}}\"\n{}", YAML.trim());
        let checked = assembly::check_text("letterhead.yaml", &yaml, &env).unwrap_or_else(|report| panic!("{report}"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = assembly::open_store(&checked, &clock).unwrap_or_else(|error| panic!("{error}"));
        House::serve(checked.into_app(store, clock), PATIENCE).await
    };
    let (one, other) = (server().await, server().await);
    for (n, way) in WAYS.into_iter().enumerate() {
        let (key, body) = (format!("k{n}"), body(way, false));
        let send = |house: &House| keyed(house.post(way.0, &body), &key);
        llm.then(Answer::status(400));
        send(&one).answered().await.problem(400, "upstream_rejected");
        let (held, gate) = whole("Done.").held();
        llm.then(held);
        let first = tokio::spawn(send(&one).send());
        llm.received(2 * n + 2).await;
        send(&other).answered().await.problem(409, "idempotency_running");
        gate.open();
        let first = Answered::of(first.await.unwrap().unwrap()).await;
        assert_eq!(send(&other).answered().await.text, first.text, "{way:?}");
        assert_eq!((text(&first), llm.requests().len()), ("Done.".to_owned(), 2 * n + 2), "{way:?}");
    }
    one.stopped().await;
    other.stopped().await;
}

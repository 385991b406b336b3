//! CONTRACT 9: a fault of the model's provider has one status and one code, in every protocol, and never its own words.

use letterhead_testkit::{Answer, Reply, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{Answered, House, Send, said, said_streaming};

const YAML: &str = r#"
providers:
  openai:
    kind: openai
    base_url: "${LLM}"
    api_key: sk-CANARY
    retries: 0
    first_byte_timeout: 500ms
    idle_timeout: 500ms
model: openai:gpt-test
agents: { assistant: { instructions: Hi. } }
"#;

fn words() -> Value {
    json!({ "error": { "message": "CANARY: no such thing as sk-CANARY", "type": "CANARY", "code": "CANARY" } })
}

/// What an upstream may do before it has said anything, and what a client is told.
fn refusals() -> Vec<(&'static str, Answer, u16, &'static str)> {
    let error = |status| Answer::error(status, &words());
    vec![
        ("400", error(400), 400, "upstream_rejected"),
        ("401", error(401), 502, "upstream_auth"),
        ("403", error(403), 502, "upstream_auth"),
        ("404", error(404), 502, "upstream_failed"),
        ("413", error(413), 400, "upstream_rejected"),
        ("422", error(422), 400, "upstream_rejected"),
        ("429", error(429), 429, "upstream_rate_limited"),
        ("500", error(500), 502, "upstream_failed"),
        ("502", error(502), 502, "upstream_failed"),
        ("503", error(503), 503, "upstream_unavailable"),
        ("529", error(529), 503, "upstream_unavailable"),
        ("a redirect", error(302).header("location", "http://192.0.2.1/CANARY"), 502, "upstream_failed"),
        ("silence", Answer::hang(), 504, "upstream_timeout"),
        ("an end without an answer", Answer::close(), 502, "upstream_failed"),
        ("HTML", Answer::bytes("text/html", "<html>CANARY</html>"), 502, "upstream_failed"),
        ("half a JSON", Answer::bytes("application/json", r#"{"choices":[{"mess"#), 502, "upstream_failed"),
        ("nothing", Answer::bytes("application/json", ""), 502, "upstream_failed"),
        ("something else", Answer::json(&json!({ "CANARY": true })), 502, "upstream_failed"),
        ("a cut", Answer::cut("application/json", r#"{"choices":[]"#), 502, "upstream_failed"),
        ("an error with 200", Answer::json(&words()), 502, "upstream_failed"),
    ]
}

fn never_a_word(what: &str, answered: &Answered) {
    let headers = format!("{:?}", answered.headers);
    assert!(!answered.text.contains("CANARY") && !headers.contains("CANARY"), "{what}: {}", answered.text);
}

#[tokio::test]
async fn a_whole_answer_gets_a_status_and_a_code() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    for (what, answer, status, code) in refusals() {
        llm.then(answer);
        let answered = house.say_in("s", "Hi").answered().await;
        let told = (answered.status, answered.json()["error"]["code"].clone());
        assert_eq!(told, (status, code.into()), "{what}: {}", answered.text);
        answered.problem(status, code);
        never_a_word(what, &answered);
    }
    // Every turn was stored as failed, without the upstream's words either.
    let rows = house.rows(house.get("/api/v1/sessions/s/messages")).await;
    assert_eq!(rows.len(), refusals().len());
    assert!(rows.iter().all(|row| row["role"] == "user" && row["status"] == "failed"), "{rows:?}");
}

#[tokio::test]
async fn so_does_a_stream_that_has_not_begun() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    for path in ["/v1/chat/completions", "/api/v1/chat/completions", "/api/chat"] {
        for (what, answer, status, code) in refusals() {
            llm.then(answer);
            let answered = house.post(path, &said_streaming("Hi")).answered().await;
            assert_eq!(answered.status, status, "{path} {what}: {}", answered.text);
            answered.problem(status, code);
            never_a_word(what, &answered);
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_unavailable() {
    let nowhere = ScriptedLlm::nowhere().await;
    let house =
        House::serve(crate::support::app(&nowhere, YAML, crate::support::memory), crate::support::PATIENCE).await;
    let answered = house.say("Hi").answered().await;
    answered.problem(503, "upstream_unavailable");
    assert!(!answered.text.contains("127.0.0.1"), "{}", answered.text);
}

#[tokio::test]
async fn a_limit_says_when_to_come_again_and_a_long_one_not_to() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    for (sent, told, should_retry) in
        [(Some("7"), "7", None), (Some("60"), "60", None), (Some("61"), "61", Some("false")), (None, "5", None)]
    {
        let answer = Answer::status(429);
        llm.then(match sent {
            Some(wait) => answer.header("retry-after", wait),
            None => answer,
        });
        let answered = house.say("Hi").answered().await;
        answered.problem(429, "upstream_rate_limited");
        assert_eq!(answered.header("retry-after"), Some(told), "{sent:?}");
        assert_eq!(answered.header("x-should-retry"), should_retry, "{sent:?}");
    }
}

#[tokio::test]
async fn faults_that_may_pass_are_repeated_before_the_first_byte_and_then_no_more() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, &YAML.replace("retries: 0", "retries: 1")).await;
    llm.then(Answer::status(503)).then(Reply::text("Good."));
    assert_eq!(house.say("Hi").answered().await.content(), "Good.");
    llm.then(Answer::status(503)).then(Answer::status(503));
    let answered = house.say("Hi").answered().await;
    answered.problem(503, "upstream_unavailable");
    assert_eq!(answered.header("x-should-retry"), Some("false"), "our own retries are spent");
    assert_eq!(llm.requests().len(), 4);
    // What the request is refused for is not repeated.
    llm.then(Answer::status(400));
    house.say("Hi").answered().await.problem(400, "upstream_rejected");
    assert_eq!(llm.requests().len(), 5);
}

#[tokio::test]
async fn a_known_code_of_the_upstream_is_named_and_another_not() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    let with = |code: &str| Answer::error(400, &json!({ "error": { "message": "CANARY", "code": code } }));
    llm.then(with("context_length_exceeded")).then(with("CANARY_code"));
    let known = house.say("Hi").answered().await;
    assert!(known.text.contains("context_length_exceeded"), "{}", known.text);
    never_a_word("known", &known);
    never_a_word("unknown", &house.say("Hi").answered().await);
}

/// A stream that says something and then goes wrong.
fn broken() -> Vec<(&'static str, Answer, &'static str)> {
    let first = r#"{"choices":[{"index":0,"delta":{"content":"Once upon"}}]}"#;
    let sse = |rest: &[&str]| Answer::sse([first].iter().chain(rest));
    vec![
        ("a cut", Answer::cut("text/event-stream", format!("data: {first}\n\n")), "upstream_failed"),
        ("an end without a finish", sse(&[]), "upstream_failed"),
        ("no JSON", sse(&["CANARY"]), "upstream_failed"),
        ("an error", sse(&[&words().to_string()]), "upstream_failed"),
    ]
}

#[tokio::test]
async fn openais_stream_ends_with_an_error_chunk_and_never_cleanly() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    for (what, answer, code) in broken() {
        llm.then(answer);
        let answered = house.post("/v1/chat/completions", &said_streaming("Hi")).answered().await;
        let events = answered.events();
        assert!(events.iter().all(|event| event.name.is_none()), "{what}");
        let last = events.last().unwrap().json();
        assert_eq!(last["error"]["code"], code, "{what}");
        assert_eq!(last["error"]["type"], "server_error");
        assert!(last["error"]["message"].is_string() && last["error"]["param"].is_null());
        for event in &events[..events.len() - 1] {
            assert!(event.json()["choices"][0]["finish_reason"].is_null(), "{what}: {}", event.data);
        }
        assert!(answered.text.contains("Once upon") && !answered.text.contains("[DONE]"), "{what}");
        never_a_word(what, &answered);
    }
}

#[tokio::test]
async fn the_one_with_events_ends_with_error_and_done() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    for (what, answer, code) in broken() {
        llm.then(answer);
        let answered = house.post("/api/v1/chat/completions/s", &said_streaming("Hi")).answered().await;
        let events = answered.events();
        let [.., error, done] = events.as_slice() else { panic!("{what}") };
        assert_eq!((error.name.as_deref(), done.name.as_deref()), (Some("error"), Some("done")), "{what}");
        assert_eq!(error.json()["code"], code);
        assert_eq!(error.json()["error"]["code"], code);
        assert_eq!(error.json()["choices"], json!([]));
        assert_eq!(done.json()["reason"], "error");
        assert!(!answered.text.contains("[DONE]"), "{what}");
        never_a_word(what, &answered);
    }
    let rows = house.rows(house.get("/api/v1/sessions/s/messages")).await;
    assert!(!rows.is_empty() && rows.iter().all(|row| row["status"] == "failed"), "{rows:?}");
    // None of it is part of what follows.
    llm.then(Reply::text("Good."));
    house.say_in("s", "Again").answered().await;
    assert_eq!(llm.last().json()["messages"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_ui_stream_ends_with_an_error_as_its_last_chunk() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    for (what, answer, _) in broken() {
        llm.then(answer);
        let answered = house.post("/api/chat", &said_streaming("Hi")).answered().await;
        let last = answered.events().last().unwrap().json();
        assert_eq!(last["type"], "error", "{what}");
        assert!(last["errorText"].is_string() && last.as_object().unwrap().len() == 2);
        assert!(!answered.text.contains("[DONE]") && !answered.text.contains("\"finish\""), "{what}");
        never_a_word(what, &answered);
    }
}

#[tokio::test]
async fn an_upstream_that_falls_silent_in_its_answer_is_a_timeout() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    let (answer, tap) = Answer::live();
    llm.then(answer);
    tap.event(r#"{"choices":[{"index":0,"delta":{"content":"Once upon"}}]}"#);
    let answered = house.post("/v1/chat/completions", &said_streaming("Hi")).answered().await;
    assert_eq!(answered.events().last().unwrap().json()["error"]["code"], "upstream_timeout");
    tap.left().await;
}

#[tokio::test]
async fn a_run_that_does_not_end_is_stopped_with_what_was_said() {
    let llm = ScriptedLlm::start().await;
    let yaml = format!("limits: {{ max_turns: 2 }}\n{}", YAML.trim());
    let house = House::open(
        &llm,
        &yaml
            .replace("instructions: Hi. }", "instructions: Hi., handoffs: [b] }, b: { description: B. }")
            .replace("agents:", "entry: assistant\nagents:"),
    )
    .await;
    for body in [said("Hi"), said_streaming("Hi")] {
        llm.then(Reply::tool("no_such_tool", json!({}))).then(Reply::text("Wait.").and_tool("no_such_tool", json!({})));
        let answered = house.post("/v1/chat/completions", &body).answered().await;
        if body["stream"] == true {
            assert_eq!(answered.events().last().unwrap().json()["error"]["code"], "max_turns_exceeded");
        } else {
            let problem = answered.problem(422, "max_turns_exceeded");
            assert_eq!(problem["output"], "Wait.");
            assert_eq!(answered.header("x-should-retry"), Some("false"));
        }
    }
    assert_eq!(llm.requests().len(), 4, "every model call counts");
}

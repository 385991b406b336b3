//! CONTRACT 1: one answer lists every fault of the headers, never with a value, and nothing happens then.

use letterhead_testkit::{Reply, ScriptedLlm};
use serde_json::json;

use crate::support::{House, Send, said};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", api_key: sk-test } }
model: openai:gpt-test
headers:
  required: [user_id, plan]
  properties:
    user_id: { type: string, maxLength: 8 }
    plan:    { type: string, enum: [free, pro] }
    age:     { type: integer, minimum: 0 }
    email:   { type: string, format: email }
    note:    { type: string }
    token:   { type: string, writeOnly: true, minLength: 10 }
    tags:    { type: array, items: { type: integer } }
runtime_headers: [X-Trace-Color]
agents:
  assistant:
    instructions: "For {{ headers.user_id }} {{ headers.plan }} {{ headers.age }} {{ headers.email }} {{ headers.note }} {{ headers.tags }}"
    headers: { X-Token: "{{ headers.token }}" }
  strict:
    instructions: Strict.
    requires: [note]
entry: assistant
"#;

const CHAT: &str = "/api/v1/chat/completions/s1";

fn pair(place: &str, code: &str) -> (String, String) {
    (place.to_owned(), code.to_owned())
}

fn body() -> Vec<u8> {
    said("Hello!").to_string().into_bytes()
}

#[tokio::test]
async fn all_kinds_of_faults_are_in_one_400_and_nothing_is_stored() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    let headers: &[(&str, &[u8])] = &[
        ("user_id", b"CANARY-much-too-long"),
        ("user-id", b"CANARY-2"),
        ("age", b"-5"),
        ("email", b"CANARY.no-address"),
        ("note", b"CANARY\xff"),
        ("token", b"CANARY"),
        ("tags", b"1, CANARY"),
        ("x-trace-color", b"CANARY\xc2\x85"),
        ("x-client-id", b"CANARY"),
        ("x-client-id", b"CANARY"),
        ("x-is-eval", b"CANARY"),
    ];
    let answered = house.raw(CHAT, headers, &body()).await;
    let problem = answered.problem(400, "ambiguous_header");
    let mut faults = answered.faults();
    faults.sort();
    assert_eq!(
        faults,
        [
            pair("X-Client-Id", "ambiguous_header"),
            pair("X-Is-Eval", "invalid_header"),
            pair("age", "invalid_header"),
            pair("email", "invalid_header"),
            pair("note", "invalid_header_value"),
            pair("plan", "missing_header"),
            pair("tags", "invalid_header"),
            pair("token", "invalid_header"),
            pair("user_id", "ambiguous_header"),
            pair("x-trace-color", "invalid_header_value"),
        ]
    );
    for fault in problem["errors"].as_array().unwrap() {
        assert!(!fault["detail"].as_str().unwrap().is_empty(), "{fault}");
    }
    assert!(!answered.text.contains("CANARY"), "a value is in the error: {}", answered.text);
    assert!(llm.requests().is_empty(), "the model was called");
    house.get("/api/v1/sessions/s1").answered().await.problem(404, "session_not_found");
}

#[tokio::test]
async fn a_431_among_the_faults_makes_the_whole_a_431() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    let long = vec![b'x'; 5000];
    let headers: &[(&str, &[u8])] = &[("note", &long), ("age", b"old"), ("plan", b"pro")];
    let answered = house.raw(CHAT, headers, &body()).await;
    answered.problem(431, "header_too_large");
    let mut faults = answered.faults();
    faults.sort();
    assert_eq!(
        faults,
        [pair("age", "invalid_header"), pair("note", "header_too_large"), pair("user_id", "missing_header")]
    );
    assert!(!answered.text.contains("xxx"));
}

#[tokio::test]
async fn headers_that_are_too_much_together_are_a_431_that_names_the_largest() {
    let llm = ScriptedLlm::start().await;
    let yaml = format!("limits: {{ header_value: 100, headers_total: 150 }}\n{}", YAML.trim());
    let house = House::open(&llm, &yaml).await;
    let (one, two) = (vec![b'a'; 90], vec![b'b'; 80]);
    let headers: &[(&str, &[u8])] = &[("user_id", b"u"), ("plan", b"pro"), ("note", &one), ("x-trace-color", &two)];
    let answered = house.raw(CHAT, headers, &body()).await;
    answered.problem(431, "header_too_large");
    assert_eq!(answered.faults().len(), 1);
}

#[tokio::test]
async fn control_characters_never_get_further_than_the_edge() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    // A tab and a C1 control pass the HTTP layer, and are told of with the field's name.
    for value in [&b"a\tb"[..], b"a\xc2\x9bb"] {
        let headers: &[(&str, &[u8])] = &[("user_id", b"u"), ("plan", b"pro"), ("note", value)];
        let answered = house.raw(CHAT, headers, &body()).await;
        answered.problem(400, "invalid_header_value");
        assert_eq!(answered.faults(), [pair("note", "invalid_header_value")]);
    }
    // NUL, DEL, a bare CR and others do not: that answer is the HTTP layer's own, and empty.
    for value in [&b"a\0b"[..], b"a\x7fb", b"a\rb", b"a\x1bb"] {
        let headers: &[(&str, &[u8])] = &[("user_id", b"u"), ("plan", b"pro"), ("note", value)];
        let answered = house.raw(CHAT, headers, &body()).await;
        assert_eq!((answered.status, answered.text.as_str()), (400, ""), "{value:?}");
    }
    assert!(llm.requests().is_empty());
}

#[tokio::test]
async fn base64_in_the_words_of_mcp_is_decoded_and_a_wrong_one_is_a_fault() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let house = House::open(&llm, YAML).await;
    let with = |note: &'static str| {
        let request = house.say_in("b64", "Hello!").header("token", "tok-0123456789");
        request.header("user_id", "u").header("plan", "pro").header("note", note)
    };
    // "Grüße,\nJörg"
    assert_eq!(with("=?base64?R3LDvMOfZSwKSsO2cmc=?=").answered().await.status, 200);
    let told = llm.last().json()["messages"][0]["content"].as_str().unwrap().to_owned();
    assert!(told.contains("Grüße, Jörg"), "a line break of a header becomes a space: {told}");
    let answered = with("=?base64?R3L?=").answered().await;
    answered.problem(400, "invalid_header_value");
}

#[tokio::test]
async fn what_an_agent_requires_is_told_with_the_rest() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    let request = house.say("Hello!").header("x-agent-schema", "strict").header("age", "old").header("plan", "pro");
    let answered = request.answered().await;
    answered.problem(400, "invalid_header");
    let mut faults = answered.faults();
    faults.sort();
    assert_eq!(
        faults,
        [pair("age", "invalid_header"), pair("note", "missing_header"), pair("user_id", "missing_header")]
    );
    // The entry agent does not need it.
    let request = house.say("Hello!").header("plan", "pro");
    assert_eq!(request.answered().await.faults(), [pair("user_id", "missing_header")]);
}

#[tokio::test]
async fn all_protocols_tell_the_same_faults() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    let ui = json!({ "id": "chat-1", "messages": [{ "id": "m1", "role": "user", "parts": [{ "type": "text", "text": "Hi" }] }] });
    for (path, body) in [
        ("/v1/chat/completions", said("Hi")),
        ("/v1/chat/completions", json!({ "stream": true, "messages": [{ "role": "user", "content": "Hi" }] })),
        ("/api/v1/chat/completions", said("Hi")),
        ("/api/v1/chat/completions/s1", said("Hi")),
        ("/api/chat", ui),
    ] {
        let answered = house.post(path, &body).header("age", "x").answered().await;
        answered.problem(400, "invalid_header");
        let mut faults = answered.faults();
        faults.sort();
        let expected =
            [pair("age", "invalid_header"), pair("plan", "missing_header"), pair("user_id", "missing_header")];
        assert_eq!(faults, expected, "{path}");
    }
    assert!(house.rows(house.get("/api/v1/sessions")).await.is_empty());
}

#[tokio::test]
async fn requests_that_start_no_turn_read_identity_alone() {
    let house = House::alone(YAML.replace("${LLM}", "http://127.0.0.1:1/v1").as_str()).await;
    for path in ["/v1/models", "/api/v1/sessions", "/health", "/ready"] {
        let answered = house.get(path).header("age", "no number").answered().await;
        assert_eq!(answered.status, 200, "{path}: {}", answered.text);
    }
    let answered = house.get("/api/v1/sessions").header("x-user-id", "a").header("x-user-id", "b").answered().await;
    answered.problem(400, "ambiguous_header");
}

//! CONTRACT 5: what the LLM call carries, seen on the wire at the other end.

use letterhead_testkit::{Recorded, Reply, ScriptedLlm};
use reqwest::RequestBuilder;
use serde_json::json;

use crate::support::{House, Send};

/// The headers that every call has, whoever configured what.
const ALWAYS: [&str; 7] =
    ["accept", "accept-encoding", "content-length", "content-type", "host", "traceparent", "user-agent"];

/// The headers of a call that are there because somebody named them, each as `name: value`, sorted.
fn named(request: &Recorded) -> Vec<String> {
    let mut lines: Vec<String> = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| !ALWAYS.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.sort();
    lines
}

async fn house(yaml: &str) -> (ScriptedLlm, House) {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let house = House::open(&llm, yaml).await;
    (llm, house)
}

async fn sent(llm: &ScriptedLlm, request: RequestBuilder) -> Vec<String> {
    let answered = request.answered().await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    named(&llm.last())
}

#[tokio::test]
async fn the_three_examples_of_custom_request_headers_give_what_they_print() {
    // Basic usage: the agent's own.
    let (llm, house) = self::house(
        r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:gpt-test
agents: { Assistant: { instructions: You are a helpful assistant, headers: { X-Custom-ID: agent-123, X-Environment: production } } }
"#,
    )
    .await;
    assert_eq!(sent(&llm, house.say("Hello!")).await, ["x-custom-id: agent-123", "x-environment: production"]);

    // Runtime headers.
    let (llm, house) = self::house(
        r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:gpt-test
runtime_headers: [X-Request-ID, X-User-ID]
agents: { Assistant: { instructions: You are a helpful assistant } }
"#,
    )
    .await;
    let request = house.say("What's the weather?").header("X-Request-ID", "req-456").header("X-User-ID", "user-789");
    assert_eq!(sent(&llm, request).await, ["x-request-id: req-456", "x-user-id: user-789"]);

    // Header precedence.
    let (llm, house) = self::house(
        r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:gpt-test
runtime_headers: [X-Request-ID, X-Environment]
agents: { Assistant: { instructions: You are a helpful assistant, headers: { X-Environment: staging, X-Agent-ID: agent-001 } } }
"#,
    )
    .await;
    let request = house.say("Hello!").header("X-Environment", "production").header("X-Request-ID", "req-123");
    assert_eq!(
        sent(&llm, request).await,
        ["x-agent-id: agent-001", "x-environment: production", "x-request-id: req-123"]
    );
}

#[tokio::test]
async fn provider_agent_and_run_are_layers_whatever_the_case_of_the_name() {
    let (llm, house) = house(
        r#"
providers:
  openai:
    kind: openai
    base_url: "${LLM}"
    headers: { x-env: provider, X-Only-Provider: "1", X-Team: provider, anthropic-beta: one }
model: openai:gpt-test
runtime_headers: [X-ENV]
headers: { properties: { team: {}, plan: {} } }
agents:
  assistant:
    instructions: Hi.
    headers: { X-Env: agent, X-Team: "{{ headers.team }}", X-Plan: "{{ headers.plan }}", X_Env: underscore, anthropic-beta: two }
"#,
    )
    .await;
    let request = house.say("Hello!").header("x-env", "run").header("team", "red");
    assert_eq!(
        sent(&llm, request).await,
        // `X-Plan` has no value and is left out; `_` and `-` are two names here; list-valued ones are joined.
        ["anthropic-beta: one,two", "x-env: run", "x-only-provider: 1", "x-team: red", "x_env: underscore"]
    );
    let request = house.say("Hello!").header("team", "blue").header("plan", "pro");
    assert_eq!(
        sent(&llm, request).await,
        [
            "anthropic-beta: one,two",
            "x-env: agent",
            "x-only-provider: 1",
            "x-plan: pro",
            "x-team: blue",
            "x_env: underscore",
        ]
    );
}

#[tokio::test]
async fn nothing_else_of_the_request_goes_out() {
    let (llm, house) = house(
        r#"
providers: { openai: { kind: openai, base_url: "${LLM}", api_key: sk-own } }
model: openai:gpt-test
runtime_headers: [X-*, A*, t*, s*, mcp-*]
headers: { properties: { secret_note: { writeOnly: true }, plain: {}, x-plain: {} } }
agents: { assistant: { instructions: "Hi {{ headers.plain }}{{ headers.x-plain }}.", headers: { X-Note: "{{ headers.secret_note | default('none') }}" } } }
"#,
    )
    .await;
    let inbound = [
        ("authorization", "Bearer CANARY"),
        ("proxy-authorization", "Basic CANARY"),
        ("cookie", "a=CANARY"),
        ("x-api-key", "CANARY"),
        ("api-key", "CANARY"),
        ("x-goog-api-key", "CANARY"),
        ("te", "trailers"),
        ("trailer", "CANARY"),
        ("keep-alive", "timeout=5"),
        ("x-stainless-os", "CANARY"),
        ("x-stainless-retry-count", "0"),
        ("x-user-id", "CANARY"),
        ("x-tenant-id", "CANARY"),
        ("x-client-id", "CANARY"),
        ("accept-language", "CANARY"),
        ("sec-ch-ua", "CANARY"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "a=CANARY"),
        ("mcp-session-id", "CANARY"),
        ("idempotency-key", "CANARY"),
        ("undeclared", "CANARY"),
        ("plain", "CANARY"),
        ("x-plain", "CANARY"),
        ("secret_note", "CANARY"),
        ("user-agent", "CANARY"),
        ("x-wanted", "yes"),
    ];
    let request = inbound.iter().fold(house.say("Hello!"), |request, (name, value)| request.header(*name, *value));
    let sent = sent(&llm, request).await;
    // The secret goes where its template says, the pattern lets its one through, and that is all.
    assert_eq!(sent, ["authorization: Bearer sk-own", "x-note: CANARY", "x-wanted: yes"]);
    let agent = llm.last().header("user-agent").concat();
    assert!(!agent.contains("CANARY"), "{agent}");
}

#[tokio::test]
async fn an_identity_header_goes_out_verified_or_not_at_all() {
    let yaml = r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:gpt-test
runtime_headers: [X-User-Id, X-Tenant-Id, X-Session-Id, X-Agent-Schema, X-Is-Eval]
agents: { assistant: { instructions: Hi. } }
"#;
    let (llm, trusting) = house(yaml).await;
    let request = trusting.say_in("s-1", "Hello!").header("X-User-Id", "u-1").header("X-Tenant-Id", "t-1");
    let request = request.header("X-Session-Id", "another").header("X-Is-Eval", "yes");
    assert_eq!(
        sent(&llm, request).await,
        ["x-agent-schema: assistant", "x-is-eval: true", "x-session-id: s-1", "x-tenant-id: t-1", "x-user-id: u-1"]
    );
    let (llm, distrustful) = house(&format!("auth: {{ trust_identity_headers: never }}\n{}", yaml.trim())).await;
    let request = distrustful.say("Hello!").header("X-User-Id", "u-1").header("X-Tenant-Id", "t-1");
    assert_eq!(sent(&llm, request).await, ["x-agent-schema: assistant", "x-is-eval: false", "x-tenant-id: default"]);
}

#[tokio::test]
async fn a_call_never_has_two_credentials() {
    // Which layer sets one, under whatever name, and what goes out.
    for (provider, agent, expected) in [
        ("api_key: sk-own", "", "authorization: Bearer sk-own"),
        ("api_key: sk-own, headers: { X-Api-Key: p }", "", "x-api-key: p"),
        (
            "api_key: sk-own, headers: { X-Api-Key: p }",
            "headers: { authorization: Bearer a }",
            "authorization: Bearer a",
        ),
        ("api_key: sk-own", "headers: { api-key: a }", "api-key: a"),
        ("api_key: '{{ headers.own_key }}'", "", "authorization: Bearer CALLERS"),
        ("headers: { Authorization: 'Bearer {{ headers.own_key }}' }", "", "authorization: Bearer CALLERS"),
    ] {
        let (llm, house) = house(&format!(
            r#"
providers: {{ openai: {{ kind: openai, base_url: "${{LLM}}", {provider} }} }}
model: openai:gpt-test
headers: {{ properties: {{ own_key: {{ writeOnly: true }} }} }}
agents: {{ assistant: {{ instructions: Hi., {agent} }} }}
"#
        ))
        .await;
        let request = house.say("Hello!").header("own_key", "CALLERS").header("authorization", "Bearer inbound");
        assert_eq!(sent(&llm, request).await, [expected], "{provider} {agent}");
    }
}

#[tokio::test]
async fn an_anthropic_provider_gets_its_key_in_its_own_header() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let yaml = format!(
        "providers: {{ anthropic: {{ kind: anthropic, base_url: '{}', api_key: sk-ant }} }}\nmodel: anthropic:claude\nagents: {{ a: {{ instructions: Hi. }} }}",
        llm.url()
    );
    let house = House::open(&llm, &yaml).await;
    let sent = sent(&llm, house.say("Hello!")).await;
    assert_eq!(sent, ["anthropic-version: 2023-06-01", "x-api-key: sk-ant"]);
}

#[tokio::test]
async fn a_missing_callers_key_stops_the_call_and_never_falls_back() {
    let (llm, house) = house(
        r#"
providers: { openai: { kind: openai, base_url: "${LLM}", api_key: sk-own } }
model: openai:gpt-test
headers: { properties: { own_key: { writeOnly: true } } }
agents: { assistant: { instructions: Hi., headers: { Authorization: "Bearer {{ headers.own_key }}" } } }
"#,
    )
    .await;
    let answered = house.say_in("s", "Hello!").answered().await;
    answered.problem(400, "missing_credential");
    assert_eq!(answered.faults(), [("own_key".to_owned(), "missing_credential".to_owned())]);
    assert!(!answered.text.contains("sk-own"));
    assert!(llm.requests().is_empty());
    house.get("/api/v1/sessions/s").answered().await.problem(404, "session_not_found");
}

#[tokio::test]
async fn a_providers_budget_is_our_own_clear_error_before_the_call() {
    let (llm, house) = house(
        r#"
providers: { openai: { kind: openai, base_url: "${LLM}", api_key: sk-own, max_headers: 3 } }
model: openai:gpt-test
runtime_headers: [X-A*]
agents: { assistant: { instructions: Hi. } }
"#,
    )
    .await;
    assert_eq!(house.say("Hi").header("x-a1", "1").header("x-a2", "2").answered().await.status, 200);
    let answered = house.say("Hi").header("x-a1", "1").header("x-a2", "2").header("x-a3", "3").answered().await;
    answered.problem(431, "header_too_large");
    assert_eq!(llm.requests().len(), 1);
}

#[tokio::test]
async fn params_are_layers_too_and_the_clients_win() {
    let (llm, house) = house(
        r#"
providers: { openai: { kind: openai, base_url: "${LLM}", params: { temperature: 0.1, top_p: 0.9, metadata: { a: provider, b: provider } } } }
model: openai:gpt-test
agents: { assistant: { instructions: Hi., params: { temperature: 0.2, metadata: { b: agent } } } }
"#,
    )
    .await;
    let body = json!({
        "messages": [{ "role": "user", "content": "Hi" }], "model": "assistant", "temperature": 0.3, "seed": 7,
        "metadata": { "c": "client" }, "no_such_field": true, "user": "somebody",
    });
    assert_eq!(house.post("/v1/chat/completions", &body).answered().await.status, 200);
    let call = llm.last().json();
    assert_eq!(call["temperature"], 0.3);
    assert_eq!(call["top_p"], 0.9);
    assert_eq!(call["seed"], 7);
    assert_eq!(call["metadata"], json!({ "a": "provider", "b": "agent", "c": "client" }));
    assert_eq!(call["model"], "gpt-test");
    assert!(call.get("no_such_field").is_none());
}

#[tokio::test]
async fn allow_params_narrows_what_a_client_sets() {
    let (llm, house) = house(
        r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:gpt-test
allow_params: [seed]
agents: { assistant: { instructions: Hi., params: { temperature: 0.2 } } }
"#,
    )
    .await;
    let body = json!({ "messages": [{ "role": "user", "content": "Hi" }], "temperature": 0.9, "seed": 7 });
    assert_eq!(house.post("/v1/chat/completions", &body).answered().await.status, 200);
    let call = llm.last().json();
    assert_eq!((call["temperature"].as_f64(), call["seed"].as_i64()), (Some(0.2), Some(7)));
}

#[tokio::test]
async fn the_trail_says_which_header_went_where_and_why_one_stayed() {
    let (_llm, house) = house(
        r#"
providers: { openai: { kind: openai, base_url: "${LLM}", api_key: sk-CANARY } }
model: openai:gpt-test
runtime_headers: [X-Environment]
headers: { properties: { user_id: {}, plan: {}, own_key: { writeOnly: true } } }
agents:
  assistant:
    instructions: "For {{ headers.user_id }} {{ headers.plan }}."
    headers: { X-Environment: staging, X-Plan: "{{ headers.plan }}", X-Own: "{{ headers.own_key }}" }
"#,
    )
    .await;
    let request = house.say_in("s", "Hi").header("user_id", "CANARY").header("own_key", "CANARY");
    assert_eq!(request.header("x-environment", "CANARY").answered().await.status, 200);
    let rows = house.rows(house.get("/api/v1/sessions/s/trail")).await;
    assert!(!json!(rows).to_string().contains("CANARY"));
    let row = |row: &serde_json::Value| {
        let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
        assert_eq!((row["turn"].as_u64(), row["agent"].as_str()), (Some(1), Some("assistant")));
        let sent = if row["sent"] == true { "sent" } else { "stayed" };
        let fields = ["destination", "kind", "header", "from", "layer"].map(text).join(" ");
        format!("{fields} {sent}: {}", text("reason"))
    };
    let mut told: Vec<String> = rows.iter().map(row).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "agents.assistant.instructions instructions plan headers.plan destination stayed: neither sent nor stored",
            "agents.assistant.instructions instructions user_id headers.user_id destination sent: -",
            "providers.openai llm X-Environment literal agent stayed: overridden by a later layer",
            "providers.openai llm X-Own headers.own_key agent sent: -",
            "providers.openai llm X-Plan headers.plan agent stayed: a value it names is missing",
            "providers.openai llm authorization api_key credential sent: -",
            "providers.openai llm x-environment runtime_headers runtime sent: -",
        ]
    );
}

#[tokio::test]
async fn a_trace_is_continued_or_begun_and_never_as_it_was_sent() {
    let (llm, house) = house(
        r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:gpt-test
agents: { assistant: { instructions: Hi. } }
"#,
    )
    .await;
    let inbound = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(house.say("Hi").header("traceparent", inbound).answered().await.status, 200);
    let continued = llm.last().header("traceparent").join(" + ");
    assert!(continued.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && continued.ends_with("-01"), "{continued}");
    assert_ne!(continued, inbound, "each hop is a span of its own");
    for odd in ["", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "CANARY", "00-x"] {
        assert_eq!(house.say("Hi").header("traceparent", odd).answered().await.status, 200);
        let begun = llm.last().header("traceparent").join(" + ");
        assert!(begun.len() == 55 && !begun.contains("CANARY") && !begun.contains("0af7651916"), "{begun}");
    }
}

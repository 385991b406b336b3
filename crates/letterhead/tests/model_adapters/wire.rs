//! What goes out: the bytes of the requests and their headers.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use letterhead::model::{ChatModel, ModelCall, OpenAi, OutputSchema, ToolSpec};
use letterhead_testkit::{Answer, Recorded, Reply, ScriptedLlm};
use serde_json::json;
use serde_json::value::RawValue;

use crate::support::{anthropic, client, each, hello, openai, read};

/// A call with one of everything.
fn full() -> ModelCall {
    let parameters = json!({"type": "object", "properties": {"order_id": {"type": "string"}}});
    let theirs = r#"{"type":"function", "function":{"name":"their_own","strict":true,"parameters":{"type":"object"}}}"#;
    ModelCall {
        model: "model-1".into(),
        instructions: Some("You help \"Ada\".\nBe kind. é😀".into()),
        messages: [
            r#"{"role":"user",  "content":[{"type":"text","text":"\u00e9"}]}"#,
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"get_order","arguments":"{\"order_id\": \"1\"}"}}]}"#,
            r#"{"role":"tool","tool_call_id":"a","content":"shipped"}"#,
        ]
        .map(Into::into)
        .into(),
        tools: vec![
            Arc::new(ToolSpec::new("get_order", Some("Looks an order up."), parameters).unwrap()),
            Arc::new(ToolSpec::from_openai(&RawValue::from_string(theirs.to_owned()).unwrap()).unwrap()),
        ],
        tool_choice: Some(RawValue::from_string("\"auto\"".to_owned()).unwrap()),
        params: json!({
            "temperature": 0.2, "max_tokens": 100, "x_new": {"a": [null]}, "stream_options": {"include_obfuscation": false},
            // The call's own word is the last one.
            "model": "other", "messages": [], "stream": false, "tools": [], "tool_choice": "none",
            "response_format": {"type": "text"},
        })
        .as_object()
        .unwrap()
        .clone(),
        output: Some(OutputSchema {
            name: "out".into(),
            schema: Arc::new(json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}})),
            strict: true,
        }),
        headers: HeaderMap::new(),
        stream: true,
    }
}

async fn sent(llm: &ScriptedLlm, model: Arc<dyn ChatModel>, call: ModelCall) -> Recorded {
    llm.then(Reply::text("Hello."));
    assert_eq!(read(model.call(call).await.unwrap()).await.0, "Hello.");
    llm.last()
}

#[tokio::test]
async fn the_request_of_openai_to_the_byte() {
    let llm = ScriptedLlm::start().await;
    let request = sent(&llm, openai(&llm.url()), full()).await;
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/chat/completions"));
    insta::assert_snapshot!("openai_full", String::from_utf8(request.body.to_vec()).unwrap());

    let request = sent(&llm, openai(&llm.url()), hello(false)).await;
    insta::assert_snapshot!("openai_least", String::from_utf8(request.body.to_vec()).unwrap());
    assert!(request.json().is_object());

    let nothing = ModelCall { model: "m".into(), stream: true, ..ModelCall::default() };
    let request = sent(&llm, openai(&llm.url()), nothing).await;
    insta::assert_snapshot!("openai_nothing", String::from_utf8(request.body.to_vec()).unwrap());
}

#[tokio::test]
async fn the_request_of_anthropic() {
    let llm = ScriptedLlm::start().await;
    let request = sent(&llm, anthropic(&llm.url()), full()).await;
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/messages"));
    insta::assert_json_snapshot!("anthropic_full", request.json());
}

#[tokio::test]
async fn the_query_of_a_base_url_stays() {
    let llm = ScriptedLlm::start().await;
    let base = format!("{}/openai/deployments/d/?api-version=2024-10-21", llm.url());
    let request = sent(&llm, Arc::new(OpenAi::new(client(), &base).unwrap()), hello(false)).await;
    assert_eq!(request.path, "/openai/deployments/d/chat/completions?api-version=2024-10-21");
}

#[tokio::test]
async fn every_header_goes_out_once_and_again_when_repeated() {
    for (name, llm, model, mut call) in each().await {
        llm.then(Answer::status(500)).then(Reply::text("Hello."));
        for (header, value) in [
            ("authorization", "Bearer key-1"),
            ("x-environment", "production"),
            ("x_under_score", "kept"),
            ("content-type", "text/plain"),
            ("user-agent", "ada/1"),
            ("anthropic-version", "2099-01-01"),
        ] {
            call.headers.insert(header, HeaderValue::from_static(value));
        }
        let accept = if call.stream { "text/event-stream" } else { "application/json" };
        read(model.call(call).await.unwrap()).await.1.unwrap();
        let requests = llm.requests();
        assert_eq!(requests.len(), 2, "{name}");
        for request in requests {
            let expected = [
                "accept",
                "accept-encoding",
                "anthropic-version",
                "authorization",
                "content-length",
                "content-type",
                "host",
                "user-agent",
                "x-environment",
                "x_under_score",
            ];
            assert_eq!(request.header_names(), expected, "{name}: nothing more, and nothing twice");
            assert_eq!(request.header("authorization"), ["Bearer key-1"], "{name}");
            assert_eq!(request.header("content-type"), ["application/json"], "{name}");
            assert_eq!(request.header("accept"), [accept], "{name}");
            assert_eq!(request.header("user-agent"), ["ada/1"], "{name}");
            assert_eq!(request.header("anthropic-version"), ["2099-01-01"], "{name}");
        }
    }
}

#[tokio::test]
async fn an_adapter_brings_no_credential_of_its_own() {
    for (name, llm, model, call) in each().await {
        llm.then(Reply::text("Hello."));
        read(model.call(call).await.unwrap()).await.1.unwrap();
        let request = llm.last();
        for header in ["authorization", "x-api-key", "api-key", "cookie"] {
            assert_eq!(request.header(header), Vec::<&str>::new(), "{name}");
        }
        let version: &[&str] = if name.starts_with("anthropic") { &["2023-06-01"] } else { &[] };
        assert_eq!(request.header("anthropic-version"), version, "{name}");
    }
}

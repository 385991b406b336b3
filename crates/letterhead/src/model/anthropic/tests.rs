use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::sync::Arc;

use super::*;
use crate::model::sse::Event;
use crate::model::stream::Decoder;
use crate::model::{FinishReason, ModelErrorKind, ModelEvent, OutputSchema, ToolSpec, Usage};

fn call(messages: &[Value]) -> ModelCall {
    ModelCall {
        model: "claude-sonnet-4-5".into(),
        instructions: Some("You help Ada.".into()),
        messages: messages.iter().map(|message| message.to_string().into()).collect(),
        ..ModelCall::default()
    }
}

fn user(content: impl Into<Value>) -> Value {
    let content = content.into();
    json!({"role": "user", "content": content})
}

fn with_params(params: &Value) -> Value {
    let mut call = call(&[user("Hi")]);
    call.params = params.as_object().unwrap().clone();
    let mut body = body(&call).unwrap();
    for own in ["model", "messages", "system"] {
        body.as_object_mut().unwrap().remove(own);
    }
    body
}

#[test]
fn a_conversation_with_tools_is_translated() {
    let mut call = call(&[
        json!({"role": "system", "content": "Speak French."}),
        user("What about my orders?"),
        json!({"role": "assistant", "content": "Let me see.", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "get_order", "arguments": "{\"order_id\":\"1\"}"}},
            {"id": "b", "type": "function", "function": {"name": "get_order", "arguments": ""}},
            {"id": "c", "type": "function", "function": {"name": "get_order", "arguments": "{\"half"}},
        ]}),
        json!({"role": "tool", "tool_call_id": "a", "content": "shipped"}),
        json!({"role": "tool", "tool_call_id": "b", "content": ""}),
        json!({"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}),
        user(json!([{"type": "text", "text": "And?"}, {"type": "text", "text": ""}])),
        json!({"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}),
        user("Well?"),
        json!({"role": "assistant", "content": null, "refusal": "I will not. \n"}),
    ]);
    call.stream = true;
    let parameters = json!({"properties": {"order_id": {"type": "string"}}});
    call.tools = vec![Arc::new(ToolSpec::new("get_order", Some("Looks an order up."), parameters).unwrap())];
    insta::assert_json_snapshot!(body(&call).unwrap());
}

#[test]
fn tools_that_the_agent_does_not_have_are_defined_where_the_conversation_called_them() {
    let called = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "handoff_to_billing", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "handoff_to_billing", "arguments": "{}"}},
    ]});
    let answered = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "billing has it now."});
    let body = body(&call(&[user("My invoice?"), called, answered("a"), answered("b")])).unwrap();
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert_eq!(body["tools"][0]["name"], "handoff_to_billing");
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
}

#[test]
fn content_parts_become_blocks_or_are_refused() {
    let part = |part: Value| body(&call(&[user(json!([part]))])).map(|body| body["messages"][0]["content"][0].clone());
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url, "detail": "low"}});
    let file = |file: Value| json!({"type": "file", "file": file});
    assert_eq!(
        part(image("data:image/png;base64,iVBO")).unwrap(),
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}})
    );
    assert_eq!(
        part(image("https://example.com/a.png")).unwrap(),
        json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}})
    );
    assert_eq!(
        part(file(json!({"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}))).unwrap(),
        json!({"type": "document", "title": "a.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}})
    );
    for refused in [
        json!({"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}),
        image("data:image/tiff;base64,SUkq"),
        image("ftp://example.com/a.png"),
        image(""),
        file(json!({"file_id": "file-1"})),
        file(json!({"file_data": "data:text/csv;base64,YQ=="})),
        json!({"type": "hologram"}),
    ] {
        let error = part(refused.clone()).unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::UnsupportedContent, "{refused}");
        assert_eq!(error.problem().code().as_str(), "unsupported_content");
    }
    assert!(body(&call(&[json!({"role": "function", "name": "f", "content": "x"})])).is_err());
}

#[test]
fn params_go_by_their_names_here() {
    for (params, expected) in [
        (json!({}), json!({"max_tokens": 4096})),
        (json!({"max_tokens": 7}), json!({"max_tokens": 7})),
        (json!({"max_tokens": 7, "max_completion_tokens": 9}), json!({"max_tokens": 9})),
        (json!({"max_tokens": null, "temperature": null}), json!({"max_tokens": 4096})),
        (json!({"stop": "END"}), json!({"max_tokens": 4096, "stop_sequences": ["END"]})),
        (json!({"stop": ["A", "B"]}), json!({"max_tokens": 4096, "stop_sequences": ["A", "B"]})),
        (json!({"temperature": 1.7, "top_p": 0.5}), json!({"max_tokens": 4096, "temperature": 1.0, "top_p": 0.5})),
        (json!({"service_tier": "default"}), json!({"max_tokens": 4096, "service_tier": "standard_only"})),
        (json!({"service_tier": "flex"}), json!({"max_tokens": 4096})),
        (json!({"metadata": {"user_id": "u", "x": 1}}), json!({"max_tokens": 4096, "metadata": {"user_id": "u"}})),
        (json!({"metadata": {"x": 1}}), json!({"max_tokens": 4096})),
        (json!({"seed": 1, "n": 1, "user": "u", "logit_bias": {}, "store": true}), json!({"max_tokens": 4096})),
        (json!({"stream": true, "tools": [], "tool_choice": "auto"}), json!({"max_tokens": 4096})),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "top_k": 5}),
            json!({"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}, "top_k": 5}),
        ),
    ] {
        assert_eq!(with_params(&params), expected, "{params}");
    }
}

#[test]
fn tool_choice_is_translated() {
    for (choice, params, expected, tools) in [
        (Some(json!("auto")), json!({}), json!({"type": "auto"}), 2),
        (Some(json!("none")), json!({"parallel_tool_calls": false}), json!({"type": "none"}), 2),
        (Some(json!("required")), json!({}), json!({"type": "any"}), 2),
        (
            Some(json!({"type": "function", "function": {"name": "two"}})),
            json!({"parallel_tool_calls": false}),
            json!({"type": "tool", "name": "two", "disable_parallel_tool_use": true}),
            2,
        ),
        (
            Some(json!({"type": "allowed_tools", "allowed_tools": {"mode": "required",
                "tools": [{"type": "function", "function": {"name": "two"}}]}})),
            json!({}),
            json!({"type": "any"}),
            1,
        ),
        (None, json!({"parallel_tool_calls": false}), json!({"type": "auto", "disable_parallel_tool_use": true}), 2),
        (None, json!({"parallel_tool_calls": true}), Value::Null, 2),
    ] {
        let mut call = call(&[user("Hi")]);
        call.params = params.as_object().unwrap().clone();
        call.tools = ["one", "two"].map(|name| Arc::new(ToolSpec::new(name, None, json!({})).unwrap())).into();
        call.tool_choice = choice.clone().map(|choice| RawValue::from_string(choice.to_string()).unwrap());
        let body = body(&call).unwrap();
        assert_eq!(body["tool_choice"], expected, "{choice:?}");
        assert_eq!(body["tools"].as_array().unwrap().len(), tools, "{choice:?}");
        assert_eq!(body["tools"][0]["input_schema"], json!({"type": "object"}));
    }
}

#[test]
fn an_output_schema_is_reduced_to_what_the_api_knows() {
    let schema = json!({
        "type": "object", "required": ["age", "minimum"],
        "properties": {
            "age": {"type": "integer", "minimum": 0, "description": "Years."},
            "minimum": {"type": ["object", "null"], "properties": {"a": {"const": {"maxLength": 1}}}},
            "tags": {"type": "array", "minItems": 2, "maxItems": 3, "items": {"type": "string", "maxLength": 3}},
            "any": {"anyOf": [{"type": "object", "additionalProperties": true}, {"type": "string", "enum": ["a"]}]},
        },
    });
    let expected = json!({
        "type": "object", "required": ["age", "minimum"],
        "properties": {
            "age": {"type": "integer", "description": "Years."},
            "minimum": {"type": ["object", "null"], "properties": {"a": {"const": {"maxLength": 1}}},
                "additionalProperties": false},
            "tags": {"type": "array", "items": {"type": "string"}},
            "any": {"anyOf": [{"type": "object", "additionalProperties": false}, {"type": "string", "enum": ["a"]}]},
        },
        "additionalProperties": false,
    });
    let mut call = call(&[user("Hi")]);
    call.params.insert("output_config".into(), json!({"effort": "low"}));
    call.output = Some(OutputSchema { name: "out".into(), schema: Arc::new(schema.clone()), strict: true });
    let format = json!({"type": "json_schema", "schema": expected});
    assert_eq!(body(&call).unwrap()["output_config"], json!({"effort": "low", "format": format}));
    // What a client asked for by OpenAI's name means the same.
    let asked = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    assert_eq!(with_params(&json!({"response_format": asked}))["output_config"], json!({"format": format}));
    assert_eq!(with_params(&json!({"response_format": {"type": "json_object"}})), json!({"max_tokens": 4096}));
}

fn stream(events: &[Value]) -> Result<Vec<ModelEvent>, ModelError> {
    let (mut answer, mut ready) = (response::Answer::default(), VecDeque::new());
    for event in events {
        if answer.event(Event { name: "", data: &event.to_string() }, &mut ready)?.is_break() {
            break;
        }
    }
    answer.end(&mut ready)?;
    Ok(ready.into())
}

fn whole(body: &Value) -> Result<Vec<ModelEvent>, ModelError> {
    let (mut answer, mut ready) = (response::Answer::default(), VecDeque::new());
    answer.whole(body.to_string().as_bytes(), &mut ready)?;
    answer.end(&mut ready)?;
    Ok(ready.into())
}

fn piece(index: usize, arguments: &str) -> ModelEvent {
    ModelEvent::ToolCall { index, id: None, name: None, arguments: arguments.into() }
}

fn begun(index: usize, id: &str, name: &str) -> ModelEvent {
    ModelEvent::ToolCall { index, id: Some(id.into()), name: Some(name.into()), arguments: String::new() }
}

fn delta(index: u64, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn finish(reason: &str) -> [Value; 2] {
    let usage = json!({"output_tokens": 15});
    [
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": usage}),
        json!({"type": "message_stop"}),
    ]
}

#[test]
fn a_stream_with_thoughts_text_and_tools() {
    let usage =
        json!({"input_tokens": 25, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 1});
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude-sonnet-4-5-20250929", "content": [],
            "stop_reason": null, "usage": usage}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        delta(0, &json!({"type": "thinking_delta", "thinking": "Hm."})),
        delta(0, &json!({"type": "signature_delta", "signature": "EqQB"})),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        delta(1, &json!({"type": "text_delta", "text": "I look."})),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t1", "name": "one", "input": {}}}),
        delta(2, &json!({"type": "input_json_delta", "partial_json": ""})),
        delta(2, &json!({"type": "input_json_delta", "partial_json": "{\"a\""})),
        delta(2, &json!({"type": "input_json_delta", "partial_json": ":1}"})),
        json!({"type": "content_block_stop", "index": 2}),
        json!({"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "t2", "name": "two", "input": {}}}),
        json!({"type": "content_block_stop", "index": 3}),
        json!({"type": "something_new", "index": 3}),
    ];
    events.extend(finish("tool_use"));
    let usage = Usage { input_tokens: 35, output_tokens: 15, cached_input_tokens: 7, reasoning_tokens: 0 };
    assert_eq!(
        stream(&events).unwrap(),
        [
            ModelEvent::Model("claude-sonnet-4-5-20250929".into()),
            ModelEvent::Reasoning("Hm.".into()),
            ModelEvent::Text("I look.".into()),
            begun(0, "t1", "one"),
            piece(0, "{\"a\""),
            piece(0, ":1}"),
            begun(1, "t2", "two"),
            piece(1, "{}"),
            ModelEvent::Usage(usage),
            ModelEvent::Finish(FinishReason::ToolCalls),
        ]
    );
    // Without its end it is no answer, wherever it stops.
    for end in 1..events.len() {
        assert_eq!(stream(&events[..end]).unwrap_err().kind(), ModelErrorKind::BrokeOff, "{end}");
    }
}

#[test]
fn a_message_in_one_piece() {
    let body = json!({"type": "message", "model": "claude-x", "stop_reason": "tool_use", "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": "I look."},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "tool_use", "id": "t1", "name": "one", "input": {"a": [1, {"b": null}]}},
    ], "usage": {"input_tokens": 1, "output_tokens": 2}});
    assert_eq!(
        whole(&body).unwrap(),
        [
            ModelEvent::Model("claude-x".into()),
            ModelEvent::Reasoning("Hm.".into()),
            ModelEvent::Text("I look.".into()),
            begun(0, "t1", "one"),
            piece(0, r#"{"a":[1,{"b":null}]}"#),
            ModelEvent::Usage(Usage { input_tokens: 1, output_tokens: 2, ..Usage::default() }),
            ModelEvent::Finish(FinishReason::ToolCalls),
        ]
    );
}

#[test]
fn stop_reasons_in_openais_words() {
    for (reason, expected) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("pause_turn", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("tool_use", FinishReason::ToolCalls),
        ("refusal", FinishReason::ContentFilter),
    ] {
        assert_eq!(stream(&finish(reason)).unwrap().last(), Some(&ModelEvent::Finish(expected)), "{reason}");
    }
}

#[test]
fn errors_inside_an_answer_are_errors() {
    let event = |kind: &str| json!({"type": "error", "error": {"type": kind, "message": "sk-ant-secret"}});
    for (kind, expected) in [
        ("overloaded_error", ModelErrorKind::Unavailable { retry_after: None }),
        ("rate_limit_error", ModelErrorKind::RateLimited { retry_after: None }),
        ("api_error", ModelErrorKind::Failed),
        ("something_new", ModelErrorKind::Failed),
        ("invalid_request_error", ModelErrorKind::Rejected { code: Some("invalid_request_error") }),
    ] {
        for error in [stream(&[event(kind)]).unwrap_err(), whole(&event(kind)).unwrap_err()] {
            assert_eq!(error.kind(), expected, "{kind}");
            assert!(!format!("{error}{error:?}").contains("secret"));
        }
    }
    for body in [json!({}), json!([]), json!({"content": []}), json!({"choices": []})] {
        assert!(whole(&body).is_err(), "{body}");
    }
}

use super::*;

/// The events of a stream of chunks, each one `data:` line.
fn chunks(chunks: &[&str]) -> Result<Vec<ModelEvent>, ModelError> {
    let (mut answer, mut ready) = (Answer::default(), Ready::new());
    for data in chunks {
        if answer.event(Event { name: "", data }, &mut ready)?.is_break() {
            break;
        }
    }
    answer.end(&mut ready)?;
    Ok(ready.into())
}

fn whole(body: &str) -> Result<Vec<ModelEvent>, ModelError> {
    let (mut answer, mut ready) = (Answer::default(), Ready::new());
    answer.whole(body.as_bytes(), &mut ready)?;
    answer.end(&mut ready)?;
    Ok(ready.into())
}

fn text(text: &str) -> ModelEvent {
    ModelEvent::Text(text.to_owned())
}

fn call(index: usize, id: &str, name: &str, arguments: &str) -> ModelEvent {
    let (id, name) = (Some(id.to_owned()), Some(name.to_owned()));
    ModelEvent::ToolCall { index, id, name, arguments: arguments.to_owned() }
}

fn more(index: usize, arguments: &str) -> ModelEvent {
    ModelEvent::ToolCall { index, id: None, name: None, arguments: arguments.to_owned() }
}

const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

#[test]
fn a_stream_as_openai_sends_it() {
    let events = chunks(&[
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4.1-mini-2025-04-14","service_tier":"default","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x"}"#,
        r#"{"model":"gpt-4.1-mini-2025-04-14","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}],"usage":null}"#,
        r#"{"model":"gpt-4.1-mini-2025-04-14","choices":[{"index":0,"delta":{"content":" \"you\"\n"},"finish_reason":null}],"usage":null}"#,
        STOP,
        r#"{"choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":3}}}"#,
        "[DONE]",
        r#"{"choices":[{"delta":{"content":"after the end"}}]}"#,
    ]);
    let usage = Usage { input_tokens: 19, output_tokens: 10, cached_input_tokens: 4, reasoning_tokens: 3 };
    assert_eq!(
        events.unwrap(),
        [
            ModelEvent::Model("gpt-4.1-mini-2025-04-14".into()),
            text("Hello"),
            text(" \"you\"\n"),
            ModelEvent::Usage(usage),
            ModelEvent::Finish(FinishReason::Stop)
        ]
    );
}

#[test]
fn parallel_tool_calls_come_in_pieces() {
    let events = chunks(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"one","arguments":""}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"two","arguments":"{}"}},{"index":0,"function":{"arguments":"1}"}}]}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
    ]);
    assert_eq!(
        events.unwrap(),
        [
            call(0, "a", "one", ""),
            more(0, "{\"x\":"),
            call(1, "b", "two", "{}"),
            more(0, "1}"),
            ModelEvent::Finish(FinishReason::ToolCalls)
        ]
    );
}

/// Each row: what the deltas' `tool_calls` are, and the calls that they mean.
#[test]
fn odd_ways_to_stream_tool_calls() {
    let all_index_zero = [
        r#"[{"index":0,"id":"a","function":{"name":"one","arguments":"{}"}}]"#,
        r#"[{"index":0,"id":"b","function":{"name":"two","arguments":"{}"}}]"#,
    ];
    let no_index_but_ids = [
        r#"[{"id":"a","function":{"name":"one","arguments":"{"}},{"id":"b","function":{"name":"two","arguments":"{}"}}]"#,
        r#"[{"id":"a","function":{"arguments":"}"}}]"#,
    ];
    let id_and_name_repeated = [
        r#"[{"index":0,"id":"a","function":{"name":"one","arguments":"{"}}]"#,
        r#"[{"index":0,"id":"a","function":{"name":"one","arguments":"}"}}]"#,
    ];
    let fresh_id_for_each_piece = [
        r#"[{"index":0,"id":"a","function":{"name":"one","arguments":"{"}}]"#,
        r#"[{"index":0,"id":"z","function":{"name":null,"arguments":"}"}}]"#,
    ];
    let neither_index_nor_id_later =
        [r#"[{"id":"a","function":{"name":"one","arguments":"{"}}]"#, r#"[{"id":"","function":{"arguments":"}"}}]"#];
    let arguments_before_the_name = [
        r#"[{"index":0,"id":"a","function":{"arguments":"{"}}]"#,
        r#"[{"index":0,"function":{"name":"one","arguments":"}"}}]"#,
    ];
    for (deltas, expected) in [
        (all_index_zero, vec![call(0, "a", "one", "{}"), call(1, "b", "two", "{}")]),
        (no_index_but_ids, vec![call(0, "a", "one", "{"), call(1, "b", "two", "{}"), more(0, "}")]),
        (id_and_name_repeated, vec![call(0, "a", "one", "{"), more(0, "}")]),
        (fresh_id_for_each_piece, vec![call(0, "a", "one", "{"), more(0, "}")]),
        (neither_index_nor_id_later, vec![call(0, "a", "one", "{"), more(0, "}")]),
        (arguments_before_the_name, vec![call(0, "a", "one", "{}")]),
    ] {
        let mut lines: Vec<String> =
            deltas.iter().map(|calls| format!(r#"{{"choices":[{{"delta":{{"tool_calls":{calls}}}}}]}}"#)).collect();
        lines.push(STOP.to_owned());
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut events = chunks(&lines).unwrap();
        assert_eq!(events.pop(), Some(ModelEvent::Finish(FinishReason::ToolCalls)), "`stop` with calls: {deltas:?}");
        assert_eq!(events, expected, "{deltas:?}");
    }
}

#[test]
fn calls_without_ids_get_ones_of_their_own() {
    let calls = r#"[{"function":{"name":"one","arguments":{"a":1}}},{"function":{"name":"one","arguments":null}}]"#;
    let body = format!(r#"{{"choices":[{{"message":{{"content":null,"tool_calls":{calls}}}}}]}}"#);
    let events = whole(&body).unwrap();
    let [
        ModelEvent::ToolCall { index: 0, id: Some(first), arguments, .. },
        ModelEvent::ToolCall { index: 1, id: Some(second), arguments: none, .. },
        ModelEvent::Finish(FinishReason::ToolCalls),
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_ne!(first, second);
    assert_eq!((arguments.as_str(), none.as_str()), (r#"{"a":1}"#, ""));
}

#[test]
fn the_old_function_call_is_a_tool_call() {
    let events = chunks(&[
        r#"{"choices":[{"delta":{"function_call":{"name":"one","arguments":"{"}}}]}"#,
        r#"{"choices":[{"delta":{"function_call":{"arguments":"}"}},"finish_reason":"function_call"}]}"#,
    ])
    .unwrap();
    assert!(matches!(&events[0], ModelEvent::ToolCall { name: Some(name), .. } if name == "one"));
    assert_eq!(events[1..], [more(0, "}"), ModelEvent::Finish(FinishReason::ToolCalls)]);
}

#[test]
fn finish_reasons_in_other_words() {
    for (word, reason) in [
        ("stop", FinishReason::Stop),
        ("end_turn", FinishReason::Stop),
        ("eos", FinishReason::Stop),
        ("STOP", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("length", FinishReason::Length),
        ("tool_use", FinishReason::ToolCalls),
        ("content_filter", FinishReason::ContentFilter),
        ("SAFETY", FinishReason::ContentFilter),
        ("something new", FinishReason::Stop),
    ] {
        let body = format!(r#"{{"choices":[{{"finish_reason":"{word}","message":{{"content":"x"}}}}]}}"#);
        assert_eq!(whole(&body).unwrap(), [text("x"), ModelEvent::Finish(reason)], "{word}");
    }
    // An empty reason, or none, is none.
    for none in ["\"\"", "null", "\"null\""] {
        let chunk = format!(r#"{{"choices":[{{"delta":{{"content":"x"}},"finish_reason":{none}}}]}}"#);
        assert_eq!(chunks(&[&chunk]).unwrap_err(), ModelError::broke_off(), "{none}");
    }
}

#[test]
fn content_is_text_or_parts_or_nothing() {
    for (message, expected) in [
        (r#"{"content":"a"}"#, vec![text("a")]),
        (r#"{"content":null}"#, vec![]),
        (r#"{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#, vec![text("a"), text("b")]),
        (
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"}]}"#,
            vec![ModelEvent::Reasoning("hm".into()), text("a")],
        ),
        (r#"{"content":"","refusal":"no"}"#, vec![ModelEvent::Refusal("no".into())]),
        (
            r#"{"reasoning_content":"hm","reasoning":"hm","content":"a"}"#,
            vec![ModelEvent::Reasoning("hm".into()), text("a")],
        ),
        (r#"{"reasoning":"hm"}"#, vec![ModelEvent::Reasoning("hm".into())]),
    ] {
        let mut events = whole(&format!(r#"{{"choices":[{{"message":{message}}}]}}"#)).unwrap();
        assert_eq!(events.pop(), Some(ModelEvent::Finish(FinishReason::Stop)));
        assert_eq!(events, expected, "{message}");
    }
}

#[test]
fn odd_usage_is_read_as_far_as_it_goes() {
    for (usage, expected) in [
        (r#"{"prompt_tokens":1,"completion_tokens":null}"#, Some((1, 0))),
        (r#"{"input_tokens":3,"output_tokens":4.0}"#, Some((3, 4))),
        ("null", None),
        ("\"many\"", None),
    ] {
        let body = format!(r#"{{"choices":[{{"message":{{"content":"x"}}}}],"usage":{usage}}}"#);
        let found = whole(&body).unwrap().into_iter().find_map(|event| match event {
            ModelEvent::Usage(usage) => Some((usage.input_tokens, usage.output_tokens)),
            _ => None,
        });
        assert_eq!(found, expected, "{usage}");
    }
}

#[test]
fn an_error_inside_an_answer_is_an_error() {
    use crate::model::ModelErrorKind as Kind;
    for (error, kind) in [
        (r#"{"message":"sk-secret","type":"server_error","code":null}"#, Kind::Failed),
        (r#"{"message":"sk-secret","code":"rate_limit_exceeded"}"#, Kind::RateLimited { retry_after: None }),
        (r#"{"message":"sk-secret","code":503}"#, Kind::Unavailable { retry_after: None }),
        (r#""sk-secret""#, Kind::Failed),
        (
            r#"{"code":"context_length_exceeded","message":"sk-secret"}"#,
            Kind::Rejected { code: Some("context_length_exceeded") },
        ),
    ] {
        for outcome in [
            whole(&format!(r#"{{"error":{error}}}"#)),
            chunks(&[r#"{"choices":[{"delta":{"content":"x"}}]}"#, &format!(r#"{{"error":{error}}}"#)]),
        ] {
            let failure = outcome.unwrap_err();
            assert_eq!(failure.kind(), kind, "{error}");
            assert!(!format!("{failure} {failure:?}").contains("sk-secret"), "{failure:?}");
        }
    }
    let failed = r#"{"choices":[{"delta":{"content":""},"finish_reason":"error","error":{"code":502,"message":"x"}}]}"#;
    assert_eq!(chunks(&[failed]).unwrap_err().kind(), Kind::Failed);
}

#[test]
fn what_is_no_chat_completion_is_never_an_answer() {
    for body in ["", "{", "[]", "null", "\"x\"", "{}", r#"{"choices":[]}"#, r#"{"choices":[{"message":null}]}"#] {
        assert!(whole(body).is_err(), "{body}");
    }
    for data in ["{", "hello", "[DONE]"] {
        assert!(chunks(&[data]).is_err(), "{data}");
    }
    let unnamed = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]}"#;
    assert!(chunks(&[unnamed, STOP]).is_err());
}

#[test]
fn only_the_first_choice_is_read() {
    let events = chunks(&[
        r#"{"choices":[{"index":1,"delta":{"content":"b"}},{"index":0,"delta":{"content":"a"}}]}"#,
        r#"{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#,
        STOP,
    ]);
    assert_eq!(events.unwrap(), [text("a"), ModelEvent::Finish(FinishReason::Stop)]);
}

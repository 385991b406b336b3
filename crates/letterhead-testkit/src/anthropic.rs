//! A reply in the words of Anthropic's Messages API.

use serde_json::{Value, json};

use crate::Reply;

const MODEL: &str = "claude-scripted-1";

fn finish(reply: &Reply) -> &str {
    match &reply.finish {
        Some(reason) => reason,
        None if reply.calls.is_empty() => "end_turn",
        None => "tool_use",
    }
}

pub(crate) fn whole(reply: &Reply, number: usize) -> Value {
    let mut content = Vec::new();
    if !reply.text.is_empty() {
        content.push(json!({"type": "text", "text": reply.text}));
    }
    content.extend(
        reply
            .numbered(number)
            .map(|(id, name, arguments)| json!({"type": "tool_use", "id": id, "name": name, "input": arguments})),
    );
    let (input, output) = reply.usage;
    json!({
        "id": format!("msg_{number}"), "type": "message", "role": "assistant", "model": MODEL, "content": content,
        "stop_reason": finish(reply), "stop_sequence": null,
        "usage": {"input_tokens": input, "output_tokens": output},
    })
}

pub(crate) fn stream(reply: &Reply, number: usize) -> String {
    let (input, output) = reply.usage;
    let mut events = vec![
        json!({"type": "message_start", "message": {
            "id": format!("msg_{number}"), "type": "message", "role": "assistant", "model": MODEL, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": input, "output_tokens": 1},
        }}),
        json!({"type": "ping"}),
    ];
    let mut blocks = 0;
    let mut block = |start: Value, deltas: Vec<Value>| {
        events.push(json!({"type": "content_block_start", "index": blocks, "content_block": start}));
        events.extend(
            deltas.into_iter().map(|delta| json!({"type": "content_block_delta", "index": blocks, "delta": delta})),
        );
        events.push(json!({"type": "content_block_stop", "index": blocks}));
        blocks += 1;
    };
    if !reply.text.is_empty() {
        let deltas = reply.words().map(|word| json!({"type": "text_delta", "text": word})).collect();
        block(json!({"type": "text", "text": ""}), deltas);
    }
    for (id, name, arguments) in reply.numbered(number) {
        let deltas = ["", &arguments.to_string()].map(|json| json!({"type": "input_json_delta", "partial_json": json}));
        block(json!({"type": "tool_use", "id": id, "name": name, "input": {}}), deltas.into());
    }
    events.push(json!({
        "type": "message_delta", "delta": {"stop_reason": finish(reply), "stop_sequence": null},
        "usage": {"output_tokens": output},
    }));
    events.push(json!({"type": "message_stop"}));
    let line = |event: &Value| {
        let name = event.get("type").and_then(Value::as_str).unwrap_or_default();
        format!("event: {name}\ndata: {event}\n\n")
    };
    events.iter().map(line).collect()
}

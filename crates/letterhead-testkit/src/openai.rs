//! A reply in the words of OpenAI's chat completions.

use serde_json::{Value, json};

use crate::Reply;

const MODEL: &str = "gpt-scripted-1";

fn usage(reply: &Reply) -> Value {
    let (input, output) = reply.usage;
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
}

fn finish(reply: &Reply) -> &str {
    match &reply.finish {
        Some(reason) => reason,
        None if reply.calls.is_empty() => "stop",
        None => "tool_calls",
    }
}

pub(crate) fn whole(reply: &Reply, number: usize) -> Value {
    let calls: Vec<Value> = reply
        .numbered(number)
        .map(|(id, name, arguments)| {
            json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}})
        })
        .collect();
    let mut message = json!({"role": "assistant", "content": reply.text, "refusal": null});
    if let (false, Some(message)) = (calls.is_empty(), message.as_object_mut()) {
        message.insert("tool_calls".to_owned(), calls.into());
    }
    json!({
        "id": format!("chatcmpl-{number}"), "object": "chat.completion", "created": 1, "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish(reply)}],
        "usage": usage(reply),
    })
}

pub(crate) fn stream(reply: &Reply, number: usize) -> String {
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    deltas.extend(reply.words().map(|word| json!({"content": word})));
    for (index, (id, name, arguments)) in reply.numbered(number).enumerate() {
        let function = json!({"name": name, "arguments": ""});
        deltas.push(json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}));
        let text = arguments.to_string();
        let (head, tail) = text.split_at(text.floor_char_boundary(text.len() / 2));
        for part in [head, tail] {
            deltas.push(json!({"tool_calls": [{"index": index, "function": {"arguments": part}}]}));
        }
    }
    let chunk = |choices: Value, usage: Value| {
        json!({
            "id": format!("chatcmpl-{number}"), "object": "chat.completion.chunk", "created": 1, "model": MODEL,
            "choices": choices, "usage": usage,
        })
    };
    let mut chunks: Vec<Value> = deltas
        .into_iter()
        .map(|delta| chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]), Value::Null))
        .collect();
    chunks.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": finish(reply)}]), Value::Null));
    chunks.push(chunk(json!([]), usage(reply)));
    let mut events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    events.push_str("data: [DONE]\n\n");
    events
}

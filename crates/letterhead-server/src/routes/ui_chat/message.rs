//! A whole answer as one UI message, for clients that do not stream.

use std::collections::HashMap;

use letterhead::run::Outcome;
use letterhead_store::Role;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    content: Option<String>,
    tool_calls: Vec<Call>,
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
struct Call {
    id: String,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    arguments: String,
}

/// The message that a stream of the same run would have built.
pub(super) fn of(id: &str, metadata: &Value, outcome: &Outcome) -> Value {
    let bodies: Vec<(Role, Body)> = outcome
        .messages
        .iter()
        .map(|message| (message.role, serde_json::from_str(&message.body).unwrap_or_default()))
        .collect();
    let results: HashMap<&str, &str> = bodies
        .iter()
        .filter_map(|(_, body)| Some((body.tool_call_id.as_deref()?, body.content.as_deref().unwrap_or_default())))
        .collect();
    let mut parts = Vec::new();
    for (_, body) in bodies.iter().filter(|(role, _)| *role == Role::Assistant) {
        parts.push(json!({ "type": "step-start" }));
        if let Some(text) = body.content.as_deref().filter(|text| !text.is_empty()) {
            parts.push(json!({ "type": "text", "text": text, "state": "done" }));
        }
        for Call { id, function: Function { name, arguments } } in &body.tool_calls {
            let input: Value = serde_json::from_str(arguments).unwrap_or_else(|_| arguments.as_str().into());
            parts.push(match results.get(id.as_str()) {
                Some(result) => json!({
                    "type": "dynamic-tool", "toolName": name, "toolCallId": id, "state": "output-available",
                    "input": input, "output": result, "providerExecuted": true,
                }),
                None => json!({
                    "type": format!("tool-{name}"), "toolCallId": id, "state": "input-available", "input": input,
                }),
            });
        }
    }
    json!({ "id": id, "role": "assistant", "metadata": metadata, "parts": parts })
}

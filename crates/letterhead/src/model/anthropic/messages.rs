//! The conversation, from OpenAI's form to Anthropic's.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::content;
use crate::model::{ModelCall, ModelError};

/// A conversation in Anthropic's form.
pub(super) struct Conversation {
    /// Everything the operator says, in order.
    pub(super) system: String,
    /// Messages of user and assistant in turn.
    pub(super) messages: Vec<Value>,
    /// The tools that were called in it, each once.
    pub(super) tools_called: Vec<String>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<ToolCall>>,
    #[serde(default)]
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
struct ToolCall {
    #[serde(default)]
    id: String,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: String,
}

pub(super) fn translate(call: &ModelCall) -> Result<Conversation, ModelError> {
    let mut system: Vec<String> = call.instructions.iter().map(ToString::to_string).collect();
    let mut turns: Vec<(&'static str, Vec<Value>)> = Vec::new();
    let mut tools_called: Vec<String> = Vec::new();
    for raw in &call.messages {
        let message: Message =
            serde_json::from_str(raw).map_err(|_| ModelError::unsupported("a message that is not of OpenAI's form"))?;
        let (role, blocks) = match message.role.as_str() {
            "system" | "developer" => {
                system.push(content::text(&message.content));
                continue;
            }
            "user" => ("user", content::blocks(&message.content)?),
            "assistant" => {
                for call in message.tool_calls.iter().flatten() {
                    if !tools_called.contains(&call.function.name) {
                        tools_called.push(call.function.name.clone());
                    }
                }
                ("assistant", assistant(message)?)
            }
            "tool" => ("user", vec![tool_result(&message)?]),
            _ => return Err(ModelError::unsupported("a message of that role")),
        };
        match turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some((last, said)) if *last == role => said.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    if let Some(("assistant", blocks)) = turns.last_mut() {
        trim_end(blocks);
    }
    system.retain(|text| !text.trim().is_empty());
    Ok(Conversation {
        system: system.join("\n\n"),
        messages: turns.into_iter().map(|(role, blocks)| json!({"role": role, "content": blocks})).collect(),
        tools_called,
    })
}

fn assistant(message: Message) -> Result<Vec<Value>, ModelError> {
    let mut blocks = content::blocks(&message.content)?;
    blocks.extend(message.refusal.as_deref().and_then(content::text_block));
    blocks.extend(message.tool_calls.into_iter().flatten().map(|call| {
        json!({"type": "tool_use", "id": call.id, "name": call.function.name, "input": input(&call.function.arguments)})
    }));
    Ok(blocks)
}

/// A call's arguments must be an object here. What a model once got wrong is kept as text, so that it can see its fault.
fn input(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return json!({});
    }
    serde_json::from_str::<Map<String, Value>>(arguments)
        .map_or_else(|_| json!({"arguments": arguments}), Value::Object)
}

fn tool_result(message: &Message) -> Result<Value, ModelError> {
    let blocks = content::blocks(&message.content)?;
    let content = match blocks.as_slice() {
        // One text is the usual case, and shorter as a string.
        [Value::Object(block)] if block.get("type").is_some_and(|kind| kind == "text") => {
            block.get("text").cloned().unwrap_or_default()
        }
        _ => blocks.into(),
    };
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    Ok(json!({"type": "tool_result", "tool_use_id": id, "content": content}))
}

/// A conversation that ends with the assistant is continued by it; blanks at its end are refused.
fn trim_end(blocks: &mut [Value]) {
    if let Some(Value::String(text)) = blocks.last_mut().and_then(|block| block.get_mut("text")) {
        text.truncate(text.trim_end().len());
    }
}

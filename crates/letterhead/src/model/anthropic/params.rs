//! Params and tools, from OpenAI's names to Anthropic's.

use serde_json::{Map, Value, json};

use crate::model::{ModelCall, ToolSpec};

/// What the API wants to know in any case.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// Fields that the call itself says, and OpenAI's fields that have no counterpart here. All others go out as they are.
const LEFT_OUT: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "messages",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "store",
    "stream",
    "stream_options",
    "tool_choice",
    "tools",
    "top_logprobs",
    "user",
    "verbosity",
    "web_search_options",
];

/// The request fields that params become, `max_tokens` in any case.
pub(super) fn translate(params: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = Map::new();
    let limit = params.get("max_completion_tokens").or_else(|| params.get("max_tokens"));
    let limit = limit.filter(|limit| !limit.is_null()).cloned();
    fields.insert("max_tokens".to_owned(), limit.unwrap_or_else(|| DEFAULT_MAX_TOKENS.into()));
    for (name, value) in params {
        let (name, value) = match (name.as_str(), value) {
            ("max_tokens" | "max_completion_tokens", _) | (_, Value::Null) => continue,
            (name, _) if LEFT_OUT.contains(&name) => continue,
            ("stop", Value::String(_)) => ("stop_sequences", json!([value])),
            ("stop", _) => ("stop_sequences", value.clone()),
            // OpenAI's scale ends at 2, this one at 1.
            ("temperature", _) if value.as_f64().is_some_and(|heat| heat > 1.0) => ("temperature", json!(1.0)),
            ("service_tier", Value::String(tier)) => match tier.as_str() {
                "auto" | "standard_only" => ("service_tier", value.clone()),
                "default" => ("service_tier", json!("standard_only")),
                _ => continue,
            },
            // OpenAI's takes any keys, this one a user's id.
            ("metadata", _) => match value.get("user_id") {
                Some(user @ Value::String(_)) => ("metadata", json!({"user_id": user})),
                _ => continue,
            },
            (name, _) => (name, value.clone()),
        };
        fields.insert(name.to_owned(), value);
    }
    fields
}

/// A tool that was called earlier in a conversation, and that the agent does not have.
pub(super) fn gone(name: &str) -> Value {
    json!({
        "name": name,
        "description": "Not available any more.",
        "input_schema": {"type": "object", "properties": {}},
    })
}

/// The tools, and which to choose.
pub(super) fn tools(call: &ModelCall) -> (Vec<Value>, Option<Value>) {
    let choice: Value =
        call.tool_choice.as_deref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let allowed = choice.pointer("/allowed_tools/tools").and_then(Value::as_array);
    let is_allowed = |tool: &ToolSpec| {
        let named = |entry: &Value| entry.pointer("/function/name").is_some_and(|name| name == tool.name());
        allowed.is_none_or(|allowed| allowed.iter().any(named))
    };
    let tools = call.tools.iter().filter(|tool| is_allowed(tool)).map(|tool| describe(tool)).collect();

    let mode = choice.as_str().or_else(|| choice.pointer("/allowed_tools/mode")?.as_str());
    let one_by_one = call.params.get("parallel_tool_calls") == Some(&Value::Bool(false));
    let mut choice = match (mode, choice.pointer("/function/name")) {
        (Some("none"), _) => return (tools, Some(json!({"type": "none"}))),
        (Some("required"), _) => json!({"type": "any"}),
        (Some(_), _) => json!({"type": "auto"}),
        (None, Some(name)) => json!({"type": "tool", "name": name}),
        (None, None) if one_by_one => json!({"type": "auto"}),
        (None, None) => return (tools, None),
    };
    if let (true, Some(choice)) = (one_by_one, choice.as_object_mut()) {
        choice.insert("disable_parallel_tool_use".to_owned(), true.into());
    }
    (tools, Some(choice))
}

fn describe(tool: &ToolSpec) -> Value {
    let mut schema = tool.parameters().clone();
    if let Some(schema) = schema.as_object_mut() {
        schema.entry("type").or_insert_with(|| "object".into());
    }
    match tool.description() {
        Some(description) => json!({"name": tool.name(), "description": description, "input_schema": schema}),
        None => json!({"name": tool.name(), "input_schema": schema}),
    }
}

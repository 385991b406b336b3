//! What a user may tell the demo model to do.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::model::{ModelCall, ToolSpec};

/// What a user's message wants.
pub(super) enum Wish {
    /// Nothing but an answer.
    None,
    /// These tool calls: name and arguments.
    Calls(Vec<(String, Value)>),
    /// Something that is not to be had, and why.
    Cannot(String),
}

/// Reads the commands at the beginning of what the user said.
pub(super) fn wish(said: &str, call: &ModelCall) -> Wish {
    let Some(commands) = said.trim().strip_prefix('/') else { return Wish::None };
    let offered = offered(call);
    let calls: Result<Vec<_>, String> = commands.split("\n/").map(|command| tool_call(command, &offered)).collect();
    match calls {
        Ok(calls) => Wish::Calls(calls),
        Err(why) => Wish::Cannot(why),
    }
}

/// The tool that `tool_choice` makes the model call, if it does.
pub(super) fn forced(call: &ModelCall) -> Option<&ToolSpec> {
    match choice(call.tool_choice.as_deref()?) {
        Value::String(mode) if mode == "required" => call.tools.first().map(AsRef::as_ref),
        choice => {
            let name = choice.get("function")?.get("name")?.as_str()?;
            call.tools.iter().find(|tool| tool.name() == name).map(AsRef::as_ref)
        }
    }
}

fn choice(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// The names of the tools that may be called.
fn offered(call: &ModelCall) -> Vec<&str> {
    match call.tool_choice.as_deref().map(choice) {
        Some(Value::String(mode)) if mode == "none" => Vec::new(),
        _ => call.tools.iter().map(|tool| tool.name()).collect(),
    }
}

fn tool_call(command: &str, offered: &[&str]) -> Result<(String, Value), String> {
    let (verb, rest) = split(command);
    let (name, rest) = split(rest);
    let (tool, arguments) = match verb {
        "tool" => (name.to_owned(), arguments(rest)?),
        "lookup" => ("lookup".to_owned(), json!({"key": format!("{name} {rest}").trim()})),
        "ask" => ("ask_agent".to_owned(), json!({"agent": name, "input": rest})),
        "handoff" => (format!("handoff_to_{name}"), json!({})),
        _ => {
            return Err(format!(
                "I do not know `/{verb}`. I obey `/tool NAME {{json}}`, `/lookup KEY`, `/ask AGENT text` and `/handoff AGENT`."
            ));
        }
    };
    if offered.contains(&tool.as_str()) {
        return Ok((tool, arguments));
    }
    let offered = match offered {
        [] => "I am offered no tools".to_owned(),
        offered => format!("I am offered {}", offered.join(", ")),
    };
    Err(format!("There is no tool `{tool}` here. {offered}."))
}

/// The arguments of `/tool`: a JSON object, or nothing.
fn arguments(text: &str) -> Result<Value, String> {
    if text.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_str::<Map<String, Value>>(text)
        .map(Value::Object)
        .map_err(|_| "What follows the tool's name must be a JSON object.".to_owned())
}

/// The first word, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

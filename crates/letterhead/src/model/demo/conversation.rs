//! What the demo model was told, and how it tells it again.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::model::ModelCall;

/// How many characters of a text are quoted.
const QUOTED: usize = 400;
/// How many lines of the instructions are quoted.
const LINES: usize = 4;

/// A conversation as the demo model sees it.
pub(super) struct Conversation<'a> {
    instructions: &'a str,
    messages: usize,
    /// All words of it.
    pub(super) words: u64,
    /// What the user said, if that is the last message.
    pub(super) last_user: Option<String>,
    /// What the user said last.
    said: Option<String>,
    /// The results that end the conversation: the tool's name, and what it gave.
    results: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
    #[serde(default)]
    tool_calls: Vec<Value>,
    #[serde(default)]
    tool_call_id: String,
}

impl<'a> Conversation<'a> {
    pub(super) fn read(call: &'a ModelCall) -> Self {
        let instructions = call.instructions.as_deref().unwrap_or_default();
        let mut conversation = Self {
            instructions,
            messages: call.messages.len(),
            words: count_words(instructions),
            last_user: None,
            said: None,
            results: Vec::new(),
        };
        let mut tools = HashMap::new();
        for raw in &call.messages {
            let Ok(message) = serde_json::from_str::<Message>(raw) else { continue };
            let text = text(&message.content);
            conversation.words += count_words(&text);
            conversation.last_user = None;
            match message.role.as_str() {
                "user" => {
                    conversation.results.clear();
                    conversation.said = Some(text.clone());
                    conversation.last_user = Some(text);
                }
                "tool" => {
                    let name = tools.get(&message.tool_call_id).cloned().unwrap_or_else(|| "the tool".to_owned());
                    conversation.results.push((name, text));
                }
                _ => {
                    conversation.results.clear();
                    tools.extend(message.tool_calls.iter().filter_map(|call| {
                        let name = call.get("function")?.get("name")?.as_str()?;
                        Some((call.get("id")?.as_str()?.to_owned(), name.to_owned()))
                    }));
                }
            }
        }
        // An agent that was just handed the conversation answers what the user said, not what the handoff gave.
        conversation.results.retain(|(name, _)| !name.starts_with("handoff_to_"));
        conversation
    }

    /// The demo model's answer.
    pub(super) fn retell(&self) -> String {
        let mut told = "I am the demo model.".to_owned();
        if !self.results.is_empty() {
            for (name, result) in &self.results {
                told.push_str(&format!(" `{name}` answered: {}", quote(result)));
            }
            return told;
        }
        let lines: Vec<&str> = self.instructions.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        match lines.get(..LINES).unwrap_or(&lines) {
            [] => told.push_str(" I was given no instructions."),
            first => {
                told.push_str(&format!(" My instructions begin: \"{}\".", quote(&first.join(" "))));
            }
        }
        match &self.said {
            Some(said) => told.push_str(&format!(" You said: \"{}\".", quote(said))),
            None => told.push_str(" You have said nothing yet."),
        }
        let messages = if self.messages == 1 { "message" } else { "messages" };
        told.push_str(&format!(" I was sent {} {messages}.", self.messages));
        told
    }
}

/// The text of a message's content; what is not text is named.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let part = |part: &Value| match (part.get("text").and_then(Value::as_str), part.get("type")) {
                (Some(text), _) => text.to_owned(),
                (None, Some(Value::String(kind))) => format!("[{kind}]"),
                (None, _) => String::new(),
            };
            parts.iter().map(part).collect::<Vec<_>>().join(" ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

fn count_words(text: &str) -> u64 {
    u64::try_from(text.split_whitespace().count()).unwrap_or(u64::MAX)
}

fn quote(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{} …", text.get(..end).unwrap_or_default().trim_end()),
        None => text.to_owned(),
    }
}

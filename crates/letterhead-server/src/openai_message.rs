//! Messages in OpenAI's form: checked as far as this server must understand them, and kept as they came.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use letterhead::model::ToolSpec;
use letterhead_context::{Code, Fault, Problem};
use letterhead_store::Role;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::members::{Members, wrong};
use crate::turn::IncomingMessage;

/// What this server looks at in a message.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

/// A request's messages: those of a conversation, and the client's instructions.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// User, assistant and tool messages, oldest first.
    pub(crate) conversation: Vec<IncomingMessage>,
    /// System and developer messages, raw.
    pub(crate) instructions: Vec<Arc<str>>,
}

/// How many faults of a body are told: one that is wrong throughout has hundreds of thousands.
pub(crate) const MOST_FAULTS: usize = 32;

/// The kinds of content that a message may have.
const PARTS: [&str; 5] = ["text", "image_url", "file", "input_audio", "refusal"];

/// Reads the messages of a body. Every fault is told, up to a number.
///
/// # Errors
///
/// 400 for an unknown role, and for content that is neither text nor a list of known parts.
pub(crate) fn read(messages: &[&RawValue]) -> Result<Messages, Problem> {
    if messages.is_empty() {
        return Err(wrong("/messages", "at least one message"));
    }
    let mut read = Messages::default();
    let mut faults = Vec::new();
    for (at, raw) in messages.iter().enumerate() {
        if faults.len() >= MOST_FAULTS {
            break;
        }
        let pointer = format!("/messages/{at}");
        let Ok(head) = serde_json::from_str::<Head<'_>>(raw.get()) else {
            let detail = "expected an object with a `role`";
            faults.push(Fault::pointer(pointer, Code::InvalidBody, detail));
            continue;
        };
        faults.extend(content_faults(&head, &pointer));
        let body: Arc<str> = Arc::from(raw.get());
        let role = match &*head.role {
            "system" | "developer" => {
                read.instructions.push(body);
                continue;
            }
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" | "function" => Role::Tool,
            _ => {
                let detail = "expected one of system, developer, user, assistant and tool";
                faults.push(Fault::pointer(format!("{pointer}/role"), Code::InvalidBody, detail));
                continue;
            }
        };
        if head.role == "tool" && head.tool_call_id.is_none() {
            let detail = "expected the id of the call that this result is for";
            faults.push(Fault::pointer(format!("{pointer}/tool_call_id"), Code::InvalidBody, detail));
        }
        if role == Role::User && head.tool_calls.is_some() {
            let detail = "only an assistant's message has calls";
            faults.push(Fault::pointer(format!("{pointer}/tool_calls"), Code::InvalidBody, detail));
        }
        let id = head.id.as_deref().and_then(kept_id);
        read.conversation.push(IncomingMessage { id, role, body });
    }
    if !faults.is_empty() {
        return Err(Problem::faults(faults));
    }
    Ok(read)
}

/// A client's id for a message, if it can be kept: 1 to 128 bytes without control characters, which not every store takes.
/// A message with another id gets one from the server.
pub(crate) fn kept_id(id: &str) -> Option<Arc<str>> {
    let fits = (1..=128).contains(&id.len()) && !id.contains(char::is_control);
    fits.then(|| id.into())
}

/// Reads the client's own tools. Every fault is told.
///
/// # Errors
///
/// 400 for what is no function tool, and for two of one name.
pub(crate) fn tools(members: &Members<'_>) -> Result<Vec<Arc<ToolSpec>>, Problem> {
    let mut faults = Vec::new();
    let mut tools: Vec<Arc<ToolSpec>> = Vec::new();
    let mut names = HashSet::new();
    for (at, raw) in members.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        match ToolSpec::from_openai(raw) {
            Ok(spec) if names.insert(spec.name().to_owned()) => tools.push(Arc::new(spec)),
            Ok(_) => {
                let detail = "two tools have this name";
                faults.push(Fault::pointer(format!("/tools/{at}/function/name"), Code::InvalidBody, detail));
            }
            Err(error) => faults.push(Fault::pointer(format!("/tools/{at}"), Code::InvalidBody, error.to_string())),
        }
        if faults.len() >= MOST_FAULTS {
            break;
        }
    }
    if faults.is_empty() { Ok(tools) } else { Err(Problem::faults(faults)) }
}

fn content_faults(head: &Head<'_>, pointer: &str) -> Vec<Fault> {
    let fault = |pointer: String, code, detail: &str| Fault::pointer(pointer, code, detail);
    let content = head.content.map(RawValue::get).filter(|raw| *raw != "null");
    let Some(content) = content else {
        let may_be_empty = head.tool_calls.is_some() || head.role == "assistant" || head.role == "function";
        return if may_be_empty {
            Vec::new()
        } else {
            vec![fault(format!("{pointer}/content"), Code::InvalidBody, "expected text or a list of parts")]
        };
    };
    if content.starts_with('"') {
        return Vec::new();
    }
    let Ok(parts) = serde_json::from_str::<Vec<Part<'_>>>(content) else {
        return vec![fault(format!("{pointer}/content"), Code::InvalidBody, "expected text or a list of parts")];
    };
    let unknown = parts.iter().enumerate().filter(|(_, part)| !PARTS.contains(&&*part.kind));
    unknown
        .take(MOST_FAULTS)
        .map(|(at, _)| {
            let detail = format!("expected one of the parts {}", PARTS.join(", "));
            fault(format!("{pointer}/content/{at}"), Code::UnsupportedContent, &detail)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_cannot_be_stored_is_left_away() {
        let raw = |id: &str| RawValue::from_string(format!(r#"{{"role":"user","content":"Hi","id":"{id}"}}"#)).unwrap();
        let long = "x".repeat(129);
        let ids = ["m1", r"a\u0000b", r"a\nb", "", long.as_str()].map(raw);
        let read = read(&ids.iter().map(|raw| &**raw).collect::<Vec<_>>()).unwrap();
        let kept: Vec<_> = read.conversation.iter().map(|message| message.id.as_deref()).collect();
        assert_eq!(kept, [Some("m1"), None, None, None, None]);
    }
}

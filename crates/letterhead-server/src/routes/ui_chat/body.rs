//! The body of a UI chat: the AI SDK's own form, and the plain one with `content` and `conversationId`.

use std::sync::Arc;

use letterhead::model::ToolSpec;
use letterhead::run::ApprovalAnswer;
use letterhead_context::{Code, Fault, Problem, SessionId};
use letterhead_store::Role;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::members::{Members, wrong};
use crate::openai_message::{self, MOST_FAULTS};
use crate::turn::{Edit, IncomingMessage, ToolAnswer};

/// A UI chat, as it was asked for.
pub(super) struct UiRequest {
    pub(super) model: Option<String>,
    pub(super) chat_id: Option<SessionId>,
    pub(super) conversation_id: Option<SessionId>,
    pub(super) messages: Vec<IncomingMessage>,
    pub(super) instructions: Vec<Arc<str>>,
    pub(super) answers: Vec<ToolAnswer>,
    pub(super) approvals: Vec<ApprovalAnswer>,
    pub(super) edit: Edit,
    pub(super) tools: Vec<Arc<ToolSpec>>,
    pub(super) stream: bool,
    /// The assistant message that the answer continues.
    pub(super) continues: Option<String>,
}

#[derive(Deserialize)]
struct UiMessage {
    #[serde(default)]
    id: Option<String>,
    role: String,
    parts: Vec<Value>,
}

impl UiRequest {
    pub(super) fn read(body: &[u8]) -> Result<Self, Problem> {
        let members = Members::read(body)?;
        let raw = match (members.list("messages")?, members.raw("message")) {
            (Some(messages), _) => messages,
            (None, Some(message)) => vec![message],
            (None, None) => return Err(wrong("/messages", "a list of messages, or one `message`")),
        };
        let id = |name: &str| -> Result<Option<SessionId>, Problem> {
            members.get::<String>(name, "a string")?.map(|id| SessionId::parse(&id)).transpose()
        };
        let mut request = Self {
            model: members.get("model", "a string")?,
            chat_id: id("id")?,
            conversation_id: id("conversationId")?,
            messages: Vec::new(),
            instructions: Vec::new(),
            answers: Vec::new(),
            approvals: Vec::new(),
            edit: Edit::Append,
            tools: openai_message::tools(&members)?,
            stream: members.get("stream", "true or false")?.unwrap_or(true),
            continues: None,
        };
        if raw.is_empty() {
            return Err(wrong("/messages", "at least one message"));
        }
        let last = raw.len().saturating_sub(1);
        let mut faults = Vec::new();
        for (at, message) in raw.iter().enumerate() {
            if let Err(fault) = request.add(message, at, at == last) {
                faults.extend(fault);
            }
            if faults.len() >= MOST_FAULTS {
                break;
            }
        }
        if !faults.is_empty() {
            return Err(Problem::faults(faults));
        }
        let trigger = members.get::<String>("trigger", "a string")?;
        let message_id = members.get::<String>("messageId", "a string")?;
        request.edit = request.edit(trigger.as_deref(), message_id.as_deref());
        Ok(request)
    }

    /// Adds one message, in either form.
    fn add(&mut self, raw: &RawValue, at: usize, is_last: bool) -> Result<(), Vec<Fault>> {
        let pointer = format!("/messages/{at}");
        let Ok(message) = serde_json::from_str::<UiMessage>(raw.get()) else {
            // Without `parts` it is a message as OpenAI has them.
            let read = openai_message::read(&[raw]).map_err(|problem| relocate(&problem, &pointer))?;
            self.messages.extend(read.conversation);
            self.instructions.extend(read.instructions);
            return Ok(());
        };
        let id = message.id.as_deref().and_then(openai_message::kept_id);
        match message.role.as_str() {
            "system" => {
                let text = texts(&message.parts).join("\n");
                self.instructions.push(json!({ "role": "system", "content": text }).to_string().into());
            }
            "user" => {
                let content = content(&message.parts);
                if content.as_str() == Some("") {
                    let detail = "expected text or a file in `parts`";
                    return Err(vec![Fault::pointer(format!("{pointer}/parts"), Code::InvalidBody, detail)]);
                }
                let body = json!({ "role": "user", "content": content }).to_string().into();
                self.messages.push(IncomingMessage { id, role: Role::User, body });
            }
            "assistant" => {
                if is_last {
                    self.answers = answers(&message.parts);
                    self.approvals = approvals(&message.parts);
                    self.continues = id.as_deref().map(str::to_owned);
                }
                // The server has the history: what an assistant said is only a mark of what came before.
                let body = json!({ "role": "assistant", "content": texts(&message.parts).concat() }).to_string().into();
                self.messages.push(IncomingMessage { id, role: Role::Assistant, body });
            }
            _ => {
                let detail = "expected one of system, user and assistant";
                return Err(vec![Fault::pointer(format!("{pointer}/role"), Code::InvalidBody, detail)]);
            }
        }
        Ok(())
    }

    fn edit(&self, trigger: Option<&str>, message_id: Option<&str>) -> Edit {
        let last_user = self.messages.last().filter(|last| last.role == Role::User).and_then(|last| last.id.clone());
        match (trigger, message_id, last_user) {
            (Some("regenerate-message"), _, Some(id)) => Edit::Regenerate(id),
            (_, Some(edited), Some(id)) if *edited == *id => Edit::Replace(id),
            _ => Edit::Append,
        }
    }
}

fn relocate(problem: &Problem, pointer: &str) -> Vec<Fault> {
    let place = |fault: &Fault| match &fault.place {
        letterhead_context::Place::Pointer(inner) => inner.replacen("/messages/0", pointer, 1),
        _ => pointer.to_owned(),
    };
    problem.errors().iter().map(|fault| Fault::pointer(place(fault), fault.code, fault.detail.clone())).collect()
}

fn text_of<'a>(part: &'a Value, member: &str) -> Option<&'a str> {
    part.get(member).and_then(Value::as_str)
}

fn texts(parts: &[Value]) -> Vec<&str> {
    parts.iter().filter(|part| text_of(part, "type") == Some("text")).filter_map(|part| text_of(part, "text")).collect()
}

/// The parts of a user's message as OpenAI's content. Unknown parts are passed over.
fn content(parts: &[Value]) -> Value {
    let known: Vec<Value> = parts
        .iter()
        .filter_map(|part| match text_of(part, "type") {
            Some("text") => Some(json!({ "type": "text", "text": text_of(part, "text")? })),
            Some("file") => Some(file(part)?),
            _ => None,
        })
        .collect();
    match known.as_slice() {
        [] => "".into(),
        [only] if only.get("text").is_some() => only.get("text").cloned().unwrap_or_default(),
        _ => Value::Array(known),
    }
}

fn file(part: &Value) -> Option<Value> {
    let (url, media_type) = (text_of(part, "url")?, text_of(part, "mediaType").unwrap_or_default());
    if media_type.starts_with("image/") {
        return Some(json!({ "type": "image_url", "image_url": { "url": url } }));
    }
    if let (Some(format), Some((_, data))) = (media_type.strip_prefix("audio/"), url.split_once(";base64,")) {
        return Some(json!({ "type": "input_audio", "input_audio": { "data": data, "format": format } }));
    }
    let name = text_of(part, "filename").unwrap_or("file");
    Some(json!({ "type": "file", "file": { "file_data": url, "filename": name } }))
}

/// The results of the client's tools inside an assistant message.
fn answers(parts: &[Value]) -> Vec<ToolAnswer> {
    let answer = |part: &Value| {
        let kind = text_of(part, "type")?;
        let own = part.get("providerExecuted").and_then(Value::as_bool).unwrap_or(false);
        if own || !(kind.starts_with("tool-") || kind == "dynamic-tool") {
            return None;
        }
        let result = match text_of(part, "state")? {
            "output-available" => match part.get("output")? {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
            "output-error" => format!("The tool failed: {}", text_of(part, "errorText").unwrap_or("no reason given")),
            _ => return None,
        };
        Some(ToolAnswer { call_id: text_of(part, "toolCallId")?.into(), result })
    };
    parts.iter().filter_map(answer).collect()
}

/// What a person said of calls that wait, inside an assistant message. A client that keeps the message sends those that were
/// taken earlier, too.
fn approvals(parts: &[Value]) -> Vec<ApprovalAnswer> {
    let answered = parts.iter().filter(|part| text_of(part, "state") == Some("approval-responded"));
    let mut answers: Vec<ApprovalAnswer> = Vec::new();
    for approval in answered.filter_map(|part| part.get("approval")) {
        let (Some(id), Some(approved)) = (text_of(approval, "id"), approval.get("approved").and_then(Value::as_bool))
        else {
            continue;
        };
        let reason = text_of(approval, "reason").filter(|reason| !reason.is_empty()).map(Into::into);
        answers.push(ApprovalAnswer { id: id.into(), approved, reason });
    }
    answers
}

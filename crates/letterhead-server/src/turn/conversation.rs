//! What the model is told: the stored history, changed as the request asks, and the request's new messages.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use letterhead::Registry;
use letterhead::run::{OpenCalls, unanswered};
use letterhead_context::{Code, Fault, Problem};
use letterhead_store::{Message, NewMessage, Role, Session};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::Incoming;
use super::session_choice::SessionChoice;
use super::waiting::{self, Waiting};
use crate::error::shown;

/// A message of a request.
#[derive(Clone)]
pub struct IncomingMessage {
    /// The client's id, if its protocol has ids.
    pub id: Option<Arc<str>>,
    /// Who it is from.
    pub role: Role,
    /// The message as raw JSON in OpenAI's form.
    pub body: Arc<str>,
}

/// Without what it says.
impl fmt::Debug for IncomingMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, role, body } = self;
        f.debug_struct("IncomingMessage").field("id", id).field("role", role).field("body_bytes", &body.len()).finish()
    }
}

/// The result of a client's tool.
#[derive(Clone, PartialEq, Eq)]
pub struct ToolAnswer {
    /// The call that it answers.
    pub call_id: Arc<str>,
    /// The result, as the model is told of it.
    pub result: String,
}

/// Without the result.
impl fmt::Debug for ToolAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call_id, result } = self;
        f.debug_struct("ToolAnswer").field("call_id", call_id).field("result_bytes", &result.len()).finish()
    }
}

/// What happens to the stored history before the new messages are added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Edit {
    /// Nothing.
    #[default]
    Append,
    /// Nothing, and every message is new: one whose id is stored already gets an id of its own.
    Add {
        /// The number of the turn that waits, and that this one is a part of, whatever it brings.
        after: Option<u64>,
    },
    /// Everything after this user message goes, and it is answered again.
    Regenerate(Arc<str>),
    /// This user message is replaced by the new one, and everything after it goes.
    Replace(Arc<str>),
}

/// What a turn works with.
pub(super) struct Plan {
    /// The conversation for the model, the new messages last.
    pub(super) messages: Vec<Arc<str>>,
    /// How many messages of the history stay; none if all do.
    pub(super) keep: Option<usize>,
    /// What is new, and stored at the end.
    pub(super) new: Vec<NewMessage>,
    /// The calls that the last answer left open, where the turn goes on with them.
    pub(super) open: Option<OpenCalls>,
    /// The number of the turn that waited for this one.
    pub(super) continues: Option<u64>,
}

/// Puts the conversation together.
pub(super) fn plan(session: Option<&Session>, incoming: &Incoming, registry: &Registry) -> Result<Plan, Problem> {
    if incoming.session == SessionChoice::Nothing {
        if !incoming.approvals.is_empty() {
            let detail =
                "a call that waits for approval waits in a session: name it, as with the header `X-Session-Id`";
            return Err(waiting::fault("/approvals".to_owned(), detail.to_owned()));
        }
        // The request is the whole conversation, and the client's to get right.
        let messages = incoming.messages.iter().map(|message| Arc::clone(&message.body)).collect();
        return Ok(Plan { messages, keep: None, new: Vec::new(), open: None, continues: None });
    }
    let history: &[Arc<Message>] = session.map(|session| session.messages.as_slice()).unwrap_or_default();
    let (keep, fresh) = select(history, incoming);
    let kept = keep.and_then(|keep| history.get(..keep)).unwrap_or(history);
    let waiting = Waiting::at_end_of(kept);
    let waits = waiting.as_ref().map(Waiting::turn);
    let mut new: Vec<NewMessage> = Vec::new();
    let mut open = open_calls(kept.iter().map(|message| &*message.body));
    for answer in &incoming.answers {
        let is_own = waiting.as_ref().is_some_and(|waiting| waiting.is_own(&answer.call_id, registry));
        if let Some(at) = open.iter().position(|call| *call == *answer.call_id).filter(|_| !is_own) {
            let call = open.remove(at);
            let body = json!({ "role": "tool", "tool_call_id": call, "content": answer.result }).to_string();
            new.push(NewMessage::new(new_id(), Role::Tool, body));
        }
    }
    for message in fresh {
        let is_free = |id: &Arc<str>| kept.iter().all(|stored| stored.id != *id);
        let id = message.id.clone().filter(is_free).unwrap_or_else(new_id);
        new.push(NewMessage::new(id, message.role, Arc::clone(&message.body)));
    }
    let mut ids = HashSet::new();
    if !new.iter().all(|message| ids.insert(&message.id)) {
        let detail = "two new messages have the same id";
        return Err(Problem::faults(vec![Fault::pointer("/messages", Code::InvalidBody, detail)]));
    }
    let (open, mut continues) = match gone_on_with(waiting, &new, incoming, registry)? {
        Some((open, turn)) => (open, Some(turn)),
        None => (None, None),
    };
    if let Edit::Add { after: Some(turn) } = incoming.edit {
        continues = Some(turn).filter(|_| waits == Some(turn));
        if continues.is_none() {
            return Err(waiting::nothing_waits());
        }
    }
    let asked_again = keep.is_some() && kept.last().is_some_and(|last| last.role == Role::User);
    if new.is_empty() && !asked_again && continues.is_none() {
        let detail = if incoming.answers.is_empty() {
            "there is no new message: everything sent is stored already, or comes before an assistant's message"
        } else {
            "the results answer no call that is open in this session"
        };
        return Err(Problem::faults(vec![Fault::pointer("/messages", Code::InvalidBody, detail)]));
    }
    let bodies = kept.iter().map(|message| &message.body).chain(new.iter().map(|message| &message.body));
    let messages = closed(bodies, open.is_some())?;
    Ok(Plan { messages, keep, new, open, continues })
}

/// What a request goes on with, and in which turn that was left: calls of the last answer, if all it brings is what those wait for.
/// None if it says something new: what was open is then passed over.
fn gone_on_with(
    waiting: Option<Waiting<'_>>,
    new: &[NewMessage],
    incoming: &Incoming,
    registry: &Registry,
) -> Result<Option<(Option<OpenCalls>, u64)>, Problem> {
    let approvals = incoming.approvals.as_slice();
    if new.iter().any(|message| message.role != Role::Tool) {
        if approvals.is_empty() {
            return Ok(None);
        }
        let detail = "a request that answers approvals brings no new message: say it in the next one";
        return Err(waiting::fault("/approvals".to_owned(), detail.to_owned()));
    }
    if new.is_empty() && approvals.is_empty() {
        return Ok(None);
    }
    let Some(mut waiting) = waiting else {
        return if approvals.is_empty() { Ok(None) } else { Err(waiting::nothing_waits()) };
    };
    let results: Vec<_> = new.iter().filter_map(|message| calls_of(&message.body)?.tool_call_id).collect();
    if let Some(own) = results.iter().find(|call| waiting.is_own(call, registry)) {
        let detail =
            format!("the call `{}` is the agent's own: it waits for `approvals`, and for no result", shown(own));
        return Err(Problem::faults(vec![Fault::pointer("/messages", Code::InvalidBody, detail)]));
    }
    waiting.answered(&results.iter().map(String::as_str).collect());
    let turn = waiting.turn();
    Ok(Some((waiting.decide(approvals, new.is_empty())?, turn)))
}

/// How much of the history stays, and which of the request's messages are new.
fn select<'a>(history: &[Arc<Message>], incoming: &'a Incoming) -> (Option<usize>, Vec<&'a IncomingMessage>) {
    let stored = |id: &str| history.iter().position(|message| *message.id == *id);
    let after_assistant =
        incoming.messages.iter().rposition(|message| message.role == Role::Assistant).map_or(0, |at| at + 1);
    let candidates = incoming.messages.get(after_assistant..).unwrap_or_default();
    let keep = match &incoming.edit {
        Edit::Add { .. } => None,
        // A stored question that is sent as the last message is asked again.
        Edit::Append => candidates
            .last()
            .filter(|last| last.role == Role::User)
            .and_then(|last| stored(last.id.as_deref()?))
            .map(|at| at + 1),
        Edit::Regenerate(id) => stored(id).map(|at| at + 1),
        Edit::Replace(id) => stored(id),
    };
    let kept = keep.and_then(|keep| history.get(..keep)).unwrap_or(history);
    let known: HashSet<&str> = kept.iter().map(|message| &*message.id).collect();
    let is_new = |message: &&IncomingMessage| {
        matches!(incoming.edit, Edit::Add { .. }) || message.id.as_ref().is_none_or(|id| !known.contains(&**id))
    };
    (keep, candidates.iter().filter(is_new).collect())
}

fn new_id() -> Arc<str> {
    format!("msg_{}", Uuid::now_v7().simple()).into()
}

#[derive(Deserialize)]
struct Calls {
    #[serde(default)]
    tool_calls: Vec<Call>,
    #[serde(default)]
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
struct Call {
    id: String,
}

/// The calls and answers of a message, where it can have any.
fn calls_of(body: &str) -> Option<Calls> {
    if !body.contains("\"tool_call") {
        return None;
    }
    serde_json::from_str(body).ok()
}

/// The calls at the end of a conversation that nobody has answered.
fn open_calls<'a>(bodies: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut open = Vec::new();
    for body in bodies {
        let Some(Calls { tool_calls, tool_call_id }) = calls_of(body) else {
            open.clear();
            continue;
        };
        match tool_call_id {
            Some(answered) => open.retain(|call| *call != answered),
            None => open = tool_calls.into_iter().map(|call| call.id).collect(),
        }
    }
    open
}

/// Makes sure that every call has an answer before the conversation goes on, as models demand: a call that was cut
/// short or passed over is answered for. Not so those at the end, where the turn goes on with them.
fn closed<'a>(bodies: impl Iterator<Item = &'a Arc<str>>, goes_on: bool) -> Result<Vec<Arc<str>>, Problem> {
    let mut messages: Vec<Arc<str>> = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    for body in bodies {
        let calls = calls_of(body);
        if let Some(Calls { tool_call_id: Some(answered), .. }) = &calls {
            if !known.contains(answered) {
                let detail = format!("`{}` is not the id of a call in this session", shown(answered));
                return Err(Problem::faults(vec![Fault::pointer("/messages", Code::InvalidBody, detail)]));
            }
            open.retain(|call| call != answered);
        } else {
            for call in open.drain(..) {
                messages.push(unanswered(&call));
            }
        }
        if let Some(Calls { tool_calls, .. }) = calls {
            for call in tool_calls {
                known.insert(call.id.clone());
                open.push(call.id);
            }
        }
        messages.push(Arc::clone(body));
    }
    if !goes_on {
        messages.extend(open.iter().map(|call| unanswered(call)));
    }
    Ok(messages)
}

//! What the model is told: the stored history, changed as the request asks, and the request's new messages.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use letterhead::Registry;
use letterhead::run::{OpenCalls, closed};
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
    let (keep, candidates) = select(history, incoming);
    let kept = keep.and_then(|keep| history.get(..keep)).unwrap_or(history);
    if kept.len() < history.len() && !incoming.approvals.is_empty() {
        let detail = "a request that answers approvals goes on where the conversation ends: it replaces nothing";
        return Err(waiting::fault("/approvals".to_owned(), detail.to_owned()));
    }
    let waiting = Waiting::at_end_of(kept);
    let waits = waiting.as_ref().map(Waiting::turn);
    let mut new: Vec<NewMessage> = Vec::new();
    let is_own = |call: &str| waiting.as_ref().is_some_and(|waiting| waiting.is_own(call, registry));
    // Sets, and found once: a client may send very many messages.
    let mut open = open_calls(kept);
    let mut called: Option<HashSet<String>> = None;
    let mut stored: Option<HashSet<&str>> = None;
    for answer in &incoming.answers {
        if open.contains(&*answer.call_id) && !is_own(&answer.call_id) {
            open.remove(&*answer.call_id);
            let body = json!({ "role": "tool", "tool_call_id": answer.call_id, "content": answer.result }).to_string();
            new.push(NewMessage::new(new_message_id(), Role::Tool, body));
        }
    }
    for message in candidates {
        let ids = || kept.iter().map(|message| &*message.id).collect();
        let is_stored = message.id.as_ref().is_some_and(|id| stored.get_or_insert_with(ids).contains(&**id));
        if is_stored && !matches!(incoming.edit, Edit::Add { .. }) {
            continue;
        }
        if message.role == Role::Tool {
            let call = answered_by(&message.body).unwrap_or_default();
            if !open.contains(&call) {
                // One that has its result already, as clients send it that send everything: the first one holds.
                let calls = || kept.iter().flat_map(|message| calls_of(message.role, &message.body)).collect();
                if called.get_or_insert_with(calls).contains(&call) {
                    continue;
                }
                return Err(wrong(format!("`{}` is not the id of a call in this session", shown(&call))));
            }
            if is_own(&call) {
                let own = shown(&call);
                return Err(wrong(format!(
                    "the call `{own}` is the agent's own: it waits for `approvals`, and for no result"
                )));
            }
            open.remove(&call);
        } else {
            open.clear();
        }
        let id = message.id.clone().filter(|_| !is_stored).unwrap_or_else(new_message_id);
        new.push(NewMessage::new(id, message.role, Arc::clone(&message.body)));
    }
    let mut ids = HashSet::new();
    if !new.iter().all(|message| ids.insert(&message.id)) {
        return Err(wrong("two new messages have the same id"));
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
        return Err(wrong(detail));
    }
    let kept = kept.iter().map(|message| &message.body);
    let messages = closed(kept.chain(new.iter().map(|message| &message.body)), open.is_some());
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
    let results: Vec<_> = new.iter().filter_map(|message| answered_by(&message.body)).collect();
    waiting.answered(&results.iter().map(String::as_str).collect());
    let turn = waiting.turn();
    Ok(Some((waiting.decide(approvals, new.is_empty(), registry)?, turn)))
}

/// How much of the history stays, and which of the request's messages may be new: those behind the last assistant's.
fn select<'a>(history: &[Arc<Message>], incoming: &'a Incoming) -> (Option<usize>, &'a [IncomingMessage]) {
    // A cut behind anything else would leave calls open whose results it takes away.
    let stored = |id: &str| history.iter().position(|message| message.role == Role::User && *message.id == *id);
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
    (keep, candidates)
}

/// An id for a message that came without one.
pub(crate) fn new_message_id() -> Arc<str> {
    format!("msg_{}", Uuid::now_v7().simple()).into()
}

fn wrong(detail: impl Into<String>) -> Problem {
    Problem::faults(vec![Fault::pointer("/messages", Code::InvalidBody, detail.into())])
}

#[derive(Deserialize)]
struct Calls {
    #[serde(default)]
    tool_calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    id: String,
}

#[derive(Deserialize)]
struct CallResult {
    tool_call_id: String,
}

/// The ids of the calls of a message: an assistant's alone has any.
fn calls_of(role: Role, body: &str) -> Vec<String> {
    if role != Role::Assistant || !body.contains("\"tool_calls\"") {
        return Vec::new();
    }
    let calls = serde_json::from_str::<Calls>(body).map(|calls| calls.tool_calls).unwrap_or_default();
    calls.into_iter().map(|call| call.id).collect()
}

/// The call that a tool's message answers.
fn answered_by(body: &str) -> Option<String> {
    serde_json::from_str::<CallResult>(body).ok().map(|result| result.tool_call_id)
}

/// The calls at the end of a conversation that nobody has answered.
fn open_calls(messages: &[Arc<Message>]) -> HashSet<String> {
    let results = messages.iter().rev().take_while(|message| message.role == Role::Tool);
    let answered: HashSet<String> = results.filter_map(|result| answered_by(&result.body)).collect();
    let last = messages.iter().rfind(|message| message.role != Role::Tool);
    let calls = last.into_iter().flat_map(|message| calls_of(message.role, &message.body));
    calls.filter(|call| !answered.contains(call)).collect()
}

#[cfg(test)]
mod tests;

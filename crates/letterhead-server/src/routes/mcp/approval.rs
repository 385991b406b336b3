//! A turn that waits for a person, in the words of this protocol: the newest revision answers a call with questions
//! (`input_required`), and the client makes the same call again with the person's answers.

use std::collections::HashMap;

use letterhead::run::{ApprovalAnswer, Outcome, PendingApproval};
use letterhead_context::{Problem, SessionId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::message::Request;
use super::revision::{PER_REQUEST, Revision};
use crate::members::wrong;

/// What a client gives back with the answers. Nothing in it is believed: the session is looked for among the caller's own,
/// and an answer holds for a call that waits there, or for none.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    session: String,
}

/// The answers that a call brings.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) session: SessionId,
    /// Without those that the person put off.
    pub(super) approvals: Vec<ApprovalAnswer>,
}

/// What a client says of one question.
#[derive(Deserialize)]
struct Elicited {
    action: Action,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Accept,
    Decline,
    Cancel,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    approve: bool,
    #[serde(default)]
    reason: Option<String>,
}

/// Can the client ask a person to fill in a form?
pub(super) fn can_ask(request: &Request<'_>, revision: Revision) -> bool {
    if revision != Revision::PerRequest {
        return false;
    }
    let capabilities = request.meta.get::<Map<String, Value>>(PER_REQUEST.capabilities, "an object").ok().flatten();
    let elicitation = capabilities.as_ref().and_then(|all| all.get("elicitation")).and_then(Value::as_object);
    // An empty one means forms, as it did before there were others.
    elicitation.is_some_and(|kinds| kinds.is_empty() || kinds.contains_key("form"))
}

impl Answered {
    /// Reads the answers of a call; none where it is a first one.
    pub(super) fn read(request: &Request<'_>) -> Result<Option<Self>, Problem> {
        let Some(state) = request.params.get::<String>("requestState", "a string").map_err(|_| not_ours())? else {
            return Ok(None);
        };
        let State { session } = serde_json::from_str(&state).map_err(|_| not_ours())?;
        let session = SessionId::parse(&session).map_err(|_| not_ours())?;
        let expected =
            || wrong("/params/inputResponses", "an answer to each question: `action`, and `content` with `approve`");
        let responses =
            request.params.get::<HashMap<String, Elicited>>("inputResponses", "").map_err(|_| expected())?;
        let responses = responses.filter(|responses| !responses.is_empty()).ok_or_else(expected)?;
        let approvals = responses.into_iter().filter_map(|(id, said)| said.answer(id)).collect();
        Ok(Some(Self { session, approvals }))
    }
}

fn not_ours() -> Problem {
    wrong("/params/requestState", "what this server gave with its questions")
}

impl Elicited {
    /// None where the person did not decide.
    fn answer(self, id: String) -> Option<ApprovalAnswer> {
        let content = self.content.unwrap_or(Content { approve: false, reason: None });
        let approved = match self.action {
            Action::Accept => content.approve,
            Action::Decline => false,
            Action::Cancel => return None,
        };
        let reason = content.reason.filter(|reason| !reason.is_empty()).map(Into::into);
        Some(ApprovalAnswer { id: id.into(), approved, reason })
    }
}

/// The questions, as the result of a call.
pub(super) fn questions(outcome: &Outcome, session: &SessionId, meta: &Map<String, Value>) -> Value {
    let questions: Map<String, Value> = outcome
        .approvals
        .iter()
        .map(|call| (call.id.to_string(), question(&outcome.agent, &outcome.output, call)))
        .collect();
    let state = json!(State { session: session.as_str().to_owned() }).to_string();
    json!({ "resultType": "input_required", "inputRequests": questions, "requestState": state, "_meta": meta })
}

fn question(agent: &str, said: &str, call: &PendingApproval) -> Value {
    // On one line, so that nothing in it looks like another question.
    let arguments = match serde_json::from_str::<Value>(&call.arguments) {
        Ok(arguments) => arguments.to_string(),
        Err(_) => call.arguments.escape_debug().to_string(),
    };
    let said = if said.is_empty() { String::new() } else { format!("{said}\n\n") };
    json!({
        "method": "elicitation/create",
        "params": {
            "mode": "form",
            "message": format!("{said}{agent} wants to call {} with {arguments}. Is this call to be made?", call.name),
            "requestedSchema": {
                "type": "object",
                "properties": {
                    "approve": { "type": "boolean", "title": "Make this call", "default": false },
                    "reason": { "type": "string", "title": "Why, or why not" },
                },
                "required": ["approve"],
            },
        },
    })
}

/// For a client that cannot ask: what waits, and that nothing was done.
pub(super) fn unasked(outcome: &Outcome) -> String {
    let calls: Vec<String> =
        outcome.approvals.iter().map(|call| format!("{} with {}", call.name, call.arguments)).collect();
    format!(
        "{} wants to call {}. That needs a person's approval, and this client cannot ask for it (it declares no elicitation): \
         nothing was called. The next message of the session goes on without it.",
        outcome.agent,
        calls.join(", and ")
    )
}

/// For a person who did not decide.
pub(super) const PUT_OFF: &str = "The person has not decided: nothing was called. The next message of the session goes on \
                                  without it.";

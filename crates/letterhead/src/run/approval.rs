//! Tool calls that wait for a person's approval, and what the person says of them.
//!
//! A call that needs approval is not made when the model wants it. The run ends instead, and its [`Outcome`](super::Outcome)
//! says which calls wait. They are open calls of the conversation: an answer of the model with calls that no result follows.
//! A later run that starts with these [`OpenCalls`], decided, makes or refuses them and goes on.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use letterhead_context::Problem;
use serde::{Deserialize, Serialize};

use super::answer::{ToolCall, tool_message};

/// A call that waits for a person's approval.
///
/// Its JSON is what clients are shown: `{"id", "tool_call_id", "name", "arguments"}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingApproval {
    /// What the approval is known by: made of the message that holds the call and the call's place in it. Models use the ids
    /// of calls again; this one is never met twice in a conversation, so an old answer cannot approve a new call.
    pub id: Arc<str>,
    /// The id that the model gave the call.
    #[serde(rename = "tool_call_id")]
    pub call_id: Arc<str>,
    /// The tool, by the name that models call it.
    pub name: Arc<str>,
    /// The arguments' JSON text, as the model wrote it. The call is made with these and no others.
    pub arguments: Arc<str>,
}

/// Without what the model wrote.
impl fmt::Debug for PendingApproval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingApproval")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("arguments_bytes", &self.arguments.len())
            .finish_non_exhaustive()
    }
}

impl PendingApproval {
    /// The answer of a person who wants the call to be made.
    pub fn approve(&self) -> ApprovalAnswer {
        ApprovalAnswer { id: Arc::clone(&self.id), approved: true, reason: None }
    }

    /// The answer of a person who does not. The model is told why.
    pub fn refuse(&self, reason: impl Into<Arc<str>>) -> ApprovalAnswer {
        ApprovalAnswer { id: Arc::clone(&self.id), approved: false, reason: Some(reason.into()) }
    }
}

/// What a person says of a call that waits.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct ApprovalAnswer {
    /// The approval: [`PendingApproval::id`].
    pub id: Arc<str>,
    /// Is the call to be made?
    pub approved: bool,
    /// Why, or why not, in the person's words. The model is told of a refusal's reason.
    #[serde(default)]
    pub reason: Option<Arc<str>>,
}

/// Without what the client wrote.
impl fmt::Debug for ApprovalAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApprovalAnswer").field("approved", &self.approved).finish_non_exhaustive()
    }
}

/// An approval that was answered in a run: the call was made, or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredApproval {
    /// The call.
    pub call: PendingApproval,
    /// Was it approved?
    pub approved: bool,
}

/// Where it is written down that an approved call is about to be made, before it is: so that a call is not made twice, even
/// if the program is stopped while it is made and the same approval is given again.
#[async_trait]
pub trait ApprovedCalls: fmt::Debug + Send + Sync {
    /// Writes down, durably, that the call of this approval is about to be made. False if that was written before: then the
    /// call is not made again, and the model is told that its result is not known.
    ///
    /// # Errors
    ///
    /// If it cannot be written. The call is then not made and stays open, and the run fails with this problem.
    async fn begin(&self, approval: &str) -> Result<bool, Problem>;
}

/// The calls that the last answer of a conversation left open, and what is decided of them.
///
/// ```
/// use letterhead::run::{ApprovalAnswer, OpenCalls};
///
/// let answer = r#"{"role":"assistant","tool_calls":[
///     {"id":"call_1","type":"function","function":{"name":"refund","arguments":"{}"}},
///     {"id":"call_2","type":"function","function":{"name":"get_order","arguments":"{}"}}]}"#;
/// let result = r#"{"role":"tool","tool_call_id":"call_2","content":"shipped"}"#;
/// let mut open = OpenCalls::find("msg_7", "support", answer, [result]).ok_or("all are answered")?;
///
/// assert_eq!(open.calls().map(|call| call.id.to_string()).collect::<Vec<_>>(), ["msg_7:0"]);
/// assert!(open.decide(&ApprovalAnswer { id: "msg_7:0".into(), approved: true, reason: None }));
/// assert!(!open.decide(&ApprovalAnswer { id: "msg_3:0".into(), approved: true, reason: None }));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug)]
pub struct OpenCalls {
    /// The agent whose model called.
    pub(super) agent: Arc<str>,
    pub(super) calls: Vec<OpenCall>,
}

/// A call that has no result yet.
#[derive(Clone, Debug)]
pub(super) struct OpenCall {
    /// What its approval is known by, should it need one.
    pub(super) approval: Arc<str>,
    pub(super) call: ToolCall,
    pub(super) decision: Option<Decision>,
}

/// What becomes of a call that waited.
#[derive(Clone)]
pub(super) enum Decision {
    /// It is made.
    Approved,
    /// It was approved, and cannot be made any more.
    Impossible(String),
    /// It is not made.
    Refused(Option<Arc<str>>),
}

/// Without the person's words.
impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approved => "Approved",
            Self::Impossible(_) => "Impossible",
            Self::Refused(_) => "Refused",
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    tool_calls: Option<Vec<Called>>,
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
struct Called {
    id: Arc<str>,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: Arc<str>,
    arguments: Arc<str>,
}

impl OpenCalls {
    /// The calls of an answer that no result answers. `message_id` and `agent` are those of the message, `answer` is its
    /// body, `results` are the bodies of the messages that follow it, all in OpenAI's form. None if there are none.
    pub fn find<'a>(
        message_id: &str,
        agent: impl Into<Arc<str>>,
        answer: &str,
        results: impl IntoIterator<Item = &'a str>,
    ) -> Option<Self> {
        let body: Body = serde_json::from_str(answer).ok()?;
        let mut calls: Vec<_> = body.tool_calls.into_iter().flatten().enumerate().collect();
        for result in results {
            let answered = serde_json::from_str::<Body>(result).ok().and_then(|body| body.tool_call_id);
            calls.retain(|(_, call)| answered.as_deref() != Some(&*call.id));
        }
        let open = |(at, Called { id, function: Function { name, arguments } }): (usize, Called)| {
            OpenCall::new(message_id, at, ToolCall { id, name, arguments, whole: true })
        };
        let calls: Vec<_> = calls.into_iter().map(open).collect();
        (!calls.is_empty()).then(|| Self { agent: agent.into(), calls })
    }

    /// The calls of an answer that has just come.
    pub(super) fn of_answer(message_id: &str, agent: Arc<str>, calls: Vec<ToolCall>) -> Self {
        let open = |(at, call)| OpenCall::new(message_id, at, call);
        Self { agent, calls: calls.into_iter().enumerate().map(open).collect() }
    }

    /// The agent whose model called.
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// All of them, in the order of the answer, each with the id that its approval would have.
    pub fn calls(&self) -> impl Iterator<Item = PendingApproval> {
        self.calls.iter().map(OpenCall::pending)
    }

    /// Takes a person's answer. False if it is for none of these calls, or for one that is decided.
    pub fn decide(&mut self, answer: &ApprovalAnswer) -> bool {
        let open = self.calls.iter_mut().find(|open| open.approval == answer.id && open.decision.is_none());
        let Some(open) = open else { return false };
        open.decision =
            Some(if answer.approved { Decision::Approved } else { Decision::Refused(answer.reason.clone()) });
        true
    }

    /// Those of them that have no result among these. None if there are none.
    #[must_use]
    pub fn without(mut self, answered: &HashSet<&str>) -> Option<Self> {
        self.calls.retain(|open| !answered.contains(&*open.call.id));
        (!self.calls.is_empty()).then_some(self)
    }

    /// Is any of them approved? Then it is made as [its agent's](Self::agent), whose `requires` have to be met.
    pub fn is_approved(&self) -> bool {
        self.calls.iter().any(|open| matches!(open.decision, Some(Decision::Approved)))
    }

    /// Is any of them decided?
    pub(super) fn is_decided(&self) -> bool {
        self.calls.iter().any(|open| open.decision.is_some())
    }

    /// What was approved cannot be made: for this reason, in words for the model.
    pub(super) fn cannot(&mut self, why: &str) {
        for open in &mut self.calls {
            if matches!(open.decision, Some(Decision::Approved)) {
                open.decision = Some(Decision::Impossible(why.to_owned()));
            }
        }
    }
}

impl OpenCall {
    fn new(message_id: &str, at: usize, call: ToolCall) -> Self {
        Self { approval: format!("{message_id}:{at}").into(), call, decision: None }
    }

    pub(super) fn pending(&self) -> PendingApproval {
        PendingApproval {
            id: Arc::clone(&self.approval),
            call_id: Arc::clone(&self.call.id),
            name: Arc::clone(&self.call.name),
            arguments: Arc::clone(&self.call.arguments),
        }
    }
}

/// What a model is told of a call that was left without a result, as a message in OpenAI's form: models take no conversation
/// in which a call has none.
pub fn unanswered(call_id: &str) -> Arc<str> {
    tool_message(call_id, "This call was not answered. If it needed approval, it was not made.").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_one_whatever_else_its_client_writes_out() {
        let answer = r#"{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"look","arguments":"{}"}}],"refusal":null}"#;
        let open = |result| OpenCalls::find("m", "support", answer, [result]);
        assert!(open(r#"{"role":"tool","tool_call_id":"a","content":"","tool_calls":null}"#).is_none());
        assert!(open(r#"{"role":"tool","tool_call_id":"b","content":"","tool_calls":null}"#).is_some());
    }
}

//! Calls at the end of a stored conversation that wait: for a client's result, or for a person's approval.

use std::collections::HashSet;
use std::sync::Arc;

use letterhead::Registry;
use letterhead::run::{ApprovalAnswer, OpenCalls, PendingApproval};
use letterhead_context::{Code, Fault, Problem};
use letterhead_store::{Message, Role, Session, Status};

use crate::error::shown;

/// The end of a conversation: the last answer of a model that called something, and the results that follow it.
pub(super) struct Waiting<'a> {
    answer: &'a Message,
    /// The calls without a result.
    open: Option<OpenCalls>,
    has_results: bool,
}

impl<'a> Waiting<'a> {
    /// Looks at the end of a history. None if it ends with something else.
    pub(super) fn at_end_of(history: &'a [Arc<Message>]) -> Option<Self> {
        let at = history.iter().rposition(|message| message.role != Role::Tool)?;
        let (answer, results) = history.get(at..)?.split_first()?;
        // What a client did not wait for may be cut off: nobody was asked about its calls.
        if answer.role != Role::Assistant || answer.status != Status::Complete {
            return None;
        }
        // Nor does what was given up wait any more.
        if results.iter().any(|result| result.status == Status::Incomplete) {
            return None;
        }
        let agent = answer.agent.clone().unwrap_or_default();
        let open = OpenCalls::find(&answer.id, agent, &answer.body, results.iter().map(|result| &*result.body));
        Some(Self { answer, open, has_results: !results.is_empty() })
    }

    /// The turn that waits.
    pub(super) fn turn(&self) -> u64 {
        self.answer.turn
    }

    /// Is the call one of the agent's own tools? Nobody but the server answers it.
    pub(super) fn is_own(&self, call_id: &str, registry: &Registry) -> bool {
        let Some(open) = &self.open else { return false };
        let call = open.calls().find(|call| *call.call_id == *call_id);
        call.is_some_and(|call| registry.has_tool(open.agent(), &call.name))
    }

    /// Takes the results of calls, by the calls' ids: those are not open any more.
    pub(super) fn answered(&mut self, calls: &HashSet<&str>) {
        self.open = self.open.take().and_then(|open| open.without(calls));
    }

    /// Takes a person's answers, and gives the calls that are open, so decided. What answers none of them is passed over, as
    /// long as one does: among them answers to calls that nobody was asked about, handoffs and those of the client's tools.
    ///
    /// # Errors
    ///
    /// 400 for two answers to one question; and if they come alone and none of them answers a call that waits, unless all of
    /// them answer calls that were decided in a turn that failed afterwards: then that goes on.
    pub(super) fn decide(
        mut self,
        answers: &[ApprovalAnswer],
        alone: bool,
        registry: &Registry,
    ) -> Result<Option<OpenCalls>, Problem> {
        let mut ids = HashSet::new();
        if let Some(at) = answers.iter().position(|answer| !ids.insert(&answer.id)) {
            let detail = format!("there are two answers for the approval `{}`", shown(&answers_id(answers, at)));
            return Err(fault(format!("/approvals/{at}/id"), detail));
        }
        let mut taken = 0;
        if let Some(open) = &mut self.open {
            let asked: HashSet<_> = asked_of(open, registry).map(|call| call.id).collect();
            taken = answers.iter().filter(|answer| asked.contains(&answer.id) && open.decide(answer)).count();
        }
        let of_this =
            |answer: &ApprovalAnswer| answer.id.rsplit_once(':').is_some_and(|(id, _)| *id == *self.answer.id);
        if alone && taken == 0 && !(self.has_results && answers.iter().all(of_this)) {
            return Err(nothing_waits());
        }
        Ok(self.open)
    }
}

/// The turn that a session waits in, and the calls that it waits for. None where it does not wait.
pub(crate) fn waits(session: &Session) -> Option<(u64, Vec<PendingApproval>)> {
    let waiting = Waiting::at_end_of(&session.messages)?;
    let calls: Vec<_> = waiting.open.iter().flat_map(OpenCalls::calls).collect();
    (!calls.is_empty()).then(|| (waiting.turn(), calls))
}

/// The calls that a session waits for a person to decide: not handoffs, and not those of the client's tools.
pub(crate) fn asked(session: &Session, registry: &Registry) -> Vec<PendingApproval> {
    let waiting = Waiting::at_end_of(&session.messages);
    let open = waiting.and_then(|waiting| waiting.open);
    open.iter().flat_map(|open| asked_of(open, registry)).collect()
}

fn asked_of(open: &OpenCalls, registry: &Registry) -> impl Iterator<Item = PendingApproval> {
    let agent = open.agent();
    open.calls().filter(move |call| registry.can_wait(agent, &call.name))
}

fn answers_id(answers: &[ApprovalAnswer], at: usize) -> Arc<str> {
    answers.get(at).map(|answer| Arc::clone(&answer.id)).unwrap_or_default()
}

/// Approvals that answer nothing.
pub(super) fn nothing_waits() -> Problem {
    let detail = "none of these is the id of a call that waits for approval in this session: it was answered already, or the \
                  conversation has gone on without it";
    fault("/approvals".to_owned(), detail.to_owned())
}

/// Approvals that come where they cannot be taken.
pub(super) fn fault(pointer: String, detail: String) -> Problem {
    Problem::faults(vec![Fault::pointer(pointer, Code::InvalidBody, detail)])
}

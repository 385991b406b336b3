//! A run makes the calls of an answer, and knows whether it can go on then or has to wait for somebody.

use std::sync::Arc;

use letterhead_store::{NewMessage, Role};

use super::approval::{OpenCalls, PendingApproval, unanswered};
use super::event::RunEvent;
use super::tool_calls::{CallResult, Handling, Round};
use super::turn::{RunLoop, Stop, message_id};
use crate::model::FinishReason;

impl RunLoop<'_> {
    /// Goes on with the calls that an earlier answer left open, as the agent whose calls they are. Says how the run ends, if
    /// it has to wait once more.
    pub(super) async fn go_on(&mut self, mut open: OpenCalls) -> Result<Option<FinishReason>, Stop> {
        let asked = self.context.clone();
        if self.shared.registry.prepared(&open.agent).is_none() {
            open.cannot(&format!("The agent {} is gone, and this call with it: it was not made.", open.agent));
        } else if *open.agent != *asked.agent() {
            self.context = asked.handed_to(&open.agent);
        }
        if let Err(stop) = self.offer_mcp().await {
            // Nothing was decided, and all of it waits on.
            let registry = self.shared.registry;
            self.outcome.approvals = open.calls().filter(|call| registry.can_wait(&open.agent, &call.name)).collect();
            return Err(stop);
        }
        let waits = self.handle(&open, true).await;
        if *self.outcome.agent == *asked.agent() {
            self.context = asked;
        }
        waits
    }

    /// Makes the calls of an answer. Says how the run ends, if it has to wait for the client or a person.
    pub(super) async fn handle(&mut self, open: &OpenCalls, goes_on: bool) -> Result<Option<FinishReason>, Stop> {
        let round = Round {
            shared: self.shared,
            context: &self.context,
            agent: self.prepared()?,
            mcp: self.mcp.as_ref(),
            history: self.history.as_ref(),
            input: &self.input,
            events: &self.events,
            depth: self.depth,
            goes_on,
        };
        let handling = round.handle(&open.calls).await;
        let Handling { results, handed_to, client_calls, approvals, answered, failed, left, .. } = handling;
        self.outcome.usage += handling.usage;
        self.outcome.children.extend(handling.children);
        self.outcome.had_effects |= handling.had_effects;
        self.outcome.note(handling.trail);
        for CallResult { body, is_decided } in results {
            let mut message = NewMessage::new(message_id(), Role::Tool, body);
            message.agent = Some(self.context.shared_agent());
            message.lasting = is_decided;
            self.add(message);
        }
        if let Some(target) = handed_to {
            let from = self.context.shared_agent();
            self.context = self.context.handed_to(&target);
            self.asked_again = false;
            self.outcome.agent = Arc::clone(&target);
            let done = Arc::clone(&from);
            self.events.emit(|| RunEvent::AgentCompleted { agent: done }).await;
            self.events.emit(|| RunEvent::HandedOver { from, to: target }).await;
        }
        self.outcome.answered.extend(answered);
        if goes_on {
            // However the run ends, they wait on.
            self.outcome.approvals.clone_from(&approvals);
        }
        if let Some(problem) = failed {
            return Err(problem.into());
        }
        if self.shared.cancelled.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        if goes_on && approvals.is_empty() && (client_calls.is_empty() || !open.is_decided()) {
            // The model takes no conversation in which a call has no result.
            let passed_over = left.iter().chain(client_calls.iter().map(|call| &call.id));
            self.input.messages.extend(passed_over.map(|call| unanswered(call)));
            return Ok(None);
        }
        for (index, call) in client_calls.iter().enumerate() {
            let (id, name, arguments) = (Arc::clone(&call.id), Arc::clone(&call.name), Arc::clone(&call.arguments));
            self.events.emit(|| RunEvent::ClientToolCall { index, id, name, arguments }).await;
        }
        for PendingApproval { id, call_id, name, arguments } in approvals.iter().cloned() {
            self.events.emit(|| RunEvent::ApprovalRequested { id, call_id, name, arguments }).await;
        }
        self.outcome.client_calls = client_calls.into_iter().map(|call| (call.id, call.name, call.arguments)).collect();
        self.outcome.approvals = approvals;
        Ok(match (self.outcome.client_calls.is_empty(), self.outcome.approvals.is_empty()) {
            (true, true) => None,
            (true, false) => Some(FinishReason::Stop),
            (false, _) => Some(FinishReason::ToolCalls),
        })
    }
}

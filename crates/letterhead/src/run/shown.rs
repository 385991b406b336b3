//! What `Debug` shows of runs: names, ids and lengths. What people and models say is for the program, not for its logs.

use std::fmt::{Debug, Formatter, Result};

use super::event::RunEvent;
use super::outcome::{Outcome, RunInput};
use super::result::{RunError, RunResult};

/// The length of a text that is not shown.
struct Length(usize);

impl Length {
    fn of(text: &str) -> Self {
        Self(text.len())
    }
}

impl Debug for Length {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} bytes", self.0)
    }
}

impl Debug for RunEvent {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::RunStarted { agent } => f.debug_struct("RunStarted").field("agent", agent).finish(),
            Self::RunCompleted { agent, usage } => {
                f.debug_struct("RunCompleted").field("agent", agent).field("usage", usage).finish()
            }
            Self::RunFailed { problem } => {
                f.debug_struct("RunFailed").field("code", &problem.code()).finish_non_exhaustive()
            }
            Self::RunCancelled { agent } => f.debug_struct("RunCancelled").field("agent", agent).finish(),
            Self::ModelCallStarted { agent, model, step } => {
                let mut shown = f.debug_struct("ModelCallStarted");
                shown.field("agent", agent).field("model", model).field("step", step).finish()
            }
            Self::Text(text) => f.debug_tuple("Text").field(&Length::of(text)).finish(),
            Self::Reasoning(text) => f.debug_tuple("Reasoning").field(&Length::of(text)).finish(),
            Self::Refusal(text) => f.debug_tuple("Refusal").field(&Length::of(text)).finish(),
            Self::ModelCallCompleted { agent, usage, finish } => {
                let mut shown = f.debug_struct("ModelCallCompleted");
                shown.field("agent", agent).field("usage", usage).field("finish", finish).finish()
            }
            Self::ToolStarted { id, name, arguments } => call(f, "ToolStarted", id, name, arguments),
            Self::ToolCompleted { id, name, result, is_error } => {
                let mut shown = f.debug_struct("ToolCompleted");
                shown.field("id", id).field("name", name).field("result", &Length::of(result));
                shown.field("is_error", is_error).finish()
            }
            Self::ClientToolCall { id, name, arguments, .. } => call(f, "ClientToolCall", id, name, arguments),
            Self::ApprovalRequested { id, name, arguments, .. } => call(f, "ApprovalRequested", id, name, arguments),
            Self::ApprovalAnswered { id, name, approved, .. } => {
                let mut shown = f.debug_struct("ApprovalAnswered");
                shown.field("id", id).field("name", name).field("approved", approved).finish_non_exhaustive()
            }
            Self::AgentCompleted { agent } => f.debug_struct("AgentCompleted").field("agent", agent).finish(),
            Self::HandedOver { from, to } => f.debug_struct("HandedOver").field("from", from).field("to", to).finish(),
            Self::Child { agent, call_id, event } => {
                let mut shown = f.debug_struct("Child");
                shown.field("agent", agent).field("call_id", call_id).field("event", event).finish()
            }
        }
    }
}

fn call(f: &mut Formatter<'_>, what: &str, id: &str, name: &str, arguments: &str) -> Result {
    let mut shown = f.debug_struct(what);
    shown.field("id", &id).field("name", &name).field("arguments", &Length::of(arguments)).finish_non_exhaustive()
}

impl Debug for RunInput {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("RunInput")
            .field("messages", &self.messages.len())
            .field("client_instructions", &self.client_instructions.len())
            .field("client_tools", &self.client_tools.iter().map(|tool| tool.name()).collect::<Vec<_>>())
            .field("params", &self.params.keys().collect::<Vec<_>>())
            .field("stream", &self.stream)
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl Debug for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Outcome")
            .field("end", &self.end)
            .field("messages", &self.messages)
            .field("output", &Length::of(&self.output))
            .field("client_calls", &self.client_calls.iter().map(|(_, name, _)| name).collect::<Vec<_>>())
            .field("approvals", &self.approvals.iter().map(|call| &call.name).collect::<Vec<_>>())
            .field("usage", &self.usage)
            .field("agent", &self.agent)
            .field("model", &self.model)
            .field("had_effects", &self.had_effects)
            .finish_non_exhaustive()
    }
}

impl Debug for RunResult {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("RunResult")
            .field("output", &Length::of(&self.output))
            .field("refusal", &Length::of(&self.refusal))
            .field("finish", &self.finish)
            .field("messages", &self.messages.len())
            .field("approvals", &self.approvals.iter().map(|call| &call.name).collect::<Vec<_>>())
            .field("usage", &self.usage)
            .field("current_agent", &self.current_agent)
            .field("kept", &self.kept)
            .field("trail", &self.trail)
            .finish_non_exhaustive()
    }
}

impl Debug for RunError {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("RunError");
        shown.field("problem", &self.problem).field("output", &Length::of(&self.output)).field("usage", &self.usage);
        shown.finish_non_exhaustive()
    }
}

//! Asking another agent: a run of its own, with the same caller and the same headers.

use std::sync::Arc;

use letterhead_context::TrailEntry;
use serde::Deserialize;
use serde_json::json;

use super::answer::ToolCall;
use super::tool_calls::{Round, ToolResult};
use super::turn::{Outcome, RunEnd, RunInput, drive};
use crate::model::Usage;

/// What a child answered, and what it cost.
pub(super) struct ChildAnswer {
    pub(super) result: ToolResult,
    pub(super) usage: Usage,
    pub(super) trail: Vec<TrailEntry>,
    pub(super) had_effects: bool,
}

/// The arguments of `ask_agent`. None of them can name a caller.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    agent: Arc<str>,
    input: String,
}

impl From<ToolResult> for ChildAnswer {
    fn from(result: ToolResult) -> Self {
        Self { result, usage: Usage::default(), trail: Vec::new(), had_effects: false }
    }
}

/// Asks the agent that the call names.
pub(super) async fn ask(round: &Round<'_>, call: &ToolCall) -> ChildAnswer {
    let Ok(question) = serde_json::from_str::<Question>(&call.arguments) else {
        return ToolResult::error("The arguments must be {\"agent\": …, \"input\": …}, and nothing else.").into();
    };
    let Some(delegate) = round.agent.agent.delegates().iter().find(|delegate| delegate.agent == question.agent) else {
        let known = round.agent.agent.delegates().iter().map(|delegate| &*delegate.agent).collect::<Vec<_>>().join(", ");
        return ToolResult::error(format!("This agent may not ask {}. It may ask: {known}", question.agent)).into();
    };
    if let Some(missing) = missing_header(round, &question.agent) {
        return ToolResult::error(format!("{} needs the header `{missing}`, which was not sent.", question.agent)).into();
    }
    if round.depth + 1 > round.shared.limits.depth {
        return ToolResult::error("No further agent can be asked: agents have asked agents too deep already.").into();
    }
    if !round.shared.count.start(round.shared.limits.runs) {
        return ToolResult::error("No further agent can be asked in this turn.").into();
    }
    let own = json!({ "role": "user", "content": question.input }).to_string();
    let mut messages = if delegate.history { without_open_calls(&round.input.messages) } else { Vec::new() };
    messages.push(own.into());
    let input = RunInput {
        messages,
        stream: round.input.stream && round.events.is_listening(),
        state: round.input.state.clone(),
        ..RunInput::default()
    };
    let context = round.context.child(&question.agent, None);
    let events = round.events.of_child(&question.agent, &call.id);
    // Boxed: a run may ask a run.
    let outcome = Box::pin(drive(round.shared, context, input, events, round.depth + 1)).await;
    answer_of(&question.agent, outcome)
}

fn answer_of(agent: &str, outcome: Outcome) -> ChildAnswer {
    let result = match outcome.end {
        RunEnd::Complete(_) => ToolResult::ok(if outcome.output.is_empty() { outcome.refusal } else { outcome.output }),
        RunEnd::Cancelled => ToolResult::error(format!("{agent} was interrupted.")),
        RunEnd::Failed(problem) => ToolResult::error(format!("{agent} failed: {}", problem.detail())),
    };
    ChildAnswer { result, usage: outcome.usage, trail: outcome.trail, had_effects: outcome.had_effects }
}

/// A header that the agent requires and this turn does not have.
pub(super) fn missing_header(round: &Round<'_>, agent: &str) -> Option<Arc<str>> {
    let target = round.shared.registry.agent(agent)?;
    target.requires().iter().find(|field| !round.context.headers().has(field)).cloned()
}

/// The conversation up to the answer whose calls are being made: a model cannot be shown calls without results.
fn without_open_calls(messages: &[Arc<str>]) -> Vec<Arc<str>> {
    messages.split_last().map(|(_, earlier)| earlier.to_vec()).unwrap_or_default()
}

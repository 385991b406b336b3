//! Asking another agent: a run of its own, with the same caller and the same headers.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::ToolCall;
use super::outcome::{Outcome, RunEnd, RunInput};
use super::tool_calls::{Made, Round};
use super::turn::drive;

/// The arguments of `ask_agent`. None of them can name a caller.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    agent: Arc<str>,
    input: String,
    #[serde(default)]
    model: Option<String>,
}

/// Asks the agent that the call names.
pub(super) async fn ask(round: &Round<'_>, call: &ToolCall) -> Made {
    match child(round, call) {
        Ok(child) => {
            let events = round.events.of_child(&child.agent, &call.id);
            let context = round.context.child(&child.agent, child.model.as_deref());
            // Boxed: a run may ask a run.
            let outcome = Box::pin(drive(round.shared, context, child.input, events, round.depth + 1)).await;
            answer_of(&child.agent, outcome)
        }
        Err(why) => Made::error(why),
    }
}

/// A child that may run.
struct Child {
    agent: Arc<str>,
    model: Option<String>,
    input: RunInput,
}

/// Checks a question. If it cannot be asked, gives the reason in words for the model.
fn child(round: &Round<'_>, call: &ToolCall) -> Result<Child, String> {
    let registry = round.shared.registry;
    let Ok(Question { agent, input, model }) = serde_json::from_str(&call.arguments) else {
        let model = if registry.allows_models() { ", \"model\": …" } else { "" };
        return Err(format!("The arguments must be {{\"agent\": …, \"input\": …{model}}}, and nothing else."));
    };
    let delegates = round.agent.agent.delegates();
    let Some(delegate) = delegates.iter().find(|delegate| delegate.agent == agent) else {
        let known = delegates.iter().map(|delegate| &*delegate.agent).collect::<Vec<_>>().join(", ");
        return Err(format!("This agent may not ask {agent}. It may ask: {known}"));
    };
    if let Some(name) = &model
        && (!registry.allows_models() || registry.allowed_model(name).is_none())
    {
        return Err(format!("The model {name} cannot be chosen. Leave `model` out for the agent's own."));
    }
    if let Some(missing) = missing_header(round, &agent) {
        return Err(format!("{agent} needs the header `{missing}`, which was not sent."));
    }
    if round.depth >= round.shared.limits.depth {
        return Err("No further agent can be asked: agents have asked agents too deep already.".to_owned());
    }
    if !round.shared.count.start(round.shared.limits.runs) {
        return Err("No further agent can be asked in this turn: too many have been.".to_owned());
    }
    let mut messages = if delegate.history { without_open_calls(&round.input.messages) } else { Vec::new() };
    messages.push(json!({ "role": "user", "content": input }).to_string().into());
    let input = RunInput {
        messages,
        params: for_child(&round.input.params),
        stream: round.input.stream && round.events.is_listening(),
        state: round.input.state.clone(),
        ..RunInput::default()
    };
    Ok(Child { agent, model, input })
}

fn answer_of(agent: &str, outcome: Outcome) -> Made {
    let Outcome { end, output, refusal, usage, trail, had_effects, .. } = outcome;
    let made = match end {
        RunEnd::Complete(_) => Made::ok(if output.is_empty() { refusal } else { output }),
        RunEnd::Cancelled => Made::error(format!("{agent} was interrupted.")),
        RunEnd::Failed(problem) => Made::error(format!("{agent} failed: {}", problem.detail())),
    };
    Made { usage, trail, had_effects, ..made }
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

/// The run's request fields, without the form that its own answer has to have: a child answers its parent.
fn for_child(params: &Map<String, Value>) -> Map<String, Value> {
    let mut params = params.clone();
    params.shift_remove("response_format");
    params
}

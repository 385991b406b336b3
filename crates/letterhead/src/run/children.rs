//! Asking another agent: a run of its own, with the same caller and the same headers.

use std::sync::Arc;

use letterhead_store::{ChildRun, NewMessage, Role, Status};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::ToolCall;
use super::external;
use super::outcome::{Outcome, RunEnd, RunInput};
use super::tool_calls::{Made, Round};
use super::turn::{drive, message_id};
use crate::tool::PreparedExternalAgent;

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
        Ok(Asked::External(agent, input)) => {
            let said = Arc::default();
            // Boxed: every run would have to have the room for it.
            let made = Box::pin(external::ask(round, agent, &input, call, &said)).await;
            let child = abroad(agent, &input, call, &made, said.take(), round.shared.cancelled.is_cancelled());
            Made { child: Some(child), ..made }
        }
        Ok(Asked::Child(child)) => {
            let events = round.events.of_child(&child.agent, &call.id);
            let context = round.context.child(&child.agent, child.model.as_deref());
            let question = child.input.messages.last().map(question);
            // Boxed: a run may ask a run.
            let outcome = Box::pin(drive(round.shared, context, child.input, events, round.depth + 1)).await;
            answer_of(child.agent, call, question, outcome)
        }
        Err(why) => Made::error(why),
    }
}

/// Who may be asked.
enum Asked<'a> {
    Child(Box<Child>),
    /// An agent on another machine, and what it is asked.
    External(&'a PreparedExternalAgent, String),
}

/// A child that may run.
struct Child {
    agent: Arc<str>,
    model: Option<String>,
    input: RunInput,
}

/// Checks a question. If it cannot be asked, gives the reason in words for the model.
fn child<'a>(round: &Round<'a>, call: &ToolCall) -> Result<Asked<'a>, String> {
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
    let external = registry.external_agent(&agent);
    if external.is_some() && model.is_some() {
        return Err(format!("{agent} has a model of its own, which cannot be chosen. Leave `model` out."));
    }
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
    if let Some(external) = external {
        return Ok(Asked::External(external, input));
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
    Ok(Asked::Child(Box::new(Child { agent, model, input })))
}

fn answer_of(agent: Arc<str>, call: &ToolCall, question: Option<NewMessage>, outcome: Outcome) -> Made {
    let Outcome { end, output, refusal, usage, trail, had_effects, messages, children, .. } = outcome;
    let status = match end {
        RunEnd::Complete(_) => Status::Complete,
        RunEnd::Cancelled => Status::Incomplete,
        RunEnd::Failed(_) => Status::Failed,
    };
    let made = match end {
        RunEnd::Complete(_) => Made::ok(if output.is_empty() { refusal } else { output }),
        RunEnd::Cancelled => Made::error(format!("{agent} was interrupted.")),
        RunEnd::Failed(problem) => Made::error(format!("{agent} failed: {}", problem.detail())),
    };
    let messages = question.into_iter().chain(messages).collect();
    let child = ChildRun { agent, call_id: Arc::clone(&call.id), status, usage, messages, children };
    Made { usage, trail, had_effects, child: Some(child), ..made }
}

/// What is kept of an agent on another machine: what it was asked, and what it answered.
fn abroad(
    agent: &PreparedExternalAgent,
    input: &str,
    call: &ToolCall,
    made: &Made,
    said: String,
    is_cancelled: bool,
) -> ChildRun {
    let status = match (made.is_error, is_cancelled) {
        (false, _) => Status::Complete,
        (true, true) => Status::Incomplete,
        (true, false) => Status::Failed,
    };
    let asked = json!({ "role": "user", "content": input }).to_string().into();
    let mut messages = vec![question(&asked)];
    let (text, came) = if made.is_error { (said, Status::Incomplete) } else { (made.text.clone(), Status::Complete) };
    if !made.is_error || !text.is_empty() {
        let body = json!({ "role": "assistant", "content": text }).to_string();
        let answer = NewMessage::new(message_id(), Role::Assistant, body);
        messages.push(NewMessage { agent: Some(Arc::clone(&agent.endpoint.name)), status: came, ..answer });
    }
    let (name, call_id) = (Arc::clone(&agent.endpoint.name), Arc::clone(&call.id));
    ChildRun { agent: name, call_id, status, usage: made.usage, messages, children: Vec::new() }
}

/// What a child is asked, as a message.
fn question(body: &Arc<str>) -> NewMessage {
    NewMessage::new(message_id(), Role::User, Arc::clone(body))
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

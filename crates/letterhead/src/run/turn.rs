//! The loop: model, tools, model, …, answer.

use std::sync::Arc;

use letterhead_context::{
    Code, LlmDestination, Problem, Rendered, RequestContext, Sink, TrailEntry, View, header_view, note_instructions,
};
use letterhead_store::{NewMessage, Role, Status};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, ToolCall};
use super::event::{Events, RunEvent};
use super::limits::{Limits, RunCount};
use super::tool_calls::{Handling, Round};
use crate::agent::Instructions;
use crate::model::{FinishReason, ModelCall, ToolSpec, Usage};
use crate::registry::{ModelRef, Prepared, PreparedProvider, Registry};
use crate::tool::State;

/// What a run starts from.
#[derive(Clone, Debug, Default)]
pub struct RunInput {
    /// The conversation, each message as raw JSON in OpenAI's form, the new one last.
    pub messages: Vec<Arc<str>>,
    /// System and developer messages of the client: they follow the agent's instructions, in this request alone.
    pub client_instructions: Vec<Arc<str>>,
    /// Tools that the client runs.
    pub client_tools: Vec<Arc<ToolSpec>>,
    /// Which tool the model has to call, in OpenAI's form.
    pub tool_choice: Option<Box<RawValue>>,
    /// Request fields of this run. They win over the agent's and the provider's.
    pub params: Map<String, Value>,
    /// Ask the provider to stream.
    pub stream: bool,
    /// The session's shared object.
    pub state: State,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunEnd {
    /// With an answer, or with calls of the client's tools.
    Complete(FinishReason),
    /// It was cancelled; what came before is kept.
    Cancelled,
    /// It failed.
    Failed(Problem),
}

/// What came out of a run, however it ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: RunEnd,
    /// What was said, in order: answers, tool results.
    pub messages: Vec<NewMessage>,
    /// The text of the last answer, as far as it came.
    pub output: String,
    /// A refusal instead of an answer.
    pub refusal: String,
    /// The calls of the client's tools, as `(id, name, arguments)`.
    pub client_calls: Vec<(Arc<str>, Arc<str>, Arc<str>)>,
    /// What all model calls cost together, those of children included.
    pub usage: Usage,
    /// The agent that has the conversation now.
    pub agent: Arc<str>,
    /// The model that answered last, as `provider:model`.
    pub model: Arc<str>,
    /// Which header went where.
    pub trail: Vec<TrailEntry>,
    /// Has a tool run that may have changed something outside?
    pub had_effects: bool,
}

/// What all runs of one turn share.
pub(crate) struct Shared<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) limits: Limits,
    pub(crate) count: RunCount,
    pub(crate) cancelled: CancellationToken,
}

impl Registry {
    /// Runs a turn: the context's agent, its tools, and whoever it hands over to or asks.
    ///
    /// Cancelling ends the run at once; what came so far is in the outcome.
    pub async fn run(
        &self,
        context: RequestContext,
        input: RunInput,
        limits: Limits,
        cancelled: CancellationToken,
        events: Events,
    ) -> Outcome {
        let count = RunCount::default();
        count.start(limits.runs);
        let shared = Shared { registry: self, limits, count, cancelled };
        drive(&shared, context, input, events, 0).await
    }
}

/// Why a run stopped before its end.
pub(super) enum Stop {
    Cancelled,
    Problem(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// Runs one agent loop. Children are runs of their own, `depth` levels down.
pub(super) async fn drive(
    shared: &Shared<'_>,
    context: RequestContext,
    input: RunInput,
    events: Events,
    depth: u32,
) -> Outcome {
    let outcome = Outcome {
        end: RunEnd::Cancelled,
        messages: Vec::new(),
        output: String::new(),
        refusal: String::new(),
        client_calls: Vec::new(),
        usage: Usage::default(),
        agent: context.shared_agent(),
        model: Arc::from(""),
        trail: Vec::new(),
        had_effects: false,
    };
    let mut run = RunLoop { shared, context, input, events, depth, outcome, noted: Vec::new() };
    run.outcome.end = match run.turns().await {
        Ok(finish) => RunEnd::Complete(finish),
        Err(Stop::Cancelled) => RunEnd::Cancelled,
        Err(Stop::Problem(problem)) if run.outcome.had_effects => RunEnd::Failed(problem.with_should_retry(false)),
        Err(Stop::Problem(problem)) => RunEnd::Failed(problem),
    };
    run.outcome
}

struct RunLoop<'a> {
    shared: &'a Shared<'a>,
    context: RequestContext,
    input: RunInput,
    events: Events,
    depth: u32,
    outcome: Outcome,
    /// The agents and providers whose headers are in the trail already: every call of a run carries the same.
    noted: Vec<(Arc<str>, Arc<str>)>,
}

impl RunLoop<'_> {
    async fn turns(&mut self) -> Result<FinishReason, Stop> {
        let agent = self.context.shared_agent();
        self.events.emit(|| RunEvent::RunStarted { agent }).await;
        for step in 1..=self.shared.limits.max_turns {
            let answer = self.call_model(step).await?;
            if answer.tool_calls.is_empty() {
                return Ok(answer.finish.unwrap_or(FinishReason::Stop));
            }
            if self.handle(&answer.tool_calls).await? {
                return Ok(FinishReason::ToolCalls);
            }
            // A tool that had to be called has been.
            self.input.tool_choice = None;
        }
        let limit = self.shared.limits.max_turns;
        let detail = format!("the run made {limit} model calls and had not come to an end; see `limits.max_turns`");
        Err(Problem::new(Code::MaxTurnsExceeded, detail).with_should_retry(false).into())
    }

    fn prepared(&self) -> Result<&Prepared, Problem> {
        let name = self.context.agent();
        self.shared
            .registry
            .prepared(name)
            .ok_or_else(|| Problem::new(Code::AgentNotFound, format!("there is no agent `{name}`")))
    }

    async fn call_model(&mut self, step: u32) -> Result<Answer, Stop> {
        let prepared = self.prepared()?;
        let registry = self.shared.registry;
        let name = self.context.model().or(prepared.agent.model()).unwrap_or(registry.default_model());
        let model =
            registry.model(name).ok_or_else(|| Problem::new(Code::ModelNotFound, format!("there is no model `{name}`")))?;
        let provider =
            registry.provider(&model).ok_or_else(|| Problem::new(Code::ModelNotFound, "the provider is gone"))?;
        let (call, trail) = self.prepare_call(prepared, provider, &model)?;
        let (agent, chat_model) = (prepared.agent.shared_name(), Arc::clone(&provider.model));
        self.note(&agent, &provider.destination.clone(), trail);
        self.outcome.model = Arc::clone(&model.name);
        let (by, which) = (Arc::clone(&agent), Arc::clone(&model.name));
        self.events.emit(|| RunEvent::ModelCallStarted { agent: by, model: which, step }).await;

        let mut answer = Answer::default();
        let done = tokio::select! {
            biased;
            () = self.shared.cancelled.cancelled() => Err(Stop::Cancelled),
            done = async {
                let stream = chat_model.call(call).await?;
                answer.read(stream, &self.events).await
            } => done.map_err(|error| Stop::Problem(error.problem())),
        };
        self.outcome.usage += answer.usage;
        self.keep(&agent, &answer, done.is_ok());
        done?;
        let (usage, finish) = (answer.usage, answer.finish.unwrap_or(FinishReason::Stop));
        self.events.emit(|| RunEvent::ModelCallCompleted { agent, usage, finish }).await;
        Ok(answer)
    }

    /// Everything of one call, and what is noted of it.
    fn prepare_call(
        &self,
        prepared: &Prepared,
        provider: &PreparedProvider,
        model: &ModelRef,
    ) -> Result<(ModelCall, Vec<TrailEntry>), Problem> {
        let state = self.input.state.snapshot();
        let mut trail = Vec::new();
        let instructions: Arc<str> = match (&prepared.instructions, prepared.agent.instructions()) {
            (Some(template), _) => {
                note_instructions(template, &self.context, &mut trail);
                match template.as_literal() {
                    Some(text) => Arc::from(text),
                    None => {
                        let view = View::with(Sink::Instructions, &self.context, Some(Arc::clone(&state)), None);
                        match template.render(&view) {
                            Ok(Rendered::Text(text)) => Arc::from(text),
                            Ok(_) => Arc::from(""),
                            Err(error) => {
                                let detail = format!("agents.{}.instructions: {error}", prepared.agent.name());
                                return Err(Problem::new(Code::TemplateFailed, detail));
                            }
                        }
                    }
                }
            }
            (None, Instructions::Function(make)) => Arc::from(make(&self.context)),
            (None, Instructions::Text(_)) => Arc::from(""),
        };
        let destination = LlmDestination {
            name: &provider.destination,
            credential: provider.credential.as_ref(),
            provider: &provider.headers,
            agent: &prepared.headers,
            budget: provider.budget,
        };
        let headers = destination.headers(&self.context, &header_view(&self.context, Some(state)), &mut trail)?;
        let messages = self.input.client_instructions.iter().chain(&self.input.messages).cloned().collect();
        let tools = prepared.specs.iter().chain(&self.input.client_tools).cloned().collect();
        let call = ModelCall {
            model: Arc::clone(&model.model),
            instructions: (!instructions.trim().is_empty()).then_some(instructions),
            messages,
            tools,
            tool_choice: self.input.tool_choice.clone(),
            params: merged([&provider.params, prepared.agent.params(), &self.input.params]),
            output: prepared.agent.output().cloned(),
            headers,
            stream: self.input.stream,
        };
        Ok((call, trail))
    }

    fn note(&mut self, agent: &Arc<str>, destination: &Arc<str>, trail: Vec<TrailEntry>) {
        let seen = self.noted.iter().any(|(a, d)| a == agent && d == destination);
        if !seen {
            self.noted.push((Arc::clone(agent), Arc::clone(destination)));
            self.outcome.trail.extend(trail);
        }
    }

    /// Keeps an answer as a message of the conversation; one that broke off too, as far as it came.
    fn keep(&mut self, agent: &Arc<str>, answer: &Answer, complete: bool) {
        if complete || !answer.text.is_empty() {
            self.outcome.output.clone_from(&answer.text);
            self.outcome.refusal.clone_from(&answer.refusal);
        }
        if !complete && answer.is_empty() {
            return;
        }
        let mut message = NewMessage::new(message_id(), Role::Assistant, answer.message());
        message.agent = Some(Arc::clone(agent));
        message.usage = Some(answer.usage);
        message.status = if complete { Status::Complete } else { Status::Incomplete };
        self.input.messages.push(Arc::clone(&message.body));
        self.outcome.messages.push(message);
    }

    /// Makes the calls of an answer. True if the client has to go on.
    async fn handle(&mut self, calls: &[ToolCall]) -> Result<bool, Stop> {
        let prepared = self.prepared()?;
        let round = Round {
            shared: self.shared,
            context: &self.context,
            agent: prepared,
            input: &self.input,
            events: &self.events,
            depth: self.depth,
        };
        let Handling { results, handed_to, client_calls, usage, had_effects, trail, cancelled } = round.handle(calls).await;
        self.outcome.usage += usage;
        self.outcome.had_effects |= had_effects;
        self.outcome.trail.extend(trail);
        for (call_id, body) in results {
            let mut message = NewMessage::new(format!("msg_{call_id}"), Role::Tool, body);
            message.id = message_id();
            message.agent = Some(self.context.shared_agent());
            self.input.messages.push(Arc::clone(&message.body));
            self.outcome.messages.push(message);
        }
        if cancelled {
            return Err(Stop::Cancelled);
        }
        if let Some(target) = handed_to {
            let from = self.context.shared_agent();
            self.context = self.context.handed_to(&target);
            self.outcome.agent = Arc::clone(&target);
            self.events.emit(|| RunEvent::HandedOver { from, to: target }).await;
        }
        if client_calls.is_empty() {
            return Ok(false);
        }
        for (index, call) in client_calls.iter().enumerate() {
            let (id, name, arguments) = (Arc::clone(&call.id), Arc::clone(&call.name), Arc::clone(&call.arguments));
            self.events.emit(|| RunEvent::ClientToolCall { index, id, name, arguments }).await;
        }
        self.outcome.client_calls =
            client_calls.into_iter().map(|call| (call.id, call.name, call.arguments)).collect();
        Ok(true)
    }
}

/// A fresh id for a message.
fn message_id() -> Arc<str> {
    format!("msg_{}", uuid::Uuid::now_v7().simple()).into()
}

/// Layers of request fields, the later winning; objects merge by key.
fn merged(layers: [&Map<String, Value>; 3]) -> Map<String, Value> {
    let mut merged = Map::new();
    for layer in layers {
        merge(&mut merged, layer);
    }
    merged
}

fn merge(into: &mut Map<String, Value>, layer: &Map<String, Value>) {
    for (name, value) in layer {
        match (into.get_mut(name), value) {
            (Some(Value::Object(earlier)), Value::Object(later)) => merge(earlier, later),
            _ => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}

//! The library's way in: build a [`Runner`] of agents, and run.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task;

use futures_core::Stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::{
    Caller, Code, Fault, HeaderLimits, HeaderSchema, Ingress, Problem, RequestContext, RuntimeHeaderError,
    RuntimeHeaders, RuntimeNames, Sent, TrailEntry,
};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::event::{Events, RunEvent};
use super::limits::Limits;
use super::turn::{Outcome, RunEnd, RunInput};
use crate::agent::Agent;
use crate::model::Usage;
use crate::provider::Provider;
use crate::registry::{Registry, RegistryBuilder, RegistryFault};
use crate::tool::State;

/// Agents that are ready to run. Cheap to clone.
///
/// ```
/// use letterhead::{Agent, Runner};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let agent = Agent::new("Assistant").with_instructions("You are a helpful assistant").with_header("X-Environment", "staging");
/// let runner = Runner::with_agents([agent]).build()?;
/// let result = runner.run("Hello!").header("X-Environment", "production")?.await?;
/// assert!(!result.output.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Runner {
    registry: Arc<Registry>,
    limits: Limits,
}

/// Collects what a [`Runner`] needs.
#[derive(Debug, Default)]
pub struct RunnerBuilder {
    registry: RegistryBuilder,
    limits: Limits,
}

/// A set of agents that cannot run: every fault.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct BuildError(pub Vec<RegistryFault>);

impl Runner {
    /// Starts from agents; the first is the entry.
    pub fn with_agents(agents: impl IntoIterator<Item = Agent>) -> RunnerBuilder {
        let registry = agents.into_iter().fold(Registry::builder(), RegistryBuilder::agent);
        RunnerBuilder { registry, limits: Limits::default() }
    }

    /// A run that answers one message.
    pub fn run(&self, input: impl Into<String>) -> Run {
        let message = json!({ "role": "user", "content": input.into() }).to_string();
        Run {
            runner: self.clone(),
            input: RunInput { messages: vec![message.into()], ..RunInput::default() },
            request: None,
            context_headers: Vec::new(),
            runtime: RuntimeHeaders::new(),
            agent: self.registry.entry().shared_name(),
            limits: self.limits,
        }
    }

    /// The checked set of agents and providers.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }
}

impl RunnerBuilder {
    /// Adds a provider of models. Without one there is the demo model.
    #[must_use]
    pub fn provider(mut self, provider: Provider) -> Self {
        self.registry = self.registry.provider(provider);
        self
    }

    /// The model of agents that name none, as `provider:model`.
    #[must_use]
    pub fn default_model(mut self, name: impl Into<Arc<str>>) -> Self {
        self.registry = self.registry.default_model(name);
        self
    }

    /// The declaration of context headers.
    #[must_use]
    pub fn headers(mut self, schema: HeaderSchema) -> Self {
        self.registry = self.registry.schema(schema);
        self
    }

    /// What bounds every run.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// All faults at once.
    pub fn build(self) -> Result<Runner, BuildError> {
        let registry = self.registry.build().map_err(BuildError)?;
        Ok(Runner { registry: Arc::new(registry), limits: self.limits })
    }
}

/// A run that has not begun. Await it for the result, or [`stream`](Self::stream) it.
#[derive(Debug)]
#[must_use = "a run does nothing until it is awaited or streamed"]
pub struct Run {
    runner: Runner,
    input: RunInput,
    request: Option<RequestContext>,
    context_headers: Vec<(String, String)>,
    runtime: RuntimeHeaders,
    agent: Arc<str>,
    limits: Limits,
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// The answer's text.
    pub output: String,
    /// The conversation so far, each message as JSON in OpenAI's form.
    pub messages: Vec<Arc<str>>,
    /// What all model calls cost together.
    pub usage: Usage,
    /// The agent that has the conversation now.
    pub current_agent: Arc<str>,
    /// The object that tools and templates share.
    pub state: Arc<Value>,
    /// Which header went where: names, never values.
    pub trail: Vec<TrailEntry>,
}

/// A run that failed.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct RunError {
    /// What went wrong.
    pub problem: Problem,
    /// What was said before.
    pub output: String,
}

impl Run {
    /// An LLM-bound header of this run. It wins over the agent's and the provider's.
    ///
    /// # Errors
    ///
    /// For a name or value that no HTTP request can carry, and for reserved names.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, RuntimeHeaderError> {
        self.runtime.set(name, value)?;
        Ok(self)
    }

    /// Several of them.
    ///
    /// # Errors
    ///
    /// As [`header`](Self::header).
    pub fn headers<'a>(
        mut self,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RuntimeHeaderError> {
        for (name, value) in headers {
            self.runtime.set(name, value)?;
        }
        Ok(self)
    }

    /// Removes a header of the agent or the provider, for this run.
    ///
    /// # Errors
    ///
    /// For what is not a header's name.
    pub fn without_header(mut self, name: &str) -> Result<Self, RuntimeHeaderError> {
        self.runtime.remove(name)?;
        Ok(self)
    }

    /// A context header, as a request would bring it. Validated against the declaration when the run begins.
    pub fn context_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.context_headers.push((name.into(), value.into()));
        self
    }

    /// The context of an HTTP request, instead of single headers.
    pub fn request(mut self, context: RequestContext) -> Self {
        self.request = Some(context);
        self
    }

    /// Goes on from an earlier result: its conversation, its state and its active agent.
    pub fn previous(mut self, result: &RunResult) -> Self {
        self.input.messages = result.messages.iter().cloned().chain(self.input.messages).collect();
        self.input.state = State::from_json(&result.state.to_string());
        self.agent = Arc::clone(&result.current_agent);
        self
    }

    /// Fields of the LLM requests of this run. They win over the agent's and the provider's.
    pub fn params(mut self, params: Map<String, Value>) -> Self {
        self.input.params = params;
        self
    }

    /// The most model calls of this run.
    pub fn max_turns(mut self, calls: u32) -> Self {
        self.limits.max_turns = calls;
        self
    }

    /// The context that the run works with.
    fn context(&self) -> Result<RequestContext, Problem> {
        if let Some(context) = &self.request {
            return Ok(context.clone());
        }
        let schema = self.runner.registry.schema();
        let sent = self.sent(schema)?;
        let agent = self.runner.registry.agent(&self.agent);
        let requires = agent.map(Agent::requires).unwrap_or_default();
        let headers = schema.merge([], &sent, requires).map_err(Problem::faults)?;
        Ok(RequestContext::builder(Caller::anonymous(), headers).runtime(self.runtime.clone()).build(&self.agent))
    }

    /// Admits the context headers as a server would, but takes an undeclared name for the mistake it is.
    fn sent(&self, schema: &HeaderSchema) -> Result<Sent, Problem> {
        let mut raw = HeaderMap::new();
        let mut faults = Vec::new();
        for (name, value) in &self.context_headers {
            let shown = || name.escape_debug().to_string();
            match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes())) {
                _ if schema.field(name).is_none() => {
                    let hint = schema.nearest(name).map(|near| format!("; did you mean `{near}`?"));
                    let detail = format!("it is not declared{}", hint.unwrap_or_default());
                    faults.push(Fault::header(shown(), Code::InvalidHeader, detail));
                }
                (Ok(name), Ok(value)) => {
                    raw.append(name, value);
                }
                _ => faults.push(Fault::header(shown(), Code::InvalidHeaderValue, "it holds a control character")),
            }
        }
        let ingress = Ingress::new(schema.clone(), RuntimeNames::default(), HeaderLimits::default());
        match ingress.admit(raw) {
            Ok(admitted) if faults.is_empty() => Ok(admitted.sent),
            Ok(_) => Err(Problem::faults(faults)),
            Err(rejected) => Err(Problem::faults(faults.into_iter().chain(rejected.faults).collect())),
        }
    }

    async fn finish(self, events: Events, cancelled: CancellationToken) -> Result<RunResult, RunError> {
        let context = self.context().map_err(|problem| RunError { problem, output: String::new() })?;
        let (conversation, state) = (self.input.messages.clone(), self.input.state.clone());
        let outcome = self.runner.registry.run(context, self.input, self.limits, cancelled, events).await;
        let Outcome { end, messages, output, usage, agent, trail, .. } = outcome;
        match end {
            RunEnd::Failed(problem) => Err(RunError { problem, output }),
            RunEnd::Complete(_) | RunEnd::Cancelled => Ok(RunResult {
                output,
                messages: conversation.into_iter().chain(messages.into_iter().map(|message| message.body)).collect(),
                usage,
                current_agent: agent,
                state: state.snapshot(),
                trail,
            }),
        }
    }

    /// Runs, and tells what happens as it happens.
    pub fn stream(mut self) -> RunStream {
        self.input.stream = true;
        let (sender, events) = mpsc::channel(64);
        let cancelled = CancellationToken::new();
        let guard = cancelled.clone().drop_guard();
        let task = tokio::spawn(self.finish(Events::to(sender), cancelled));
        RunStream { events, task, _guard: guard }
    }
}

/// The events of a run, as they happen. Dropping it cancels the run.
#[derive(Debug)]
pub struct RunStream {
    events: mpsc::Receiver<RunEvent>,
    task: JoinHandle<Result<RunResult, RunError>>,
    _guard: DropGuard,
}

impl RunStream {
    /// The result, once the events are over. Events that were not read are passed over.
    ///
    /// # Errors
    ///
    /// If the run failed.
    pub async fn result(mut self) -> Result<RunResult, RunError> {
        while self.events.recv().await.is_some() {}
        self.task.await.unwrap_or_else(|_| {
            let problem = Problem::new(Code::Internal, "the run was aborted");
            Err(RunError { problem, output: String::new() })
        })
    }
}

impl Stream for RunStream {
    type Item = RunEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> task::Poll<Option<RunEvent>> {
        self.events.poll_recv(context)
    }
}

impl IntoFuture for Run {
    type Output = Result<RunResult, RunError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.finish(Events::none(), CancellationToken::new()))
    }
}

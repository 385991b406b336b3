//! One run of the library: what it carries, and how it is started.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::str;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::{
    Caller, Code, Fault, HeaderLimits, HeaderSchema, Headers, Ingress, Problem, RequestContext, RuntimeHeaderError,
    RuntimeHeaders, RuntimeNames, Sent,
};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::event::Events;
use super::limits::Limits;
use super::outcome::{Outcome, RunEnd, RunInput};
use super::result::{RunError, RunResult};
use super::runner::Runner;
use super::stream::RunStream;
use crate::agent::Agent;
use crate::tool::State;

/// How many events may wait for a slow reader before the run waits too.
const EVENTS_AHEAD: usize = 64;

/// A run that has not begun. Await it for the result, or [`stream`](Self::stream) it.
///
/// Dropping the future of an awaited run cancels it, and so does dropping its stream.
#[must_use = "a run does nothing until it is awaited or streamed"]
pub struct Run {
    runner: Runner,
    input: RunInput,
    request: Option<RequestContext>,
    context_headers: Vec<(String, String)>,
    runtime: RuntimeHeaders,
    /// Else the request's agent, else the entry.
    agent: Option<Arc<str>>,
    limits: Limits,
    cancelled: CancellationToken,
}

/// Names of headers, and no values; of the conversation nothing.
impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.context_headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Run")
            .field("agent", &self.agent)
            .field("context_headers", &names)
            .field("runtime", &self.runtime)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Run {
    pub(super) fn new(runner: &Runner, text: &str) -> Self {
        let message = json!({ "role": "user", "content": text }).to_string();
        Self {
            runner: runner.clone(),
            input: RunInput { messages: vec![message.into()], ..RunInput::default() },
            request: None,
            context_headers: Vec::new(),
            runtime: RuntimeHeaders::new(),
            agent: None,
            limits: runner.limits(),
            cancelled: CancellationToken::new(),
        }
    }

    /// An LLM-bound header of this run. It wins over the agent's and the provider's, and over an earlier one of the
    /// name. A credential replaces the provider's own: the program is trusted.
    ///
    /// # Errors
    ///
    /// For a name or value that no HTTP request can carry, and for reserved names.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, RuntimeHeaderError> {
        self.runtime.set(name, value)?;
        Ok(self)
    }

    /// Several of them, from an array, a map or anything else that gives names and values.
    ///
    /// # Errors
    ///
    /// As [`header`](Self::header).
    pub fn headers<N: AsRef<str>, V: AsRef<str>>(
        mut self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, RuntimeHeaderError> {
        for (name, value) in headers {
            self.runtime.set(name.as_ref(), value.as_ref())?;
        }
        Ok(self)
    }

    /// Removes a header of the agent or the provider, for this run.
    ///
    /// # Errors
    ///
    /// For what is not a header's name, and for reserved names.
    pub fn without_header(mut self, name: &str) -> Result<Self, RuntimeHeaderError> {
        self.runtime.remove(name)?;
        Ok(self)
    }

    /// A context header, as a request would bring it. Validated against the declaration when the run begins.
    pub fn context_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.context_headers.push((name.into(), value.into()));
        self
    }

    /// Several of them.
    pub fn context_headers<N: Into<String>, V: Into<String>>(
        mut self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.context_headers.extend(headers.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// The context of an HTTP request, instead of single context headers: its caller, headers and agent. Runtime headers
    /// of this run are added to the request's, and win.
    pub fn request(mut self, context: RequestContext) -> Self {
        self.request = Some(context);
        self
    }

    /// Goes on from an earlier result: its conversation, its state, the context variables that it keeps and its active
    /// agent.
    pub fn previous(mut self, result: &RunResult) -> Self {
        self.input.messages = result.messages.iter().cloned().chain(self.input.messages).collect();
        self.input.state = State::from_snapshot(Arc::clone(&result.state));
        self.input.kept = result.kept.clone();
        self.agent = Some(Arc::clone(&result.current_agent));
        self
    }

    /// Fields of the LLM requests of this run. They win over the agent's and the provider's; objects merge by key.
    pub fn params(mut self, params: Map<String, Value>) -> Self {
        self.input.params = params;
        self
    }

    /// One such field, such as `temperature`.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.input.params.insert(name.into(), value.into());
        self
    }

    /// The most model calls of this run.
    pub fn max_turns(mut self, calls: u32) -> Self {
        self.limits.max_turns = calls;
        self
    }

    /// Ends the run when the token fires. What came until then is the result.
    pub fn cancelled_by(mut self, token: CancellationToken) -> Self {
        self.cancelled = token;
        self
    }

    /// The context that the run works with.
    fn context(&self) -> Result<RequestContext, Problem> {
        if let Some(request) = &self.request {
            return self.over(request);
        }
        let registry = self.runner.registry();
        let agent = self.agent.clone().unwrap_or_else(|| registry.entry().shared_name());
        let schema = registry.schema();
        let requires = registry.agent(&agent).map(Agent::requires).unwrap_or_default();
        let headers = schema.merge([], &self.sent(schema)?, requires).map_err(Problem::faults)?;
        Ok(RequestContext::builder(Caller::anonymous(), headers).runtime(self.runtime.clone()).build(&agent))
    }

    /// A request's context with what this run changes: the agent that goes on, and runtime headers.
    fn over(&self, request: &RequestContext) -> Result<RequestContext, Problem> {
        if let Some((name, _)) = self.context_headers.first() {
            let detail = "the run has the context of a request, which brings its own headers";
            return Err(Problem::faults(vec![Fault::header(
                name.escape_debug().to_string(),
                Code::InvalidHeader,
                detail,
            )]));
        }
        let mut runtime = request.runtime().clone();
        let changed = merge_runtime(&mut runtime, &self.runtime);
        changed.map_err(|error| Problem::new(Code::InvalidHeaderValue, error.to_string()))?;
        let mut builder = RequestContext::builder(request.caller().clone(), Headers::clone(request.headers()))
            .runtime(runtime)
            .request_id(request.request_id())
            .claims(Value::clone(request.claims()))
            .env(request.env().clone())
            .credentials(request.credentials().clone());
        if let Some(session) = request.session() {
            builder = builder.session(session.clone(), request.mode());
        }
        if let Some(trace) = request.trace() {
            builder = builder.trace(*trace);
        }
        if let Some(client) = request.client_id() {
            builder = builder.client_id(client);
        }
        if let Some(model) = request.model() {
            builder = builder.model(model);
        }
        Ok(builder.build(self.agent.as_deref().unwrap_or(request.agent())))
    }

    /// Admits the context headers as a server would, but takes an undeclared name for the mistake it is.
    fn sent(&self, schema: &HeaderSchema) -> Result<Sent, Problem> {
        if self.context_headers.is_empty() {
            return Ok(Sent::nothing());
        }
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
        let mut kept = self.input.kept.clone();
        let outcome = self.runner.registry().run(context, self.input, self.limits, cancelled, events).await;
        let Outcome { end, messages, output, usage, agent, trail, kept: fetched, .. } = outcome;
        let finish = match end {
            RunEnd::Failed(problem) => return Err(RunError { problem, output }),
            RunEnd::Complete(finish) => Some(finish),
            RunEnd::Cancelled => None,
        };
        let messages = conversation.into_iter().chain(messages.into_iter().map(|message| message.body)).collect();
        kept.retain(|earlier| fetched.iter().all(|new| new.name != earlier.name));
        kept.extend(fetched);
        Ok(RunResult { output, finish, messages, usage, current_agent: agent, state: state.snapshot(), kept, trail })
    }

    /// Runs, and tells what happens as it happens. A reader that is slow slows the run down.
    ///
    /// It starts at once, in a task of its own, and so needs a Tokio runtime.
    pub fn stream(mut self) -> RunStream {
        self.input.stream = true;
        let (sender, events) = mpsc::channel(EVENTS_AHEAD);
        let cancelled = self.cancelled.child_token();
        let task = tokio::spawn(self.finish(Events::to(sender), cancelled.clone()));
        RunStream::new(events, task, cancelled)
    }
}

fn merge_runtime(into: &mut RuntimeHeaders, later: &RuntimeHeaders) -> Result<(), RuntimeHeaderError> {
    for name in later.removed() {
        into.remove(name.as_str())?;
    }
    for (name, value) in later.iter() {
        let text = str::from_utf8(value.as_bytes()).map_err(|_| RuntimeHeaderError::Value(name.to_string()))?;
        into.set(name.as_str(), text)?;
    }
    Ok(())
}

impl IntoFuture for Run {
    type Output = Result<RunResult, RunError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let cancelled = self.cancelled.clone();
        Box::pin(self.finish(Events::none(), cancelled))
    }
}

//! One run of the library: what it carries, and how it is started.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use letterhead_context::{
    Caller, Code, Fault, Problem, RequestContext, RuntimeHeaderError, RuntimeHeaders, SessionId, SessionMode,
};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::admitted::admitted;
use super::approval::{ApprovalAnswer, OpenCalls};
use super::closed::closed;
use super::event::{Events, RunEvent};
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
///
/// # Panics
///
/// Awaited outside of a Tokio runtime that has time enabled. So does [`stream`](Self::stream), where it is called.
#[must_use = "a run does nothing until it is awaited or streamed"]
pub struct Run {
    runner: Runner,
    input: RunInput,
    request: Option<RequestContext>,
    /// Else the request's, else anonymous.
    caller: Option<Caller>,
    /// Else the request's, else none.
    session: Option<SessionId>,
    context_headers: Vec<(String, String)>,
    runtime: RuntimeHeaders,
    /// Else the one that has the conversation, the request's, or the entry.
    agent: Option<Arc<str>>,
    /// What the run goes on from: the conversation, and who has it.
    earlier: Vec<Arc<str>>,
    has_it: Option<Arc<str>>,
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
            input: RunInput { messages: vec![message.into()], can_pause: true, ..RunInput::default() },
            request: None,
            caller: None,
            session: None,
            context_headers: Vec::new(),
            runtime: RuntimeHeaders::new(),
            agent: None,
            earlier: Vec::new(),
            has_it: None,
            limits: runner.limits(),
            cancelled: CancellationToken::new(),
        }
    }

    /// Goes on where calls wait for approval, without a new message.
    pub(super) fn resuming(
        runner: &Runner,
        result: &RunResult,
        answers: impl IntoIterator<Item = ApprovalAnswer>,
    ) -> Result<Self, Problem> {
        let mut open = open_calls(result);
        let mut is_decided = false;
        for answer in answers {
            let is_asked = result.approvals.iter().any(|asked| asked.id == answer.id);
            is_decided = is_asked && open.as_mut().is_some_and(|open| open.decide(&answer));
            if !is_decided {
                let detail = "an answer is for no call that waits for approval in this result, or comes twice";
                return Err(Problem::new(Code::InvalidBody, detail));
            }
        }
        if !is_decided {
            return Err(Problem::new(
                Code::InvalidBody,
                "there is no answer for any of the calls that wait for approval",
            ));
        }
        let mut run = Self::new(runner, "").after(result);
        run.earlier.clone_from(&result.messages);
        run.input.messages.clear();
        run.input.open = open;
        Ok(run)
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

    /// The agent that answers, rather than the entry, the request's, or the one that has the conversation.
    pub fn agent(mut self, name: impl Into<Arc<str>>) -> Self {
        self.agent = Some(name.into());
        self
    }

    /// Who asks, as the program knows it: `caller` in templates, and what tools are told. It wins over the request's, whose
    /// claims and token then stay behind: they say who somebody else is.
    pub fn caller(mut self, caller: Caller) -> Self {
        self.caller = Some(caller);
        self
    }

    /// The session that the run belongs to: `session.id` in templates, and what tools are told. It wins over the request's.
    ///
    /// It is a name and fetches nothing: the conversation goes on from a [result](Self::previous) that the program has kept.
    ///
    /// ```
    /// use letterhead::{Agent, Runner};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let runner = Runner::with_agents([Agent::new("clerk").with_instructions("This is file {{ session.id }}.")]).build()?;
    /// let result = runner.run("Which file is this?").session("sess-456")?.await?;
    /// assert!(result.output.contains("This is file sess-456."));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// For what is no [session id](SessionId::parse).
    pub fn session(mut self, id: impl AsRef<str>) -> Result<Self, Problem> {
        self.session = Some(SessionId::parse(id.as_ref())?);
        Ok(self)
    }

    /// Goes on from an earlier result: its conversation, its state, the context variables that it keeps and its active
    /// agent. Of several results the last one counts.
    pub fn previous(mut self, result: &RunResult) -> Self {
        self.earlier = closed(&result.messages, false);
        self.after(result)
    }

    /// With all of a result but its messages.
    fn after(mut self, result: &RunResult) -> Self {
        self.input.state = State::from_snapshot(Arc::clone(&result.state));
        self.input.kept.clone_from(&result.kept);
        self.has_it = Some(Arc::clone(&result.current_agent));
        self
    }

    /// The agent that this run names, or that has the conversation.
    fn named(&self) -> Option<&Arc<str>> {
        self.agent.as_ref().or(self.has_it.as_ref())
    }

    /// Fields of the LLM requests of this run. They win over the agent's and the provider's, where objects merge by key, and
    /// over earlier ones of the name.
    pub fn params(mut self, params: Map<String, Value>) -> Self {
        self.input.params.extend(params);
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
        let agent = self.named().cloned().unwrap_or_else(|| registry.entry().shared_name());
        let schema = registry.schema();
        let requires = registry.agent(&agent).map(Agent::requires).unwrap_or_default();
        let headers = admitted(&self.context_headers, schema, requires)?;
        let mut builder = RequestContext::builder(self.caller.clone().unwrap_or_else(Caller::anonymous), headers)
            .runtime(self.runtime.clone())
            .request_id(format!("run_{}", Uuid::now_v7().simple()));
        if let Some(session) = &self.session {
            builder = builder.session(session.clone(), SessionMode::Normal);
        }
        Ok(builder.build(&agent))
    }

    /// A request's context with what this run changes: the agent that goes on, caller and session, and runtime headers.
    fn over(&self, request: &RequestContext) -> Result<RequestContext, Problem> {
        if let Some((name, _)) = self.context_headers.first() {
            let detail = "the run has the context of a request, which brings its own headers";
            return Err(Problem::faults(vec![Fault::header(
                name.escape_debug().to_string(),
                Code::InvalidHeader,
                detail,
            )]));
        }
        let mut builder = request.to_builder().more_runtime(&self.runtime);
        if let Some(caller) = &self.caller {
            builder = builder.caller(caller.clone());
        }
        if let Some(session) = &self.session {
            builder = builder.session(session.clone(), request.mode());
        }
        Ok(builder.build(self.named().map_or(request.agent(), |name| name)))
    }

    async fn finish(mut self, events: Events, cancelled: CancellationToken) -> Result<RunResult, RunError> {
        let context = self.context().map_err(RunError::before)?;
        self.input.messages.splice(..0, self.earlier);
        let (conversation, state) = (self.input.messages.clone(), self.input.state.clone());
        let mut kept = self.input.kept.clone();
        let events = events.with_hooks(self.runner.hooks(), &context).until(cancelled.clone());
        let told = events.clone();
        let unfinished = Unfinished::new(&events, context.shared_agent());
        let outcome = self.runner.registry().run(context, self.input, self.limits, cancelled, events).await;
        unfinished.over();
        let Outcome { end, messages, output, refusal, approvals, usage, agent, trail, kept: fetched, .. } = outcome;
        let finish = match end {
            RunEnd::Failed(problem) => {
                told.emit(|| RunEvent::RunFailed { problem: problem.clone() }).await;
                return Err(RunError { problem, output, usage, trail });
            }
            RunEnd::Complete(finish) => Some(finish),
            RunEnd::Cancelled => {
                told.emit(|| RunEvent::RunCancelled { agent: Arc::clone(&agent) }).await;
                None
            }
        };
        let messages = conversation.into_iter().chain(messages.into_iter().map(|message| message.body)).collect();
        kept.retain(|earlier| fetched.iter().all(|new| new.name != earlier.name));
        kept.extend(fetched);
        let state = state.snapshot();
        Ok(RunResult { output, refusal, finish, messages, approvals, usage, current_agent: agent, state, kept, trail })
    }

    /// Runs, and tells what happens as it happens. A reader that is slow slows the run down. It starts at once, in a task of
    /// its own.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn stream(mut self) -> RunStream {
        self.input.stream = true;
        let (sender, events) = mpsc::channel(EVENTS_AHEAD);
        let cancelled = self.cancelled.child_token();
        let task = tokio::spawn(self.finish(Events::to(sender), cancelled.clone()));
        RunStream::new(events, task, cancelled)
    }
}

/// A run that is under way. If its future is dropped before it is [over](Self::over), hooks are told that it was cancelled.
struct Unfinished(Option<(Events, Arc<str>)>);

impl Unfinished {
    fn new(events: &Events, agent: Arc<str>) -> Self {
        Self(events.has_hooks().then(|| (events.clone(), agent)))
    }

    fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some((events, agent)) = self.0.take() {
            events.tell_hooks(&RunEvent::RunCancelled { agent });
        }
    }
}

/// The calls of a result that wait for approval. Its last answer has them, perhaps with results of others behind it.
fn open_calls(result: &RunResult) -> Option<OpenCalls> {
    let (message_id, _) = result.approvals.first()?.id.rsplit_once(':')?;
    let is_result = |message: &Arc<str>| {
        let message: Value = serde_json::from_str(message).unwrap_or_default();
        message.get("role").is_some_and(|role| role == "tool")
    };
    let at = result.messages.iter().rposition(|message| !is_result(message))?;
    let (answer, results) = result.messages.get(at..)?.split_first()?;
    OpenCalls::find(message_id, Arc::clone(&result.current_agent), answer, results.iter().map(|message| &**message))
}

impl IntoFuture for Run {
    type Output = Result<RunResult, RunError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let cancelled = self.cancelled.child_token();
        // What tools have begun hears from the token if this future is dropped.
        let guard = cancelled.clone().drop_guard();
        Box::pin(async move {
            let result = self.finish(Events::none(), cancelled).await;
            guard.disarm();
            result
        })
    }
}

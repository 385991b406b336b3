//! The loop: model, tools, model, …, answer.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use letterhead_context::{Code, Fault, Problem, RequestContext, Values, VariableValues};
use letterhead_store::{NewMessage, Role, Status};
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::approval::OpenCalls;
use super::event::{Events, RunEvent};
use super::limits::{Limits, RunCount};
use super::mcp::McpOffer;
use super::outcome::{Outcome, RunEnd, RunInput};
use super::output::Verdict;
use crate::agent::Agent;
use crate::history::History;
use crate::model::{FinishReason, ModelError, ModelErrorKind};
use crate::registry::{ModelRef, Prepared, PreparedProvider, Registry};
use crate::tool::State;
use crate::variable::{Asking, TurnVariables, Unavailable};

/// What all runs of one turn share.
pub(super) struct Shared<'a> {
    pub(super) registry: &'a Registry,
    pub(super) limits: Limits,
    pub(super) count: RunCount,
    pub(super) cancelled: CancellationToken,
    pub(super) variables: TurnVariables,
}

/// Why there are no values.
pub(super) enum NoValues {
    Cancelled,
    Unavailable(Unavailable),
}

impl NoValues {
    /// For the model whose call needed them.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Cancelled => "The call was interrupted.".to_owned(),
            Self::Unavailable(unavailable) => format!("The call was not made: {unavailable}."),
        }
    }
}

impl Shared<'_> {
    /// The values of context variables, fetched where they are not there yet. Cancelling gives the fetches up.
    pub(super) async fn values(
        &self,
        needs: &[usize],
        context: &RequestContext,
        state: &State,
    ) -> Result<VariableValues, NoValues> {
        let Some(fetching) = self.registry.fetching.as_ref().filter(|_| !needs.is_empty()) else {
            return Ok(VariableValues::default());
        };
        let variables = &self.registry.variables;
        let asking = Asking { variables, fetching, turn: &self.variables, context, state };
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Err(NoValues::Cancelled),
            found = asking.values(needs) => found.map_err(NoValues::Unavailable),
        }
    }
}

impl Registry {
    /// Runs a turn: the context's agent, its tools, and whoever it hands over to or asks.
    ///
    /// Cancelling ends the run at once; what came so far is in the outcome. What can be refused is refused before any
    /// model is called: an unknown agent or model, a header that the agent requires and the context lacks, a client's
    /// tool with the name of an agent's own.
    pub async fn run(
        &self,
        context: RequestContext,
        mut input: RunInput,
        limits: Limits,
        cancelled: CancellationToken,
        events: Events,
    ) -> Outcome {
        if let Err(problem) = self.check_start(&context, &input) {
            return Outcome::new(RunEnd::Failed(problem), context.shared_agent());
        }
        let count = RunCount::default();
        count.start(limits.runs);
        let events = events.until(cancelled.clone());
        let variables = TurnVariables::new(std::mem::take(&mut input.kept));
        let shared = Shared { registry: self, limits, count, cancelled, variables };
        let mut outcome = drive(&shared, context, input, events, 0).await;
        outcome.note(shared.variables.take_trail());
        outcome.kept = shared.variables.take_fetched();
        outcome
    }

    pub(super) fn check_start(&self, context: &RequestContext, input: &RunInput) -> Result<(), Problem> {
        // An approved call is made as the agent that wanted it, whoever is asked now.
        let approved = input.open.as_ref().filter(|open| open.is_approved()).map(OpenCalls::agent);
        for agent in [Some(context.agent()), approved].into_iter().flatten() {
            let requires = self.agent(agent).map(Agent::requires).unwrap_or_default();
            let missing = requires.iter().filter(|field| !context.headers().has(field));
            let faults: Vec<_> = missing
                .map(|field| {
                    let detail = format!("the agent `{agent}` needs it, and it was neither sent nor stored");
                    Fault::header(field.to_string(), Code::MissingHeader, detail)
                })
                .collect();
            if !faults.is_empty() {
                return Err(Problem::faults(faults));
            }
        }
        self.check_client_tools(context.agent(), &input.client_tools)
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

/// What came of one call of a model.
enum Called {
    Answered(FinishReason),
    Tools(FinishReason, OpenCalls),
    /// An answer that is no use. The model has been told why.
    Unfit,
}

/// Runs one agent loop. Children are runs of their own, `depth` levels down.
pub(super) async fn drive(
    shared: &Shared<'_>,
    context: RequestContext,
    input: RunInput,
    events: Events,
    depth: u32,
) -> Outcome {
    let mut run = RunLoop::new(shared, context, input, events, depth);
    run.outcome.end = match run.turns().await {
        Ok(finish) => RunEnd::Complete(finish),
        Err(Stop::Cancelled) => RunEnd::Cancelled,
        Err(Stop::Problem(problem)) if run.outcome.had_effects => RunEnd::Failed(problem.with_should_retry(false)),
        Err(Stop::Problem(problem)) => RunEnd::Failed(problem),
    };
    if let Some(history) = &run.history {
        history.log(&run.outcome.agent);
    }
    if let RunEnd::Complete(_) = run.outcome.end {
        let (agent, usage) = (Arc::clone(&run.outcome.agent), run.outcome.usage);
        let done = Arc::clone(&agent);
        run.events.emit(|| RunEvent::AgentCompleted { agent: done }).await;
        run.events.emit(|| RunEvent::RunCompleted { agent, usage }).await;
    }
    run.outcome
}

pub(super) struct RunLoop<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) context: RequestContext,
    pub(super) input: RunInput,
    pub(super) events: Events,
    pub(super) depth: u32,
    /// The model that the request chose for this run, through handoffs.
    chosen: Option<ModelRef>,
    /// Has the agent been told already that its answer does not fit?
    pub(super) asked_again: bool,
    /// The tools of the agent's MCP servers, once they are known.
    pub(super) mcp: Option<McpOffer>,
    /// What the model is sent of the conversation, where that is bounded.
    pub(super) history: Option<History>,
    pub(super) outcome: Outcome,
}

impl<'a> RunLoop<'a> {
    pub(super) fn new(
        shared: &'a Shared<'a>,
        context: RequestContext,
        input: RunInput,
        events: Events,
        depth: u32,
    ) -> Self {
        let outcome = Outcome::new(RunEnd::Cancelled, context.shared_agent());
        let history = shared.registry.max_history_tokens.map(History::new);
        Self { shared, context, input, events, depth, chosen: None, asked_again: false, mcp: None, history, outcome }
    }

    /// Finds the agent, and the model that the request chose.
    pub(super) fn choose(&mut self) -> Result<(), Problem> {
        let registry = self.shared.registry;
        self.prepared()?;
        let unknown = |name| Problem::new(Code::ModelNotFound, format!("there is no model `{name}`"));
        let chosen = self.context.model().map(|name| registry.model(name).ok_or_else(|| unknown(name)));
        self.chosen = chosen.transpose()?;
        Ok(())
    }

    /// Who is called next: the agent, its model and the provider of that.
    pub(super) fn target(&self) -> Result<(&'a Prepared, &ModelRef, &'a PreparedProvider), Problem> {
        let prepared = self.prepared()?;
        let model = self.chosen.as_ref().unwrap_or(&prepared.model);
        let provider = self.shared.registry.provider(model);
        let provider = provider.ok_or_else(|| Problem::new(Code::ModelNotFound, "the provider is gone"))?;
        Ok((prepared, model, provider))
    }

    async fn turns(&mut self) -> Result<FinishReason, Stop> {
        self.choose()?;
        let agent = self.context.shared_agent();
        self.events.emit(|| RunEvent::RunStarted { agent }).await;
        // Boxed: most turns have no calls to make, and need not carry the room for it around.
        if let Some(open) = self.input.open.take()
            && let Some(finish) = Box::pin(self.go_on(open)).await?
        {
            return Ok(finish);
        }
        for step in 1..=self.shared.limits.max_turns {
            match self.call_model(step).await? {
                Called::Answered(finish) => return Ok(finish),
                Called::Tools(finish, calls) => match Box::pin(self.handle(&calls, false)).await? {
                    // Calls of an answer that was cut off may be cut off too: the client has to know.
                    Some(_) if finish == FinishReason::Length => return Ok(finish),
                    Some(finish) => return Ok(finish),
                    None => {}
                },
                Called::Unfit => {}
            }
            // A tool that had to be called has been.
            self.input.tool_choice = None;
        }
        let limit = self.shared.limits.max_turns;
        let detail = format!("the run made {limit} model calls and had not come to an end; see `limits.max_turns`");
        Err(Problem::new(Code::MaxTurnsExceeded, detail).with_should_retry(false).into())
    }

    pub(super) fn prepared(&self) -> Result<&'a Prepared, Problem> {
        let name = self.context.agent();
        let found = self.shared.registry.prepared(name);
        found.ok_or_else(|| Problem::new(Code::AgentNotFound, format!("there is no agent `{name}`")))
    }

    /// Calls the model once.
    async fn call_model(&mut self, step: u32) -> Result<Called, Stop> {
        self.offer_mcp().await?;
        if let Some(history) = &mut self.history {
            history.follow(&self.input.messages);
        }
        let values = self.values().await?;
        let (prepared, model, provider) = self.target()?;
        let (agent, name) = (prepared.agent.shared_name(), Arc::clone(&model.name));
        let mut trail = Vec::new();
        let call = self.prepare_call(prepared, provider, model, &values, &mut trail);
        self.outcome.note(trail);
        let call = call?;
        self.outcome.model = Arc::clone(&name);
        let by = Arc::clone(&agent);
        self.events.emit(|| RunEvent::ModelCallStarted { agent: by, model: name, step }).await;

        let mut answer = Answer::new(prepared.output.is_some());
        let done = {
            let calling = AssertUnwindSafe(async {
                let stream = provider.model.call(call).await?;
                answer.read(stream, &self.events).await
            });
            // The model may be the program's own: if it panics, the run fails, and no more than the run.
            let calling = pin!(calling.catch_unwind());
            let panicked =
                || ModelError::new(ModelErrorKind::Failed, format!("the model `{}` panicked", self.outcome.model));
            tokio::select! {
                biased;
                () = self.shared.cancelled.cancelled() => Err(Stop::Cancelled),
                done = calling => done.unwrap_or_else(|_| Err(panicked())).map_err(|error| Stop::Problem(error.problem())),
            }
        };
        self.outcome.usage += answer.usage;
        let verdict = match (&done, &prepared.output) {
            (Ok(()), Some(output)) => self.judge(output, &prepared.agent, &mut answer).await,
            _ => Verdict::Taken,
        };
        let id = message_id();
        match verdict {
            Verdict::Taken if done.is_err() => self.keep(&id, &agent, &mut answer, Status::Incomplete),
            Verdict::Taken => self.keep(&id, &agent, &mut answer, Status::Complete),
            Verdict::Refused(_) => self.keep(&id, &agent, &mut answer, Status::Failed),
            Verdict::AskedAgain => {}
        }
        done?;
        let (usage, finish) = (answer.usage, answer.finish());
        let by = Arc::clone(&agent);
        self.events.emit(|| RunEvent::ModelCallCompleted { agent: by, usage, finish }).await;
        match verdict {
            Verdict::Taken if answer.tool_calls.is_empty() => Ok(Called::Answered(finish)),
            Verdict::Taken => Ok(Called::Tools(finish, OpenCalls::of_answer(&id, agent, answer.tool_calls))),
            Verdict::AskedAgain => Ok(Called::Unfit),
            Verdict::Refused(problem) => Err(problem.into()),
        }
    }

    /// What the templates of a call read beside the context.
    async fn values(&mut self) -> Result<Values, Stop> {
        let (prepared, _, provider) = self.target()?;
        let needs = needs(prepared, provider);
        let variables = if needs.is_empty() {
            VariableValues::default()
        } else {
            let found = self.shared.values(&needs, &self.context, &self.input.state).await;
            self.outcome.note(self.shared.variables.take_trail());
            found.map_err(|none| match none {
                NoValues::Cancelled => Stop::Cancelled,
                NoValues::Unavailable(unavailable) => Stop::Problem(unavailable.problem()),
            })?
        };
        Ok(Values { state: Some(self.input.state.snapshot()), variables, ..Values::default() })
    }

    /// Keeps an answer as a message of the conversation; one that broke off too, as far as it came.
    fn keep(&mut self, id: &Arc<str>, agent: &Arc<str>, answer: &mut Answer, status: Status) {
        if status != Status::Complete && answer.is_empty() {
            return;
        }
        let mut message = NewMessage::new(Arc::clone(id), Role::Assistant, answer.message());
        message.agent = Some(Arc::clone(agent));
        message.usage = Some(answer.usage);
        message.status = status;
        self.add(message);
        self.outcome.output = if answer.held { String::new() } else { std::mem::take(&mut answer.text) };
        self.outcome.refusal = std::mem::take(&mut answer.refusal);
    }

    pub(super) fn add(&mut self, message: NewMessage) {
        self.input.messages.push(Arc::clone(&message.body));
        self.outcome.messages.push(message);
    }
}

/// The context variables that the model calls of an agent to a provider need, each once.
pub(super) fn needs<'a>(prepared: &'a Prepared, provider: &'a PreparedProvider) -> Cow<'a, [usize]> {
    let (own, theirs) = (prepared.variables.as_slice(), provider.variables.as_slice());
    if theirs.iter().all(|at| own.contains(at)) {
        return Cow::Borrowed(own);
    }
    let more = theirs.iter().filter(|at| !own.contains(at));
    own.iter().chain(more).copied().collect()
}

/// A fresh id for a message.
pub(super) fn message_id() -> Arc<str> {
    format!("msg_{}", uuid::Uuid::now_v7().simple()).into()
}

//! A turn on the server: session, stored headers, context, run, commit. The protocols only bring messages and take events.

mod abandon;
mod approved;
mod client_here;
mod conversation;
mod frame;
mod incoming;
mod past;
mod refused;
mod session_choice;
mod waiting;

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use letterhead::run::{ApprovedCalls, Events, Outcome, Preview, RunEnd, RunEvent, RunInput};
use letterhead::tool::State;
use letterhead_context::{Admitted, Code, Problem, RequestContext, Sent, SentValue, SessionId, SessionMode};
use letterhead_store::{HeaderChange, Session, Status, StoreError, Turn, TurnError, TurnId, TurnRecord};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::arrival::Arrival;
use crate::caller_limits::Permit;
use crate::error::{NotBegun, store_problem};
use crate::idempotency::Pledge;
use crate::model_choice::Asked;

use approved::Begun;
use frame::Frame;

pub(crate) use abandon::abandon;
pub use client_here::ClientHere;
pub(crate) use conversation::new_message_id;
pub use conversation::{Edit, IncomingMessage, ToolAnswer};
pub use incoming::Incoming;
pub use session_choice::SessionChoice;
pub(crate) use session_choice::may_reach;
pub(crate) use waiting::{asked, waits};

/// How many events may wait for a slow reader before the run waits too.
const EVENTS_AHEAD: usize = 64;

/// How long a client may not read before it counts as gone: its turn holds a session and a place among those that run.
const STALLED: Duration = Duration::from_secs(60);

/// A turn that runs.
#[derive(Debug)]
pub struct Running {
    /// The session, if the turn has one.
    pub session: Option<SessionId>,
    /// What the turn is called, if it is stored.
    pub turn: Option<TurnId>,
    /// The agent that answers first.
    pub agent: Arc<str>,
    /// What happens, where somebody asked for events.
    pub events: Option<mpsc::Receiver<RunEvent>>,
    /// How it ended, once that is stored.
    pub end: oneshot::Receiver<Ended>,
    /// Dropped when the client goes.
    pub client: ClientHere,
}

/// A turn that has ended, and is stored.
pub struct Ended {
    /// What came out.
    pub outcome: Outcome,
    /// The failure that the client is told of: the run's, or the store's.
    pub problem: Option<Problem>,
    /// When it ended, in Unix milliseconds, as the store has it. None where nothing was stored.
    pub ended_at_ms: Option<i64>,
}

/// Without what was said.
impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { end, agent, model, .. } = &self.outcome;
        let mut shown = f.debug_struct("Ended");
        shown.field("end", end).field("agent", agent).field("model", model).field("problem", &self.problem);
        shown.finish_non_exhaustive()
    }
}

/// Everything that a turn's task owns.
struct Task {
    app: Arc<App>,
    stored: Option<Box<Stored>>,
    context: RequestContext,
    input: RunInput,
    state: State,
    cancel: CancellationToken,
    events: Events,
    /// Given back when the turn has ended.
    permit: Permit,
    /// Who sends the request again is told its answer.
    pledge: Option<Box<Pledge>>,
}

/// What is written at the end.
struct Stored {
    turn: Turn,
    record: TurnRecord,
    /// Was its client told of it when it began?
    announced: bool,
}

/// Begins a turn: everything that can be refused is refused here, and nothing has happened then.
pub async fn begin(app: &Arc<App>, arrival: Box<Arrival>, incoming: Box<Incoming>) -> Result<Running, NotBegun> {
    try_begin(app, arrival, incoming, &mut None).await
}

/// The same, and keeps the answer as it is pledged.
pub async fn begin_pledged(
    app: &Arc<App>,
    arrival: Box<Arrival>,
    incoming: Box<Incoming>,
    pledge: Box<Pledge>,
) -> Result<Running, NotBegun> {
    let mut pledge = Some(pledge);
    let begun = try_begin(app, arrival, incoming, &mut pledge).await;
    if let Some(pledge) = pledge {
        pledge.give_up(app).await;
    }
    begun
}

/// Begins a turn, and takes the pledge if it does.
async fn try_begin(
    app: &Arc<App>,
    arrival: Box<Arrival>,
    incoming: Box<Incoming>,
    pledge: &mut Option<Box<Pledge>>,
) -> Result<Running, NotBegun> {
    if app.turns.closing.is_cancelled() {
        let detail = "the server is shutting down; try again in a moment";
        return Err(Problem::new(Code::ShuttingDown, detail).with_retry_after(Duration::from_secs(1)).into());
    }
    let wants_events = incoming.stream;
    let permit = app.caller_limits.hold(&arrival.caller)?;
    let answers = incoming.answers_what_waits();
    let Ready { session, stored, context, input, state } = ready(app, arrival, incoming).await?;
    app.caller_limits.charge(context.caller())?;
    if answers
        && let Some(Stored { turn, record, .. }) = stored.as_deref()
        && let Some(number) = record.continues
    {
        app.store.goes_on(turn, number).await.map_err(|error| store_problem(&error))?;
    }
    let turn = stored.as_ref().map(|stored| stored.turn.id());
    let agent = context.shared_agent();
    let cancel = app.turns.cut_off.child_token();
    let (to, events) = if wants_events {
        let (sender, events) = mpsc::channel(EVENTS_AHEAD);
        // A client that is gone has the grace, whether its connection is closed or only stands still.
        let patience = STALLED.saturating_add(app.timing.disconnect_grace);
        (Events::to(sender).with_patience(patience), Some(events))
    } else {
        (Events::none(), None)
    };
    let (announce, end) = oneshot::channel();
    let (app, pledge) = (Arc::clone(app), pledge.take());
    let client = ClientHere::new(cancel.clone(), app.timing.disconnect_grace);
    let over = cancel.clone().drop_guard();
    let tasks = app.turns.tasks.clone();
    let task = Task { app, stored, context, input, state, cancel, events: to, permit, pledge };
    // Boxed: the runtime moves a task's future about, and this one has room for everything that a turn may do.
    let run = Box::pin(task.run());
    tasks.spawn(async move {
        let ended = run.await;
        drop(over);
        // Who has left does not hear of it; it is stored all the same.
        let _ = announce.send(ended);
    });
    Ok(Running { session, turn, agent, events, end, client })
}

/// What the first model call of a turn would carry, if the turn began now. Nothing is stored, and nothing called but, if
/// `fetch` says so, the APIs behind context variables.
///
/// # Errors
///
/// What the turn would be refused with, or end with before that call.
pub async fn preview(
    app: &App,
    arrival: Box<Arrival>,
    incoming: Box<Incoming>,
    fetch: bool,
) -> Result<Preview, Problem> {
    let Ready { context, input, .. } = ready(app, arrival, incoming).await?;
    if fetch { app.registry.preview_fetched(context, input).await } else { app.registry.preview(context, input) }
}

/// A turn that can begin.
struct Ready {
    session: Option<SessionId>,
    stored: Option<Box<Stored>>,
    context: RequestContext,
    input: RunInput,
    state: State,
}

/// Opens the session and freezes the context. What can be refused is refused here.
async fn ready(app: &App, arrival: Box<Arrival>, incoming: Box<Incoming>) -> Result<Ready, Problem> {
    let Arrival { caller, stranger, claims, identity, admission, request_id, trace, .. } = *arrival;
    let admitted = match admission {
        Ok(admitted) => admitted,
        Err(rejected) => {
            let stored = incoming.session.peek(app, &caller, stranger).await;
            let agent = incoming.asked.agent.as_deref().and_then(|name| app.registry.agent(name));
            let requires = agent.unwrap_or(app.registry.entry()).requires();
            return Err(rejected.problem(app.ingress.schema(), stored_headers(stored.as_deref()), requires));
        }
    };
    let (turn, session_id) = incoming.session.open(app, &caller, stranger).await?;
    let session = turn.as_ref().and_then(Turn::session).cloned();
    let (asked_agent, agent) = agents(app, &incoming.asked, session.as_deref());
    app.registry.check_client_tools(&agent, &incoming.tools)?;
    let Admitted { sent, runtime, .. } = admitted;
    let merge = |agent: &str| {
        let requires = app.registry.agent(agent).map(letterhead::Agent::requires).unwrap_or_default();
        app.ingress.schema().merge(stored_headers(session.as_deref()), &sent, requires).map_err(Problem::faults)
    };
    let headers = merge(&agent)?;

    let plan = conversation::plan(session.as_deref(), &incoming, &app.registry)?;
    if let Some(open) = plan.open.as_ref().filter(|open| open.is_approved() && *open.agent() != *agent) {
        // Its calls are made as the agent that wanted them.
        merge(open.agent())?;
    }
    let changes = header_changes(app, &sent);
    let mode = match (identity.mode, &session) {
        (SessionMode::Normal, Some(session)) => session.record.mode,
        (mode, _) => mode,
    };
    let context = frame::context(
        app,
        caller,
        headers,
        &identity,
        runtime,
        Frame {
            session: session_id.clone(),
            mode,
            request_id: request_id.shared(),
            agent: &agent,
            model: incoming.asked.model.as_deref(),
            trace,
            claims,
        },
    );
    let state =
        session.as_ref().and_then(|session| session.state.as_deref()).map_or_else(State::default, State::from_json);
    let stored = turn.map(|turn| {
        let mut record = TurnRecord::new(Arc::clone(&agent));
        record.asked_agent = asked_agent;
        record.mode = mode;
        record.client_id =
            identity.client_id.as_deref().map(Arc::from).or_else(|| session.as_ref()?.record.client_id.clone());
        record.keep = plan.keep;
        record.continues = plan.continues;
        record.headers = changes;
        record.messages = plan.new;
        Box::new(Stored { turn, record, announced: incoming.announced })
    });
    let approved = stored.as_ref().filter(|_| plan.open.is_some());
    let approved = approved.map(|stored| Begun::new(&app.store, stored.turn.key()) as Arc<dyn ApprovedCalls>);
    let mut input = RunInput::new(plan.messages);
    input.open = plan.open;
    // Who cannot come back to a session cannot answer either.
    input.can_pause = stored.is_some();
    input.approved = approved;
    input.client_instructions = incoming.instructions;
    input.client_tools = incoming.tools;
    input.tool_choice = incoming.tool_choice;
    input.params = incoming.params;
    input.stream = incoming.stream;
    input.state = state.clone();
    input.kept = session.as_ref().map(|session| session.variables.clone()).unwrap_or_default();
    Ok(Ready { session: session_id, stored, context, input, state })
}

impl Task {
    async fn run(self) -> Ended {
        let Self { app, stored, context, input, state, cancel, events, permit: _permit, pledge } = self;
        let request_id = context.request_id().to_owned();
        let (session, agent) = (context.session().cloned(), context.shared_agent());
        let mut outcome = app.registry.run(context, input, app.limits, cancel, events).await;
        let problem = match &outcome.end {
            RunEnd::Failed(problem) => Some(problem.clone()),
            // Whoever cancelled is not there to be told; but clients of a server that stops are.
            RunEnd::Cancelled if app.turns.cut_off.is_cancelled() => {
                let detail = "the server was shut down before the answer was complete";
                Some(Problem::new(Code::ShuttingDown, detail).with_should_retry(false))
            }
            _ => None,
        };
        if let Some(problem) = &problem {
            tracing::warn!(
                request_id, agent = %outcome.agent, model = %outcome.model, code = problem.code().as_str(),
                "a turn failed: {}", problem.detail()
            );
        }
        let turn = stored.as_ref().map(|stored| stored.turn.id());
        let answer = pledge.as_ref().and_then(|pledge| pledge.answer(session, turn, agent, &outcome));
        let mut is_kept = answer.is_some();
        let stored = stored.and_then(|stored| stored.unless_refused(&outcome, problem.as_ref()));
        let mut ended_at_ms = None;
        let problem = match stored {
            None => {
                is_kept = Pledge::keep(&app, answer).await;
                problem
            }
            Some(mut stored) => {
                stored.record.answer = answer;
                stored.record.error = problem.as_ref().map(TurnError::from);
                match stored.commit(&app, &mut outcome, &state).await {
                    Ok(at_ms) => {
                        ended_at_ms = Some(at_ms);
                        problem
                    }
                    Err(error) => {
                        tracing::error!(request_id, "a turn could not be stored: {error}");
                        is_kept = false;
                        Some(store_problem(&error).with_should_retry(false))
                    }
                }
            }
        };
        if let Some(pledge) = pledge.filter(|_| !is_kept) {
            pledge.give_up(&app).await;
        }
        Ended { outcome, problem, ended_at_ms }
    }
}

impl Stored {
    /// Writes it down, and says when that was.
    async fn commit(self: Box<Self>, app: &App, outcome: &mut Outcome, state: &State) -> Result<i64, StoreError> {
        let Self { turn, mut record, .. } = *self;
        record.agent = Arc::clone(&outcome.agent);
        record.status = match outcome.end {
            RunEnd::Complete(_) => Status::Complete,
            RunEnd::Failed(_) => Status::Failed,
            _ => Status::Incomplete,
        };
        record.paused = !outcome.approvals.is_empty();
        record.messages.extend(outcome.messages.iter().cloned());
        record.usage = Some(outcome.usage);
        record.children = mem::take(&mut outcome.children);
        record.variables = mem::take(&mut outcome.kept);
        record.trail = mem::take(&mut outcome.trail);
        record.state = state.changed_json();
        app.store.commit(turn, record).await.map(|session| session.record.updated_at_ms)
    }
}

/// The agent that is asked for, and the one that answers: a handoff holds until another agent is asked for.
fn agents(app: &App, asked: &Asked, session: Option<&Session>) -> (Arc<str>, Arc<str>) {
    let known = |name: &Arc<str>| app.registry.agent(name).map(|_| Arc::clone(name));
    let stored = session.map(|session| (&session.record.asked_agent, &session.record.agent));
    match (&asked.agent, stored) {
        (Some(asked), Some((before, current))) if asked == before => {
            (Arc::clone(asked), known(current).unwrap_or_else(|| Arc::clone(asked)))
        }
        (Some(asked), _) => (Arc::clone(asked), Arc::clone(asked)),
        (None, Some((before, current))) => {
            let entry = || app.registry.entry().shared_name();
            let before = known(before).unwrap_or_else(entry);
            let current = known(current).unwrap_or_else(|| Arc::clone(&before));
            (before, current)
        }
        (None, None) => (app.registry.entry().shared_name(), app.registry.entry().shared_name()),
    }
}

fn stored_headers(session: Option<&Session>) -> impl Iterator<Item = (&str, &Value)> {
    session.into_iter().flat_map(|session| &session.headers).map(|header| (&*header.field, &header.value))
}

/// What the sent headers change in the session.
fn header_changes(app: &App, sent: &Sent) -> Vec<HeaderChange> {
    let fields = app.ingress.schema().fields();
    sent.iter()
        .filter_map(|(at, value)| {
            let field = fields.get(at)?;
            Some(match value {
                SentValue::Value(value) => {
                    HeaderChange::Set { field: field.shared_name(), value: value.clone(), secret: field.is_secret() }
                }
                SentValue::Cleared => HeaderChange::Clear { field: field.shared_name() },
            })
        })
        .collect()
}

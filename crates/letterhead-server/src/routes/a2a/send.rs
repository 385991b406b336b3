//! `SendMessage` and `SendStreamingMessage`: a turn, as a new task or as more of one that waits.

use std::sync::Arc;

use axum::response::Response;
use letterhead_context::{Problem, SessionId};
use letterhead_store::{Owner, Role, TurnId};
use serde_json::json;

use super::A2a;
use super::answer::{Fault, Named, respond};
use super::follow;
use super::live::{Beginning, Live, LiveTasks};
use super::params::Sent;
use super::stored::{self, StoredTask};
use super::task::{About, Event, State, Status, Task};
use crate::app::App;
use crate::arrival::{Arrival, Undecided};
use crate::idempotency::{self, Stamp};
use crate::json_rpc::Request;
use crate::members::wrong;
use crate::model_choice::Asked;
use crate::session_header::say_session;
use crate::turn::{Edit, Incoming, IncomingMessage, SessionChoice, may_reach, new_message_id};

/// Begins a turn. Its answer is waited for, or streamed, or neither.
pub(super) async fn send(
    here: &A2a,
    request: &Request<'_>,
    streaming: bool,
    arrived: Undecided,
) -> Result<Response, Fault> {
    let request_id = arrived.request_id().as_str().to_owned();
    let fault = |problem: Problem| Fault::of(problem, &request_id);
    let sent = Sent::read(&request.params, &request_id)?;
    let arrival = arrived.starts_turn().map_err(Fault::failed)?;
    let history_length = sent.history_length;
    let begun = begin(here, sent, streaming, arrival, &request_id).await?;
    let begun = match begun {
        Begun::Live(live) => live,
        // The request was sent before, and is answered as it was.
        Begun::Past(task) => {
            let task = task.with_history(history_length);
            let session = SessionId::parse(&task.context_id).ok();
            return Ok(follow::past(&request.id, &task, session.as_ref(), streaming));
        }
    };
    let Started { live, first, waited } = begun;
    if streaming {
        let first = first.with_history(history_length);
        return Ok(follow::live(&here.app, request.id.clone(), live.session(), &first, live.reader_of_all()));
    }
    let (task, failed) = if waited { live.ended().await.map_err(fault)? } else { (live.task(), None) };
    let task = task.with_history(history_length);
    let mut response = respond(&request.id, &Event::Task(&task));
    if let Some(problem) = failed {
        // For the log, as of a request that is refused.
        response.extensions_mut().insert(problem);
    }
    say_session(Some(live.session()), response.headers_mut());
    Ok(response)
}

/// A turn that has begun.
enum Begun {
    Live(Started),
    /// It had begun, and ended, before.
    Past(Task),
}

struct Started {
    live: Arc<Live>,
    /// The task as it began.
    first: Task,
    /// Does the client wait for its end?
    waited: bool,
}

async fn begin(
    here: &A2a,
    sent: Sent,
    streaming: bool,
    arrival: Box<Arrival>,
    request_id: &str,
) -> Result<Begun, Fault> {
    let fault = |problem: Problem| Fault::of(problem, request_id);
    let app = &here.app;
    let owner = Owner::from(&arrival.caller);
    let named = match sent.task {
        Some(name) => Some(named(here, &owner, arrival.stranger, name.id()?, request_id).await?),
        None => None,
    };
    let session = session(&arrival, &sent, named.as_ref().map(|named| &named.session)).map_err(fault)?;
    let (waiting, refused) = match named.map(|named| (named.id, named.waiting)) {
        Some((id, Ok(stored))) => (Some((id, stored)), None),
        Some((id, Err(fault))) => (None, Some((id, fault))),
        None => (None, None),
    };
    if let (Some(context), None) = (&sent.context, sent.task) {
        reachable(app, &owner, arrival.stranger, context).await.map_err(fault)?;
    }
    let asked = Asked::read(&app.registry, &app.aliases, &arrival.identity, None).map_err(fault)?;
    accepted(app, &asked, &sent.accepted)?;
    let id = sent.message_id.unwrap_or_else(new_message_id);
    let body: Option<Arc<str>> =
        sent.content.map(|content| json!({ "role": "user", "content": content }).to_string().into());
    let message = body.clone().map(|body| IncomingMessage { id: Some(Arc::clone(&id)), role: Role::User, body });
    let incoming = Incoming {
        approvals: sent.approvals,
        edit: Edit::Add { after: waiting.as_ref().and_then(|(_, stored)| stored.waits) },
        // Whoever subscribes wants to hear of it as it comes.
        stream: true,
        announced: streaming || sent.return_immediately,
        ..Incoming::new(session, asked, message.into_iter().collect())
    };
    let stamp = Stamp {
        id: uuid::Uuid::new_v4().to_string(),
        created: app.clock.now_ms().div_euclid(1000),
        request_id: arrival.request_id.shared(),
    };
    if let Some((id, refused)) = refused {
        // Perhaps because this very request was sent before, and has done it.
        let told = idempotency::told_before(app, arrival, &incoming).await;
        if !told.map_err(|refused| Fault::failed(refused.of(request_id)))? {
            return Err(refused);
        }
        let task = stored::find(app, &owner, id).await.map_err(fault)?.ok_or_else(Fault::no_task)?;
        return Ok(Begun::Past(task.task));
    }
    let own_stamp = stamp.id.clone();
    let begun = idempotency::once(app, arrival, Box::new(incoming), stamp).await;
    let (stamp, running) = begun.map_err(|refused| Fault::failed(refused.of(request_id)))?;
    let (Some(turn), Some(session)) = (running.turn, running.session.clone()) else {
        let detail =
            "the turn that this request began is not kept any more; send it again under another `Idempotency-Key`";
        return Err(fault(Problem::new(letterhead_context::Code::Internal, detail)));
    };
    let first = waiting.as_ref().map_or(turn, |(id, _)| *id);
    if stamp.id != own_stamp {
        let task = stored::find(app, &owner, first).await.map_err(fault)?.ok_or_else(Fault::no_task)?;
        return Ok(Begun::Past(task.task));
    }
    let (mut task, turns) = match waiting {
        Some((_, stored)) => (stored.task, stored.turns.len()),
        None => (fresh(first, &session), 0),
    };
    let question = body.and_then(|body| stored::sent(&id, &body, &task.id, &task.context_id));
    task.history.extend(question);
    task.status = Status { state: State::Working, message: None, timestamp: app.clock.now_ms() };
    task.metadata.agent = Some(Arc::clone(&running.agent));
    let begins = task.clone();
    let beginning = Beginning { id: first, owner, session, task, turn: turns + 1 };
    let live = LiveTasks::start(here, beginning, running);
    Ok(Begun::Live(Started { live, first: begins, waited: !sent.return_immediately }))
}

fn fresh(id: TurnId, session: &SessionId) -> Task {
    Task {
        id: id.to_string().into(),
        context_id: session.as_str().into(),
        status: Status { state: State::Working, message: None, timestamp: 0 },
        artifacts: Some(Vec::new()),
        history: Vec::new(),
        metadata: About::default(),
    }
}

/// The task that a message goes on with.
struct NamedTask {
    id: TurnId,
    session: SessionId,
    /// It has to wait for one; else why it takes none.
    waiting: Result<StoredTask, Fault>,
}

async fn named(here: &A2a, owner: &Owner, stranger: bool, id: TurnId, request_id: &str) -> Result<NamedTask, Fault> {
    let fault = |problem: Problem| Fault::of(problem, request_id);
    let is_reachable = |session: &SessionId| may_reach(stranger, session);
    let still_working = || Fault::named(Named::UnsupportedOperation, STILL_WORKING);
    if let Some(live) = here.tasks.find(owner, id).filter(|live| is_reachable(live.session())) {
        return Ok(NamedTask { id, session: live.session().clone(), waiting: Err(still_working()) });
    }
    let found = stored::find(&here.app, owner, id).await.map_err(fault)?;
    let found = found.filter(|found| found.turns.iter().all(|turn| is_reachable(&turn.session)));
    let found = found.ok_or_else(Fault::no_task)?;
    let session = SessionId::parse(&found.task.context_id).map_err(fault)?;
    let waiting = match found.task.status.state {
        State::InputRequired => Ok(found),
        State::Working => Err(still_working()),
        state => {
            let state = state.as_str();
            let message = format!(
                "the task has come to its end ({state}) and takes no further message; leave `taskId` out to begin another one \
                 in the same `contextId`"
            );
            Err(Fault::named(Named::UnsupportedOperation, message))
        }
    };
    Ok(NamedTask { id, session, waiting })
}

const STILL_WORKING: &str = "the task is still working and takes no message now; wait until it ends, or cancel it";

/// The session that a message belongs to: as in every protocol what the header says, then what the message says.
fn session(arrival: &Arrival, sent: &Sent, of_task: Option<&SessionId>) -> Result<SessionChoice, Problem> {
    let header = arrival.identity.session_id.clone();
    let named = header.or_else(|| sent.context.clone());
    match (of_task, named) {
        (Some(context), Some(named)) if *context != named => {
            Err(wrong("/params/message/contextId", "the task's own `contextId`, or none"))
        }
        (Some(context), _) => Ok(SessionChoice::Named(context.clone())),
        (None, Some(named)) => Ok(SessionChoice::Named(named)),
        (None, None) => Ok(SessionChoice::New),
    }
}

/// A context that is named and cannot be had is refused: this protocol allows no other one in its place.
async fn reachable(app: &App, owner: &Owner, stranger: bool, context: &SessionId) -> Result<(), Problem> {
    if !stranger {
        return Ok(());
    }
    let key = owner.session(context.clone());
    let is_there = may_reach(stranger, context)
        && app.store.session(&key).await.map_err(|error| crate::error::store_problem(&error))?.is_some();
    if is_there {
        return Ok(());
    }
    let expected = "a `contextId` that this server has made, or none: without a user no other can be had";
    Err(wrong("/params/message/contextId", expected))
}

/// Can the client take what the agent says?
fn accepted(app: &App, asked: &Asked, accepted: &[String]) -> Result<(), Fault> {
    let agent = asked.agent.as_deref().and_then(|name| app.registry.agent(name));
    let modes = super::card::output_modes(agent.unwrap_or(app.registry.entry()));
    let takes = |accepted: &String| {
        let accepted = accepted.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        modes.iter().any(|mode| match accepted.strip_suffix("/*") {
            Some("*") => true,
            Some(family) => mode.split('/').next() == Some(family),
            None => **mode == accepted,
        })
    };
    if accepted.is_empty() || accepted.iter().any(takes) {
        return Ok(());
    }
    let message = format!("the agent answers in {}, which `acceptedOutputModes` does not have", modes.join(" and "));
    Err(Fault::named(Named::ContentTypeNotSupported, message))
}

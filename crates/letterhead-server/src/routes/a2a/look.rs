//! `GetTask`, `CancelTask` and `SubscribeToTask`: what has become of a task, for its caller.

use std::sync::Arc;

use axum::response::Response;
use letterhead_context::Problem;
use letterhead_store::{Owner, TurnId};

use super::answer::{Fault, Named, respond};
use super::live::Live;
use super::stored::{self, StoredTask};
use super::task::{State, Task};
use super::{A2a, follow, params};
use crate::arrival::Reading;
use crate::json_rpc::Request;
use crate::turn::{abandon, may_reach};

/// A task of the caller's.
enum Found {
    /// Its turn runs here.
    Live(Arc<Live>),
    /// It has ended, or waits, or runs somewhere else.
    Stored(Box<StoredTask>),
}

impl Found {
    fn task(&self) -> Task {
        match self {
            Self::Live(live) => live.task(),
            Self::Stored(stored) => stored.task.clone(),
        }
    }
}

/// The task that a request names. Somebody else's is as good as none.
async fn named(here: &A2a, request: &Request<'_>, reading: &Reading) -> Result<(TurnId, Found), Fault> {
    let fault = |problem: Problem| Fault::of(problem, reading.request_id.as_str());
    let id = params::task(&request.params).map_err(fault)?.id()?;
    let owner = Owner::from(&reading.caller);
    if let Some(live) = here.tasks.find(&owner, id).filter(|live| may_reach(reading.stranger, live.session())) {
        return Ok((id, Found::Live(live)));
    }
    let found = stored::find(&here.app, &owner, id).await.map_err(fault)?;
    let found = found.filter(|found| found.turns.iter().all(|turn| may_reach(reading.stranger, &turn.session)));
    Ok((id, Found::Stored(Box::new(found.ok_or_else(Fault::no_task)?))))
}

/// Where a task stands, and what has come of it.
pub(super) async fn get(here: &A2a, request: &Request<'_>, reading: &Reading) -> Result<Response, Fault> {
    let length = params::history_length(&request.params, "/params/historyLength");
    let length = length.map_err(|problem| Fault::of(problem, reading.request_id.as_str()))?;
    let (_, found) = named(here, request, reading).await?;
    Ok(respond(&request.id, &found.task().with_history(length)))
}

/// Ends a task before its time.
pub(super) async fn cancel(here: &A2a, request: &Request<'_>, reading: &Reading) -> Result<Response, Fault> {
    let fault = |problem: Problem| Fault::of(problem, reading.request_id.as_str());
    let (id, mut found) = named(here, request, reading).await?;
    let mut ended = None;
    while let Found::Live(live) = &found {
        live.cancel();
        // It ends as soon as what it has is stored. A store that is away is not waited for: the task ends all the same.
        let task = match tokio::time::timeout(here.app.timing.keep_alive, live.ended()).await {
            Ok(ended) => ended.map_err(fault)?.0,
            Err(_) => live.task(),
        };
        if task.status.state != State::InputRequired {
            ended = Some(task);
            break;
        }
        // It came to wait before it noticed, and what waits is ended in the store.
        found = named(here, request, reading).await?.1;
    }
    let task = match (ended, found) {
        (Some(task), _) => task,
        (None, Found::Live(live)) => live.task(),
        (None, Found::Stored(stored)) => match stored.task.status.state {
            State::InputRequired => {
                let owner = Owner::from(&reading.caller);
                let waits = stored.waits.unwrap_or_default();
                let session = stored.turns.last().map(|turn| turn.session.clone());
                let key = owner.session(session.ok_or_else(Fault::no_task)?);
                abandon(&here.app, &key, waits).await.map_err(fault)?;
                let found = stored::find(&here.app, &owner, id).await.map_err(fault)?;
                found.ok_or_else(Fault::no_task)?.task
            }
            State::Working => {
                let message = "the task runs on another server of this installation, or was begun in another protocol, and can \
                               only be ended there";
                return Err(Fault::named(Named::TaskNotCancelable, message));
            }
            state => return Err(not_cancelable(state)),
        },
    };
    // It may have come to its end by itself, just before.
    match task.status.state {
        State::Completed | State::Failed => Err(not_cancelable(task.status.state)),
        _ => Ok(respond(&request.id, &task)),
    }
}

fn not_cancelable(state: State) -> Fault {
    let message = format!("the task has come to its end already ({})", state.as_str());
    Fault::named(Named::TaskNotCancelable, message)
}

/// Follows a task that has not ended.
pub(super) async fn subscribe(here: &A2a, request: &Request<'_>, reading: &Reading) -> Result<Response, Fault> {
    let (id, found) = named(here, request, reading).await?;
    let follower = || here.tasks.followers.join(id).map_err(|problem| Fault::of(problem, reading.request_id.as_str()));
    let stored = match found {
        Found::Live(live) => {
            let (task, reader) = live.reader(follower()?);
            return Ok(follow::live(&here.app, request.id.clone(), live.session(), &task, reader));
        }
        Found::Stored(stored) => stored,
    };
    let state = stored.task.status.state;
    if state.is_terminal() {
        let message = format!("the task has come to its end ({}); `GetTask` has all of it", state.as_str());
        return Err(Fault::named(Named::UnsupportedOperation, message));
    }
    if state == State::InputRequired {
        // Nothing happens until somebody says something, and that answer has a stream of its own.
        let session = stored.turns.last().map(|turn| &turn.session);
        return Ok(follow::past(&request.id, &stored.task, session, true));
    }
    Ok(follow::elsewhere(&here.app, request.id.clone(), reading, id, &stored.task, follower()?))
}

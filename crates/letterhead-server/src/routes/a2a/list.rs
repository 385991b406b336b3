//! `ListTasks`: the caller's tasks, newest first.

use axum::response::Response;
use letterhead_context::{Code, Fault as PlaceOf, Problem, SessionId};
use letterhead_store::{MAX_PAGE, Owner, Page, StoreError, TurnFilter, TurnId, TurnStatus, TurnSummary};
use serde::Serialize;

use super::A2a;
use super::answer::{Fault, respond};
use super::params;
use super::stored;
use super::task::{State, Task};
use crate::arrival::Reading;
use crate::error::store_problem;
use crate::json_rpc::Request;
use crate::members::Members;
use crate::turn::may_reach;

/// How many tasks a page has if nobody says, and at most.
const PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 100;

/// How many turns are looked at, for a page and to say how many tasks there are: a request that starts nothing must not cost
/// more, whatever a caller has.
const MOST_LOOKED_AT: usize = 1000;

/// Which tasks are asked for, and how much of them.
struct Wanted {
    context: Option<SessionId>,
    /// None is all; a state that no task here is ever in is none of them.
    state: Option<Option<State>>,
    page_size: usize,
    after: Option<TurnId>,
    history_length: usize,
    since_ms: Option<i64>,
    artifacts: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    tasks: Vec<Task>,
    next_page_token: String,
    page_size: usize,
    total_size: usize,
}

/// A page of the caller's tasks.
pub(super) async fn list(here: &A2a, request: &Request<'_>, reading: &Reading) -> Result<Response, Fault> {
    let fault = |problem: Problem| Fault::of(problem, reading.request_id.as_str());
    let wanted = Wanted::read(&request.params).map_err(fault)?;
    // Strangers are one caller, and see of each other nothing: an id that was made here is what opens a conversation.
    let may_see = wanted.context.as_ref().map_or(!reading.stranger, |context| may_reach(reading.stranger, context));
    if !may_see || wanted.state == Some(None) {
        let nothing = Listed { tasks: Vec::new(), next_page_token: String::new(), page_size: 0, total_size: 0 };
        return Ok(respond(&request.id, &nothing));
    }
    let listing = Listing { here, owner: Owner::from(&reading.caller), wanted };
    Ok(respond(&request.id, &listing.page().await.map_err(fault)?))
}

impl Wanted {
    /// Reads the parameters. Every fault is told.
    fn read(params: &Members<'_>) -> Result<Self, Problem> {
        let mut faults = Vec::new();
        let mut wrong = |name: &str, expected: &str| {
            let pointer = format!("/params/{name}");
            faults.push(PlaceOf::pointer(pointer, Code::InvalidBody, format!("expected {expected}")));
        };
        let text = |name: &str| match params.get::<String>(name, "") {
            // An empty text is none, in the protocol's own form of JSON.
            Ok(text) => Ok(text.filter(|text| !text.is_empty())),
            Err(_) => Err(()),
        };
        let context = text("contextId").and_then(|id| id.map(|id| SessionId::parse(&id)).transpose().map_err(drop));
        let state = text("status").and_then(|name| name.map(|name| state(&name)).transpose());
        let since = text("statusTimestampAfter").and_then(|time| time.map(|time| milliseconds(&time)).transpose());
        let after = text("pageToken").and_then(|token| token.map(|token| TurnId::parse(&token).ok_or(())).transpose());
        let page_size = params.get::<usize>("pageSize", "").ok().map(|size| size.unwrap_or(PAGE_SIZE));
        let page_size = page_size.filter(|size| (1..=MAX_PAGE_SIZE).contains(size));
        let history_length = params::history_length(params, "/params/historyLength");
        let artifacts = params.get::<bool>("includeArtifacts", "");
        if context.is_err() {
            wrong("contextId", "the id of a context: 1 to 128 of A-Z a-z 0-9 . _ : -");
        }
        if state.is_err() {
            wrong("status", "a state, such as `TASK_STATE_COMPLETED`");
        }
        if since.is_err() {
            wrong("statusTimestampAfter", "a time, such as `2026-01-31T12:00:00Z`");
        }
        if after.is_err() {
            wrong("pageToken", "a `nextPageToken` of this list");
        }
        if page_size.is_none() {
            wrong("pageSize", "a whole number from 1 to 100");
        }
        if history_length.is_err() {
            wrong("historyLength", "a whole number, 0 or more");
        }
        if artifacts.is_err() {
            wrong("includeArtifacts", "true or false");
        }
        if !faults.is_empty() {
            return Err(Problem::faults(faults));
        }
        Ok(Self {
            context: context.unwrap_or_default(),
            state: state.unwrap_or_default().flatten(),
            page_size: page_size.unwrap_or(PAGE_SIZE),
            after: after.unwrap_or_default(),
            history_length: history_length?.unwrap_or_default(),
            since_ms: since.unwrap_or_default(),
            artifacts: artifacts?.unwrap_or_default(),
        })
    }
}

/// The state of a name; none for no particular one, and a state without a task for one that does not occur here.
fn state(name: &str) -> Result<Option<Option<State>>, ()> {
    match name {
        "TASK_STATE_UNSPECIFIED" => Ok(None),
        "TASK_STATE_WORKING" => Ok(Some(Some(State::Working))),
        "TASK_STATE_INPUT_REQUIRED" => Ok(Some(Some(State::InputRequired))),
        "TASK_STATE_COMPLETED" => Ok(Some(Some(State::Completed))),
        "TASK_STATE_FAILED" => Ok(Some(Some(State::Failed))),
        "TASK_STATE_CANCELED" => Ok(Some(Some(State::Canceled))),
        "TASK_STATE_SUBMITTED" | "TASK_STATE_REJECTED" | "TASK_STATE_AUTH_REQUIRED" => Ok(Some(None)),
        _ => Err(()),
    }
}

/// A time in Unix milliseconds, rounded up: what is listed is not before it.
fn milliseconds(text: &str) -> Result<i64, ()> {
    let time: jiff::Timestamp = text.parse().map_err(drop)?;
    let rest = i64::from(time.subsec_nanosecond() % 1_000_000 != 0);
    Ok(time.as_millisecond() + rest)
}

struct Listing<'a> {
    here: &'a A2a,
    owner: Owner,
    wanted: Wanted,
}

impl Listing<'_> {
    async fn page(&self) -> Result<Listed, Problem> {
        let size = self.wanted.page_size;
        let mut tasks = Vec::with_capacity(size);
        let mut last = None;
        let mut next = String::new();
        let mut turns = self.turns(self.wanted.after, MAX_PAGE_SIZE + 1);
        let mut looked = 0;
        while let Some(turn) = turns.next().await? {
            looked += 1;
            if let Some(state) = self.state(&turn) {
                if tasks.len() == size {
                    next = last.map(|last: TurnId| last.to_string()).unwrap_or_default();
                    break;
                }
                last = Some(turn.id);
                tasks.extend(self.task(&turn, state).await?.filter(|task| self.is_wanted(task.status.state)));
            }
            if looked == MOST_LOOKED_AT {
                // The page is short then, and the next one goes on from here.
                next = turn.id.to_string();
                break;
            }
        }
        let is_whole = self.wanted.after.is_none() && next.is_empty();
        let total_size = if is_whole { tasks.len() } else { self.count().await? };
        tasks.sort_by_key(|task| std::cmp::Reverse(task.status.timestamp));
        Ok(Listed { page_size: tasks.len(), tasks, next_page_token: next, total_size })
    }

    /// How many tasks there are, as far as they are counted.
    async fn count(&self) -> Result<usize, Problem> {
        let (mut count, mut looked) = (0, 0);
        let mut turns = self.turns(None, MAX_PAGE);
        while let Some(turn) = turns.next().await? {
            looked += 1;
            count += usize::from(self.state(&turn).is_some());
            if looked == MOST_LOOKED_AT {
                break;
            }
        }
        Ok(count)
    }

    /// The last turns of tasks that may be wanted, so many at a time.
    fn turns(&self, after: Option<TurnId>, at_once: usize) -> Turns<'_> {
        let status = match self.wanted.state.flatten() {
            Some(State::Working) => Some(TurnStatus::Running),
            Some(State::InputRequired) => Some(TurnStatus::Paused),
            Some(State::Completed) => Some(TurnStatus::Complete),
            Some(State::Failed) => Some(TurnStatus::Failed),
            // Broken off, or waiting when the conversation went on.
            Some(State::Canceled) | None => None,
        };
        let filter = TurnFilter {
            session: self.wanted.context.clone(),
            status,
            continues: None,
            // The store leaves that very moment out.
            ended_after_ms: self.wanted.since_ms.map(|since| since.saturating_sub(1)),
            last_of_task: true,
        };
        Turns { listing: self, filter, after, at_once, page: Vec::new().into_iter(), has_more: true }
    }

    fn is_recent(&self, turn: &TurnSummary) -> bool {
        self.wanted.since_ms.is_none_or(|since| turn.ended_at_ms.unwrap_or(turn.began_at_ms) >= since)
    }

    fn is_wanted(&self, state: State) -> bool {
        self.wanted.state.flatten().is_none_or(|wanted| wanted == state)
    }

    /// The state of the task whose last turn this is, if it is wanted.
    fn state(&self, turn: &TurnSummary) -> Option<State> {
        let state = stored::state(turn, true);
        (self.is_wanted(state) && self.is_recent(turn)).then_some(state)
    }

    /// The task whose last turn this is, with as much of it as is asked for.
    async fn task(&self, turn: &TurnSummary, state: State) -> Result<Option<Task>, Problem> {
        let first = turn.task();
        if let Some(live) = self.here.tasks.find(&self.owner, first) {
            return Ok(Some(self.cut(live.task())));
        }
        let is_bare = self.wanted.history_length == 0 && !self.wanted.artifacts && state != State::InputRequired;
        if is_bare {
            return Ok(Some(self.cut(stored::bare(turn, state))));
        }
        let found = stored::find(&self.here.app, &self.owner, first).await?;
        Ok(found.map(|found| self.cut(found.task)))
    }

    fn cut(&self, task: Task) -> Task {
        let mut task = task.with_history(Some(self.wanted.history_length));
        task.artifacts = task.artifacts.filter(|_| self.wanted.artifacts);
        task
    }
}

/// Turns, a page after the other.
struct Turns<'a> {
    listing: &'a Listing<'a>,
    filter: TurnFilter,
    after: Option<TurnId>,
    at_once: usize,
    page: std::vec::IntoIter<TurnSummary>,
    has_more: bool,
}

impl Turns<'_> {
    async fn next(&mut self) -> Result<Option<TurnSummary>, Problem> {
        if self.page.len() == 0 && self.has_more {
            let page = Page::first(self.at_once);
            let page = match self.after {
                Some(after) => page.after(after.to_string()),
                None => page,
            };
            let Listing { here, owner, .. } = self.listing;
            let found = here.app.store.turns(owner, &self.filter, &page).await;
            let found = found.map_err(|error: StoreError| store_problem(&error))?;
            (self.page, self.has_more) = (found.data.into_iter(), found.has_more);
        }
        let turn = self.page.next();
        self.after = turn.as_ref().map(|turn| turn.id).or(self.after);
        Ok(turn)
    }
}

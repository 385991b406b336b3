//! Tasks whose turns run on this server: what has come of them, for everybody who follows.
//!
//! A turn is run for the task and not for a client: it goes on when nobody reads, and a slow reader holds nobody up. What
//! happens is written down as it comes, and each reader reads it at its own pace.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use letterhead::run::{RunEnd, RunEvent};
use letterhead_context::{Problem, SessionId};
use letterhead_store::{Owner, TurnId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::A2a;
use super::followers::{Follower, Followers};
use super::stored::{self, Names};
use super::task::{About, Artifact, Event, Message, State, Status, Task};
use crate::app::App;
use crate::stream;
use crate::turn::{Ended, Running};

/// The tasks whose turns run on this server.
#[derive(Default)]
pub(super) struct LiveTasks {
    tasks: Mutex<HashMap<TurnId, Arc<Live>>>,
    /// Who follows which task here, wherever its turn runs.
    pub(super) followers: Followers,
}

/// A task whose turn runs.
pub(super) struct Live {
    owner: Owner,
    session: SessionId,
    log: Mutex<Log>,
    /// How much is written down.
    grown: watch::Sender<usize>,
    /// Ends its turn.
    cancel: CancellationToken,
}

/// What has happened.
struct Log {
    /// The task as it is now.
    task: Task,
    /// What came, in order.
    pieces: Vec<Piece>,
    /// Why it failed.
    problem: Option<Problem>,
    /// Its turn never was one.
    refused: bool,
    over: bool,
}

/// A piece of an artifact's text.
struct Piece {
    artifact: usize,
    from: usize,
    to: usize,
}

impl LiveTasks {
    fn tasks(&self) -> MutexGuard<'_, HashMap<TurnId, Arc<Live>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A caller's task that runs here. One whose turn has ended is in the store.
    pub(super) fn find(&self, owner: &Owner, id: TurnId) -> Option<Arc<Live>> {
        self.tasks().get(&id).filter(|live| live.owner == *owner && !live.log().over).cloned()
    }

    /// Lets a task's turn run, and writes down what comes.
    pub(super) fn start(here: &A2a, beginning: Beginning, running: Running) -> Arc<Live> {
        let Beginning { id, owner, session, task, turn } = beginning;
        let log = Log { task, pieces: Vec::new(), problem: None, refused: false, over: false };
        let live = Arc::new(Live {
            owner,
            session,
            log: Mutex::new(log),
            grown: watch::Sender::new(0),
            cancel: running.client.cancels(),
        });
        here.tasks.tasks().insert(id, Arc::clone(&live));
        let (app, all, of_task) = (Arc::clone(&here.app), Arc::clone(&here.tasks), Arc::clone(&live));
        let tracked = app.turns.tasks.clone();
        tracked.spawn(async move {
            of_task.follow(&app, running, Scribe::of_turn(turn)).await;
            let mut tasks = all.tasks();
            // Another turn may have gone on with it meanwhile.
            if tasks.get(&id).is_some_and(|there| Arc::ptr_eq(there, &of_task)) {
                tasks.remove(&id);
            }
        });
        live
    }
}

/// What a task begins with.
pub(super) struct Beginning {
    pub(super) id: TurnId,
    pub(super) owner: Owner,
    pub(super) session: SessionId,
    /// With what came of it before, where it goes on.
    pub(super) task: Task,
    /// Which of its turns is beginning, from 1.
    pub(super) turn: usize,
}

impl Live {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The conversation that it belongs to.
    pub(super) fn session(&self) -> &SessionId {
        &self.session
    }

    /// The task as it is now.
    pub(super) fn task(&self) -> Task {
        self.log().task.clone()
    }

    /// The task as it is now, and a reader of what comes after.
    pub(super) fn reader(self: &Arc<Self>, follower: Follower) -> (Task, Reader) {
        let log = self.log();
        (log.task.clone(), Reader { read: log.pieces.len(), _follower: Some(follower), ..self.reader_of_all() })
    }

    /// A reader of all that came, and comes: for who has sent the message.
    pub(super) fn reader_of_all(self: &Arc<Self>) -> Reader {
        Reader { live: Arc::clone(self), read: 0, ended: false, grown: self.grown.subscribe(), _follower: None }
    }

    /// Waits until its turn has ended, and gives the task, and why it failed if it did; or why the turn never was one.
    pub(super) async fn ended(&self) -> Result<(Task, Option<Problem>), Problem> {
        let mut grown = self.grown.subscribe();
        // The sender is here, so that there is always something to wait for.
        let _ = grown.wait_for(|_| self.log().over).await;
        let log = self.log();
        match &log.problem {
            Some(problem) if log.refused => Err(problem.clone()),
            problem => Ok((log.task.clone(), problem.clone())),
        }
    }

    /// Ends its turn, as soon as that notices.
    pub(super) fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Writes down what happens until the turn has ended. Meanwhile it has a client that does not leave.
    async fn follow(&self, app: &App, mut running: Running, mut scribe: Scribe) {
        while let Some(event) = stream::next_event(&mut running.events).await {
            self.write(|log| scribe.take(&event, log));
        }
        let ended = stream::ended(&mut running).await;
        let now_ms = app.clock.now_ms();
        self.write(|log| log.end(&ended, now_ms));
    }

    /// Writes down, and wakes who waits for it.
    fn write(&self, write: impl FnOnce(&mut Log)) {
        let written = {
            let mut log = self.log();
            write(&mut log);
            log.pieces.len() + usize::from(log.over)
        };
        self.grown.send_if_modified(|known| std::mem::replace(known, written) != written);
    }
}

impl Log {
    /// Adds to an artifact.
    fn push(&mut self, artifact: usize, text: &str) {
        let Some(artifacts) = &mut self.task.artifacts else { return };
        if let Some(to_grow) = artifacts.get_mut(artifact) {
            let from = to_grow.push(text);
            self.pieces.push(Piece { artifact, from, to: from + text.len() });
        }
    }

    /// Adds an artifact with its first text.
    fn begin(&mut self, artifact: Artifact) -> usize {
        let to = artifact.text().len();
        let artifacts = self.task.artifacts.get_or_insert_default();
        artifacts.push(artifact);
        let at = artifacts.len() - 1;
        self.pieces.push(Piece { artifact: at, from: 0, to });
        at
    }

    fn end(&mut self, ended: &Ended, now_ms: i64) {
        let Ended { outcome, problem, ended_at_ms } = ended;
        let Task { id, context_id, .. } = &self.task;
        let remark = |text: &str| Some(stored::remark(text, id, context_id));
        let told = problem.as_ref().map(Problem::detail);
        let (state, message): (State, Option<Message>) = match (&outcome.end, problem) {
            // It came to its end, and that was not stored: nor was what it asks.
            (RunEnd::Complete(_), Some(problem)) => (State::Failed, remark(problem.detail())),
            // However else its turn has ended.
            _ if !outcome.approvals.is_empty() => {
                (State::InputRequired, Some(stored::question(&outcome.approvals, told, id, context_id)))
            }
            // It is stored as one that was broken off.
            (RunEnd::Cancelled, Some(problem)) => (State::Canceled, remark(problem.detail())),
            (RunEnd::Cancelled, None) => (State::Canceled, None),
            (_, Some(problem)) => (State::Failed, remark(problem.detail())),
            _ => (State::Completed, None),
        };
        let usage = Some(outcome.usage.into());
        let failed = state == State::Failed;
        self.task.status = Status { state, message, timestamp: ended_at_ms.unwrap_or(now_ms) };
        self.task.metadata = About { agent: Some(Arc::clone(&outcome.agent)), usage };
        // Nothing was asked of any model, because of what the request brought.
        let refused = |problem: &&Problem| outcome.model.is_empty() && problem.status().is_client_error();
        self.refused = problem.as_ref().filter(refused).is_some();
        self.problem = problem.clone().filter(|_| failed || self.refused);
        self.over = true;
    }
}

/// Says which text belongs to which artifact.
struct Scribe {
    names: Names,
    /// The artifact that the next text of the agent that has the conversation goes to.
    answer: Option<usize>,
    /// The agents that are asked, by the calls on the way to them.
    asked: HashMap<Vec<Arc<str>>, Asked>,
}

/// An agent that is asked.
struct Asked {
    path: String,
    answer: Option<usize>,
}

impl Scribe {
    fn of_turn(turn: usize) -> Self {
        Self { names: Names::of_turn(turn), answer: None, asked: HashMap::new() }
    }

    fn take(&mut self, event: &RunEvent, log: &mut Log) {
        match event {
            RunEvent::RunStarted { agent } | RunEvent::HandedOver { to: agent, .. } => {
                log.task.metadata.agent = Some(Arc::clone(agent));
            }
            RunEvent::ModelCallStarted { .. } => self.answer = None,
            RunEvent::Text(text) | RunEvent::Refusal(text) if !text.is_empty() => match self.answer {
                Some(at) => log.push(at, text),
                None => {
                    let agent = log.task.metadata.agent.clone().unwrap_or_default();
                    self.answer = Some(log.begin(self.names.answer(agent, text.clone())));
                }
            },
            RunEvent::ToolCompleted { id, .. } => self.forget(&[Arc::clone(id)]),
            RunEvent::Child { agent, call_id, event } => self.child(agent, vec![Arc::clone(call_id)], event, log),
            _ => {}
        }
    }

    fn child(&mut self, agent: &Arc<str>, way: Vec<Arc<str>>, event: &RunEvent, log: &mut Log) {
        if let RunEvent::Child { agent, call_id, event } = event {
            self.at(&way);
            let mut way = way;
            way.push(Arc::clone(call_id));
            return self.child(agent, way, event, log);
        }
        if let RunEvent::ToolCompleted { id, .. } = event {
            let mut way = way;
            way.push(Arc::clone(id));
            return self.forget(&way);
        }
        let call_id = way.last().cloned().unwrap_or_default();
        let asked = self.at(&way);
        match event {
            RunEvent::ModelCallStarted { .. } => asked.answer = None,
            RunEvent::Text(text) | RunEvent::Refusal(text) if !text.is_empty() => match asked.answer {
                Some(at) => log.push(at, text),
                None => {
                    let path = asked.path.clone();
                    let artifact = self.names.of_child(&path, Arc::clone(agent), call_id, text.clone());
                    let begun = log.begin(artifact);
                    self.at(&way).answer = Some(begun);
                }
            },
            _ => {}
        }
    }

    /// The agent that is asked by these calls.
    fn at(&mut self, way: &[Arc<str>]) -> &mut Asked {
        let outer = way.split_last().map(|(_, outer)| outer).filter(|outer| !outer.is_empty());
        let parent = outer.and_then(|outer| self.asked.get(outer)).map(|asked| asked.path.clone()).unwrap_or_default();
        let call_id = way.last().cloned().unwrap_or_default();
        let names = &mut self.names;
        self.asked.entry(way.to_vec()).or_insert_with(|| Asked { path: names.child(&parent, &call_id), answer: None })
    }

    /// A call is over: another one may have its id.
    fn forget(&mut self, way: &[Arc<str>]) {
        self.asked.retain(|known, _| !known.starts_with(way));
    }
}

/// Reads what happens to a task.
pub(super) struct Reader {
    live: Arc<Live>,
    read: usize,
    ended: bool,
    grown: watch::Receiver<usize>,
    _follower: Option<Follower>,
}

impl Reader {
    /// Waits until there is something to read.
    pub(super) async fn wait(&mut self) {
        let (live, read) = (&self.live, self.read);
        // The sender is here, so that there is always something to wait for.
        let is_news = |log: &Log| log.over || log.pieces.len() > read;
        let _ = self.grown.wait_for(|_| is_news(&live.log())).await;
    }

    /// Writes what has come since the last time, until `write` says that it is enough for now. True if that was the end.
    pub(super) fn read(&mut self, mut write: impl FnMut(&Event<'_>) -> ControlFlow<()>) -> bool {
        let log = self.live.log();
        let artifacts = log.task.artifacts.as_deref().unwrap_or_default();
        for Piece { artifact, from, to } in log.pieces.get(self.read..).unwrap_or_default() {
            self.read += 1;
            let Some(artifact) = artifacts.get(*artifact) else { continue };
            let Some(text) = artifact.text().get(*from..*to) else { continue };
            if write(&Event::piece(&log.task, artifact, text, *from > 0)).is_break() {
                return false;
            }
        }
        if log.over && !self.ended {
            self.ended = true;
            let _ = write(&Event::status(&log.task));
        }
        self.ended
    }
}

#[cfg(test)]
impl Live {
    /// A task that goes on, without a turn behind it.
    fn begun() -> Arc<Self> {
        let task = Task {
            id: "t".into(),
            context_id: "c".into(),
            status: Status { state: State::Working, message: None, timestamp: 0 },
            artifacts: None,
            history: Vec::new(),
            metadata: About::default(),
        };
        Arc::new(Self {
            owner: Owner::from(&letterhead_context::Caller::anonymous()),
            session: SessionId::parse("c").unwrap(),
            log: Mutex::new(Log { task, pieces: Vec::new(), problem: None, refused: false, over: false }),
            grown: watch::Sender::new(0),
            cancel: CancellationToken::new(),
        })
    }

    /// A task that has ended, after it said so many times the same.
    pub(super) fn written(text: &str, times: usize) -> Arc<Self> {
        let live = Self::begun();
        live.write(|log| {
            let at = log.begin(Names::of_turn(1).answer("a".into(), text.to_owned()));
            (1..times).for_each(|_| log.push(at, text));
            log.task.status.state = State::Completed;
            log.over = true;
        });
        live
    }
}

#[cfg(test)]
mod tests;

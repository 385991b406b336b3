//! What the writer is asked to do.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::ageing::Ageing;
use super::answers::AnswerRow;
use super::errand::Errand;
use super::hot::Place;
use crate::advance::Step;
use crate::hold::Hold;
use crate::seals::{SealedHeader, VariableRow};
use crate::{ChildRun, Session, SessionKey, StoreError};

/// Where an answer goes. Nobody may be waiting for it any more.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) enum Job {
    /// Write a turn.
    Commit(Box<Commit>),
    /// Delete a session.
    Delete { key: SessionKey, reply: Reply<bool> },
    /// Delete those of these sessions that have not been written since the horizon.
    Expire { sessions: Vec<(i64, SessionKey)>, horizon_ms: i64 },
    /// Delete some of the rows of a table that stand at the horizon or before.
    Remove { ageing: Ageing, horizon_ms: i64 },
    /// Write something that is no turn.
    Errand(Box<dyn Errand>),
    /// See whether a transaction can be begun, and where that is in doubt, whether one can be written.
    Probe { reply: Reply<()> },
    /// Move what is left in the write-ahead log into the database.
    FinishLog,
    /// Stop, when all that came before is done.
    Close { reply: Reply<()> },
}

pub(super) struct Commit {
    pub(super) key: SessionKey,
    pub(super) held: SqliteHold,
    pub(super) step: Step,
    /// The secrets that replace those in the file; none where they stay.
    pub(super) sealed: Option<Vec<SealedHeader>>,
    /// The variables that are to be written, or removed.
    pub(super) variables: Vec<VariableRow>,
    pub(super) answer: Option<AnswerRow>,
    /// Where it is waited for: see [`Told`](super::told::Told).
    pub(super) runtime: Option<Handle>,
    pub(super) reply: Reply<Arc<Session>>,
}

/// What a turn of this store holds.
pub(super) struct SqliteHold {
    pub(super) hold: Hold,
    /// Where its session stands; none for a new one.
    pub(super) place: Option<Place>,
    /// The row of a session of the same key that has expired, to be removed first.
    pub(super) expired: Option<i64>,
}

impl Job {
    /// Roughly the database pages that it writes.
    pub(super) fn pages(&self) -> usize {
        const PAGE: usize = 4096;
        match self {
            Self::Commit(commit) => {
                let step = &commit.step;
                let state = step.session.state.as_ref().filter(|_| step.state_changed).map_or(0, |state| state.len());
                let bodies: usize = step.added.iter().map(|message| message.body.len()).sum();
                let variable = |row: &VariableRow| row.body.as_ref().map_or(0, |body| PAGE + body.len());
                let variables: usize = commit.variables.iter().map(variable).sum();
                let children: usize = step.ended.children.iter().map(ChildRun::weight).sum();
                let answer = commit.answer.as_ref().map_or(0, |row| PAGE + row.answer.body.len());
                4 + (state + bodies + variables + children + answer) / PAGE
            }
            Self::Expire { sessions, .. } => 4 * sessions.len(),
            Self::Delete { .. } | Self::Remove { .. } | Self::Errand(_) => 4,
            Self::Probe { .. } | Self::FinishLog | Self::Close { .. } => 0,
        }
    }
}

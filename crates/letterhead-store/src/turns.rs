//! Looking at turns: those that run, and those that have ended.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use letterhead_context::{Problem, SessionId};
use serde::{Deserialize, Serialize};

use crate::{List, Message, NewMessage, Owner, Page, Status, StoreError, TurnId, Usage};

/// The turns of an owner.
///
/// A turn of another owner is simply not there. Turns go with their session.
#[async_trait]
pub trait Turns: Send + Sync {
    /// A turn with all that is kept of it. None where the owner has none of this id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn turn(&self, owner: &Owner, id: TurnId) -> Result<Option<TurnDetail>, StoreError>;

    /// The turns of an owner, newest first: the one that began last. The cursor is a turn's id.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`] for what is no id, [`StoreError::Unavailable`].
    async fn turns(&self, owner: &Owner, filter: &TurnFilter, page: &Page) -> Result<List<TurnSummary>, StoreError>;
}

/// Where a turn stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TurnStatus {
    /// It has not ended.
    Running,
    /// It has ended, and waits now for somebody to approve a call: another turn goes on with it.
    Paused,
    /// It has ended as it should. One that waited has too, as soon as it was answered or the conversation went on without
    /// it; unless there was an error in it.
    Complete,
    /// It was cut short: its client left, or its node died.
    Incomplete,
    /// It has ended by an error.
    Failed,
}

impl TurnStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Running, Self::Paused, Self::Complete, Self::Incomplete, Self::Failed];

    /// The name in the API and in a database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }

    /// The status of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// That of a turn which ended so.
    pub(crate) fn ended(status: Status, is_paused: bool) -> Self {
        match status {
            _ if is_paused => Self::Paused,
            Status::Complete => Self::Complete,
            Status::Incomplete => Self::Incomplete,
            Status::Failed => Self::Failed,
        }
    }
}

/// Why a turn did not end as it should: what its client was told, and no more than that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnError {
    /// The code of the error, as the API names it.
    pub code: Arc<str>,
    /// What went wrong.
    pub message: Arc<str>,
}

impl TurnError {
    /// The most characters that are kept of a message.
    const LONGEST: usize = 1000;

    /// Roughly the bytes it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        64 + self.code.len() + self.message.len()
    }
}

impl From<&Problem> for TurnError {
    fn from(problem: &Problem) -> Self {
        let detail = problem.detail();
        let message = match detail.char_indices().nth(Self::LONGEST) {
            Some((end, _)) => format!("{}…", detail.get(..end).unwrap_or_default()).into(),
            None => detail.into(),
        };
        Self { code: problem.code().as_str().into(), message }
    }
}

/// A turn without its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnSummary {
    /// What it is called.
    pub id: TurnId,
    /// Whose turn it is, of the owner's sessions.
    pub session: SessionId,
    /// Its number in the session, from 1.
    pub number: u64,
    /// The agent that had the conversation at its end. None while it runs, and where its node died.
    pub agent: Option<Arc<str>>,
    /// Where it stands.
    pub status: TurnStatus,
    /// Whether it ended by asking for somebody's approval. It waits for that only while its status says so.
    pub asked: bool,
    /// The turn that it goes on with, because its request answered what that one waited for; the first of them, where
    /// several paused one after the other. So `continues`, else `id`, is the same for all turns of one task. Of one that
    /// runs only where it was [noted](crate::Store::goes_on).
    pub continues: Option<TurnId>,
    /// When it began, in Unix milliseconds.
    pub began_at_ms: i64,
    /// When it ended, in Unix milliseconds; where its node died, when that was noticed. None while it runs.
    pub ended_at_ms: Option<i64>,
    /// What it cost, children included.
    pub usage: Option<Usage>,
    /// Why it did not end as it should, where its client was told so.
    pub error: Option<TurnError>,
    /// Whether it asked other agents, whose runs are kept with it.
    pub has_children: bool,
}

impl TurnSummary {
    /// What all turns of its task are called by: the first of them.
    pub fn task(&self) -> TurnId {
        self.continues.unwrap_or(self.id)
    }

    /// A turn that has not ended, or not in order.
    pub(crate) fn begun(id: TurnId, session: SessionId, number: u64, status: TurnStatus) -> Self {
        let began_at_ms = id.made_at_ms().unwrap_or_default();
        let (agent, continues, ended_at_ms) = (None, None, None);
        let (usage, error, asked, has_children) = (None, None, false, false);
        Self {
            id,
            session,
            number,
            agent,
            status,
            asked,
            continues,
            began_at_ms,
            ended_at_ms,
            usage,
            error,
            has_children,
        }
    }

    /// Whether a list with this filter shows it.
    pub(crate) fn is_shown(&self, filter: &TurnFilter) -> bool {
        filter.session.as_ref().is_none_or(|session| *session == self.session)
            && filter.status.is_none_or(|status| status == self.status)
            && filter.continues.is_none_or(|first| self.continues == Some(first))
            && filter.ended_after_ms.is_none_or(|after| self.ended_at_ms.is_none_or(|at| at > after))
    }
}

/// A turn and all that is kept of it. Of one that runs there is nothing yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnDetail {
    /// Which, and how it ended.
    pub summary: TurnSummary,
    /// What was said, oldest first, without what a later turn has cut off.
    pub messages: Vec<Arc<Message>>,
    /// The agents that were asked, in the order of asking.
    pub children: Vec<ChildRun>,
}

impl TurnDetail {
    /// A turn of which there is nothing yet.
    pub(crate) fn begun(summary: TurnSummary) -> Self {
        Self { summary, messages: Vec::new(), children: Vec::new() }
    }
}

/// Which turns a list shows. What is none does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TurnFilter {
    /// Only those of this session.
    pub session: Option<SessionId>,
    /// Only those that stand so.
    pub status: Option<TurnStatus>,
    /// Only those that go on with this one: see [`TurnSummary::continues`].
    pub continues: Option<TurnId>,
    /// Only those that ended after this time, in Unix milliseconds, and those that run.
    pub ended_after_ms: Option<i64>,
    /// Only those that no other turn goes on with, be it one that runs: of a task of several turns the last.
    pub last_of_task: bool,
}

/// The run of an agent that another one has asked. It is kept with the turn and is no part of the conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct ChildRun {
    /// The agent that was asked.
    pub agent: Arc<str>,
    /// The id of the call that asked it.
    pub call_id: Arc<str>,
    /// How it ended.
    pub status: Status,
    /// What it cost, its own children included.
    pub usage: Usage,
    /// The question, and what was said then. Their ids are unique in the turn.
    pub messages: Vec<NewMessage>,
    /// The agents that it has asked itself.
    pub children: Vec<ChildRun>,
}

impl ChildRun {
    /// Roughly the bytes it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        let message = |message: &NewMessage| size_of::<NewMessage>() + 64 + message.id.len() + message.body.len();
        size_of::<Self>()
            + self.messages.iter().map(message).sum::<usize>()
            + self.children.iter().map(Self::weight).sum::<usize>()
    }
}

/// People's words stay out of logs.
impl fmt::Debug for ChildRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildRun")
            .field("agent", &self.agent)
            .field("call_id", &self.call_id)
            .field("status", &self.status)
            .field("messages", &self.messages.len())
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}

/// A page of turns, newest first, out of those that are stored and those that run. One that is in both has ended in
/// between.
pub(crate) fn page(
    stored: Vec<TurnSummary>,
    running: impl IntoIterator<Item = TurnSummary>,
    filter: &TurnFilter,
    page: &Page,
) -> Result<List<TurnSummary>, StoreError> {
    let before = before(page)?;
    let known: Vec<TurnId> = stored.iter().map(|turn| turn.id).collect();
    let is_new = |turn: &TurnSummary| !known.contains(&turn.id);
    let is_behind = |turn: &TurnSummary| before.is_none_or(|before| turn.id < before);
    let running = running.into_iter().filter(|turn| is_new(turn) && is_behind(turn) && turn.is_shown(filter));
    let mut all: Vec<TurnSummary> = stored.into_iter().chain(running).collect();
    all.sort_unstable_by_key(|turn| std::cmp::Reverse(turn.id));
    Ok(List::cut(all, page.limit()))
}

/// The turn before a page.
pub(crate) fn before(page: &Page) -> Result<Option<TurnId>, StoreError> {
    page.cursor().map(|id| TurnId::parse(id).ok_or(StoreError::UnknownCursor)).transpose()
}

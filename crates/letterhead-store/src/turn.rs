//! A turn: the right to write a session, and what is written at its end.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use letterhead_context::{SessionMode, TrailEntry};
use serde_json::Value;

use crate::{
    ChildRun, KeptAnswer, KeptVariable, NewMessage, Session, SessionKey, Status, StoreError, TurnError, TurnId, Usage,
};

/// A turn that has begun. While it lives no other turn of its session begins; dropping it lets the next one in.
#[must_use = "dropping a turn ends it"]
pub struct Turn {
    key: SessionKey,
    session: Option<Arc<Session>>,
    id: TurnId,
    began_at_ms: i64,
    hold: Box<dyn Any + Send + Sync>,
}

const FOREIGN: StoreError = StoreError::Invalid { reason: "the turn was begun by a store of another kind" };

impl Turn {
    /// A turn of a store that keeps `hold`: whatever releases the session when it is dropped.
    pub(crate) fn new<H: Any + Send + Sync>(
        key: SessionKey,
        session: Option<Arc<Session>>,
        id: TurnId,
        began_at_ms: i64,
        hold: H,
    ) -> Self {
        Self { key, session, id, began_at_ms, hold: Box::new(hold) }
    }

    /// What it is called, from now on and when it has ended.
    pub fn id(&self) -> TurnId {
        self.id
    }

    /// Whose turn it is.
    pub fn key(&self) -> &SessionKey {
        &self.key
    }

    /// The session as this turn found it; none before its first turn.
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    /// When it began, in Unix milliseconds. The headers that it stores count as sent then.
    pub fn began_at_ms(&self) -> i64 {
        self.began_at_ms
    }

    /// What it holds, for the store that it came from.
    pub(crate) fn hold<H: Any>(&self) -> Result<&H, StoreError> {
        self.hold.downcast_ref().ok_or(FOREIGN)
    }

    /// Takes it apart, for the store that it came from.
    pub(crate) fn into_parts<H: Any>(self) -> Result<Begun<H>, StoreError> {
        let hold = *self.hold.downcast::<H>().map_err(|_| FOREIGN)?;
        Ok(Begun { key: self.key, base: self.session, id: self.id, began_at_ms: self.began_at_ms, hold })
    }
}

/// The parts of a turn.
pub(crate) struct Begun<H> {
    pub(crate) key: SessionKey,
    pub(crate) base: Option<Arc<Session>>,
    pub(crate) id: TurnId,
    pub(crate) began_at_ms: i64,
    pub(crate) hold: H,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("id", &self.id)
            .field("key", &self.key)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// What a commit writes, all of it or nothing.
///
/// A **failed** turn leaves the conversation as it was: its messages are kept as failed, but for those that
/// [last](NewMessage::lasting), and its headers, variables, usage, error, children and trail are stored, but agents, mode, client
/// id, state and cut are not (they are where the session is new: it must have some, and its agent is the one that was
/// asked for).
///
/// ```
/// use letterhead_store::{NewMessage, Role, TurnRecord};
///
/// let record = TurnRecord {
///     messages: vec![
///         NewMessage::new("m1", Role::User, r#"{"role":"user","content":"Hello"}"#),
///         NewMessage::new("m2", Role::Assistant, r#"{"role":"assistant","content":"Hi!"}"#),
///     ],
///     ..TurnRecord::new("assistant")
/// };
/// assert_eq!(&*record.agent, "assistant");
/// ```
#[derive(Clone, Debug)]
pub struct TurnRecord {
    /// The agent that was asked for.
    pub asked_agent: Arc<str>,
    /// The agent that has the conversation afterwards.
    pub agent: Arc<str>,
    /// Real use or an evaluation.
    pub mode: SessionMode,
    /// `X-Client-Id`.
    pub client_id: Option<Arc<str>>,
    /// How the turn ended.
    pub status: Status,
    /// How many messages of the history stay, counted from the oldest; all where it is none. Those after them are
    /// removed, and the failed ones that came after the first removed one with them. Replacing a message is a cut
    /// before it and a new message with its id.
    pub keep: Option<usize>,
    /// What was said, in order. An id must not be that of a message in the history that stays; where a failed
    /// message has it, that one goes on under an id made for it.
    pub messages: Vec<NewMessage>,
    /// The headers that were sent.
    pub headers: Vec<HeaderChange>,
    /// The context variables that were fetched and are to be kept, each set or replaced by its name. Those that are not
    /// named stay as they are; what does not differ from what is kept is not written.
    pub variables: Vec<KeptVariable>,
    /// The shared state, one JSON object; none leaves it as it is.
    pub state: Option<Arc<str>>,
    /// What the whole turn cost.
    pub usage: Option<Usage>,
    /// The agents that were asked, in the order of asking.
    pub children: Vec<ChildRun>,
    /// Why it did not end as it should, as its client was told.
    pub error: Option<TurnError>,
    /// Whether it waits for somebody to approve a call, however it has ended.
    pub paused: bool,
    /// The number of the turn that waited for what this one's request brings, as [`Message::turn`](crate::Message::turn)
    /// says it.
    pub continues: Option<u64>,
    /// Which header went where.
    pub trail: Vec<TrailEntry>,
    /// The answer for whoever sends the turn's request again, kept in the same transaction; it is removed with the
    /// session. None where the request has no `Idempotency-Key`, or the answer is not to be kept.
    pub answer: Option<KeptAnswer>,
}

impl TurnRecord {
    /// A complete turn of this agent in which nothing was said.
    pub fn new(agent: impl Into<Arc<str>>) -> Self {
        let agent = agent.into();
        Self {
            asked_agent: agent.clone(),
            agent,
            mode: SessionMode::default(),
            client_id: None,
            status: Status::Complete,
            keep: None,
            messages: Vec::new(),
            headers: Vec::new(),
            variables: Vec::new(),
            state: None,
            usage: None,
            children: Vec::new(),
            error: None,
            paused: false,
            continues: None,
            trail: Vec::new(),
            answer: None,
        }
    }
}

/// What a request does to a remembered header. Its `Debug` never shows the value.
#[derive(Clone, PartialEq)]
pub enum HeaderChange {
    /// It was sent: remember it.
    Set {
        /// The declared name.
        field: Arc<str>,
        /// The value, of its declared type.
        value: Value,
        /// Declared `writeOnly`.
        secret: bool,
    },
    /// It was sent empty: forget it.
    Clear {
        /// The declared name.
        field: Arc<str>,
    },
}

impl HeaderChange {
    /// The declared name.
    pub fn field(&self) -> &Arc<str> {
        match self {
            Self::Set { field, .. } | Self::Clear { field } => field,
        }
    }
}

impl fmt::Debug for HeaderChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { field, secret, .. } => {
                f.debug_struct("Set").field("field", field).field("secret", secret).finish_non_exhaustive()
            }
            Self::Clear { field } => f.debug_struct("Clear").field("field", field).finish(),
        }
    }
}

/// The trail of one turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnTrail {
    /// The number of the turn, from 1.
    pub turn: u64,
    /// Which header went where, in the order it happened.
    pub entries: Vec<TrailEntry>,
}

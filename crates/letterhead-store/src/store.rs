//! What every store does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    ApiKeys, Documents, Idempotency, List, Message, Owner, Page, Session, SessionFilter, SessionKey, SessionSummary,
    StoreError, Turn, TurnRecord, TurnTrail, Turns,
};

/// Keeps sessions: their messages, headers, variables, state and trail; and beside them documents, API keys and the
/// answers of requests that may be sent again.
///
/// Everything of a session is found by [`SessionKey`] or [`Owner`] alone, so that another caller's session is simply not
/// there.
///
/// What [`begin`](Self::begin), [`commit`](Self::commit) and [`session`](Self::session) give is without headers and
/// variables that have expired, and without those that the store cannot decrypt: to a turn they are simply not there.
#[async_trait]
pub trait Store: Turns + Documents + ApiKeys + Idempotency + Send + Sync {
    /// Begins a turn and reads its session. Where a turn of the session runs already it waits, so long at most.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the wait was too long; [`StoreError::Unavailable`].
    async fn begin(&self, key: &SessionKey, wait: Duration) -> Result<Turn, StoreError>;

    /// Begins the first turn of a session with an id that was just made and that nobody else can know, without
    /// looking whether there is one.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when there is a turn of it, so that it is not new. A session that is there already is
    /// not harmed: the commit then gives [`StoreError::Invalid`].
    async fn begin_new(&self, key: &SessionKey) -> Result<Turn, StoreError>;

    /// Notes that a turn which runs goes on with the one of this number of its session, for those who look before it has
    /// ended: its [record](TurnRecord::continues) says so only then. Does nothing where there is no such turn.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn goes_on(&self, turn: &Turn, number: u64) -> Result<(), StoreError>;

    /// Ends a turn: writes the record, all of it or nothing, and gives the session as the next turn will find it.
    /// When this returns `Ok` the record is durable. Dropping the future does not tell whether it was written.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when the session was deleted meanwhile; [`StoreError::Unavailable`];
    /// [`StoreError::Invalid`] for a message id that the session has already.
    async fn commit(&self, turn: Turn, record: TurnRecord) -> Result<Arc<Session>, StoreError>;

    /// Reads a session, whether a turn of it runs or not.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn session(&self, key: &SessionKey) -> Result<Option<Arc<Session>>, StoreError>;

    /// The sessions of an owner, newest first: the one whose first turn was committed last. The cursor is a session's
    /// id.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`], [`StoreError::Unavailable`].
    async fn sessions(
        &self,
        owner: &Owner,
        filter: &SessionFilter,
        page: &Page,
    ) -> Result<List<SessionSummary>, StoreError>;

    /// The messages of a session, oldest first, those of failed turns included. None where there is no session. The
    /// cursor is a message's id.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`], [`StoreError::Unavailable`].
    async fn messages(&self, key: &SessionKey, page: &Page) -> Result<Option<List<Arc<Message>>>, StoreError>;

    /// The trails of a session's turns, oldest first, without the turns in which no header went anywhere. None where
    /// there is no session. The cursor is the number of a turn; a page's limit counts turns.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`] for what is no number, [`StoreError::Unavailable`].
    async fn trail(&self, key: &SessionKey, page: &Page) -> Result<Option<List<TurnTrail>>, StoreError>;

    /// Deletes a session with all that belongs to it. A turn of it that runs cannot commit any more. Tells whether
    /// there was a session, or a turn about to make it one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn delete(&self, key: &SessionKey) -> Result<bool, StoreError>;

    /// Whether turns can be begun and committed now.
    ///
    /// # Errors
    /// Why not.
    async fn ready(&self) -> Result<(), StoreError>;

    /// Finishes what was handed in, then lets go of everything. Later calls give [`StoreError::Closed`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it could not be closed in order; nothing that was announced is lost by that.
    async fn close(&self) -> Result<(), StoreError>;
}

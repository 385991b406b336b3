//! What can go wrong. No text here ever holds a stored value.

use std::borrow::Cow;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another turn of the session is still running, and waiting for it took too long.
    #[error("another turn of this session is still running")]
    Busy,
    /// The session was deleted, or a store without room let it go, while the turn ran. Nothing was written.
    #[error("the session was deleted while the turn ran")]
    Gone,
    /// The store cannot do it now: a full disk, a locked file, no connection. Nothing was written; the same may work
    /// later.
    #[error("the store is not available: {reason}")]
    Unavailable {
        /// What to look at.
        reason: Cow<'static, str>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// What was given breaks a rule of the store: a fault of the program that calls it. Nothing was written.
    #[error("the store cannot take this: {reason}")]
    Invalid {
        /// Which rule.
        reason: &'static str,
    },
    /// The page's `after` names nothing in the list.
    #[error("`after` names nothing in this list")]
    UnknownCursor,
    /// A document is not, or no more, what the writer takes it for. Nothing was written.
    #[error("the document was changed, made or removed by somebody else meanwhile")]
    Changed,
    /// There is no room for another document. Nothing was written.
    #[error("there is no room for the document: {reason}")]
    Full {
        /// Which limit, and what to do.
        reason: Cow<'static, str>,
    },
    /// What is stored cannot be read back.
    #[error("a stored record cannot be read: {what}")]
    Corrupt {
        /// Which part of it.
        what: &'static str,
    },
}

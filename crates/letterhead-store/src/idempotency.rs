//! Requests that are sent again: the same key gives the same answer, and nothing happens twice.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use letterhead_context::SessionId;
use uuid::Uuid;

use crate::{Owner, SessionKey, StoreError};

/// How long an answer is kept, counted from when it was given.
pub const ANSWERS_KEPT: Duration = Duration::from_hours(24);

/// What a request that may be sent again is known by: its `Idempotency-Key`, within its caller and the session that it
/// names. The same key of another caller is another key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey {
    /// Whose request.
    pub owner: Owner,
    /// The session as the request names it; none where it names none.
    pub session: Option<SessionId>,
    /// The header's value.
    pub key: Arc<str>,
}

impl IdempotencyKey {
    /// The bytes that its texts take.
    pub(crate) fn weight(&self) -> usize {
        let user = self.owner.user.as_ref().map_or(0, |user| user.as_str().len());
        let session = self.session.as_ref().map_or(0, |session| session.as_str().len());
        self.owner.tenant.as_str().len() + user + session + self.key.len()
    }
}

/// What may be anything, even a secret by mistake, stays out of logs.
impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyKey")
            .field("owner", &self.owner)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// What becomes of a request with a key.
#[derive(Debug)]
pub enum Claim {
    /// It is the first: work on it, then keep the answer, or [release](Idempotency::release) the key.
    New(Claimed),
    /// The same request is being worked on.
    Running,
    /// It was answered: these are the bytes that were kept.
    Answered(Arc<[u8]>),
    /// The key belongs to a request with other contents.
    Mismatch,
}

/// A key that was claimed. Dropping it frees the key where no answer was kept: within this process at once, in a
/// database that several share soon after ([`Idempotency::release`] waits for it).
pub struct Claimed {
    key: IdempotencyKey,
    request: [u8; 32],
    lease: Uuid,
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "within one process it only has to be dropped"))]
    hold: Box<dyn Any + Send + Sync>,
}

impl Claimed {
    /// A claim of a store that keeps `hold`, whatever frees the key when it is dropped. `lease` tells this claim from
    /// all others of its key.
    pub(crate) fn new<H: Any + Send + Sync>(key: IdempotencyKey, request: [u8; 32], lease: Uuid, hold: H) -> Self {
        Self { key, request, lease, hold: Box::new(hold) }
    }

    /// The answer to be kept under this claim: in a turn's record
    /// ([`TurnRecord::answer`](crate::TurnRecord::answer)), or with [`Idempotency::keep_answer`] where no turn is
    /// stored. The store never looks into it.
    pub fn answer(&self, body: impl Into<Arc<[u8]>>) -> KeptAnswer {
        KeptAnswer { key: self.key.clone(), request: self.request, lease: self.lease, body: body.into(), session: None }
    }

    /// What was claimed.
    pub fn key(&self) -> &IdempotencyKey {
        &self.key
    }

    /// Takes it apart, for the store that it came from.
    #[cfg(feature = "postgres")]
    pub(crate) fn into_hold<H: Any>(self) -> Result<H, StoreError> {
        let foreign = StoreError::Invalid { reason: "the key was claimed in a store of another kind" };
        self.hold.downcast::<H>().map(|hold| *hold).map_err(|_| foreign)
    }
}

impl fmt::Debug for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claimed").field("key", &self.key).finish_non_exhaustive()
    }
}

/// An answer for those who send a request again. Its `Debug` shows its length alone.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    pub(crate) key: IdempotencyKey,
    /// The hash of the request that it answers.
    pub(crate) request: [u8; 32],
    /// Which claim it was given under.
    pub(crate) lease: Uuid,
    pub(crate) body: Arc<[u8]>,
    /// With which it is kept, where it is not an answer that a day is enough for.
    pub(crate) session: Option<SessionKey>,
}

impl KeptAnswer {
    /// Keeps it as long as this session is there, however long that is, and removes it with the session: for
    /// [`Idempotency::keep_answer`], since the answer in a turn's record goes with the turn's session anyhow. Where there is
    /// no such session it is kept as others are.
    #[must_use]
    pub fn with_session(self, session: SessionKey) -> Self {
        Self { session: Some(session), ..self }
    }
}

impl fmt::Debug for KeptAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptAnswer").field("key", &self.key).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// Keeps the answers of requests that may be sent again, for [`ANSWERS_KEPT`]. Every [`Store`](crate::Store) does.
///
/// ```
/// use std::sync::Arc;
///
/// use letterhead_context::Caller;
/// use letterhead_store::{Claim, Idempotency, IdempotencyKey, Lifetimes, MemoryStore, Owner, SystemClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new(Lifetimes::default(), Arc::new(SystemClock));
/// let key = IdempotencyKey { owner: Owner::from(&Caller::anonymous()), session: None, key: "order-7".into() };
/// let request = [7; 32]; // SHA-256 of what the request asks for
///
/// let Claim::New(claimed) = store.claim(key.clone(), request).await? else { return Err("not the first".into()) };
/// assert!(matches!(store.claim(key.clone(), request).await?, Claim::Running));
/// store.keep_answer(claimed.answer(*b"done")).await?;
/// drop(claimed);
/// assert!(matches!(store.claim(key.clone(), request).await?, Claim::Answered(body) if *body == *b"done"));
/// assert!(matches!(store.claim(key, [8; 32]).await?, Claim::Mismatch));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Idempotency: Send + Sync {
    /// Claims a key for a request, of which `request` is a hash.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn claim(&self, key: IdempotencyKey, request: [u8; 32]) -> Result<Claim, StoreError>;

    /// Keeps an answer, durably, where it is not part of a turn's record. A turn that stores something brings its answer
    /// along with the record, so that there is no turn without its answer.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when the claim is not this one's any more; [`StoreError::Unavailable`].
    async fn keep_answer(&self, answer: KeptAnswer) -> Result<(), StoreError>;

    /// Frees a key that was claimed and not answered, and comes back when it is free. Does no harm to an answer that was
    /// kept.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the key is then freed later.
    async fn release(&self, claimed: Claimed) -> Result<(), StoreError>;
}

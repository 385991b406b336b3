//! The second way of knowing: an API key of this server, `lh_<id>_<secret>`.
//!
//! The id finds the key, the secret (256 random bits) proves that its bearer was given it. The store has the secret's
//! SHA-256: what is random and that long needs no slower hash.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use letterhead_context::{Caller, CallerSource, IdentityClaims, UserId};
use letterhead_store::{ApiKey, ApiKeys, Clock, StoreError};
use lru::LruCache;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::scope::Scopes;

/// What every key begins with: people and secret scanners know it by that.
const BEGINNING: &str = "lh_";

/// Digits of an id.
const ID_DIGITS: usize = 16;

const SECRET_BYTES: usize = 32;

/// How long the store's answer is believed. A revoked key is dead after this, and after a read that is under way.
const BELIEVED: Duration = Duration::from_secs(5);

/// How many keys are kept, and how many ids of which there is none.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// How long one waits for the others who ask the store before it.
const PATIENCE: Duration = Duration::from_secs(5);

/// An API key as its bearer has it: id and secret.
pub struct KeyText {
    id: Arc<str>,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

impl KeyText {
    /// A new one.
    ///
    /// # Errors
    ///
    /// If the system gives no random numbers.
    pub fn generate() -> Result<Self, letterhead_store::NoRandomness> {
        let (mut id, mut secret) = ([0; ID_DIGITS / 2], Zeroizing::new([0; SECRET_BYTES]));
        rand::fill(&mut id).and_then(|()| rand::fill(&mut *secret)).map_err(|_| letterhead_store::NoRandomness)?;
        Ok(Self { id: id.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(), secret })
    }

    /// Reads a key.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(BEGINNING)?.split_once('_')?;
        if id.len() != ID_DIGITS || !id.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit)) {
            return None;
        }
        let decoded = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(secret).ok()?);
        Some(Self { id: id.into(), secret: Zeroizing::new(decoded.as_slice().try_into().ok()?) })
    }

    /// What the store finds it by. No secret.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// What the store has of the secret.
    pub fn secret_sha256(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, &*self.secret).as_ref());
        hash
    }

    /// The key, to be shown once.
    pub fn reveal(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(self.secret.as_slice()));
        Zeroizing::new(format!("{BEGINNING}{}_{}", self.id, *secret))
    }
}

/// The id alone.
impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyText").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Is it written as a key of this server, whether there is one or not?
pub(super) fn looks_like_one(text: &str) -> bool {
    text.starts_with(BEGINNING)
}

/// Is a user called as the user of an API key is? Nobody else may be: they would have its sessions.
pub(super) fn is_name_of_one(user: &str) -> bool {
    user.starts_with("key:")
}

/// Why a key opens nothing, as its bearer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// Not of the form `lh_<id>_<secret>`.
    #[error("it is not of the form `lh_<id>_<secret>`")]
    Malformed,
    /// There is none of this id, or its secret is another one.
    #[error("it is not known")]
    Unknown,
    /// It was revoked.
    #[error("it was revoked")]
    Revoked,
    /// It has expired.
    #[error("it has expired")]
    Expired,
}

/// Why a bearer of a key does not get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyRefused {
    Fault(KeyFault),
    /// It is shown on behalf of a user who is called as an API key is.
    Name,
    Store(StoreError),
}

/// Who a key stands for, and what it may be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VerifiedKey {
    pub(crate) caller: Caller,
    pub(crate) scopes: Scopes,
}

/// Verifies API keys.
pub(crate) struct KeyVerifier {
    keys: Arc<dyn ApiKeys>,
    clock: Arc<dyn Clock>,
    answers: Mutex<Answers>,
    /// Where all ids wait of which no key is known.
    unknown: Lane,
}

/// Who waits here asks the store one after the other, and finds what the one before was answered.
type Lane = Arc<tokio::sync::Mutex<()>>;

/// What the store said. Ids that somebody makes up push each other out, and no key.
struct Answers {
    keys: LruCache<Arc<str>, (ApiKey, Instant, Lane)>,
    none: LruCache<Arc<str>, Instant>,
}

/// What is known of an id.
enum Known {
    Answer(Option<ApiKey>),
    /// Nothing, or nothing new: the store is to be asked, from here.
    Ask(Lane),
}

impl KeyVerifier {
    pub(crate) fn new(keys: Arc<dyn ApiKeys>, clock: Arc<dyn Clock>) -> Self {
        let answers = Answers { keys: LruCache::new(KEPT), none: LruCache::new(KEPT) };
        Self { keys, clock, answers: Mutex::new(answers), unknown: Lane::default() }
    }

    /// Verifies a key, and says whom its bearer stands for.
    pub(crate) async fn verify(&self, text: &str, claims: &IdentityClaims) -> Result<VerifiedKey, KeyRefused> {
        let shown = KeyText::parse(text).ok_or(KeyRefused::Fault(KeyFault::Malformed))?;
        let stored = self.stored(&shown.id).await.map_err(KeyRefused::Store)?;
        // Without a key of this id as much is computed as with one.
        let hash = stored.as_ref().map_or([0; 32], |key| key.secret_sha256);
        let is_its = verify_slices_are_equal(&hash, &shown.secret_sha256()).is_ok();
        let Some(key) = stored.filter(|_| is_its) else { return Err(KeyRefused::Fault(KeyFault::Unknown)) };
        if !key.is_valid(self.clock.now_ms()) {
            let fault = if key.revoked_at_ms.is_some() { KeyFault::Revoked } else { KeyFault::Expired };
            return Err(KeyRefused::Fault(fault));
        }
        let user = match claims.user_id.as_deref().filter(|_| key.on_behalf) {
            Some(named) if is_name_of_one(named) => return Err(KeyRefused::Name),
            Some(named) => UserId::new(named),
            None => UserId::new(format!("key:{}", key.name)),
        };
        let caller = Caller::new(key.tenant, Some(user), CallerSource::ApiKey);
        Ok(VerifiedKey { caller, scopes: Scopes::of_key(key.scopes) })
    }

    /// What the store has, or had a few seconds ago. It is asked once by all who show one key at a time; and by all who show
    /// ids that nobody knows, one after the other: anybody can make those up, and keep it busy.
    async fn stored(&self, id: &Arc<str>) -> Result<Option<ApiKey>, StoreError> {
        let lane = match self.known(id) {
            Known::Answer(answer) => return Ok(answer),
            Known::Ask(lane) => lane,
        };
        let busy =
            || StoreError::Unavailable { reason: "too many API keys are looked up; try again in a moment".into() };
        let _first = tokio::time::timeout(PATIENCE, lane.lock()).await.map_err(|_| busy())?;
        if let Known::Answer(answer) = self.known(id) {
            return Ok(answer);
        }
        // Counted from before the question: the answer may be as old as that.
        let asked = Instant::now();
        let answer = self.keys.api_key(id).await?;
        let mut answers = self.answers();
        match &answer {
            Some(key) => {
                answers.none.pop(id);
                let lane = answers.keys.pop(id).map_or_else(Lane::default, |(_, _, lane)| lane);
                answers.keys.put(Arc::clone(id), (key.clone(), asked, lane));
            }
            None => {
                answers.keys.pop(id);
                answers.none.put(Arc::clone(id), asked);
            }
        }
        Ok(answer)
    }

    fn known(&self, id: &Arc<str>) -> Known {
        let mut answers = self.answers();
        let is_new = |asked: &Instant| asked.elapsed() < BELIEVED;
        match answers.keys.get(id) {
            Some((key, asked, _)) if is_new(asked) => return Known::Answer(Some(key.clone())),
            Some((_, _, lane)) => return Known::Ask(Arc::clone(lane)),
            None => {}
        }
        match answers.none.get(id) {
            Some(asked) if is_new(asked) => Known::Answer(None),
            _ => Known::Ask(Arc::clone(&self.unknown)),
        }
    }

    /// Nothing that panics is done under the lock, so that one that was poisoned is as good as any.
    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeyVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVerifier").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! What the store and its threads share, and how a change becomes seen once it is durable.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::hot::{Hot, Stored};
use super::log::Log;
use crate::claims::Claims;
use crate::hold::{Hold, Turns};
use crate::lifetimes::Lifetimes;
use crate::seals::Seals;
use crate::secrets::{Hidden, Secrets};
use crate::turn_id::TurnIds;
use crate::{Clock, Session, SessionKey};

pub(super) struct Shared {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lifetimes: Lifetimes,
    pub(super) turns: Arc<Turns>,
    pub(super) ids: TurnIds,
    /// Those that are in no file.
    pub(super) secrets: Secrets,
    pub(super) seals: Seals,
    /// The keys of requests that are being worked on.
    pub(super) claims: Arc<Claims>,
    hot: Mutex<Hot>,
    pub(super) turns_written: AtomicU64,
    pub(super) transactions: AtomicU64,
    pub(super) log: Log,
}

impl Shared {
    pub(super) fn new(clock: Arc<dyn Clock>, lifetimes: Lifetimes, cache_bytes: usize, seals: Seals) -> Self {
        Self {
            clock,
            lifetimes,
            turns: Arc::new(Turns::default()),
            ids: TurnIds::default(),
            secrets: Secrets::new(lifetimes),
            seals,
            claims: Arc::default(),
            hot: Mutex::new(Hot::with_room(cache_bytes)),
            turns_written: AtomicU64::new(0),
            transactions: AtomicU64::new(0),
            log: Log::default(),
        }
    }

    /// A session that is in the cache.
    pub(super) fn cached(&self, key: &SessionKey) -> Option<Stored> {
        self.hot().get(key)
    }

    /// Caches what a turn has read, unless the session was deleted meanwhile. Only for whoever holds the turn:
    /// anyone else might bring back what a commit has replaced.
    pub(super) fn cache_read(&self, key: &SessionKey, stored: &Stored, hold: &Hold) {
        let mut hot = self.hot();
        if !hold.is_gone() {
            hot.put(key, stored.clone());
        }
    }

    /// Shows a turn that is durable.
    pub(super) fn publish_turn(&self, key: &SessionKey, stored: Stored, hidden: Hidden) {
        self.turns_written.fetch_add(1, Ordering::Relaxed);
        self.secrets.put(key, hidden, self.clock.now_ms());
        self.hot().put(key, stored);
    }

    /// Shows that a session is gone for good. Tells whether a turn of it runs, which can now write nothing.
    pub(super) fn publish_deletion(&self, key: &SessionKey) -> bool {
        let mut hot = self.hot();
        hot.remove(key);
        self.secrets.remove(key);
        self.turns.strike(key)
    }

    /// Shows that a session was removed because nobody has used it for so long.
    pub(super) fn publish_expiry(&self, key: &SessionKey) {
        self.hot().remove(key);
        self.secrets.remove(key);
    }

    /// A session as a turn finds it.
    pub(super) fn found(&self, key: &SessionKey, session: &Arc<Session>, now_ms: i64) -> Arc<Session> {
        crate::advance::as_found(session, self.secrets.get(key, now_ms), &self.lifetimes, now_ms)
    }

    /// Whether a session that was last written then has expired.
    pub(super) fn is_expired(&self, updated_at_ms: i64, now_ms: i64) -> bool {
        updated_at_ms <= self.lifetimes.session_horizon(now_ms)
    }

    fn hot(&self) -> MutexGuard<'_, Hot> {
        self.hot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

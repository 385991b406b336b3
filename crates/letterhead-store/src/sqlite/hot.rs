//! The sessions that were used last, so that a warm turn reads nothing.

use std::sync::Arc;

use lru::LruCache;

use crate::{Session, SessionKey};

/// Where a session stands in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its row.
    pub(super) row: i64,
    /// The number that its next message gets.
    pub(super) next_seq: u64,
    /// Whether there may be messages of failed turns.
    pub(super) has_failed: bool,
    /// Whether the next turn has to write its secrets anew, though none was sent.
    pub(super) has_stale_secrets: bool,
}

/// A session as the database has it: with headers that may have expired, and with the secrets that the
/// file has.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) session: Arc<Session>,
    pub(super) place: Place,
}

/// A cache that holds what is durable and nothing else; so much at most, by weight.
pub(super) struct Hot {
    room: usize,
    bytes: usize,
    sessions: LruCache<SessionKey, (Stored, usize)>,
}

impl Hot {
    pub(super) fn with_room(bytes: usize) -> Self {
        Self { room: bytes, bytes: 0, sessions: LruCache::unbounded() }
    }

    pub(super) fn get(&mut self, key: &SessionKey) -> Option<Stored> {
        self.sessions.get(key).map(|(stored, _)| stored.clone())
    }

    pub(super) fn put(&mut self, key: &SessionKey, stored: Stored) {
        let weight = stored.session.weight() + key.weight();
        self.remove(key);
        if weight > self.room {
            return;
        }
        self.bytes += weight;
        self.sessions.push(key.clone(), (stored, weight));
        while self.bytes > self.room {
            let Some((_, (_, weight))) = self.sessions.pop_lru() else { break };
            self.bytes -= weight;
        }
    }

    pub(super) fn remove(&mut self, key: &SessionKey) {
        if let Some((_, weight)) = self.sessions.pop(key) {
            self.bytes -= weight;
        }
    }
}

//! Secret headers that live in this process's memory alone, where there is no key to store them encrypted.

use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use crate::lifetimes::Lifetimes;
use crate::{SessionKey, StoredHeader};

/// The most bytes of secrets that are kept; the sessions that were used least recently lose theirs first.
const MAX_BYTES: usize = 4 << 20;
/// How often everything is looked through for what has expired, in milliseconds.
const SWEEP_MS: i64 = 60_000;

/// The secrets of sessions. [`StoredHeader`] wipes each as it goes.
pub(crate) struct Secrets {
    lifetimes: Lifetimes,
    kept: Mutex<Kept>,
}

struct Kept {
    sessions: LruCache<SessionKey, Vec<StoredHeader>>,
    bytes: usize,
    swept_at_ms: i64,
}

impl Secrets {
    pub(crate) fn new(lifetimes: Lifetimes) -> Self {
        let kept = Kept { sessions: LruCache::unbounded(), bytes: 0, swept_at_ms: i64::MIN };
        Self { lifetimes, kept: Mutex::new(kept) }
    }

    /// The secrets of a session that have not expired.
    pub(crate) fn get(&self, key: &SessionKey, now_ms: i64) -> Vec<StoredHeader> {
        let mut kept = self.lock();
        let secrets = kept.sessions.get(key).map(Vec::as_slice).unwrap_or_default();
        secrets.iter().filter(|secret| self.lifetimes.header_lives(secret, now_ms)).cloned().collect()
    }

    /// Replaces the secrets of a session.
    pub(crate) fn put(&self, key: &SessionKey, secrets: Vec<StoredHeader>, now_ms: i64) {
        let mut kept = self.lock();
        kept.remove(key);
        if !secrets.is_empty() {
            kept.bytes += weight(key, &secrets);
            kept.sessions.push(key.clone(), secrets);
        }
        if now_ms.saturating_sub(kept.swept_at_ms) >= SWEEP_MS {
            kept.sweep(&self.lifetimes, now_ms);
        }
        while kept.bytes > MAX_BYTES {
            let Some((key, secrets)) = kept.sessions.pop_lru() else { break };
            kept.bytes -= weight(&key, &secrets);
        }
    }

    /// Forgets the secrets of a session.
    pub(crate) fn remove(&self, key: &SessionKey) {
        self.lock().remove(key);
    }

    /// Forgets all of them.
    pub(crate) fn clear(&self) {
        let mut kept = self.lock();
        kept.sessions.clear();
        kept.bytes = 0;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, key: &SessionKey) {
        if let Some(secrets) = self.sessions.pop(key) {
            self.bytes -= weight(key, &secrets);
        }
    }

    fn sweep(&mut self, lifetimes: &Lifetimes, now_ms: i64) {
        self.swept_at_ms = now_ms;
        let expired = |secrets: &Vec<StoredHeader>| !secrets.iter().any(|s| lifetimes.header_lives(s, now_ms));
        let expired: Vec<_> = self.sessions.iter().filter(|(_, s)| expired(s)).map(|(key, _)| key.clone()).collect();
        expired.iter().for_each(|key| self.remove(key));
    }
}

fn weight(key: &SessionKey, secrets: &[StoredHeader]) -> usize {
    256 + key.weight() + secrets.iter().map(StoredHeader::weight).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use letterhead_context::{SessionId, TenantId};
    use serde_json::json;

    use super::*;

    fn key(id: usize) -> SessionKey {
        let id = SessionId::parse(&format!("s{id}")).unwrap();
        SessionKey { tenant: TenantId::default(), user: None, id }
    }

    fn secret(value: &str, sent_at_ms: i64) -> StoredHeader {
        StoredHeader { field: Arc::from("auth_token"), value: json!(value), secret: true, sent_at_ms }
    }

    #[test]
    fn the_least_recently_used_go_when_it_is_full() {
        let secrets = Secrets::new(Lifetimes::default());
        let big = "x".repeat(MAX_BYTES / 4);
        for id in 0..3 {
            secrets.put(&key(id), vec![secret(&big, 0)], 0);
        }
        assert_eq!(secrets.get(&key(0), 0).len(), 1);
        secrets.put(&key(3), vec![secret(&big, 0)], 0);
        assert!(secrets.get(&key(1), 0).is_empty());
        assert_eq!(secrets.get(&key(0), 0).len(), 1);
    }

    #[test]
    fn expired_ones_are_not_kept_for_long() {
        let secrets = Secrets::new(Lifetimes::default());
        secrets.put(&key(0), vec![secret("a", 0)], 0);
        secrets.put(&key(1), vec![secret("b", 3_600_000)], 3_600_000);
        let kept = secrets.lock();
        assert_eq!(kept.sessions.len(), 1);
        assert_eq!(kept.bytes, weight(&key(1), &[secret("b", 0)]));
    }
}

//! What of sessions lives in this process's memory alone, where there is no key to store it encrypted: secret headers,
//! and context variables that were fetched with them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::lifetimes::Lifetimes;
use crate::{KeptVariable, SessionKey, StoredHeader};

/// The most bytes of each kind that are kept; the sessions that were used least recently lose theirs first. Variables
/// have room of their own, because they can be fetched again and secrets cannot.
const MAX_BYTES: usize = 4 << 20;
/// The most of them that one session has: its heaviest things go, before it drives every other session out.
const SHARE: usize = MAX_BYTES / 2;
/// How often everything is looked through for what has expired, in milliseconds.
const SWEEP_MS: i64 = 60_000;

/// What a session has that is in no file.
#[derive(Default)]
pub(crate) struct Hidden {
    /// Secrets.
    pub(crate) headers: Vec<StoredHeader>,
    /// Those whose requests had a secret in them.
    pub(crate) variables: Vec<KeptVariable>,
}

impl Hidden {
    pub(crate) fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.variables.is_empty()
    }
}

/// The hidden things of sessions. [`StoredHeader`] wipes each secret as it goes.
pub(crate) struct Secrets {
    lifetimes: Lifetimes,
    kept: Mutex<Kept>,
}

struct Kept {
    headers: Shelf<StoredHeader>,
    variables: Shelf<KeptVariable>,
    swept_at_ms: i64,
}

impl Secrets {
    pub(crate) fn new(lifetimes: Lifetimes) -> Self {
        let kept = Kept { headers: Shelf::new(), variables: Shelf::new(), swept_at_ms: i64::MIN };
        Self { lifetimes, kept: Mutex::new(kept) }
    }

    /// What is hidden of a session and has not expired.
    pub(crate) fn get(&self, key: &SessionKey, now_ms: i64) -> Hidden {
        let mut kept = self.lock();
        Hidden {
            headers: kept.headers.get(key, |header| self.lifetimes.header_lives(header, now_ms)),
            variables: kept.variables.get(key, |variable| variable.is_fresh(now_ms)),
        }
    }

    /// Replaces what is hidden of a session.
    pub(crate) fn put(&self, key: &SessionKey, hidden: Hidden, now_ms: i64) {
        let mut kept = self.lock();
        kept.headers.put(key, hidden.headers);
        kept.variables.put(key, hidden.variables);
        if now_ms.saturating_sub(kept.swept_at_ms) >= SWEEP_MS {
            kept.swept_at_ms = now_ms;
            kept.headers.sweep(|header| self.lifetimes.header_lives(header, now_ms));
            kept.variables.sweep(|variable| variable.is_fresh(now_ms));
        }
    }

    /// Forgets what is hidden of a session.
    pub(crate) fn remove(&self, key: &SessionKey) {
        let mut kept = self.lock();
        kept.headers.remove(key);
        kept.variables.remove(key);
    }

    /// Forgets all of it.
    pub(crate) fn clear(&self) {
        let mut kept = self.lock();
        kept.headers = Shelf::new();
        kept.variables = Shelf::new();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Things of one kind.
struct Shelf<T> {
    sessions: LruCache<SessionKey, Vec<T>>,
    bytes: usize,
}

/// Roughly the bytes that something takes in memory.
trait Weigh {
    fn weight(&self) -> usize;
}

impl Weigh for StoredHeader {
    fn weight(&self) -> usize {
        StoredHeader::weight(self)
    }
}

impl Weigh for KeptVariable {
    fn weight(&self) -> usize {
        KeptVariable::weight(self)
    }
}

impl<T: Weigh + Clone> Shelf<T> {
    fn new() -> Self {
        Self { sessions: LruCache::unbounded(), bytes: 0 }
    }

    fn get(&mut self, key: &SessionKey, lives: impl Fn(&T) -> bool) -> Vec<T> {
        let things = self.sessions.get(key).map(Vec::as_slice).unwrap_or_default();
        things.iter().filter(|thing| lives(thing)).cloned().collect()
    }

    fn put(&mut self, key: &SessionKey, mut things: Vec<T>) {
        self.remove(key);
        while weight(key, &things) > SHARE {
            let heaviest = things.iter().enumerate().max_by_key(|(_, thing)| thing.weight());
            let Some((heaviest, _)) = heaviest else { break };
            things.remove(heaviest);
        }
        if things.is_empty() {
            return;
        }
        self.bytes += weight(key, &things);
        self.sessions.push(key.clone(), things);
        while self.bytes > MAX_BYTES {
            let Some((key, things)) = self.sessions.pop_lru() else { break };
            self.bytes -= weight(&key, &things);
        }
    }

    fn remove(&mut self, key: &SessionKey) {
        // Each turn comes here, and mostly there is nothing: the key need not be hashed then.
        if self.sessions.is_empty() {
            return;
        }
        if let Some(things) = self.sessions.pop(key) {
            self.bytes -= weight(key, &things);
        }
    }

    /// Forgets the sessions of which nothing lives.
    fn sweep(&mut self, lives: impl Fn(&T) -> bool) {
        let expired = |things: &[T]| !things.iter().any(&lives);
        let expired: Vec<_> =
            self.sessions.iter().filter(|(_, things)| expired(things)).map(|(key, _)| key.clone()).collect();
        expired.iter().for_each(|key| self.remove(key));
    }
}

fn weight<T: Weigh>(key: &SessionKey, things: &[T]) -> usize {
    256 + key.weight() + things.iter().map(Weigh::weight).sum::<usize>()
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

    fn secret(value: &str, sent_at_ms: i64) -> Hidden {
        let header = StoredHeader { field: Arc::from("auth_token"), value: json!(value), secret: true, sent_at_ms };
        Hidden { headers: vec![header], variables: Vec::new() }
    }

    fn variable(value: &str, expires_at_ms: Option<i64>) -> Hidden {
        let variable = KeptVariable {
            name: "user".into(),
            value: Arc::new(json!(value)),
            fingerprint: [0; 32],
            fetched_at_ms: 0,
            expires_at_ms,
            secret: true,
        };
        Hidden { headers: Vec::new(), variables: vec![variable] }
    }

    #[test]
    fn the_least_recently_used_go_when_it_is_full() {
        let secrets = Secrets::new(Lifetimes::default());
        let big = "x".repeat(MAX_BYTES / 4);
        for id in 0..3 {
            secrets.put(&key(id), secret(&big, 0), 0);
        }
        assert_eq!(secrets.get(&key(0), 0).headers.len(), 1);
        secrets.put(&key(3), secret(&big, 0), 0);
        assert!(secrets.get(&key(1), 0).is_empty());
        assert_eq!(secrets.get(&key(0), 0).headers.len(), 1);
    }

    #[test]
    fn no_amount_of_variables_drives_a_secret_out() {
        let secrets = Secrets::new(Lifetimes::default());
        secrets.put(&key(0), secret("t", 0), 0);
        let big = "x".repeat(MAX_BYTES / 4);
        for id in 1..9 {
            secrets.put(&key(id), variable(&big, None), 0);
        }
        assert_eq!(secrets.get(&key(0), 0).headers.len(), 1);
        assert!(secrets.get(&key(1), 0).is_empty());
        assert_eq!(secrets.get(&key(8), 0).variables.len(), 1);
        assert!(secrets.lock().variables.bytes <= MAX_BYTES);
    }

    #[test]
    fn one_session_does_not_drive_the_others_out() {
        let secrets = Secrets::new(Lifetimes::default());
        secrets.put(&key(0), variable("a", None), 0);
        let mut much = variable(&"x".repeat(MAX_BYTES), None);
        much.variables.extend(variable("b", None).variables);
        secrets.put(&key(1), much, 0);
        assert_eq!(secrets.get(&key(0), 0).variables.len(), 1);
        let left = secrets.get(&key(1), 0).variables;
        assert_eq!(left.iter().map(|kept| &*kept.value).collect::<Vec<_>>(), [&json!("b")]);
        secrets.put(&key(2), variable(&"x".repeat(MAX_BYTES), None), 0);
        assert!(secrets.get(&key(2), 0).is_empty());
        assert!(secrets.lock().variables.bytes <= MAX_BYTES && secrets.lock().variables.sessions.len() == 2);
    }

    #[test]
    fn expired_ones_are_not_kept_for_long() {
        let secrets = Secrets::new(Lifetimes::default());
        secrets.put(&key(0), secret("a", 0), 0);
        secrets.put(&key(1), variable("a", Some(3_600_000)), 0);
        secrets.put(&key(2), secret("b", 3_600_000), 3_600_000);
        let kept = secrets.lock();
        assert_eq!((kept.headers.sessions.len(), kept.variables.sessions.len()), (1, 0));
        assert_eq!(kept.headers.bytes, weight(&key(2), &secret("b", 0).headers));
        assert_eq!(kept.variables.bytes, 0);
    }
}

//! What is known of a destination, kept for a while: one for each destination, caller and set of headers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderName;
use letterhead_context::{Caller, RenderedRequest};
use letterhead_store::{Fingerprint, Fingerprints};
use tokio::time::Instant;

use crate::token_exchange::Pass;

/// How many are kept.
const MOST: usize = 256;

/// How long one is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(5 * 60);

/// What is known, by a fingerprint of the destination, the caller and the headers. Who holds one may go on with it when it
/// is not kept any more.
#[derive(Debug)]
pub(crate) struct Kept<T>(Mutex<HashMap<Fingerprint, (Instant, Arc<T>)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// What tells a destination, a caller and a set of headers from all others.
pub(super) struct Key<'a> {
    /// As a trail names it.
    pub(super) destination: &'a str,
    /// None where all callers share.
    pub(super) caller: Option<&'a Caller>,
    pub(super) request: &'a RenderedRequest,
    /// The headers that do not matter.
    pub(super) per_call: &'a [HeaderName],
    /// What its tokens are got with: no two callers share them.
    pub(super) pass: Option<&'a Pass>,
}

impl Key<'_> {
    pub(super) fn fingerprint(&self, fingerprints: &Fingerprints) -> Fingerprint {
        let mut bytes = Vec::new();
        let mut add = |part: &[u8]| {
            bytes.extend_from_slice(&part.len().to_be_bytes());
            bytes.extend_from_slice(part);
        };
        add(self.destination.as_bytes());
        if let Some(caller) = self.caller {
            add(caller.tenant().as_str().as_bytes());
            match caller.user() {
                Some(user) => {
                    add(b"user");
                    add(user.as_str().as_bytes());
                }
                None => add(b"nobody"),
            }
        }
        add(self.request.url.as_str().as_bytes());
        for (name, value) in &self.request.headers {
            if !self.per_call.contains(name) {
                add(name.as_str().as_bytes());
                add(value.as_bytes());
            }
        }
        if let Some(pass) = self.pass {
            add(b"token");
            add(&pass.fingerprint());
        }
        fingerprints.of(&bytes, true)
    }
}

impl<T: Default> Kept<T> {
    /// The one for this fingerprint, made if there is none.
    pub(crate) fn of(&self, key: Fingerprint) -> Arc<T> {
        let now = Instant::now();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (used, _)| now.duration_since(*used) < IDLE);
        if !kept.contains_key(&key) && kept.len() >= MOST {
            let oldest = kept.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            oldest.and_then(|oldest| kept.remove(&oldest));
        }
        let (used, one) = kept.entry(key).or_insert_with(|| (now, Arc::default()));
        *used = now;
        Arc::clone(one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Fingerprint {
        [number; 32]
    }

    #[tokio::test(start_paused = true)]
    async fn one_is_kept_as_long_as_it_is_used() {
        let pool = Kept::<u8>::default();
        let first = pool.of(key(1));
        for _ in 0..3 {
            tokio::time::advance(IDLE - Duration::from_secs(1)).await;
            assert!(Arc::ptr_eq(&first, &pool.of(key(1))));
        }
        assert!(!Arc::ptr_eq(&first, &pool.of(key(2))));
        tokio::time::advance(IDLE).await;
        assert!(!Arc::ptr_eq(&first, &pool.of(key(1))));
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_was_used_least_recently_makes_room() {
        let pool = Kept::<u8>::default();
        let mut peers = Vec::new();
        for number in 0..=255 {
            peers.push(pool.of(key(number)));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        pool.of(key(0));
        tokio::time::advance(Duration::from_millis(1)).await;
        pool.of([7, 7]
            .repeat(16)
            .try_into()
            .map(|mut more: Fingerprint| {
                more[0] = 8;
                more
            })
            .unwrap());
        assert!(Arc::ptr_eq(&peers[0], &pool.of(key(0))), "it was used since");
        assert!(!Arc::ptr_eq(&peers[1], &pool.of(key(1))), "it was the oldest");
        assert_eq!(pool.0.lock().unwrap().len(), MOST);
    }
}

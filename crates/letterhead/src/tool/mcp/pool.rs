//! Opened servers, kept for a while: one for each server, caller and set of headers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use letterhead_store::Fingerprint;
use tokio::time::Instant;

use super::peer::Peer;

/// How many are kept.
const MOST: usize = 256;

/// How long one is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(5 * 60);

/// Opened servers, by a fingerprint of the server, the caller and the headers. Who holds one may go on with it when it is
/// not kept any more.
#[derive(Debug, Default)]
pub(crate) struct McpPool(Mutex<HashMap<Fingerprint, (Instant, Arc<Peer>)>>);

impl McpPool {
    /// The one for this fingerprint, made if there is none.
    pub(crate) fn peer(&self, key: Fingerprint) -> Arc<Peer> {
        let now = Instant::now();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (used, _)| now.duration_since(*used) < IDLE);
        if !kept.contains_key(&key) && kept.len() >= MOST {
            let oldest = kept.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            oldest.and_then(|oldest| kept.remove(&oldest));
        }
        let (used, peer) = kept.entry(key).or_insert_with(|| (now, Arc::default()));
        *used = now;
        Arc::clone(peer)
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
        let pool = McpPool::default();
        let first = pool.peer(key(1));
        for _ in 0..3 {
            tokio::time::advance(IDLE - Duration::from_secs(1)).await;
            assert!(Arc::ptr_eq(&first, &pool.peer(key(1))));
        }
        assert!(!Arc::ptr_eq(&first, &pool.peer(key(2))));
        tokio::time::advance(IDLE).await;
        assert!(!Arc::ptr_eq(&first, &pool.peer(key(1))));
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_was_used_least_recently_makes_room() {
        let pool = McpPool::default();
        let mut peers = Vec::new();
        for number in 0..=255 {
            peers.push(pool.peer(key(number)));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        pool.peer(key(0));
        tokio::time::advance(Duration::from_millis(1)).await;
        pool.peer(
            [7, 7]
                .repeat(16)
                .try_into()
                .map(|mut more: Fingerprint| {
                    more[0] = 8;
                    more
                })
                .unwrap(),
        );
        assert!(Arc::ptr_eq(&peers[0], &pool.peer(key(0))), "it was used since");
        assert!(!Arc::ptr_eq(&peers[1], &pool.peer(key(1))), "it was the oldest");
        assert_eq!(pool.0.lock().unwrap().len(), MOST);
    }
}

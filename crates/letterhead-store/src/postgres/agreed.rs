//! The time that all nodes agree on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio_postgres::{Client, Error};

use crate::Clock;
use crate::clock::millis;

/// By how much a node's clock and the database's may differ. What takes the time of asking is far below it.
const TOLERANCE: Duration = Duration::from_secs(60);

const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// This node's clock; where it differs from the database's by more than a minute, the database's. A node whose clock is
/// wrong would otherwise take what others have written just now for expired, or write what they take for expired.
pub(super) struct AgreedClock {
    own: Arc<dyn Clock>,
    /// What is added to the node's own time, in milliseconds. 0 where the two agree.
    correction_ms: AtomicI64,
}

impl AgreedClock {
    pub(super) fn new(own: Arc<dyn Clock>) -> Self {
        Self { own, correction_ms: AtomicI64::new(0) }
    }

    /// Looks at the database's clock. Tells whether the two agree, and warns where they do not. A clock that a test has
    /// set agrees with every other.
    pub(super) async fn compare(&self, client: &Client) -> Result<bool, Error> {
        if self.own.is_set_by_hand() {
            return Ok(true);
        }
        let theirs: i64 = client.query_one(NOW, &[]).await?.try_get(0)?;
        let ahead_ms = theirs.saturating_sub(self.own.now_ms());
        let agrees = ahead_ms.unsigned_abs() <= millis(TOLERANCE).unsigned_abs();
        self.correction_ms.store(if agrees { 0 } else { ahead_ms }, Ordering::Relaxed);
        if !agrees {
            tracing::error!(
                seconds = ahead_ms / 1000,
                "the clocks of this server and of the database differ (the database's is ahead by `seconds`): set the \
                 wrong one; until then the database's counts, and nothing that has expired is removed by this server"
            );
        }
        Ok(agrees)
    }
}

impl Clock for AgreedClock {
    fn now_ms(&self) -> i64 {
        self.own.now_ms().saturating_add(self.correction_ms.load(Ordering::Relaxed))
    }
}

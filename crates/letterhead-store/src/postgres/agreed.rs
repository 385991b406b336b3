//! The time that all nodes agree on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Error};

use crate::Clock;
use crate::clock::millis;

/// By how much a node's clock and the database's may differ. What takes the time of asking is far below it.
const TOLERANCE: Duration = Duration::from_secs(60);

const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// This node's clock; where it differs from the database's by more than a minute, the database's. A node whose clock is
/// wrong would otherwise take what others have written just now for expired, or write what they take for expired.
///
/// Between two looks at the database's clock the time goes on by itself: a clock that is set meanwhile, to a wrong time or
/// to the right one, counts as one that differs.
pub(super) struct AgreedClock {
    own: Arc<dyn Clock>,
    /// When the two were compared, and what time it was. None for a clock that a test has set: it agrees with every other.
    compared: Mutex<Option<(Instant, i64)>>,
}

impl AgreedClock {
    pub(super) fn new(own: Arc<dyn Clock>) -> Self {
        Self { own, compared: Mutex::default() }
    }

    /// Looks at the database's clock. Tells whether the two agree, and warns where they do not.
    pub(super) async fn compare(&self, client: &Client) -> Result<bool, Error> {
        if self.own.is_set_by_hand() {
            return Ok(true);
        }
        let theirs: i64 = client.query_one(NOW, &[]).await?.try_get(0)?;
        let own = self.own.now_ms();
        let agrees = agree(own, theirs);
        *self.compared() = Some((Instant::now(), if agrees { own } else { theirs }));
        if !agrees {
            tracing::error!(
                seconds = theirs.saturating_sub(own) / 1000,
                "the clocks of this server and of the database differ (the database's is ahead by `seconds`): set the \
                 wrong one; until then the database's counts, and nothing that has expired is removed by this server"
            );
        }
        Ok(agrees)
    }

    /// Nothing that panics is done under the lock, so that one that was poisoned is as good as any.
    fn compared(&self) -> MutexGuard<'_, Option<(Instant, i64)>> {
        self.compared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for AgreedClock {
    fn now_ms(&self) -> i64 {
        let own = self.own.now_ms();
        let Some((at, then)) = *self.compared() else { return own };
        let expected = then.saturating_add(millis(at.elapsed()));
        if agree(own, expected) { own } else { expected }
    }
}

fn agree(one_ms: i64, other_ms: i64) -> bool {
    one_ms.abs_diff(other_ms) <= millis(TOLERANCE).unsigned_abs()
}

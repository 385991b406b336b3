//! How long things are kept.

use std::time::Duration;

use crate::StoredHeader;
use crate::clock::millis;

/// How long sessions and their headers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// A header, from when it was last sent (`sessions.headers_ttl`). Using it does not count.
    pub headers: Duration,
    /// A secret, likewise (`sessions.secrets_ttl`).
    pub secrets: Duration,
    /// A session, from its last turn (`sessions.ttl`); for ever where it is none.
    pub sessions: Option<Duration>,
}

impl Default for Lifetimes {
    /// Headers a day, secrets an hour, sessions for ever.
    fn default() -> Self {
        Self { headers: Duration::from_hours(24), secrets: Duration::from_hours(1), sessions: None }
    }
}

impl Lifetimes {
    /// Whether a header is still to be used. A clock that was ahead and was set back lengthens no life: what seems to come
    /// from so far in the future is not used either.
    pub(crate) fn header_lives(&self, header: &StoredHeader, now_ms: i64) -> bool {
        let ttl = if header.secret { self.secrets } else { self.headers };
        now_ms.abs_diff(header.sent_at_ms) < millis(ttl).unsigned_abs()
    }

    /// Secrets that were last sent at this time or before it have expired, in Unix milliseconds.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn secret_horizon(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(millis(self.secrets))
    }

    /// Sessions whose last turn was at this time or before it have expired, in Unix milliseconds.
    pub(crate) fn session_horizon(&self, now_ms: i64) -> i64 {
        self.sessions.map_or(i64::MIN, |ttl| now_ms.saturating_sub(millis(ttl)))
    }
}

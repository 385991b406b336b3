//! `sessions:` — how long things are kept, and how turns of one session wait for each other.

use std::time::Duration;

use super::section::Section;

/// How long things are kept, and how turns of one session wait for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sessions {
    /// How long a session is kept after its last turn; nothing is until it is deleted.
    pub ttl: Option<Duration>,
    /// How long a header is remembered after it was last sent.
    pub headers_ttl: Duration,
    /// The same for secrets.
    pub secrets_ttl: Duration,
    /// How long a turn waits for the one before it.
    pub turn_wait: Duration,
    /// How long a turn goes on when its client has gone.
    pub disconnect_grace: Duration,
    /// How long a turn belongs to a server that is not heard of, where several share a database.
    pub lease: Duration,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            ttl: None,
            headers_ttl: Duration::from_secs(24 * 60 * 60),
            secrets_ttl: Duration::from_secs(60 * 60),
            turn_wait: Duration::from_secs(10),
            disconnect_grace: Duration::ZERO,
            lease: Duration::from_secs(30),
        }
    }
}

impl Sessions {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        Self {
            ttl: section.child("ttl").optional_duration(),
            headers_ttl: section.child("headers_ttl").duration(default.headers_ttl),
            secrets_ttl: section.child("secrets_ttl").duration(default.secrets_ttl),
            turn_wait: section.child("turn_wait").duration(default.turn_wait),
            disconnect_grace: section.child("disconnect_grace").duration(default.disconnect_grace),
            lease: section.child("lease").duration(default.lease),
        }
    }
}

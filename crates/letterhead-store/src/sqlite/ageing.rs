//! Rows that are removed when their time has come, whether anybody looks at them or not.

use rusqlite::Connection;

use crate::StoreError;
use crate::clock::millis;
use crate::idempotency::ANSWERS_KEPT;
use crate::lifetimes::Lifetimes;

/// How many rows are removed in one transaction.
const REMOVE: i64 = 500;

/// The tables that have such rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ageing {
    /// Secret headers, by when they were last sent.
    Secrets,
    /// Context variables, by when they expire.
    Variables,
    /// Kept answers, by when they were given.
    Answers,
}

impl Ageing {
    pub(super) const ALL: [Self; 3] = [Self::Secrets, Self::Variables, Self::Answers];

    /// What stands at this time or before it has expired, in Unix milliseconds.
    pub(super) fn horizon(self, lifetimes: &Lifetimes, now_ms: i64) -> i64 {
        match self {
            Self::Secrets => lifetimes.secret_horizon(now_ms),
            Self::Variables => now_ms,
            Self::Answers => now_ms.saturating_sub(millis(ANSWERS_KEPT)),
        }
    }

    /// In how many transactions what has expired can be removed.
    pub(super) fn removals(self, connection: &Connection, horizon_ms: i64) -> Result<i64, StoreError> {
        let sql = match self {
            Self::Secrets => "SELECT count(*) FROM secrets WHERE sent_at <= ?1",
            Self::Variables => "SELECT count(*) FROM variables WHERE expires_at IS NOT NULL AND expires_at <= ?1",
            Self::Answers => "SELECT count(*) FROM answers WHERE given_at <= ?1",
        };
        let expired: i64 = connection.prepare_cached(sql)?.query_row([horizon_ms], |row| row.get(0))?;
        Ok(expired / REMOVE + i64::from(expired % REMOVE > 0))
    }

    /// Removes as many of them as one transaction takes.
    pub(super) fn remove(self, connection: &Connection, horizon_ms: i64) -> Result<(), StoreError> {
        let sql = match self {
            Self::Secrets => {
                "DELETE FROM secrets WHERE (session, place) IN (SELECT session, place FROM secrets WHERE sent_at <= ?1 \
                 LIMIT ?2)"
            }
            Self::Variables => {
                "DELETE FROM variables WHERE (session, name) IN (SELECT session, name FROM variables \
                 WHERE expires_at IS NOT NULL AND expires_at <= ?1 LIMIT ?2)"
            }
            Self::Answers => "DELETE FROM answers WHERE id IN (SELECT id FROM answers WHERE given_at <= ?1 LIMIT ?2)",
        };
        Ok(connection.prepare_cached(sql)?.execute([horizon_ms, REMOVE]).map(drop)?)
    }
}

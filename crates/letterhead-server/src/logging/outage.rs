//! A store that goes away: the log says so once, with the cause, and not once for each request that it fails.

use std::sync::atomic::{AtomicI64, Ordering};

use letterhead_context::{Code, Problem};

/// How long after one warning the next failure is news again, in milliseconds.
const NEWS_AFTER_MS: i64 = 60_000;

/// When it was last said that the store is away, in Unix milliseconds; zero is never.
#[derive(Debug, Default)]
pub struct Outage(AtomicI64);

impl Outage {
    /// Warns of a request that failed for the store, unless that was said within the last minute.
    pub(crate) fn note(&self, problem: &Problem, now_ms: i64) {
        if problem.code() == Code::StoreUnavailable && self.is_news(now_ms) {
            tracing::warn!(reason = problem.detail(), "requests fail for the store; this is said once a minute");
        }
    }

    fn is_news(&self, now_ms: i64) -> bool {
        // A clock that was set back is not waited for.
        let is_recent = |told: i64| told != 0 && (0..NEWS_AFTER_MS).contains(&now_ms.saturating_sub(told));
        let is_news = |told: i64| (!is_recent(told)).then_some(now_ms);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_news).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_news_once_a_minute() {
        let outage = Outage::default();
        let told: Vec<bool> =
            [1_000, 1_001, 60_999, 61_000, 61_001, 5_000, 5_001].map(|now| outage.is_news(now)).into();
        assert_eq!(told, [true, false, false, true, false, true, false], "and once more where the clock is set back");
    }

    #[test]
    fn what_is_no_matter_of_the_store_is_not_said() {
        let outage = Outage::default();
        outage.note(&Problem::new(Code::InvalidBody, "no"), 1_000);
        assert!(outage.is_news(1_001));
        let outage = Outage::default();
        outage.note(&Problem::new(Code::StoreUnavailable, "the disk is full"), 1_000);
        assert!(!outage.is_news(1_001));
    }
}

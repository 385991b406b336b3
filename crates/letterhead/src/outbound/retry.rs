//! When a failed call is repeated, and after how long.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use super::{Fault, OutboundFault, WholeAnswer};

/// The longest wait that another side may ask for and get. Asked for more, a call is not repeated.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often a failed call is repeated, and how the waits grow.
///
/// The wait before repetition *n* (0, 1, …) is between half and the whole of `base · 2ⁿ`, at most `max`, unless the other
/// side says when to come back (`retry-after-ms`, `Retry-After`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a call is repeated: 2.
    pub retries: u32,
    /// The first wait: 500 ms.
    pub base: Duration,
    /// The longest wait of our own choice: 8 s.
    pub max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { retries: 2, base: Duration::from_millis(500), max: Duration::from_secs(8) }
    }
}

impl RetryPolicy {
    /// No repetition at all.
    pub fn never() -> Self {
        Self { retries: 0, ..Self::default() }
    }

    /// How long to wait before attempt `attempt` is repeated, if it is.
    pub(super) fn wait_after_status(&self, attempt: u32, status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
        if attempt >= self.retries || !may_pass(status, headers) {
            return None;
        }
        match retry_after(headers) {
            Some(wait) if wait > LONGEST_WAIT => None,
            Some(wait) => Some(wait),
            None => Some(self.backoff(attempt, random())),
        }
    }

    /// The same for an attempt that got no answer.
    pub(super) fn wait_after_fault(&self, attempt: u32, fault: Fault) -> Option<Duration> {
        let may_pass = match fault {
            Fault::Connect(_) | Fault::ConnectTimeout | Fault::BrokeOff => true,
            Fault::FirstByteTimeout | Fault::IdleTimeout | Fault::TooLarge | Fault::Malformed | Fault::Address => false,
        };
        (may_pass && attempt < self.retries).then(|| self.backoff(attempt, random()))
    }

    /// How long to wait before a [`GuardedClient`](super::GuardedClient)'s call is made again, if its fault or its status
    /// may pass. `attempt` counts from 0. For calls that may be made twice: those of safe methods.
    pub fn wait_after(&self, attempt: u32, outcome: &Result<WholeAnswer, OutboundFault>) -> Option<Duration> {
        match outcome {
            Ok(answer) => self.wait_after_status(attempt, answer.status, &answer.headers),
            Err(fault) => (fault.may_pass() && attempt < self.retries).then(|| self.backoff(attempt, random())),
        }
    }

    fn backoff(&self, attempt: u32, random: u16) -> Duration {
        let whole = self.base.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.max);
        let half = whole / 2;
        half + half * u32::from(random) / u32::from(u16::MAX)
    }
}

/// What may be gone when asked again. A provider's own word (`x-should-retry`) wins.
pub(super) fn may_pass(status: StatusCode, headers: &HeaderMap) -> bool {
    let by_status = match status.as_u16() {
        408 | 409 | 429 => true,
        501 | 505 => false,
        code => code >= 500,
    };
    if status.is_success() || status.is_redirection() {
        return false;
    }
    match headers.get("x-should-retry").map(http::HeaderValue::as_bytes) {
        Some(b"true") => true,
        Some(b"false") => false,
        _ => by_status,
    }
}

/// How long the other side asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date. A date is measured
/// against the answer's own `Date`, so that a clock that differs from ours does not matter.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| *number >= 0.0);
    if let Some(milliseconds) = text("retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(milliseconds / 1000.0).ok();
    }
    let when = text(RETRY_AFTER.as_str())?;
    if let Some(seconds) = number(when) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let now = httpdate::parse_http_date(text(DATE.as_str())?).ok()?;
    let then = httpdate::parse_http_date(when).ok()?;
    Some(then.duration_since(now).unwrap_or(Duration::ZERO))
}

/// Spreads the waits of many clients. Need not be unguessable.
fn random() -> u16 {
    let [.., high, low] = *uuid::Uuid::new_v4().as_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread_over_their_upper_half() {
        let policy = RetryPolicy::default();
        let bounds = |attempt| (policy.backoff(attempt, 0), policy.backoff(attempt, u16::MAX));
        assert_eq!(bounds(0), (ms(250), ms(500)));
        assert_eq!(bounds(1), (ms(500), ms(1000)));
        assert_eq!(bounds(4), (ms(4000), ms(8000)));
        assert_eq!(bounds(60), (ms(4000), ms(8000)));
        assert!((0..64).map(|_| random()).collect::<std::collections::HashSet<_>>().len() > 32, "it is random");
    }

    #[test]
    fn the_other_side_says_when_to_come_back() {
        for (pairs, expected) in [
            (&[("retry-after", "7")][..], Some(ms(7000))),
            (&[("retry-after", "0.25")], Some(ms(250))),
            (&[("retry-after-ms", "1500"), ("retry-after", "7")], Some(ms(1500))),
            (
                &[("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")],
                Some(ms(3000)),
            ),
            (
                &[("retry-after", "Sun, 06 Nov 1994 08:49:07 GMT"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")],
                Some(ms(0)),
            ),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "inf")], None),
            (&[], None),
        ] {
            assert_eq!(retry_after(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_wait_of_more_than_a_minute_is_not_waited_for() {
        let policy = RetryPolicy::default();
        let wait =
            |value| policy.wait_after_status(0, StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", value)]));
        assert_eq!(wait("60"), Some(ms(60_000)));
        assert_eq!(wait("61"), None);
    }

    #[test]
    fn only_what_may_pass_is_repeated_and_only_so_often() {
        let policy = RetryPolicy::default();
        let repeats = |attempt, status: u16, pairs: &[_]| {
            policy.wait_after_status(attempt, StatusCode::from_u16(status).unwrap(), &headers(pairs)).is_some()
        };
        for status in [408, 409, 429, 500, 502, 503, 504, 529] {
            assert!(repeats(0, status, &[]) && repeats(1, status, &[]) && !repeats(2, status, &[]), "{status}");
        }
        for status in [200, 301, 400, 401, 403, 404, 413, 422, 501] {
            assert!(!repeats(0, status, &[]), "{status}");
        }
        assert!(!repeats(0, 500, &[("x-should-retry", "false")]));
        assert!(repeats(0, 400, &[("x-should-retry", "true")]));
        assert!(!repeats(0, 200, &[("x-should-retry", "true")]));
        assert!(policy.wait_after_fault(1, Fault::BrokeOff).is_some());
        assert!(policy.wait_after_fault(2, Fault::BrokeOff).is_none());
        assert!(policy.wait_after_fault(0, Fault::FirstByteTimeout).is_none());
    }
}

//! Durations such as `10s` and sizes such as `4MiB`.

use std::time::Duration;

/// What no duration of a configuration exceeds: a hundred years.
const MAX_SECONDS: u64 = 100 * 366 * 24 * 60 * 60;

/// A whole number and its unit: `ms`, `s`, `m`, `h` or `d`. Nothing if it is written otherwise or beyond a hundred years.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (amount, unit) = split(text)?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(amount)).filter(|duration| duration.as_secs() <= MAX_SECONDS),
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    amount.checked_mul(seconds).filter(|total| *total <= MAX_SECONDS).map(Duration::from_secs)
}

/// A number of bytes, or one with `B`, `KiB`, `MiB` or `GiB`. Nothing if it is written otherwise or does not fit 63 bits.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (amount, unit) = split(text)?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    amount.checked_mul(1 << shift).filter(|total| *total <= i64::MAX.unsigned_abs())
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (amount, unit) = text.split_at_checked(digits)?;
    Some((amount.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bytes, duration};

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(duration("24h"), Some(Duration::from_secs(86_400)));
        assert_eq!(duration("7d"), Some(Duration::from_secs(604_800)));
        for text in ["10", "s", "-1s", "1.5s", "10 s", "10S", "99999999999d", "999999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_unless_they_say_otherwise() {
        assert_eq!(bytes("512"), Some(512));
        assert_eq!(bytes("512B"), Some(512));
        assert_eq!(bytes("4KiB"), Some(4_096));
        assert_eq!(bytes("4MiB"), Some(4_194_304));
        for text in ["4MB", "4k", "KiB", "-1", "99999999999GiB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}

//! What a turn is called.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::{Serialize, Serializer};
use uuid::{Builder, Uuid, Variant};

/// The id of a turn: a UUID of version 7, made when the turn begins. Ids sort in the order of beginning, as far as the
/// clocks of several nodes agree.
///
/// ```
/// use letterhead_store::TurnId;
///
/// let id = TurnId::parse("0193a2c4-5e6f-7abc-8def-0123456789ab").ok_or("no id")?;
/// assert_eq!(id.to_string(), "0193a2c4-5e6f-7abc-8def-0123456789ab");
/// assert!(TurnId::parse("sess-456").is_none());
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnId(Uuid);

impl TurnId {
    /// The id that is written so: 36 characters, with hyphens. None for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().filter(|_| text.len() == 36).map(Self)
    }

    /// When it was made, in Unix milliseconds. None for an id that a server of an early version made.
    pub fn made_at_ms(self) -> Option<i64> {
        if self.0.get_variant() != Variant::RFC4122 || self.0.get_version_num() != 7 {
            return None;
        }
        // The first 48 bits.
        i64::try_from(self.0.as_u128() >> 80).ok()
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TurnId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Makes ids, each after the one before it, though it may be of the same millisecond.
#[derive(Default)]
pub(crate) struct TurnIds {
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    at_ms: i64,
    /// How many were made in that millisecond. It fills the twelve bits behind the time.
    count: u16,
}

impl TurnIds {
    /// An id of this time, in Unix milliseconds.
    pub(crate) fn next(&self, now_ms: i64) -> TurnId {
        const COUNTS: u16 = 0x0FFF;
        let count = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.count = if last.at_ms == now_ms { (last.count + 1).min(COUNTS) } else { 0 };
            last.at_ms = now_ms;
            last.count
        };
        let mut random = [0; 10];
        for (byte, from) in random.iter_mut().zip(Uuid::new_v4().as_bytes().iter().rev()) {
            *byte = *from;
        }
        let [first, second, ..] = &mut random;
        [*first, *second] = count.to_be_bytes();
        // The builder puts version and variant in their places.
        TurnId(Builder::from_unix_timestamp_millis(now_ms.max(0).cast_unsigned(), &random).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_their_time_and_sort_in_the_order_of_making() {
        let ids = TurnIds::default();
        let at = 1_700_000_000_000;
        let made: Vec<TurnId> = (0..5000).map(|n| ids.next(at + n / 1000)).collect();
        assert!(made.is_sorted_by(|one, two| one < two));
        assert_eq!(made[0].made_at_ms(), Some(at));
        assert_eq!(made[4999].made_at_ms(), Some(at + 4));
        assert_eq!(TurnId::parse(&made[7].to_string()), Some(made[7]));
    }

    #[test]
    fn what_is_no_id_is_none_and_an_old_one_has_no_time() {
        for text in ["", "s", "0193a2c45e6f7abc8def0123456789ab", "{0193a2c4-5e6f-7abc-8def-0123456789ab}"] {
            assert!(TurnId::parse(text).is_none(), "{text}");
        }
        let old = TurnId::parse("6ecd8c99-4036-403d-bf84-cf8400f67836").unwrap();
        assert_eq!(old.made_at_ms(), None);
    }
}

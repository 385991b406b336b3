//! Reading what providers really send. A field of the wrong type is no reason to lose an answer, so fields are kept raw
//! and read leniently.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A field that may be absent or null, or of any type.
pub(crate) type Raw<'a> = Option<&'a RawValue>;

/// A string, unless it is empty.
pub(crate) fn string<'a>(raw: Raw<'a>) -> Option<Cow<'a, str>> {
    let raw = raw?.get();
    if !raw.starts_with('"') {
        return None;
    }
    // Borrowed where nothing is escaped.
    let text = match serde_json::from_str::<&'a str>(raw) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(serde_json::from_str(raw).ok()?),
    };
    (!text.is_empty()).then_some(text)
}

/// A count: a whole number, also one written as a float or as a string.
pub(crate) fn count(raw: Raw<'_>) -> Option<u64> {
    let raw = raw?.get().trim_matches('"');
    let whole = raw.split_once('.').map_or(raw, |(whole, _)| whole);
    whole.parse().ok()
}

/// An object or a list, read as `T`.
pub(crate) fn object<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// JSON that should have come as text inside a string, but may have come as it is.
pub(crate) fn json_text(raw: Raw<'_>) -> String {
    match raw {
        Some(raw) if raw.get().starts_with('"') => string(Some(raw)).unwrap_or_default().into_owned(),
        Some(raw) => raw.get().to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn odd_types_are_read_or_passed_over() {
        assert_eq!(count(Some(&raw("7"))), Some(7));
        assert_eq!(count(Some(&raw("7.0"))), Some(7));
        assert_eq!(count(Some(&raw("\"7\""))), Some(7));
        for text in ["-1", "{}", "\"x\"", "true"] {
            assert_eq!(count(Some(&raw(text))), None, "{text}");
        }
        assert_eq!(string(Some(&raw(r#""a\n\u20ac""#))).unwrap(), "a\n€");
        assert!(matches!(string(Some(&raw(r#""plain""#))), Some(Cow::Borrowed("plain"))));
        assert_eq!(string(Some(&raw("\"\""))), None);
        assert_eq!(string(Some(&raw("5"))), None);
        assert_eq!(json_text(Some(&raw(r#""{\"a\":1}""#))), r#"{"a":1}"#);
        assert_eq!(json_text(Some(&raw(r#"{"a": 1}"#))), r#"{"a": 1}"#);
        assert_eq!(json_text(None), "");
    }
}

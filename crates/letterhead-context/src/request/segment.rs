//! Is a segment of a path, made with a value from outside, one that every server takes for a name?
//!
//! Encoding does not answer that: URL parsers take `%2e%2e` for `..`, servers and proxies decode before they compare, some
//! of them twice, and some take `\`, `;` or wide characters for what they look like.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// How often a segment is decoded. No chain of servers decodes as often; what is still encoded then is refused.
const ROUNDS: usize = 8;

/// Is it safe? Not if it is empty, or if it or a part of it is `.` or `..`, whatever the spelling.
pub(super) fn is_safe(segment: &str) -> bool {
    // Most are, and nothing in them has to be decoded.
    if !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'~')) {
        return true;
    }
    let Some(decoded) = decoded(segment) else { return false };
    let mut named = false;
    for part in decoded.split(is_separator) {
        // `..;x` is `..` with a parameter to some servers; others drop blanks and controls at the ends.
        let name = part.split(';').next().unwrap_or_default();
        let name = name.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        if is_dots(name) {
            return false;
        }
        named |= !name.is_empty();
    }
    named
}

/// Decoded until nothing is encoded any more. None where that is no text, or does not end.
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    let mut text = Cow::Borrowed(segment);
    for _ in 0..ROUNDS {
        let once = wide(&text);
        let twice = percent_decode_str(&once).decode_utf8().ok()?;
        if twice == text {
            return Some(text);
        }
        text = Cow::Owned(twice.into_owned());
    }
    None
}

/// `%u002e`, which some servers know, as the character.
fn wide(text: &str) -> Cow<'_, str> {
    let mut parts = text.split("%u");
    let first = parts.next().unwrap_or_default();
    let mut decoded = first.to_owned();
    for part in parts {
        let character = part.get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        match character {
            Some(character) => {
                decoded.push(character);
                decoded.push_str(part.get(4..).unwrap_or_default());
            }
            None => {
                decoded.push_str("%u");
                decoded.push_str(part);
            }
        }
    }
    if decoded == text { Cow::Borrowed(text) } else { Cow::Owned(decoded) }
}

/// What separates segments, or is turned into what does.
fn is_separator(c: char) -> bool {
    matches!(c, '/' | '\\' | '\u{ff0f}' | '\u{ff3c}' | '\u{2044}' | '\u{2215}' | '\u{29f8}')
}

/// Is it `.` or `..`, also of dots that are turned into these?
fn is_dots(name: &str) -> bool {
    let dots: Option<usize> = name
        .chars()
        .map(|c| match c {
            '.' | '\u{2024}' | '\u{fe52}' | '\u{ff0e}' => Some(1),
            '\u{2025}' => Some(2),
            _ => None,
        })
        .sum();
    matches!(dots, Some(1 | 2))
}

#[cfg(test)]
mod tests {
    use super::is_safe;

    #[test]
    fn a_name_is_a_name() {
        for segment in [
            "u_1",
            "a%2Fb",
            "group%2Fproject",
            "...",
            "a..b",
            ".well-known",
            "v1.2",
            "%E6%97%A5",
            "a%25b",
            "100%",
            "%u",
            "caf%C3%A9",
        ] {
            assert!(is_safe(segment), "{segment}");
        }
    }

    #[test]
    fn what_some_server_takes_for_a_step_is_none() {
        for segment in [
            "",
            ".",
            "..",
            "%2e",
            "%2E%2e",
            ".%2e",
            "%252e%252e",
            "%25252e.",
            "%u002e%u002e",
            "..%3B",
            "..%3Ba%3Db",
            "%2F",
            "%5C",
            "a%2F..",
            "..%2Fadmin",
            "..%5Cadmin",
            "a%5C..%5Cb",
            "a%252f..%252fb",
            "%20",
            "..%20",
            "..%00",
            "%09..",
            "%3B",
            "%3Ba",
            "%EF%BC%8E%EF%BC%8E",
            "%E2%80%A5",
            "..%EF%BC%8F",
            "%c0%ae%c0%ae",
            "%25252525252525252525252525252525252e",
        ] {
            assert!(!is_safe(segment), "{segment}");
        }
    }
}

//! Percent-encoding: everything but the unreserved characters of RFC 3986 (2.3), so that a value is only ever a value.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but `A-Za-z0-9-._~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The pieces of an encoded text.
pub(crate) fn encoded(text: &str) -> impl Iterator<Item = &str> {
    utf8_percent_encode(text, RESERVED)
}

/// Does a text have anything that is encoded?
pub(crate) fn encodes(text: &str) -> bool {
    !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

/// Names and values as `a=1&b=2`: in a query, and as `application/x-www-form-urlencoded`, which decodes to the same.
#[derive(Default)]
pub(crate) struct Pairs(String);

impl Pairs {
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.extend(encoded(name));
        self.0.push('=');
        self.0.extend(encoded(value));
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

//! What a document is found by.

use std::fmt;
use std::sync::Arc;

use super::DocumentFault;

/// The most characters that a key may have.
pub const MAX_DOCUMENT_KEY: usize = 128;

/// A document's key: 1 to [`MAX_DOCUMENT_KEY`] of `a-z`, `0-9`, `.`, `_` and `-`, of which the first is a letter or a digit.
/// Capital letters are read as small ones (ASCII): `Sse-Events` and `sse-events` are one key.
///
/// So a key is one segment of a path, whatever decodes or normalises that, and never looks like an option or a hidden file.
/// It has no `#`, `@` or `:` either: those are free for what is looked up and is no document, or a part of one.
///
/// ```
/// use letterhead_store::DocumentKey;
///
/// assert_eq!(DocumentKey::parse("SSE-Events")?.as_str(), "sse-events");
/// assert!(DocumentKey::parse("../secrets").is_err());
/// # Ok::<(), letterhead_store::DocumentFault>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentKey(Arc<str>);

impl DocumentKey {
    /// Reads a key in any case.
    ///
    /// # Errors
    /// [`DocumentFault::Key`].
    pub fn parse(text: &str) -> Result<Self, DocumentFault> {
        let fits = (1..=MAX_DOCUMENT_KEY).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            && text.starts_with(|first: char| first.is_ascii_alphanumeric());
        if fits { Ok(Self(text.to_ascii_lowercase().into())) } else { Err(DocumentFault::Key) }
    }

    /// The key as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_safe_segment_of_a_path() {
        let longest = "k".repeat(MAX_DOCUMENT_KEY);
        for good in ["headers", "a", "7", "v1.2_final-3", "a..b", longest.as_str()] {
            assert_eq!(DocumentKey::parse(good).unwrap().as_str(), good);
        }
        let too_long = "k".repeat(MAX_DOCUMENT_KEY + 1);
        let bad = [
            "",
            ".",
            "..",
            ".hidden",
            "-x",
            "_x",
            "a/b",
            "a\\b",
            "a%2fb",
            "a b",
            " a",
            "a\n",
            "a\0",
            "a:b",
            "ä",
            "K\u{212a}",
        ];
        for bad in bad.into_iter().chain([too_long.as_str()]) {
            assert_eq!(DocumentKey::parse(bad), Err(DocumentFault::Key), "{bad:?}");
        }
    }
}

//! What is written, and what is wrong with it.

use std::fmt;
use std::sync::Arc;

use super::DocumentKey;

/// The most characters of a title.
pub const MAX_TITLE: usize = 200;
/// The most tags of a document.
pub const MAX_TAGS: usize = 32;
/// The most characters of a tag.
pub const MAX_TAG: usize = 64;

/// Why something is no document. No text here repeats what it was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentFault {
    /// The key.
    #[error("a key is 1 to 128 letters (a-z), digits, `.`, `_` or `-`, and begins with a letter or a digit")]
    Key,
    /// The title.
    #[error("a title has at most 200 characters, and no line breaks or other controls")]
    Title,
    /// There are too many tags.
    #[error("a document has at most 32 tags")]
    Tags,
    /// One of the tags.
    #[error("a tag is 1 to 64 characters without line breaks or other controls")]
    Tag,
    /// There is no text.
    #[error("the document has no text")]
    Empty,
    /// It is no text.
    #[error("line {line} has control characters, as binary files do: a document is plain text")]
    Binary {
        /// Where the first one is, counted from 1.
        line: usize,
    },
}

/// A document as it is written: checked, but for its size, which is the caller's to bound.
#[derive(Clone, PartialEq, Eq)]
pub struct NewDocument {
    key: DocumentKey,
    title: Option<Arc<str>>,
    tags: Vec<Arc<str>>,
    text: Arc<str>,
}

/// What somebody has written stays out of logs.
impl fmt::Debug for NewDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewDocument").field("key", &self.key).field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

impl NewDocument {
    /// A document without title and tags.
    ///
    /// # Errors
    /// [`DocumentFault::Empty`] for blanks alone, [`DocumentFault::Binary`].
    pub fn new(key: DocumentKey, text: impl Into<Arc<str>>) -> Result<Self, DocumentFault> {
        let text = text.into();
        if text.trim().is_empty() {
            return Err(DocumentFault::Empty);
        }
        let is_odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}');
        if let Some((at, _)) = text.char_indices().find(|(_, c)| is_odd(*c)) {
            let before = text.get(..at).unwrap_or_default();
            return Err(DocumentFault::Binary { line: before.matches('\n').count() + 1 });
        }
        Ok(Self { key, title: None, tags: Vec::new(), text })
    }

    /// Gives it a title; blanks alone are none.
    ///
    /// # Errors
    /// [`DocumentFault::Title`].
    pub fn with_title(self, title: &str) -> Result<Self, DocumentFault> {
        let title = title.trim();
        if !is_label(title, MAX_TITLE) {
            return Err(DocumentFault::Title);
        }
        Ok(Self { title: (!title.is_empty()).then(|| title.into()), ..self })
    }

    /// Gives it tags. What is there twice is kept once.
    ///
    /// # Errors
    /// [`DocumentFault::Tag`], [`DocumentFault::Tags`].
    pub fn with_tags<'a>(self, tags: impl IntoIterator<Item = &'a str>) -> Result<Self, DocumentFault> {
        let mut kept: Vec<Arc<str>> = Vec::new();
        for tag in tags.into_iter().map(str::trim) {
            if tag.is_empty() || !is_label(tag, MAX_TAG) {
                return Err(DocumentFault::Tag);
            }
            if !kept.iter().any(|known| **known == *tag) {
                kept.push(tag.into());
            }
            if kept.len() > MAX_TAGS {
                return Err(DocumentFault::Tags);
            }
        }
        Ok(Self { tags: kept, ..self })
    }

    /// What it is found by.
    pub fn key(&self) -> &DocumentKey {
        &self.key
    }

    /// What people call it.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// What it is about.
    pub fn tags(&self) -> &[Arc<str>] {
        &self.tags
    }

    /// The text.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }
}

fn is_label(text: &str, most: usize) -> bool {
    !text.chars().any(char::is_control) && text.chars().nth(most).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(text: &str) -> Result<NewDocument, DocumentFault> {
        NewDocument::new(DocumentKey::parse("k").unwrap(), text)
    }

    #[test]
    fn a_text_is_text() {
        assert_eq!(&**new("a\tb\r\nc\u{c}ä").unwrap().text(), "a\tb\r\nc\u{c}ä");
        for empty in ["", " \n\t"] {
            assert_eq!(new(empty), Err(DocumentFault::Empty));
        }
        for (binary, line) in [("\0", 1), ("a\nb\u{1b}[2J", 2), ("a\n\n\u{7f}", 3), ("\u{85}", 1)] {
            // The line that is told is counted in line feeds, as editors do.
            assert_eq!(new(&format!("{binary}x")), Err(DocumentFault::Binary { line }), "{binary:?}");
        }
    }

    #[test]
    fn titles_and_tags_are_bounded() {
        let titled = |title: &str| new("t").unwrap().with_title(title);
        assert_eq!(titled("  The Title ").unwrap().title(), Some("The Title"));
        assert_eq!(titled("  ").unwrap().title(), None);
        assert!(titled(&"ä".repeat(MAX_TITLE)).is_ok());
        for bad in ["a\nb".to_owned(), "a".repeat(MAX_TITLE + 1)] {
            assert_eq!(titled(&bad), Err(DocumentFault::Title));
        }
        let tagged = |tags: &[&str]| new("t").unwrap().with_tags(tags.iter().copied());
        assert_eq!(tagged(&["b", " a ", "b"]).unwrap().tags(), ["b".into(), Arc::from("a")]);
        assert_eq!(tagged(&[""]), Err(DocumentFault::Tag));
        assert_eq!(tagged(&["a\tb"]), Err(DocumentFault::Tag));
        assert_eq!(tagged(&["x".repeat(MAX_TAG + 1).as_str()]), Err(DocumentFault::Tag));
        let many: Vec<String> = (0..=MAX_TAGS).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(tagged(&many[..MAX_TAGS]).is_ok());
        assert_eq!(tagged(&many), Err(DocumentFault::Tags));
    }
}

//! The text of a configuration file, and places in it.

use std::ops::Range;

/// A range of bytes in the text of a [`Source`]: `start` is in it, `end` is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl Span {
    /// The range from `start` up to `end`.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }

    /// Whether `other` lies in this range.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A place as an editor shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
}

/// A configuration file: the name it is reported under, its text, and what of that text must not be shown.
#[derive(Clone)]
pub struct Source {
    name: String,
    text: String,
    line_starts: Vec<usize>,
    /// What must not be shown: sorted, and apart from each other.
    hidden: Vec<Span>,
}

impl Source {
    /// A text under the name that reports give it, usually the path as the user wrote it. A byte order mark is dropped.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let mut line_starts = vec![0];
        line_starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        Self { name: name.into(), text, line_starts, hidden: Vec::new() }
    }

    /// The name that reports give the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text. It may hold keys that somebody wrote down in it: show lines by [`Source::line`] only.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Says what [`Source::line`] must not show.
    pub(super) fn hide(&mut self, mut spans: Vec<Span>) {
        spans.sort_unstable();
        let mut apart: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match apart.last_mut().filter(|last| span.start <= last.end) {
                Some(last) => last.end = last.end.max(span.end),
                None => apart.push(span),
            }
        }
        self.hidden = apart;
    }

    /// Line and column of a byte; a byte after the end is the end.
    #[must_use]
    pub fn position(&self, at: usize) -> Position {
        let at = at.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = self.line_start(line);
        let column = self.text.get(start..at).map_or(1, |before| before.chars().count() + 1);
        Position { line, column }
    }

    /// The byte at a line and a column, both counted from 1. What lies after the end of its line is the line's end.
    #[must_use]
    pub fn offset(&self, position: Position) -> usize {
        let range = self.line_range(position.line);
        let line = self.text.get(range.clone()).unwrap_or_default();
        let within = line.char_indices().nth(position.column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
        range.start + within
    }

    /// The bytes of a line, counted from 1, without its line break.
    pub(super) fn line_range(&self, line: usize) -> Range<usize> {
        let start = self.line_start(line);
        let end = self.line_starts.get(line).map_or(self.text.len(), |next| next - 1);
        let text = self.text.get(start..end).unwrap_or_default();
        start..start + text.strip_suffix('\r').unwrap_or(text).len()
    }

    /// A line, counted from 1, as it may be shown: every byte of a secret is an asterisk, so that columns stay as they are.
    #[must_use]
    pub fn line(&self, line: usize) -> String {
        let range = self.line_range(line);
        let mut shown = String::with_capacity(range.len());
        for (at, character) in self.text.get(range.clone()).unwrap_or_default().char_indices() {
            let at = range.start + at;
            shown.push(if self.is_hidden(at) { '*' } else { character });
        }
        shown
    }

    fn is_hidden(&self, at: usize) -> bool {
        let next = self.hidden.partition_point(|span| span.end <= at);
        self.hidden.get(next).is_some_and(|span| span.start <= at)
    }

    fn line_start(&self, line: usize) -> usize {
        self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len())
    }
}

impl std::fmt::Debug for Source {
    /// The name alone: the text may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, Source, Span};

    #[test]
    fn columns_count_characters_and_offsets_come_back() {
        let source = Source::new("x", "a: 1\r\ngrüße: 2\n");
        let at = source.text().find('2').unwrap();
        let position = source.position(at);
        assert_eq!(position, Position { line: 2, column: 8 });
        assert_eq!(source.offset(position), at);
        assert_eq!(source.line(1), "a: 1");
        assert_eq!(source.position(10_000), Position { line: 3, column: 1 });
        assert_eq!(source.offset(Position { line: 1, column: 99 }), 4);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        assert_eq!(Source::new("x", "\u{feff}a: 1").text(), "a: 1");
    }

    #[test]
    fn what_is_hidden_is_shown_as_asterisks_and_not_by_debug() {
        let mut source = Source::new("x", "api_key: sk-1");
        source.hide(vec![Span::new(11, 13), Span::new(9, 12)]);
        assert_eq!(source.line(1), "api_key: ****");
        assert!(!format!("{source:?}").contains("sk-1"));
    }
}

//! Where a part of a scalar's text stands in the file.
//!
//! A YAML text is not the bytes of the file: quotes, escapes, indentation and folded lines lie between. Both are walked side by
//! side; what stands in the file alone is passed over. That is exact for plain, quoted and literal texts, and for folded ones
//! everywhere but in runs of blanks.

use std::{iter::Peekable, ops::Range, str::CharIndices};

use super::source::{Position, Span};

/// The place of `part`, a range of bytes of `text`, in the file, where the scalar has the bytes `whole` which read `written`.
pub(super) fn locate(written: &str, whole: Span, text: &str, part: Range<usize>) -> Span {
    let mut walk = Walk::new(written);
    let mut start = None;
    let mut end = None;
    for (at, character) in text.char_indices() {
        let found = walk.find(character);
        if at >= part.start && start.is_none() {
            start = Some(found.start);
        }
        if at >= part.end {
            break;
        }
        end = Some(found.end);
    }
    let start = start.unwrap_or_else(|| walk.here());
    let end = end.filter(|end| *end > start && part.end > part.start).unwrap_or(start);
    Span::new(whole.start + start, whole.start + end)
}

/// The byte of a text at a line and a column, both counted from 1.
pub(super) fn offset(text: &str, position: Position) -> usize {
    let before: usize = text.split_inclusive('\n').take(position.line.saturating_sub(1)).map(str::len).sum();
    let line = text.get(before..).unwrap_or_default().split('\n').next().unwrap_or_default();
    before + line.char_indices().nth(position.column.saturating_sub(1)).map_or(line.len(), |(at, _)| at)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
}

struct Walk<'w> {
    rest: Peekable<CharIndices<'w>>,
    length: usize,
    style: Style,
}

impl<'w> Walk<'w> {
    fn new(written: &'w str) -> Self {
        let style = match written.chars().next() {
            Some('"') => Style::Double,
            Some('\'') => Style::Single,
            _ => Style::Plain,
        };
        let mut rest = written.char_indices().peekable();
        if written.starts_with(['|', '>']) {
            while rest.next().is_some_and(|(_, character)| character != '\n') {}
        } else if style != Style::Plain {
            rest.next();
        }
        Self { rest, length: written.len(), style }
    }

    fn here(&mut self) -> usize {
        self.rest.peek().map_or(self.length, |(at, _)| *at)
    }

    /// Goes on to the character of the file that stands for the next one of the text.
    fn find(&mut self, wanted: char) -> Range<usize> {
        while let Some((at, character)) = self.rest.peek().copied() {
            if self.style == Style::Double && character == '\\' {
                if let Some(range) = self.escape() {
                    return range;
                }
                continue;
            }
            let same = character == wanted || (wanted.is_whitespace() && character.is_whitespace());
            if !same && wanted.is_whitespace() {
                return at..at;
            }
            self.rest.next();
            if same {
                if self.style == Style::Single && character == '\'' {
                    self.rest.next();
                }
                return at..self.here();
            }
        }
        self.length..self.length
    }

    /// Passes over an escape; one that only continues the line stands for nothing.
    fn escape(&mut self) -> Option<Range<usize>> {
        let (start, _) = self.rest.next()?;
        let (_, kind) = self.rest.next()?;
        let digits = match kind {
            '\n' | '\r' => return None,
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        for _ in 0..digits {
            self.rest.next();
        }
        Some(start..self.here())
    }
}

#[cfg(test)]
mod tests {
    use super::{Span, locate, offset};
    use crate::config::source::Position;

    #[track_caller]
    fn check(written: &str, text: &str, part: &str, expected: &str) {
        let at = text.find(part).unwrap();
        let span = locate(written, Span::new(0, written.len()), text, at..at + part.len());
        assert_eq!(&written[span.start..span.end], expected);
    }

    #[test]
    fn a_part_is_found_in_every_style() {
        check("say {{ x }} now", "say {{ x }} now", "{{ x }}", "{{ x }}");
        check("|\n    one\n      two {{ x }}\n    end\n", "one\n  two {{ x }}\nend\n", "{{ x }}", "{{ x }}");
        check(">-\n  one\n  two {{ x }}\n", "one two {{ x }}", "{{ x }}", "{{ x }}");
        check("'it''s {{ x }}'", "it's {{ x }}", "{{ x }}", "{{ x }}");
        check(r#""a\n\u00e9\"{{ x }}""#, "a\né\"{{ x }}", "{{ x }}", "{{ x }}");
        check(r#""{{ a[\"b\"] }}""#, r#"{{ a["b"] }}"#, r#"["b"]"#, r#"[\"b\"]"#);
        check("one\n   two {{ x }}", "one two {{ x }}", "{{ x }}", "{{ x }}");
        check("\"a\\\n   b {{ x }}\"", "ab {{ x }}", "{{ x }}", "{{ x }}");
        check("|\n  a\n\n\n  b {{ x }}", "a\n\n\nb {{ x }}", "b {{", "b {{");
    }

    #[test]
    fn a_place_after_the_end_is_the_end() {
        let span = locate("'abc'", Span::new(10, 15), "abc", 3..3);
        assert_eq!(span, Span::new(14, 14));
    }

    #[test]
    fn lines_and_columns_count_from_one() {
        let text = "é\nab\n";
        assert_eq!(offset(text, Position { line: 1, column: 1 }), 0);
        assert_eq!(offset(text, Position { line: 2, column: 2 }), 4);
        assert_eq!(offset(text, Position { line: 2, column: 9 }), 5);
        assert_eq!(offset(text, Position { line: 9, column: 1 }), 6);
    }
}

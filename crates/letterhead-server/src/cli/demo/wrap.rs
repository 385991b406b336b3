//! Text as it streams in, broken into lines that a terminal can show.

use unicode_width::UnicodeWidthStr;

use crate::cli::paint::printable;

/// Columns of a line, the margin included.
const WIDTH: usize = 92;

/// Breaks a stream of text between words. A word is written when it is complete, so that none is cut.
#[derive(Debug)]
pub(super) struct Wrap {
    margin: &'static str,
    word: String,
    column: usize,
}

impl Wrap {
    /// Lines that begin with a margin.
    pub(super) fn new(margin: &'static str) -> Self {
        Self { margin, word: String::new(), column: 0 }
    }

    /// Takes a piece of text, and gives what can be written now.
    pub(super) fn push(&mut self, piece: &str) -> String {
        let mut out = String::new();
        for c in printable(piece).chars() {
            if !c.is_whitespace() {
                self.word.push(c);
                continue;
            }
            self.end_word(&mut out);
            if c == '\n' && self.column > 0 {
                self.break_line(&mut out);
            }
        }
        out
    }

    /// What is left, and the end of the last line.
    pub(super) fn finish(mut self) -> String {
        let mut out = String::new();
        self.end_word(&mut out);
        if self.column > 0 {
            out.push('\n');
        }
        out
    }

    fn end_word(&mut self, out: &mut String) {
        if self.word.is_empty() {
            return;
        }
        let word = std::mem::take(&mut self.word);
        if self.column > 0 && self.column + 1 + word.width() > WIDTH {
            self.break_line(out);
        }
        out.push_str(if self.column == 0 { self.margin } else { " " });
        self.column += if self.column == 0 { self.margin.width() } else { 1 };
        out.push_str(&word);
        self.column += word.width();
    }

    fn break_line(&mut self, out: &mut String) {
        out.push('\n');
        self.column = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, Wrap};

    #[test]
    fn lines_end_between_words_however_the_text_is_cut() {
        let text = format!("{} {}\nend", "word ".repeat(40), "x".repeat(120));
        let whole = |pieces: Vec<String>| {
            let mut wrap = Wrap::new("  ");
            let mut out: String = pieces.iter().map(|piece| wrap.push(piece)).collect();
            out.push_str(&wrap.finish());
            out
        };
        let at_once = whole(vec![text.clone()]);
        assert_eq!(at_once, whole(text.chars().map(String::from).collect()));
        let lines: Vec<&str> = at_once.lines().collect();
        assert!(lines.iter().all(|line| line.starts_with("  ") && (line.len() <= WIDTH || !line.trim().contains(' '))));
        assert_eq!(lines.last(), Some(&"  end"));
        assert_eq!(at_once.split_whitespace().collect::<Vec<_>>(), text.split_whitespace().collect::<Vec<_>>());
    }
}

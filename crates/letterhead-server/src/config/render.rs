//! How a report looks: one block a fault, like those of compilers, so that editors and terminals find `file:line:column`.

use unicode_width::UnicodeWidthChar;

use super::{
    report::{Diagnostic, Report, Severity},
    source::{Source, Span},
};

/// More faults than this are only counted: whoever mends these will look again.
const MAX_SHOWN: usize = 100;

/// Lines longer than this are cut around the marked place.
const LINE_WIDTH: usize = 110;

/// Whether a report is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// With ANSI colours, for a terminal.
    Always,
    /// Plain text.
    Never,
}

impl Colour {
    /// Colours on a terminal, unless `NO_COLOR` is set to something (<https://no-color.org>) or `TERM` is `dumb`.
    #[must_use]
    pub fn choose(is_terminal: bool, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let refused = env("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env("TERM").is_some_and(|value| value == "dumb");
        if is_terminal && !refused && !dumb { Self::Always } else { Self::Never }
    }

    fn paint(self, style: &str, text: &str) -> String {
        match self {
            Self::Always => format!("\u{1b}[{style}m{text}\u{1b}[0m"),
            Self::Never => text.to_owned(),
        }
    }
}

const BOLD: &str = "1";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const BLUE: &str = "34";
const CYAN: &str = "36";

pub(super) fn report(report: &Report, colour: Colour) -> String {
    let mut text = String::new();
    for diagnostic in report.diagnostics().iter().take(MAX_SHOWN) {
        text.push_str(&block(report.source(), diagnostic, colour));
        text.push('\n');
    }
    if let Some(more) = report.diagnostics().len().checked_sub(MAX_SHOWN).filter(|more| *more > 0) {
        text.push_str(&format!("… and {more} more\n\n"));
    }
    if !report.is_empty() {
        text.push_str(&summary(report));
        text.push('\n');
    }
    text
}

fn block(source: &Source, diagnostic: &Diagnostic, colour: Colour) -> String {
    let (word, style) = match diagnostic.severity {
        Severity::Error => ("error", RED),
        Severity::Warning => ("warning", YELLOW),
    };
    let place = diagnostic.span.map_or_else(
        || source.name().to_owned(),
        |span| {
            let position = source.position(span.start);
            format!("{}:{}:{}", source.name(), position.line, position.column)
        },
    );
    let head = format!("{}: {}: ", colour.paint(BOLD, &place), colour.paint(style, word));
    let mut text = format!("{head}{}\n", colour.paint(BOLD, &printable(&diagnostic.message)));
    if let Some(span) = diagnostic.span {
        text.push_str(&snippet(source, span, style, colour));
    }
    if let Some(help) = &diagnostic.help {
        for (index, line) in help.lines().enumerate() {
            let lead = if index == 0 { colour.paint(CYAN, "help:") } else { "     ".to_owned() };
            text.push_str(&format!("       {lead} {}\n", printable(line)));
        }
    }
    text
}

/// The line with the place underlined. Of a place over several lines the first is shown.
fn snippet(source: &Source, span: Span, style: &str, colour: Colour) -> String {
    let position = source.position(span.start);
    let range = source.line_range(position.line);
    let cells: Vec<char> = source.line(position.line).chars().collect();
    let marked_from = position.column.saturating_sub(1).min(cells.len());
    let end = span.end.clamp(span.start, range.end.max(span.start));
    let marked_to = source.position(end).column.saturating_sub(1).clamp(marked_from, cells.len());

    let cut = Window::around(cells.len(), marked_from);
    let mut line = String::from(if cut.from > 0 { "…" } else { "" });
    let mut marks = String::from(if cut.from > 0 { " " } else { "" });
    for (index, cell) in cells.iter().enumerate().take(cut.to).skip(cut.from) {
        let (shown, width) = cell_text(*cell);
        line.push_str(&shown);
        let mark = if index < marked_from {
            " "
        } else if index < marked_to {
            "^"
        } else {
            ""
        };
        marks.push_str(&mark.repeat(width));
    }
    if cut.to < cells.len() {
        line.push('…');
    }
    if marked_from == marked_to {
        marks.push('^');
    }
    let gutter = format!("{:>5} |", position.line);
    let blank = format!("{:>5} |", "");
    format!(
        "{} {}\n{} {}\n",
        colour.paint(BLUE, &gutter),
        line.trim_end(),
        colour.paint(BLUE, &blank),
        colour.paint(style, &marks).trim_end()
    )
}

/// The part of a long line that is shown.
struct Window {
    from: usize,
    to: usize,
}

impl Window {
    fn around(length: usize, marked: usize) -> Self {
        if length <= LINE_WIDTH {
            return Self { from: 0, to: length };
        }
        let from = if marked < LINE_WIDTH * 2 / 3 { 0 } else { marked - LINE_WIDTH / 3 };
        Self { from, to: (from + LINE_WIDTH).min(length) }
    }
}

/// A character as it is shown, and how many columns it takes. Controls could repaint a terminal, so they are never shown raw.
fn cell_text(cell: char) -> (String, usize) {
    match cell {
        '\t' => ("  ".to_owned(), 2),
        _ if is_unprintable(cell) => ("\u{fffd}".to_owned(), 1),
        _ => (cell.to_string(), cell.width().unwrap_or(1)),
    }
}

fn printable(text: &str) -> String {
    text.chars().map(|character| if is_unprintable(character) { '\u{fffd}' } else { character }).collect()
}

/// Controls, and the marks that turn the direction of text.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn summary(report: &Report) -> String {
    let parts = [(report.count(Severity::Error), "error"), (report.count(Severity::Warning), "warning")];
    let words: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
        .collect();
    format!("{}: {}", report.source().name(), words.join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Colour;
    use crate::config::{
        report::{Diagnostic, Report},
        source::{Source, Span},
    };

    fn render(text: &str, marked: &str, colour: Colour) -> String {
        let start = text.find(marked).unwrap();
        let span = Span::new(start, start + marked.len());
        let diagnostic = Diagnostic::error(span, "this is wrong").with_help("do that\nand this");
        Report::new(Arc::new(Source::new("a.yaml", text)), vec![diagnostic]).render(colour)
    }

    #[test]
    fn the_place_is_marked_under_wide_characters_too() {
        let text = render("x: 1\nname: 日本 wrong\n", "wrong", Colour::Never);
        insta::assert_snapshot!(text, @"
        a.yaml:2:10: error: this is wrong
            2 | name: 日本 wrong
              |            ^^^^^
               help: do that
                     and this

        a.yaml: 1 error
        ");
    }

    #[test]
    fn colours_are_only_added() {
        let plain = render("a: wrong", "wrong", Colour::Never);
        let coloured = render("a: wrong", "wrong", Colour::Always);
        assert!(!plain.contains('\u{1b}'));
        let mut stripped = coloured.clone();
        for style in ["0", "1", "1;31", "1;33", "34", "36"] {
            stripped = stripped.replace(&format!("\u{1b}[{style}m"), "");
        }
        assert_ne!(plain, coloured);
        assert_eq!(plain, stripped);
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = render(&format!("{}wrong{}", "a".repeat(5_000), "b".repeat(5_000)), "wrong", Colour::Never);
        assert!(text.contains("wrong") && text.lines().all(|line| line.chars().count() < 130), "{text}");
    }

    #[test]
    fn controls_of_a_file_do_not_reach_the_terminal() {
        assert!(!render("a: \u{1b}[2J wrong", "wrong", Colour::Never).contains('\u{1b}'));
    }

    #[test]
    fn colours_need_a_terminal_that_does_not_refuse_them() {
        let none = |_: &str| None;
        let refused = |name: &str| (name == "NO_COLOR").then(|| "1".to_owned());
        let dumb = |name: &str| (name == "TERM").then(|| "dumb".to_owned());
        assert_eq!(Colour::choose(true, &none), Colour::Always);
        assert_eq!(Colour::choose(false, &none), Colour::Never);
        assert_eq!(Colour::choose(true, &refused), Colour::Never);
        assert_eq!(Colour::choose(true, &dumb), Colour::Never);
    }
}

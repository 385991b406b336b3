//! Colour where a terminal shows it, and plain text everywhere else.

use super::environment;
use crate::config::Colour;

/// Paints text for one output, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    colour: bool,
}

impl Paint {
    /// For an output that is a terminal or not; `NO_COLOR` and `TERM=dumb` refuse colour.
    pub(super) fn of(is_terminal: bool) -> Self {
        Self { colour: Colour::choose(is_terminal, &environment) == Colour::Always }
    }

    /// Never paints.
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self { colour: false }
    }

    /// What matters.
    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What may be passed over.
    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// What can be typed.
    pub(super) fn code(self, text: &str) -> String {
        self.with("36", text)
    }

    /// What an agent says.
    pub(super) fn voice(self, text: &str) -> String {
        self.with("32", text)
    }

    /// What went wrong.
    pub(super) fn alarm(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// Paints line by line, so that no style runs on where a line is cut.
    fn with(self, style: &str, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let line = |line: &str| if line.is_empty() { String::new() } else { format!("\u{1b}[{style}m{line}\u{1b}[0m") };
        text.split('\n').map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Text from elsewhere without what could repaint a terminal. Line breaks and tabs stay.
pub(super) fn printable(text: &str) -> String {
    let safe = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() => '\u{fffd}',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::{Paint, printable};

    #[test]
    fn only_an_output_with_colour_gets_escapes_and_each_line_ends_its_own() {
        assert_eq!(Paint::plain().bold("a\n\nb"), "a\n\nb");
        assert_eq!(Paint { colour: true }.bold("a\n\nb"), "\u{1b}[1ma\u{1b}[0m\n\n\u{1b}[1mb\u{1b}[0m");
    }

    #[test]
    fn what_could_repaint_a_terminal_is_shown_as_a_mark() {
        assert_eq!(printable("a\u{1b}[2Jb\n\tc\r\u{202e}d"), "a\u{fffd}[2Jb\n\tc\u{fffd}\u{fffd}d");
    }
}

//! A fault of a template, with its place in the source.

use std::fmt;

use minijinja::Error;
use minijinja::machinery::Span;

/// A fault of a template: where in its source, counted from 1, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TemplateFault {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl TemplateFault {
    pub(super) fn at(span: Span, message: impl Into<String>) -> Self {
        let (line, column) = (usize::from(span.start_line), usize::from(span.start_col) + 1);
        Self { line, column, message: message.into() }
    }

    /// A source that does not parse. The engine tells the line alone: the first tag on it is the likeliest place.
    pub(super) fn syntax(source: &str, error: &Error) -> Self {
        let line = error.line().unwrap_or(1);
        let text = source.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let tag = ["{{", "{%", "{#"].iter().filter_map(|mark| text.find(mark)).min().unwrap_or(0);
        let column = text.get(..tag).unwrap_or_default().chars().count() + 1;
        let message = error.detail().unwrap_or("the template does not parse").to_owned();
        Self { line, column, message }
    }
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

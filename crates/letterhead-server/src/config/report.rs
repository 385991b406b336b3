//! What is wrong with a configuration: every fault with its place and a word on what to do.

use std::{fmt, sync::Arc};

use super::{
    render::{self, Colour},
    source::{Source, Span},
    written_secrets::masked,
};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but somebody should look at it.
    Warning,
}

/// One thing to say about a configuration.
///
/// Messages carry names, never values: the marked line shows the value where it may be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where; nothing if it is about the file as a whole.
    pub span: Option<Span>,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A fault at a place.
    #[must_use]
    pub fn error(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, span: span.into(), message: message.into(), help: None }
    }

    /// A warning at a place.
    #[must_use]
    pub fn warning(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// The same with a word on what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All that is to be said about one configuration file, in the order of its lines.
///
/// [`Display`](fmt::Display) renders it without colours.
#[derive(Clone, Debug)]
pub struct Report {
    source: Arc<Source>,
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Sorts by place; what is said twice is kept once. A name that looks like an access token is masked: somebody wrote the
    /// token where its name belongs.
    #[must_use]
    pub fn new(source: Arc<Source>, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.map(|span| span.start));
        let mut kept: Vec<Diagnostic> = Vec::with_capacity(diagnostics.len());
        for mut diagnostic in diagnostics {
            diagnostic.message = masked(diagnostic.message);
            diagnostic.help = diagnostic.help.map(masked);
            if !kept.contains(&diagnostic) {
                kept.push(diagnostic);
            }
        }
        Self { source, diagnostics: kept }
    }

    /// The faults and warnings, by line.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The file they are about.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Whether the configuration cannot be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many of a kind there are.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// The report as text for a terminal or a pipe: each fault with its marked line, then how many there are. Empty if there is
    /// nothing to say.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        render::report(self, colour)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Colour::Never))
    }
}

impl std::error::Error for Report {}

//! Collects faults from all stages of reading, so that one report has them all and each place is faulted once.

use std::cell::RefCell;

use super::{
    document::Document,
    pointer::Pointer,
    report::{Diagnostic, Severity},
    source::Span,
};

/// The faults found so far in a document.
///
/// A place with an error from an earlier stage takes no further ones: a variable that is not set is not also a malformed address.
pub struct Faults<'d> {
    document: &'d Document,
    found: RefCell<Vec<Diagnostic>>,
    settled: Vec<Span>,
    /// The keys that the typed sections asked for: a test compares them with the schema.
    #[cfg(test)]
    read: RefCell<std::collections::BTreeSet<Pointer>>,
}

impl<'d> Faults<'d> {
    /// Begins a stage after those that found `earlier`.
    pub(super) fn after(document: &'d Document, earlier: Vec<Diagnostic>) -> Self {
        let settled = errors(&earlier);
        Self {
            document,
            found: RefCell::new(earlier),
            settled,
            #[cfg(test)]
            read: RefCell::default(),
        }
    }

    /// The document, for places: `faults.add(faults.document().error("/entry", "…"))`.
    #[must_use]
    pub fn document(&self) -> &'d Document {
        self.document
    }

    /// Adds one.
    pub fn add(&self, diagnostic: Diagnostic) {
        let known = diagnostic.span.is_some_and(|span| self.is_settled(span));
        if !known {
            self.found.borrow_mut().push(diagnostic);
        }
    }

    /// Whether an earlier stage found an error in the value at `pointer`: its typed form is a default, then.
    #[must_use]
    pub fn is_faulty(&self, pointer: impl Into<Pointer>) -> bool {
        // Finding a place takes time, and almost always there is nothing to look for.
        !self.settled.is_empty() && self.is_settled(self.document.locate(pointer))
    }

    #[cfg(test)]
    pub(super) fn note_read(&self, pointer: Pointer) {
        self.read.borrow_mut().insert(pointer);
    }

    #[cfg(test)]
    pub(super) fn read_places(&self) -> std::collections::BTreeSet<Pointer> {
        self.read.borrow().clone()
    }

    pub(super) fn into_found(self) -> Vec<Diagnostic> {
        self.found.into_inner()
    }

    fn is_settled(&self, span: Span) -> bool {
        self.settled.iter().any(|settled| span.contains(*settled))
    }
}

/// The places of errors.
pub(super) fn errors(diagnostics: &[Diagnostic]) -> Vec<Span> {
    diagnostics.iter().filter(|found| found.severity == Severity::Error).filter_map(|found| found.span).collect()
}

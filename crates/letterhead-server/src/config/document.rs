//! A configuration file that could be read: its text, its tree, and the way from a JSON Pointer to a place in the text.

use std::{ops::Range, sync::Arc};

use serde_json::Value as Json;

use super::{
    align,
    pointer::Pointer,
    report::Diagnostic,
    source::{Position, Source, Span},
    tree::{Node, Scalar},
};

/// A parsed configuration file.
///
/// Places that the file does not have are found too: a fault about something missing points to what should hold it.
#[derive(Clone)]
pub struct Document {
    pub(super) source: Arc<Source>,
    pub(super) root: Node,
}

impl Document {
    /// The file.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Where the value at `pointer` stands; of a map or list its key.
    #[must_use]
    pub fn locate(&self, pointer: impl Into<Pointer>) -> Span {
        self.root.locate(&pointer.into())
    }

    /// Where the key of the value at `pointer` stands; of a list's item the item.
    #[must_use]
    pub fn locate_key(&self, pointer: impl Into<Pointer>) -> Span {
        self.root.locate_key(&pointer.into())
    }

    /// Where a part of the text at `pointer` stands in the file, whatever its quotes, escapes and indentation. `part` counts in
    /// bytes of the text as it was read.
    #[must_use]
    pub fn locate_part(&self, pointer: impl Into<Pointer>, part: Range<usize>) -> Span {
        let pointer = pointer.into();
        let node = self.root.at(&pointer);
        match node.and_then(|node| node.scalar().map(|scalar| (node.span, scalar))) {
            Some((span, scalar)) if !scalar.is_from_environment() => {
                let written = self.source.text().get(span.range()).unwrap_or_default();
                align::locate(written, span, &scalar.text, part)
            }
            _ => self.locate(&pointer),
        }
    }

    /// The same for one character, by its line and column in the text as it was read, both counted from 1.
    #[must_use]
    pub fn locate_position(&self, pointer: impl Into<Pointer>, position: Position) -> Span {
        let pointer = pointer.into();
        let text = self.root.at(&pointer).and_then(Node::scalar).map_or("", |scalar| &scalar.text);
        let start = align::offset(text, position);
        let width = text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        self.locate_part(&pointer, start..start + width)
    }

    /// The value at `pointer` as JSON, with variables replaced.
    #[must_use]
    pub fn json(&self, pointer: impl Into<Pointer>) -> Option<Json> {
        self.root.at(&pointer.into()).map(Node::to_json)
    }

    /// Whether the environment has a part in the value at `pointer`: it may be a secret, and no message repeats it.
    #[must_use]
    pub fn is_from_environment(&self, pointer: impl Into<Pointer>) -> bool {
        let node = self.root.at(&pointer.into());
        node.and_then(Node::scalar).is_some_and(Scalar::is_from_environment)
    }

    /// A fault at the value at `pointer`.
    #[must_use]
    pub fn error(&self, pointer: impl Into<Pointer>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.locate(pointer), message)
    }

    /// A fault at the key of the value at `pointer`.
    #[must_use]
    pub fn error_at_key(&self, pointer: impl Into<Pointer>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.locate_key(pointer), message)
    }

    /// A warning at the value at `pointer`.
    #[must_use]
    pub fn warning(&self, pointer: impl Into<Pointer>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(self.locate(pointer), message)
    }

    /// A warning at the key of the value at `pointer`.
    #[must_use]
    pub fn warning_at_key(&self, pointer: impl Into<Pointer>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(self.locate_key(pointer), message)
    }
}

impl std::fmt::Debug for Document {
    /// The file's name alone: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").field("source", &self.source).finish_non_exhaustive()
    }
}

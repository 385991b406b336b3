//! How the typed sections read the tree.
//!
//! The schema has checked shapes and reported their faults, so a reader falls back to the default where a value is not as it
//! should be, and says something only about what a schema cannot see.

use std::{ops::Range, time::Duration};

use super::{
    faults::Faults,
    pointer::Pointer,
    quantity,
    report::Diagnostic,
    template::TemplateSource,
    tree::{Node, Scalar, Value},
};

/// A place in the configuration that a typed section reads; there may be nothing.
#[derive(Clone)]
pub(super) struct Section<'r> {
    faults: &'r Faults<'r>,
    node: Option<&'r Node>,
    pointer: Pointer,
}

impl<'r> Section<'r> {
    pub(super) fn root(faults: &'r Faults<'r>) -> Self {
        Self { faults, node: Some(&faults.document().root), pointer: Pointer::root() }
    }

    pub(super) fn child(&self, key: &str) -> Self {
        let pointer = self.pointer.key(key);
        #[cfg(test)]
        self.faults.note_read(pointer.clone());
        Self { faults: self.faults, node: self.node.and_then(|node| node.get(key)), pointer }
    }

    /// The entries of a map with free keys.
    pub(super) fn entries(&self) -> Vec<(&'r str, Self)> {
        let entries = self.node.map_or(&[][..], Node::entries);
        entries.iter().map(|entry| (entry.key.as_str(), self.at(&entry.node, self.pointer.key(&entry.key)))).collect()
    }

    /// The keys of a map with free keys: the names of what it defines, of what has faults too.
    pub(super) fn names(&self) -> Vec<&'r str> {
        self.node.map_or(&[][..], Node::entries).iter().map(|entry| entry.key.as_str()).collect()
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Vec<Self> {
        let items = self.node.map_or(&[][..], Node::items);
        items.iter().enumerate().map(|(index, item)| self.at(item, self.pointer.index(index))).collect()
    }

    fn at(&self, node: &'r Node, pointer: Pointer) -> Self {
        Self { faults: self.faults, node: Some(node), pointer }
    }

    pub(super) fn exists(&self) -> bool {
        self.node.is_some()
    }

    /// Whether an earlier stage found an error in it.
    pub(super) fn is_faulty(&self) -> bool {
        self.faults.is_faulty(&self.pointer)
    }

    pub(super) fn is_map(&self) -> bool {
        self.node.is_some_and(|node| matches!(node.value, Value::Map(_)))
    }

    pub(super) fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    pub(super) fn scalar(&self) -> Option<&'r Scalar> {
        self.node.and_then(Node::scalar)
    }

    /// The text; nothing also where an earlier stage found a fault.
    pub(super) fn text(&self) -> Option<&'r str> {
        let scalar = self.scalar()?;
        (!self.is_faulty()).then_some(scalar.text.as_str())
    }

    /// The texts of a list, each with its place.
    pub(super) fn texts(&self) -> Vec<(&'r str, Self)> {
        self.items().into_iter().filter_map(|item| item.text().map(|text| (text, item))).collect()
    }

    pub(super) fn template(&self) -> Option<TemplateSource> {
        let text = self.text()?;
        let literal = self.scalar().is_some_and(Scalar::is_from_environment);
        Some(TemplateSource::new(text, literal, self.pointer.clone()))
    }

    pub(super) fn duration(&self, default: Duration) -> Duration {
        self.optional_duration().unwrap_or(default)
    }

    pub(super) fn optional_duration(&self) -> Option<Duration> {
        self.read("a hundred years", quantity::duration)
    }

    /// A number of bytes.
    pub(super) fn bytes(&self, default: u64) -> u64 {
        self.optional_bytes().unwrap_or(default)
    }

    pub(super) fn optional_bytes(&self) -> Option<u64> {
        match self.scalar()?.to_json() {
            serde_json::Value::Number(_) => self.whole_number(),
            _ => self.read("8 EiB", quantity::bytes),
        }
    }

    pub(super) fn count(&self, default: u32) -> u32 {
        self.optional_count().unwrap_or(default)
    }

    /// True or false.
    pub(super) fn bool(&self, default: bool) -> bool {
        self.json().and_then(|value| value.as_bool()).unwrap_or(default)
    }

    pub(super) fn optional_count(&self) -> Option<u32> {
        u32::try_from(self.whole_number()?).ok()
    }

    /// A whole number however it is written: `10`, `0xa`, and `10.0`, which JSON Schema takes for one too.
    fn whole_number(&self) -> Option<u64> {
        self.text()?;
        let number = self.scalar()?.to_json();
        let integral = || number.as_f64().filter(|float| float.fract() == 0.0).map(|float| format!("{float:.0}"));
        number.as_u64().or_else(|| integral()?.parse().ok())
    }

    /// Reads a quantity whose form the schema has checked, so that it can only be too large.
    fn read<T>(&self, limit: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = parse(self.text()?);
        if value.is_none() {
            self.error(format!("`{}` is more than {limit}", self.pointer.dotted()), None);
        }
        value
    }

    pub(super) fn json(&self) -> Option<serde_json::Value> {
        self.node.map(Node::to_json)
    }

    /// The value as JSON whose texts are templates. One in which the environment has a part is written as a template for itself.
    pub(super) fn template_json(&self) -> Option<serde_json::Value> {
        self.node.map(Node::to_template_json)
    }

    /// A name as a message may show it: not one from the environment, which might be a secret put into the wrong variable.
    pub(super) fn shown(&self) -> String {
        match self.scalar() {
            Some(scalar) if !scalar.is_from_environment() => format!("`{}`", scalar.text),
            _ => "the value of this variable".to_owned(),
        }
    }

    /// Reports a fault of this value.
    pub(super) fn error(&self, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.add(self.faults.document().error(&self.pointer, message), help.into());
    }

    /// Reports a fault of this key.
    pub(super) fn error_at_key(&self, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.add(self.faults.document().error_at_key(&self.pointer, message), help.into());
    }

    /// Warns of this key.
    pub(super) fn warn_at_key(&self, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.add(self.faults.document().warning_at_key(&self.pointer, message), help.into());
    }

    /// Warns of this value.
    pub(super) fn warn(&self, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.add(self.faults.document().warning(&self.pointer, message), help.into());
    }

    /// Warns of a part of this text, counted in bytes of the text as it was read.
    pub(super) fn warn_part(&self, part: Range<usize>, message: impl Into<String>, help: impl Into<Option<String>>) {
        let span = self.faults.document().locate_part(&self.pointer, part);
        self.add(Diagnostic::warning(span, message), help.into());
    }

    fn add(&self, mut diagnostic: Diagnostic, help: Option<String>) {
        diagnostic.help = help;
        self.faults.add(diagnostic);
    }
}

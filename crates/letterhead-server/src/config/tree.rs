//! A configuration file as a tree in which every key and value knows its place.

use serde_json::{Map, Value as Json};

use super::{pointer::Pointer, scalar, source::Span, template};

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// What a node holds. Keys keep the order of the file.
#[derive(Clone)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key, where it stands, and its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

/// A text, number, boolean or null, as it was written.
#[derive(Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Written without quotes, not as a block, and without a tag: it may be a number, a boolean or null.
    pub(super) plain: bool,
    pub(super) origin: Origin,
}

/// Where the text of a scalar comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The file alone.
    File,
    /// The environment, in whole or in part. It is never template source.
    Environment {
        /// The scalar is one `${…}` and nothing else.
        whole: bool,
    },
}

impl Scalar {
    /// The value by YAML's core schema. A text from the environment is never null: an empty one is the empty text.
    pub(super) fn to_json(&self) -> Json {
        match self.origin {
            Origin::File if self.plain => scalar::resolve(&self.text),
            Origin::Environment { whole: true } if self.plain && !self.text.is_empty() => scalar::resolve(&self.text),
            _ => Json::String(self.text.clone()),
        }
    }

    pub(super) fn is_from_environment(&self) -> bool {
        matches!(self.origin, Origin::Environment { .. })
    }
}

impl Node {
    pub(super) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Scalar(_) | Value::List(_) => &[],
        }
    }

    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Scalar(_) | Value::Map(_) => &[],
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    fn item(&self, index: &str) -> Option<&Node> {
        self.items().get(index.parse::<usize>().ok()?)
    }

    pub(super) fn at(&self, pointer: &Pointer) -> Option<&Node> {
        pointer.segments().try_fold(self, |node, segment| node.get(&segment).or_else(|| node.item(&segment)))
    }

    pub(super) fn at_mut(&mut self, pointer: &Pointer) -> Option<&mut Node> {
        pointer.segments().try_fold(self, |node, segment| match &mut node.value {
            Value::Map(entries) => entries.iter_mut().find(|entry| entry.key == segment).map(|entry| &mut entry.node),
            Value::List(items) => items.get_mut(segment.parse::<usize>().ok()?),
            Value::Scalar(_) => None,
        })
    }

    /// Where to point for a place: a scalar itself, the key of anything larger. Of a place that is not there, what would hold it.
    pub(super) fn locate(&self, pointer: &Pointer) -> Span {
        self.walk(pointer, |node, key| if node.scalar().is_some() { node.span } else { key })
    }

    /// Where the key of a place stands; of a list's item, the item.
    pub(super) fn locate_key(&self, pointer: &Pointer) -> Span {
        self.walk(pointer, |_, key| key)
    }

    fn walk(&self, pointer: &Pointer, choose: impl Fn(&Node, Span) -> Span) -> Span {
        let mut node = self;
        let mut key = Span::new(self.span.start, self.span.start);
        for segment in pointer.segments() {
            if let Some(entry) = node.entry(&segment) {
                (node, key) = (&entry.node, entry.key_span);
            } else if let Some(item) = node.item(&segment) {
                (node, key) = (item, item.span);
            } else {
                return key;
            }
        }
        choose(node, key)
    }

    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar(scalar) => scalar.to_json(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|e| (e.key.clone(), e.node.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// The value as JSON in which every text is a template: what comes from the environment is one for itself.
    pub(super) fn to_template_json(&self) -> Json {
        match &self.value {
            Value::Scalar(scalar) => match scalar.to_json() {
                Json::String(text) if scalar.is_from_environment() => Json::String(template::escape(&text)),
                other => other,
            },
            Value::List(items) => items.iter().map(Self::to_template_json).collect(),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|e| (e.key.clone(), e.node.to_template_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// Visits every scalar, with the key that it stands under: of a list's items, the list's key.
    pub(super) fn visit_scalars<'a>(&'a self, key: &'a str, visit: &mut dyn FnMut(&'a str, &'a Scalar, Span)) {
        match &self.value {
            Value::Scalar(scalar) => visit(key, scalar, self.span),
            Value::List(items) => items.iter().for_each(|item| item.visit_scalars(key, visit)),
            Value::Map(entries) => entries.iter().for_each(|entry| entry.node.visit_scalars(&entry.key, visit)),
        }
    }

    pub(super) fn visit_scalars_mut(&mut self, visit: &mut dyn FnMut(&mut Scalar, Span)) {
        let span = self.span;
        match &mut self.value {
            Value::Scalar(scalar) => visit(scalar, span),
            Value::List(items) => items.iter_mut().for_each(|item| item.visit_scalars_mut(visit)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| entry.node.visit_scalars_mut(visit)),
        }
    }
}

//! The context headers of a turn: what was sent, and what it is merged into.
//!
//! Secrets are kept apart from everything else, so that a view for a model can be built which does not contain them.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::schema::{Field, HeaderSchema};
use crate::value::Secret;

/// What a request sent for one declared field.
#[derive(Clone, PartialEq)]
pub enum SentValue {
    /// A value that meets the declaration.
    Value(Value),
    /// Nothing: the field was sent empty, which clears a stored value.
    Cleared,
}

impl fmt::Debug for SentValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value(_) => "Value(…)",
            Self::Cleared => "Cleared",
        })
    }
}

/// The declared headers that a request sent, by position in the declaration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sent(Vec<(usize, SentValue)>);

impl Sent {
    /// Nothing was sent.
    pub fn nothing() -> Self {
        Self::default()
    }

    pub(crate) fn with_capacity(fields: usize) -> Self {
        Self(Vec::with_capacity(fields))
    }

    /// Notes what was sent for a field.
    pub(crate) fn push(&mut self, field: usize, value: SentValue) {
        self.0.push((field, value));
    }

    /// Each field that was sent, by its position in [`HeaderSchema::fields`].
    pub fn iter(&self) -> impl Iterator<Item = (usize, &SentValue)> {
        self.0.iter().map(|(field, value)| (*field, value))
    }

    /// Was no declared header sent?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where a value of a turn came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Sent with this request.
    Sent,
    /// Kept from an earlier request of the session.
    Stored,
    /// The declaration's default.
    Default,
    /// There is none.
    Absent,
}

/// The validated context headers that a turn works on. Immutable, cheap to clone.
#[derive(Clone)]
pub struct Headers {
    schema: HeaderSchema,
    open: Arc<[Option<Value>]>,
    /// None: there are no secrets, or this is for a model and they are gone.
    secrets: Option<Arc<[Option<Secret>]>>,
    origins: Arc<[Origin]>,
}

impl Headers {
    pub(crate) fn new(schema: HeaderSchema, values: Vec<(Option<Value>, Origin)>) -> Self {
        let mut open = Vec::with_capacity(values.len());
        let mut secrets = Vec::with_capacity(values.len());
        let mut origins = Vec::with_capacity(values.len());
        for (field, (value, origin)) in schema.fields().iter().zip(values) {
            origins.push(origin);
            if field.is_secret() {
                open.push(None);
                secrets.push(value.map(Secret::new));
            } else {
                open.push(value);
                secrets.push(None);
            }
        }
        let secrets = secrets.iter().any(Option::is_some).then(|| secrets.into());
        Self { schema, open: open.into(), secrets, origins: origins.into() }
    }

    /// No declaration, and so no headers.
    pub fn none() -> Self {
        Self::new(HeaderSchema::empty(), Vec::new())
    }

    /// The declaration they were validated against.
    pub fn schema(&self) -> &HeaderSchema {
        &self.schema
    }

    /// A value that is not secret, by name in any spelling.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.schema.position(name).and_then(|at| self.open_at(at))
    }

    /// A secret, by name in any spelling.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.schema.position(name).and_then(|at| self.secret_at(at))
    }

    /// Where a field's value came from.
    pub fn origin(&self, name: &str) -> Origin {
        self.schema.position(name).and_then(|at| self.origins.get(at)).copied().unwrap_or(Origin::Absent)
    }

    /// The declared fields that have a value in this turn.
    pub fn present(&self) -> impl Iterator<Item = &Field> {
        self.schema
            .fields()
            .iter()
            .zip(self.origins.iter())
            .filter(|(_, origin)| **origin != Origin::Absent)
            .map(|(field, _)| field)
    }

    /// Has this field a value, secret or not?
    pub fn has(&self, name: &str) -> bool {
        self.origin(name) != Origin::Absent
    }

    pub(crate) fn open_at(&self, at: usize) -> Option<&Value> {
        self.open.get(at)?.as_ref()
    }

    pub(crate) fn secret_at(&self, at: usize) -> Option<&Secret> {
        self.secrets.as_ref()?.get(at)?.as_ref()
    }

    /// The same headers with the secrets gone: not hidden, gone.
    pub(crate) fn without_secrets(&self) -> Self {
        Self {
            schema: self.schema.clone(),
            open: Arc::clone(&self.open),
            secrets: None,
            origins: Arc::clone(&self.origins),
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.present().map(Field::name)).finish()
    }
}

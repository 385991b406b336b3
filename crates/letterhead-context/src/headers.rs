//! The context headers of a turn: what was sent, and what it is merged into.
//!
//! Secrets are kept apart from everything else, so that a view for a model can be built which does not contain them.

mod typed;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::schema::{Field, HeaderSchema};
use crate::value::Secret;

pub use typed::HeadersUnfit;

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
    /// By position in the declaration. The value of a secret is not here.
    open: Arc<[(Option<Value>, Origin)]>,
    /// None: there are no secrets, or this is for a model and they are gone.
    secrets: Option<Arc<[Option<Secret>]>>,
}

impl Headers {
    /// Takes the values of all fields, in the order of the declaration.
    pub(crate) fn new(schema: HeaderSchema, mut values: Vec<(Option<Value>, Origin)>) -> Self {
        let fields = || schema.fields().iter();
        let secrets = fields().any(Field::is_secret).then(|| {
            let taken = fields()
                .zip(&mut values)
                .map(|(field, (value, _))| if field.is_secret() { value.take().map(Secret::new) } else { None });
            taken.collect()
        });
        Self { open: values.into(), secrets, schema }
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
        self.schema.position(name).and_then(|at| self.open.get(at)).map_or(Origin::Absent, |(_, origin)| *origin)
    }

    /// The declared fields that have a value in this turn.
    pub fn present(&self) -> impl Iterator<Item = &Field> {
        let fields = self.schema.fields().iter().zip(self.open.iter());
        fields.filter(|(_, (_, origin))| *origin != Origin::Absent).map(|(field, _)| field)
    }

    /// Has this field a value, secret or not?
    pub fn has(&self, name: &str) -> bool {
        self.origin(name) != Origin::Absent
    }

    pub(crate) fn open_at(&self, at: usize) -> Option<&Value> {
        self.open.get(at)?.0.as_ref()
    }

    pub(crate) fn secret_at(&self, at: usize) -> Option<&Secret> {
        self.secrets.as_ref()?.get(at)?.as_ref()
    }

    /// The same headers with the secrets gone: not hidden, gone.
    pub(crate) fn without_secrets(&self) -> Self {
        Self { schema: self.schema.clone(), open: Arc::clone(&self.open), secrets: None }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.present().map(Field::name)).finish()
    }
}

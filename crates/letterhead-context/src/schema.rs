//! The declaration of context headers: compiled once, then used to coerce, validate and list every fault.
//!
//! A declaration is a JSON Schema (2020-12) of an object whose properties are headers. `format` is asserted, patterns
//! run in linear time, `default` is applied and `writeOnly: true` marks a secret.

mod compile;
mod expected;
mod fault;
mod keywords;
mod merge;
mod names;
mod of_type;

use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use crate::name::{is_spelling_of, nearest};
use crate::value::{Kind, coerce};

pub use fault::{SchemaFault, SchemaFaults};
pub use keywords::misspelt_keywords;

/// How many fields a declaration may have.
pub const MAX_FIELDS: usize = 32;

/// A compiled declaration of context headers. Cheap to clone.
///
/// ```
/// use letterhead_context::HeaderSchema;
/// use serde_json::json;
///
/// let schema = HeaderSchema::compile(&json!({
///     "required": ["user_id"],
///     "properties": {
///         "user_id": { "type": "string", "maxLength": 64 },
///         "auth_token": { "type": "string", "writeOnly": true },
///     },
/// }))
/// .unwrap();
///
/// assert_eq!(schema.field("User-Id").unwrap().name(), "user_id");
/// assert!(schema.field("auth_token").unwrap().is_secret());
/// ```
#[derive(Clone)]
pub struct HeaderSchema(Arc<Compiled>);

struct Compiled {
    fields: Vec<Field>,
    /// The fields' names as [`folded`](crate::name::folded) writes them: few, and found by looking at each.
    folded_names: Vec<Box<str>>,
    /// Present only where keywords span several fields (`dependentRequired`, `anyOf`, …).
    whole: Option<Validator>,
}

/// One declared header.
pub struct Field {
    name: Arc<str>,
    kind: Kind,
    items: Kind,
    nullable: bool,
    secret: bool,
    required: bool,
    default: Option<Value>,
    /// Absent where the type alone says everything.
    validator: Option<Validator>,
}

impl Field {
    /// The declared name, in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The declared name, to keep.
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// What its text is read as.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the items of a list are read as.
    pub fn item_kind(&self) -> Kind {
        self.items
    }

    /// Was it declared `writeOnly: true`?
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    /// Must it be present in every turn, whichever agent starts it?
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// The value that stands in where none is sent or stored.
    pub fn default_value(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    /// Reads a header's text, and checks it against this field's declaration alone.
    ///
    /// The error says what was expected, and never what was sent.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        if self.nullable && self.kind != Kind::String && text == "null" {
            return Ok(Value::Null);
        }
        let value = coerce(text, self.kind, self.items).ok_or_else(|| format!("expected {}", self.kind.expected()))?;
        self.check(&value)?;
        Ok(value)
    }

    pub(crate) fn check(&self, value: &Value) -> Result<(), String> {
        let Some(validator) = &self.validator else {
            return if self.admits_type_of(value) { Ok(()) } else { Err(format!("expected {}", self.kind.expected())) };
        };
        // Asking for faults costs more than asking whether there are any.
        if validator.is_valid(value) {
            return Ok(());
        }
        let faults = validator.iter_errors(value);
        let expectations: Vec<String> = faults.map(|error| expected::sentence(&error, self.secret, 0)).collect();
        Err(format!("expected {}", expectations.join(", and ")))
    }

    fn admits_type_of(&self, value: &Value) -> bool {
        match (self.kind, value) {
            (_, Value::Null) => self.nullable,
            (Kind::String, Value::String(_))
            | (Kind::Number, Value::Number(_))
            | (Kind::Boolean, Value::Bool(_))
            | (Kind::Array, Value::Array(_))
            | (Kind::Object, Value::Object(_)) => true,
            (Kind::Integer, Value::Number(number)) => number.is_i64() || number.is_u64(),
            _ => false,
        }
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl HeaderSchema {
    /// Compiles a declaration. [`of`](Self::of) makes one of a type.
    ///
    /// # Errors
    ///
    /// Every fault that can be found at once, each with its place.
    pub fn compile(schema: &Value) -> Result<Self, SchemaFaults> {
        compile::compile(schema).map(|compiled| Self(Arc::new(compiled))).map_err(SchemaFaults::new)
    }

    /// The declaration that lets nothing through.
    pub fn empty() -> Self {
        Self(Arc::new(Compiled { fields: Vec::new(), folded_names: Vec::new(), whole: None }))
    }

    /// The declared headers, in the order of the declaration.
    pub fn fields(&self) -> &[Field] {
        &self.0.fields
    }

    /// The field that a header's name fills, whatever its case and whichever of `-` and `_` it uses.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.position(name).and_then(|at| self.0.fields.get(at))
    }

    /// Where in [`fields`](Self::fields) a header's name belongs.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.folded_names.iter().position(|folded| is_spelling_of(folded, name))
    }

    /// The declared name nearest to a mistyped one.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.0.fields.iter().map(Field::name))
    }
}

impl fmt::Debug for HeaderSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.fields.iter().map(Field::name)).finish()
    }
}

impl Default for HeaderSchema {
    fn default() -> Self {
        Self::empty()
    }
}

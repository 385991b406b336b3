//! The declaration of context headers: compiled once, then used to coerce, validate and list every fault.
//!
//! A declaration is a JSON Schema (2020-12) of an object whose properties are headers. `format` is asserted, patterns
//! run in linear time, `default` is applied and `writeOnly: true` marks a secret.

mod compile;
mod expected;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use crate::headers::{Headers, Origin, Sent, SentValue};
use crate::name::{folded, nearest};
use crate::problem::{Code, Fault};
use crate::value::{Kind, coerce};

pub use compile::SchemaFault;

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
    by_folded_name: HashMap<String, usize>,
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
            return if self.admits_type_of(value) {
                Ok(())
            } else {
                Err(format!("expected {}", self.kind.expected()))
            };
        };
        let expectations: Vec<String> = validator.iter_errors(value).map(|error| expected::sentence(&error)).collect();
        if expectations.is_empty() { Ok(()) } else { Err(format!("expected {}", expectations.join(", and "))) }
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
    /// Compiles a declaration. Every fault that can be found at once is reported, each with its place.
    pub fn compile(schema: &Value) -> Result<Self, Vec<SchemaFault>> {
        compile::compile(schema).map(|compiled| Self(Arc::new(compiled)))
    }

    /// The declaration that lets nothing through.
    pub fn empty() -> Self {
        Self(Arc::new(Compiled { fields: Vec::new(), by_folded_name: HashMap::new(), whole: None }))
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
        if let Some(at) = self.0.by_folded_name.get(name) {
            return Some(*at);
        }
        self.0.by_folded_name.get(&folded(name)).copied()
    }

    /// The declared name nearest to a mistyped one.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.0.fields.iter().map(Field::name))
    }

    /// Puts together what a turn works on: what was stored, what was sent (which wins, field by field), then defaults;
    /// and validates the whole.
    ///
    /// `requires` are fields that the starting agent needs beyond those required of everyone. The error lists every
    /// fault.
    pub fn merge<'a>(
        &self,
        stored: impl IntoIterator<Item = (&'a str, &'a Value)>,
        sent: &Sent,
        requires: &[Arc<str>],
    ) -> Result<Headers, Vec<Fault>> {
        let mut values: Vec<(Option<Value>, Origin)> = vec![(None, Origin::Absent); self.0.fields.len()];
        for (name, value) in stored {
            if let Some(slot) = self.position(name).and_then(|at| values.get_mut(at)) {
                *slot = (Some(value.clone()), Origin::Stored);
            }
        }
        for (at, sent) in sent.iter() {
            if let Some(slot) = values.get_mut(at) {
                *slot = match sent {
                    SentValue::Value(value) => (Some(value.clone()), Origin::Sent),
                    SentValue::Cleared => (None, Origin::Absent),
                };
            }
        }
        let mut faults = Vec::new();
        for (field, slot) in self.0.fields.iter().zip(&mut values) {
            if let (None, Some(default)) = (&slot.0, &field.default) {
                *slot = (Some(default.clone()), Origin::Default);
            }
            match &slot.0 {
                // What was sent has been checked when it was read.
                Some(value) if slot.1 == Origin::Stored => {
                    if let Err(expected) = field.check(value) {
                        let detail = format!("{expected}: the stored value no longer fits, send it again");
                        faults.push(Fault::header(field.name.to_string(), Code::InvalidHeader, detail));
                    }
                }
                None if field.required || requires.iter().any(|name| **name == *field.name) => {
                    let detail = "required, and neither sent nor stored";
                    faults.push(Fault::header(field.name.to_string(), Code::MissingHeader, detail));
                }
                _ => {}
            }
        }
        if faults.is_empty() {
            faults = self.check_whole(&values);
        }
        if faults.is_empty() { Ok(Headers::new(self.clone(), values)) } else { Err(faults) }
    }

    /// Checks the keywords that span several fields.
    fn check_whole(&self, values: &[(Option<Value>, Origin)]) -> Vec<Fault> {
        let Some(validator) = &self.0.whole else { return Vec::new() };
        let present = self.0.fields.iter().zip(values);
        let whole: serde_json::Map<_, _> =
            present.filter_map(|(field, (value, _))| Some((field.name.to_string(), value.clone()?))).collect();
        validator
            .iter_errors(&Value::Object(whole))
            .map(|error| {
                let path = error.instance_path().to_string();
                let name = path.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
                if let Some(missing) = expected::missing_property(&error) {
                    let detail = "required together with the other headers, and neither sent nor stored";
                    return Fault::header(missing, Code::MissingHeader, detail);
                }
                let name = if name.is_empty() { "headers".to_owned() } else { name };
                Fault::header(name, Code::InvalidHeader, format!("expected {}", expected::sentence(&error)))
            })
            .collect()
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

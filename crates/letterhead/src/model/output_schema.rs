//! The form of an agent's answers.

use std::sync::Arc;

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// A JSON Schema that the answer has to fit.
///
/// ```
/// use letterhead::model::OutputSchema;
/// use serde_json::json;
///
/// let closed = json!({
///     "type": "object", "additionalProperties": false,
///     "required": ["total"], "properties": { "total": { "type": "number" } },
/// });
/// assert!(OutputSchema::new("invoice", closed).strict);
/// assert!(!OutputSchema::new("anything", json!({ "type": "object" })).strict);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSchema {
    /// A name for the schema: `[A-Za-z0-9_-]`, at most 64 characters.
    pub name: Arc<str>,
    /// The schema.
    pub schema: Arc<Value>,
    /// Whether the provider shall enforce it while the model writes. OpenAI's API refuses to for a schema that is not of
    /// the form it demands.
    pub strict: bool,
}

/// Keywords that every provider of strict answers knows.
const STRICT: [&str; 12] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "anyOf",
    "$ref",
    "$defs",
    "title",
    "description",
];

impl OutputSchema {
    /// A schema, enforced while the model writes where it has the form that OpenAI's API demands for that: an object, all
    /// objects closed (`additionalProperties: false`) with every property required, and only structural keywords. One
    /// with `properties` and no `type` is that of an object.
    ///
    /// It is checked when the agents are built.
    pub fn new(name: impl Into<Arc<str>>, mut schema: Value) -> Self {
        if let Value::Object(members) = &mut schema
            && members.contains_key("properties")
            && !members.contains_key("type")
        {
            members.insert("type".to_owned(), "object".into());
        }
        let strict = schema.get("type").is_some_and(|kind| kind == "object") && is_strict(&schema);
        Self { name: name.into(), schema: Arc::new(schema), strict }
    }

    /// The schema of a type of the program; [`RunResult::output_as`](crate::RunResult::output_as) gives an answer as one.
    ///
    /// ```
    /// use letterhead::model::OutputSchema;
    /// use schemars::JsonSchema;
    ///
    /// #[derive(JsonSchema)]
    /// struct Invoice {
    ///     total: f64,
    /// }
    /// assert_eq!(&*OutputSchema::of::<Invoice>().name, "Invoice");
    /// ```
    pub fn of<T: JsonSchema>() -> Self {
        let mut schema = schemars::schema_for!(T).to_value();
        if let Value::Object(members) = &mut schema {
            // It says which edition of JSON Schema this is, which providers do not ask.
            members.shift_remove("$schema");
        }
        let in_a_name = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        Self::new(T::schema_name().chars().map(in_a_name).take(64).collect::<String>(), schema)
    }
}

/// Can a provider be asked to enforce it?
fn is_strict(schema: &Value) -> bool {
    let Value::Object(schema) = schema else { return false };
    schema.keys().all(|keyword| STRICT.contains(&keyword.as_str()))
        && (!is_object(schema) || is_closed(schema))
        && schema.iter().all(|(keyword, value)| match (keyword.as_str(), value) {
            ("properties" | "$defs", Value::Object(named)) => named.values().all(is_strict),
            ("anyOf", Value::Array(schemas)) => schemas.iter().all(is_strict),
            ("items", schema) => is_strict(schema),
            _ => true,
        })
}

fn is_object(schema: &Map<String, Value>) -> bool {
    let holds_object = |kind: &Value| match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "object"),
        kind => kind == "object",
    };
    schema.contains_key("properties") || schema.get("type").is_some_and(holds_object)
}

/// Nothing but its properties, and all of them.
fn is_closed(schema: &Map<String, Value>) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &String| required.is_some_and(|names| names.iter().any(|known| known == name));
    schema.get("additionalProperties") == Some(&Value::Bool(false))
        && schema.get("properties").and_then(Value::as_object).is_some_and(|named| named.keys().all(is_required))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn strict(schema: Value) -> bool {
        OutputSchema::new("form", schema).strict
    }

    #[test]
    fn only_what_every_provider_can_enforce_is_strict() {
        let line = json!({
            "type": "object", "additionalProperties": false, "required": ["sum"],
            "properties": { "sum": { "type": ["number", "null"], "description": "In euros." } },
        });
        let invoice = json!({
            "additionalProperties": false, "required": ["lines", "state"],
            "properties": {
                "lines": { "type": "array", "items": { "$ref": "#/$defs/line" } },
                "state": { "anyOf": [{ "enum": ["open", "paid"] }, { "type": "null" }] },
            },
            "$defs": { "line": line },
        });
        assert!(strict(invoice.clone()));
        assert_eq!(OutputSchema::new("form", invoice.clone()).schema["type"], "object");

        for (place, value) in [
            ("/additionalProperties", json!(true)),
            ("/required", json!(["lines"])),
            ("/$defs/line/required", json!([])),
            ("/properties/state/anyOf/1", json!({ "type": "string", "pattern": "^a" })),
            ("/properties/lines/items", json!({ "type": "object" })),
            ("/properties/lines/items", json!(true)),
        ] {
            let mut other = invoice.clone();
            *other.pointer_mut(place).unwrap() = value;
            assert!(!strict(other), "{place}");
        }
        for other in [json!({}), json!({ "type": "string" }), json!({ "type": "object" }), json!(true)] {
            assert!(!strict(other.clone()), "{other}");
        }
    }

    #[test]
    fn a_types_schema_has_a_name_that_providers_take() {
        let schema = OutputSchema::of::<Vec<Option<u8>>>();
        assert!(schema.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{}", schema.name);
        assert_eq!((schema.schema.get("$schema"), &schema.schema["type"]), (None, &json!("array")));
    }
}

//! Output schemas, reduced to what the API's structured output knows.

use serde_json::{Map, Value};

use crate::model::ModelCall;

/// Keywords that it refuses. What they forbid is for the reader of the answer to check.
const REFUSED: [&str; 14] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
];

/// The schema that an answer has to fit, of the call or of the params' `response_format`.
pub(super) fn of(call: &ModelCall) -> Option<Value> {
    let asked = || call.params.get("response_format")?.get("json_schema")?.get("schema");
    let schema = call.output.as_ref().map(|output| &*output.schema).or_else(asked)?;
    Some(reduce(schema))
}

/// Leaves refused keywords out and closes every object, which the API demands.
fn reduce(schema: &Value) -> Value {
    let Value::Object(schema) = schema else { return schema.clone() };
    let mut reduced = Map::new();
    for (keyword, value) in schema {
        let value = match keyword.as_str() {
            keyword if REFUSED.contains(&keyword) => continue,
            "minItems" if value.as_u64().is_some_and(|least| least > 1) => continue,
            // What stands here is data, not a schema.
            "const" | "enum" | "default" | "examples" | "required" => value.clone(),
            "properties" | "$defs" | "definitions" => match value {
                Value::Object(named) => named.iter().map(|(name, value)| (name.clone(), reduce(value))).collect(),
                other => other.clone(),
            },
            _ => match value {
                Value::Array(schemas) => schemas.iter().map(reduce).collect(),
                other => reduce(other),
            },
        };
        reduced.insert(keyword.clone(), value);
    }
    let is_object = |kind: &Value| {
        kind == "object" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"))
    };
    if reduced.get("type").map_or_else(|| reduced.contains_key("properties"), is_object) {
        reduced.insert("additionalProperties".to_owned(), false.into());
    }
    reduced.into()
}

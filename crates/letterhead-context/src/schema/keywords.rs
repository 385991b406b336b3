//! The keywords of JSON Schema 2020-12: which there are, where schemas stand inside schemas, and who mentions what.
//!
//! JSON Schema passes over keywords that it does not know. Here that would make `writeonly: true` a secret that is
//! none, and `maxLenght` a limit that does not hold: an unknown keyword is a fault.

use serde_json::{Map, Value};

use super::compile::{chain, fault, join};
use super::fault::SchemaFault;
use crate::name::{nearest, slip_of};

/// Keywords whose value is a schema.
const ONE_SCHEMA: [&str; 12] = [
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "additionalItems",
];

/// Keywords whose value is a list of schemas.
const LIST_OF_SCHEMAS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];

/// Keywords whose value is an object of schemas.
const NAMED_SCHEMAS: [&str; 5] = ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];

/// Keywords without a schema in them.
const PLAIN: [&str; 36] = [
    "$anchor",
    "$comment",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$ref",
    "$schema",
    "const",
    "contentEncoding",
    "contentMediaType",
    "default",
    "dependentRequired",
    "deprecated",
    "description",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "readOnly",
    "required",
    "title",
    "type",
    "uniqueItems",
];

/// The last one, which decides who may read a header.
const WRITE_ONLY: &str = "writeOnly";

/// Words beside the keywords that look like some: OpenAPI's, and one for remarks.
const OF_OTHERS: [&str; 2] = ["example", "note"];

fn all() -> impl Iterator<Item = &'static str> {
    let known = ONE_SCHEMA.iter().chain(&LIST_OF_SCHEMAS).chain(&NAMED_SCHEMAS).chain(&PLAIN);
    known.copied().chain([WRITE_ONLY]).filter(|keyword| *keyword != "additionalItems")
}

/// Calls `each` for a schema and all schemas inside it, with their pointers.
fn walk<'a>(schema: &'a Value, pointer: &str, each: &mut dyn FnMut(&'a Map<String, Value>, &str)) {
    let Value::Object(keywords) = schema else { return };
    each(keywords, pointer);
    for (keyword, value) in keywords {
        let here = join(pointer, keyword);
        let keyword = keyword.as_str();
        match value {
            Value::Array(schemas) if LIST_OF_SCHEMAS.contains(&keyword) => {
                schemas.iter().enumerate().for_each(|(at, inner)| walk(inner, &join(&here, &at.to_string()), each));
            }
            Value::Object(schemas) if NAMED_SCHEMAS.contains(&keyword) => {
                schemas.iter().for_each(|(name, inner)| walk(inner, &join(&here, name), each));
            }
            inner if ONE_SCHEMA.contains(&keyword) => walk(inner, &here, each),
            _ => {}
        }
    }
}

/// Keywords that nobody knows, wherever they stand. `x-…` is for notes of one's own.
pub(super) fn unknown(schema: &Value) -> Vec<SchemaFault> {
    strangers(schema, |keyword, value, pointer| {
        let hint = match nearest(keyword, all()) {
            _ if pointer.is_empty() && value.is_object() => {
                format!(": a header is declared under `properties`, as `properties: {{ {keyword}: … }}`")
            }
            Some(near) => format!("; did you mean `{near}`?"),
            None => String::new(),
        };
        Some(format!("`{keyword}` is not a keyword of JSON Schema 2020-12{hint}"))
    })
}

/// Keywords of a JSON Schema that are likely to be slips of known ones, wherever they stand. JSON Schema passes over what it does
/// not know, so that nothing else tells of a limit that does not hold.
///
/// ```
/// use letterhead_context::misspelt_keywords;
/// use serde_json::json;
///
/// let schema = json!({ "properties": { "id": { "type": "string", "maxLenght": 20, "nullable": true } } });
/// let slips = misspelt_keywords(&schema);
/// assert_eq!(slips.len(), 1);
/// assert_eq!(slips[0].pointer, "/properties/id/maxLenght");
/// assert!(slips[0].message.ends_with("did you mean `maxLength`?"));
/// ```
pub fn misspelt_keywords(schema: &Value) -> Vec<SchemaFault> {
    strangers(schema, |keyword, _, _| {
        let near = slip_of(keyword, all()).filter(|_| !OF_OTHERS.contains(&keyword))?;
        Some(format!("`{keyword}` is not a keyword of JSON Schema, and does nothing; did you mean `{near}`?"))
    })
}

/// What is said of the keywords that are not in JSON Schema.
fn strangers(schema: &Value, say: impl Fn(&str, &Value, &str) -> Option<String>) -> Vec<SchemaFault> {
    let mut faults = Vec::new();
    walk(schema, "", &mut |keywords, pointer| {
        for (keyword, value) in keywords {
            if keyword.starts_with("x-") || all().any(|known| known == keyword) {
                continue;
            }
            let message = say(keyword, value, pointer);
            faults.extend(message.map(|it| SchemaFault { of_key: true, ..fault(join(pointer, keyword), it) }));
        }
    });
    faults
}

/// References that are not followed here, and secrets declared where they are not looked for: what one reader of the
/// declaration takes for a secret, no other may take for an ordinary value.
pub(super) fn astray(schema: &Value, root: &Map<String, Value>) -> Vec<SchemaFault> {
    const DECLARED: [&str; 3] = ["/properties/", "/$defs/", "/definitions/"];
    let mut faults = Vec::new();
    walk(schema, "", &mut |keywords, pointer| {
        if keywords.contains_key("$dynamicRef") {
            faults.push(fault(
                join(pointer, "$dynamicRef"),
                "write `$ref: \"#/$defs/NAME\"`: no other reference is followed",
            ));
        }
        let followed = |reference| super::compile::target(reference, root).is_some();
        if !pointer.is_empty() && keywords.get("$ref").is_some_and(|reference| !followed(reference)) {
            faults.push(fault(join(pointer, "$ref"), "a `$ref` must lead to `#/$defs/NAME` of this declaration"));
        }
        let secret = keywords.get(WRITE_ONLY).is_some_and(|flag| flag == true);
        if secret && !DECLARED.iter().any(|place| pointer.starts_with(place)) {
            let message = "say `writeOnly` in the header's own declaration, under `properties`";
            faults.push(fault(join(pointer, WRITE_ONLY), message));
        }
    });
    faults
}

/// Does the schema refer to another?
pub(super) fn has_reference(schema: &Value) -> bool {
    let mut found = false;
    walk(schema, "", &mut |keywords, _| {
        found |= keywords.contains_key("$ref") || keywords.contains_key("$dynamicRef");
    });
    found
}

/// Is `writeOnly: true` said anywhere in the schema, or in what it refers to?
///
/// A member of an object or an alternative of `anyOf` that is secret makes the whole header secret: part of a value
/// cannot be kept back.
pub(super) fn is_secret(property: &Value, root: &Map<String, Value>) -> bool {
    let mut seen: Vec<&Value> = Vec::new();
    let mut open = vec![property];
    while let Some(schema) = open.pop() {
        if seen.iter().any(|earlier| std::ptr::eq(*earlier, schema)) {
            continue;
        }
        seen.push(schema);
        let mut secret = false;
        walk(schema, "", &mut |keywords, _| {
            secret |= keywords.get(WRITE_ONLY).is_some_and(|flag| flag == true);
            if let Some(target) = keywords.get("$ref").and_then(|reference| super::compile::target(reference, root)) {
                open.push(target);
            }
        });
        if secret {
            return true;
        }
    }
    // A chain too long to follow is a load error; until that is told, keep it back.
    chain(property, root).is_none()
}

//! A small instance of a JSON Schema.

use serde_json::{Map, Value, json};

/// Schemas may refer to themselves.
const DEPTH: usize = 16;

/// A small instance of `schema`: what it says outright (`const`, `default`, an example, the first of an `enum`), and for
/// the rest the least that its types, lengths and bounds allow. A `pattern` is not read.
pub(super) fn of(schema: &Value) -> Value {
    make(schema, schema, DEPTH)
}

fn make(schema: &Value, root: &Value, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return Value::Null };
    let outright = ["const", "default"].into_iter().find_map(|key| schema.get(key));
    let listed = ["enum", "examples"].into_iter().find_map(|key| schema.get(key)?.get(0));
    if let Some(value) = outright.or(listed) {
        return value.clone();
    }
    if let Some(target) = reference(schema, root) {
        return make(target, root, depth);
    }
    if let Some(first) = ["anyOf", "oneOf"].into_iter().find_map(|key| schema.get(key)?.get(0)) {
        return make(first, root, depth);
    }
    match kind(schema) {
        "object" => object(schema, root, depth),
        "array" => {
            let items = schema.get("items").unwrap_or(&Value::Bool(true));
            let fixed = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let least = size(schema, "minItems").max(fixed.len());
            (0..least).map(|at| make(fixed.get(at).unwrap_or(items), root, depth)).collect()
        }
        "string" => string(schema),
        "integer" => number(schema).as_i64().map_or_else(|| json!(0), Value::from),
        "number" => number(schema),
        "boolean" => json!(true),
        _ => Value::Null,
    }
}

/// What a local `$ref` points to.
fn reference<'a>(schema: &Value, root: &'a Value) -> Option<&'a Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

/// The type; of several the first that is not null; of none what the keywords speak of.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or("null")
        }
        _ if schema.get("properties").is_some() || schema.get("allOf").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

/// The properties that are required, or all if the schema does not say; those of all parts of an `allOf` included.
fn object(schema: &Value, root: &Value, depth: usize) -> Value {
    let mut instance = Map::new();
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        if let Value::Object(more) = make(part, root, depth) {
            instance.extend(more);
        }
    }
    let required = schema.get("required").and_then(Value::as_array);
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let value = || make(property, root, depth);
        match required {
            Some(required) if required.iter().any(|required| required == name) => {
                instance.insert(name.clone(), value());
            }
            Some(_) => {}
            // A property that has no end is left out.
            None => instance.extend(Some(value()).filter(|value| !value.is_null()).map(|value| (name.clone(), value))),
        }
    }
    Value::Object(instance)
}

fn string(schema: &Value) -> Value {
    let text = match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("date") => "2026-01-01",
        Some("time") => "00:00:00Z",
        Some("duration") => "PT1S",
        Some("email") => "demo@example.com",
        Some("hostname") => "example.com",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("uri" | "iri" | "uri-reference") => "https://example.com/",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        _ => "demo",
    };
    let most = schema.get("maxLength").map_or(usize::MAX, |_| size(schema, "maxLength"));
    let least = size(schema, "minLength");
    let text = text.chars().chain(std::iter::repeat('.')).take(text.len().min(most).max(least)).collect();
    Value::String(text)
}

/// The number nearest to nothing that the bounds allow.
fn number(schema: &Value) -> Value {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let step = bound("multipleOf").unwrap_or(1.0);
    let least = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|least| least + step));
    let most = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|most| most - step));
    let nearest = 0.0_f64.max(least.unwrap_or(0.0)).min(most.unwrap_or(f64::INFINITY));
    let whole = (nearest / step).ceil() * step;
    #[expect(clippy::cast_possible_truncation, reason = "an `as` from a float saturates, and 2^53 is enough here")]
    let integral = whole as i64;
    if whole.fract() == 0.0 { json!(integral) } else { json!(whole) }
}

fn size(schema: &Value, key: &str) -> usize {
    let number = schema.get(key).and_then(Value::as_u64).unwrap_or(0);
    usize::try_from(number).unwrap_or(usize::MAX).min(10_000)
}

//! Reads a declaration, and reports every fault that can be found at once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::{Compiled, Field, MAX_FIELDS};
use crate::name::{folded, nearest, not_declarable};
use crate::value::Kind;

/// A fault of a declaration: where (a JSON pointer into it), and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFault {
    /// A JSON pointer (RFC 6901) into the declaration.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for SchemaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

fn fault(pointer: impl Into<String>, message: impl Into<String>) -> SchemaFault {
    SchemaFault { pointer: pointer.into(), message: message.into() }
}

/// Keywords of the root that need no look at several fields together.
const FIELD_BY_FIELD: [&str; 13] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "examples",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "unevaluatedProperties",
];

/// Keywords of a property that the coercion to its type makes true by itself.
const TYPE_ALONE: [&str; 8] =
    ["type", "writeOnly", "default", "title", "description", "examples", "$comment", "deprecated"];

pub(super) fn compile(schema: &Value) -> Result<Compiled, Vec<SchemaFault>> {
    let Value::Object(root) = schema else {
        return Err(vec![fault("", "a declaration of headers is an object with `properties`")]);
    };
    let mut faults: Vec<SchemaFault> = jsonschema::draft202012::meta::validator()
        .iter_errors(schema)
        .map(|error| fault(error.instance_path().to_string(), error.to_string()))
        .collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    if root.get("type").is_some_and(|kind| kind != "object") {
        faults.push(fault("/type", "a declaration of headers has `type: object`, or no type"));
    }
    let lowered = lower_names(root, &mut faults);
    let none = Map::new();
    let properties = lowered.get("properties").and_then(Value::as_object).unwrap_or(&none);
    if properties.len() > MAX_FIELDS {
        let message = format!("{} headers are declared; at most {MAX_FIELDS} can be", properties.len());
        faults.push(fault("/properties", message));
    }
    let required: Vec<&str> =
        lowered.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (at, name) in required.iter().enumerate() {
        if !properties.contains_key(*name) {
            let hint = nearest(name, properties.keys().map(String::as_str));
            let hint = hint.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            faults.push(fault(format!("/required/{at}"), format!("`{name}` is required but not declared{hint}")));
        }
    }
    let mut fields = Vec::with_capacity(properties.len());
    let mut by_folded_name = HashMap::with_capacity(properties.len());
    for (name, property) in properties {
        match field(name, property, required.contains(&name.as_str()), &lowered) {
            Ok(field) => {
                by_folded_name.insert(folded(name), fields.len());
                fields.push(field);
            }
            Err(more) => faults.extend(more),
        }
    }
    let whole = if lowered.keys().all(|keyword| FIELD_BY_FIELD.contains(&keyword.as_str())) {
        None
    } else {
        match validator(&Value::Object(lowered.clone())) {
            Ok(validator) => Some(validator),
            Err(error) if faults.is_empty() => {
                faults.push(fault(error.instance_path().to_string(), error.to_string()));
                None
            }
            // The fields have told already.
            Err(_) => None,
        }
    };
    if faults.is_empty() { Ok(Compiled { fields, by_folded_name, whole }) } else { Err(faults) }
}

/// Lower-cases the names of headers wherever the root names them; two that become one are a fault.
fn lower_names(root: &Map<String, Value>, faults: &mut Vec<SchemaFault>) -> Map<String, Value> {
    let mut lowered = root.clone();
    if let Some(Value::Object(properties)) = root.get("properties") {
        let mut seen: HashMap<String, &str> = HashMap::new();
        let mut renamed = Map::new();
        for (name, property) in properties {
            let pointer = pointer_to(name);
            if let Some(first) = seen.insert(folded(name), name) {
                let message = format!("`{name}` and `{first}` are the same header: case, `-` and `_` make no difference");
                faults.push(fault(pointer.clone(), message));
            }
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                faults.push(fault(pointer.clone(), format!("`{name}` is not a header name")));
            }
            if let Some(instead) = not_declarable(name) {
                faults.push(fault(pointer, format!("`{name}` cannot be declared: {instead}")));
            }
            renamed.insert(name.to_ascii_lowercase(), property.clone());
        }
        lowered.insert("properties".to_owned(), Value::Object(renamed));
    }
    if let Some(Value::Array(names)) = lowered.get_mut("required") {
        names.iter_mut().for_each(lower);
    }
    for keyword in ["dependentRequired", "dependentSchemas"] {
        if let Some(Value::Object(dependents)) = lowered.get_mut(keyword) {
            *dependents = std::mem::take(dependents)
                .into_iter()
                .map(|(name, mut needs)| {
                    if let Value::Array(names) = &mut needs {
                        names.iter_mut().for_each(lower);
                    }
                    (name.to_ascii_lowercase(), needs)
                })
                .collect();
        }
    }
    lowered
}

fn lower(name: &mut Value) {
    if let Value::String(text) = name {
        text.make_ascii_lowercase();
    }
}

fn pointer_to(property: &str) -> String {
    format!("/properties/{}", property.replace('~', "~0").replace('/', "~1"))
}

fn field(name: &str, property: &Value, required: bool, root: &Map<String, Value>) -> Result<Field, Vec<SchemaFault>> {
    let pointer = pointer_to(name);
    let Value::Object(keywords) = property else {
        return Err(vec![fault(pointer, format!("`{name}` needs a schema, such as `{{ type: string }}`"))]);
    };
    let (kind, nullable) = kind_of(property, root).map_err(|message| vec![fault(format!("{pointer}/type"), message)])?;
    let items = match resolve(keywords.get("items"), root) {
        Some(items) => kind_of(items, root).map_err(|message| vec![fault(format!("{pointer}/items"), message)])?.0,
        None => Kind::String,
    };
    let validator = if keywords.keys().all(|keyword| TYPE_ALONE.contains(&keyword.as_str())) {
        None
    } else {
        let validator = validator(&standing_alone(property, root));
        Some(validator.map_err(|error| vec![fault(pointer.clone(), error.to_string())])?)
    };
    let read = |keyword: &str| resolve(Some(property), root).and_then(|target| target.get(keyword)).or(keywords.get(keyword));
    let field = Field {
        name: Arc::from(name),
        kind,
        items,
        nullable,
        secret: [keywords.get("writeOnly"), read("writeOnly")].into_iter().flatten().any(|flag| flag == true),
        required,
        default: keywords.get("default").or_else(|| read("default")).cloned(),
        validator,
    };
    match field.default.as_ref().map(|default| field.check(default)) {
        Some(Err(expected)) => Err(vec![fault(format!("{pointer}/default"), format!("the default is not valid: {expected}"))]),
        _ => Ok(field),
    }
}

/// A property's schema as a document of its own, with the definitions that its references need.
fn standing_alone(property: &Value, root: &Map<String, Value>) -> Value {
    let mut document = json!({ "allOf": [property] });
    for keyword in ["$defs", "definitions"] {
        if let (Some(definitions), Value::Object(members)) = (root.get(keyword), &mut document) {
            members.insert(keyword.to_owned(), definitions.clone());
        }
    }
    document
}

fn validator(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
}

/// Follows a local `$ref`, once per step and at most sixteen steps.
fn resolve<'a>(schema: Option<&'a Value>, root: &'a Map<String, Value>) -> Option<&'a Value> {
    let mut schema = schema?;
    for _ in 0..16 {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return Some(schema) };
        let mut parts = reference.strip_prefix("#/")?.split('/');
        let mut target = root.get(parts.next()?)?;
        for part in parts {
            target = target.get(part.replace("~1", "/").replace("~0", "~"))?;
        }
        schema = target;
    }
    None
}

/// The kind of a property: `type` is one name, or one and `null`; none means a string.
fn kind_of(schema: &Value, root: &Map<String, Value>) -> Result<(Kind, bool), String> {
    const SHAPES: &str = "`type` is one of string, integer, number, boolean, array, object, or one of them and null";
    let target = resolve(Some(schema), root).ok_or("a `$ref` must lead to `#/$defs/…` of this declaration")?;
    let named = |name: &Value| name.as_str().and_then(Kind::from_schema).ok_or_else(|| SHAPES.to_owned());
    match schema.get("type").or_else(|| target.get("type")) {
        None => Ok((Kind::String, false)),
        Some(Value::Array(names)) => match names.as_slice() {
            [one] => Ok((named(one)?, false)),
            [null, one] | [one, null] if null == "null" => Ok((named(one)?, true)),
            _ => Err(SHAPES.to_owned()),
        },
        Some(one) => Ok((named(one)?, false)),
    }
}

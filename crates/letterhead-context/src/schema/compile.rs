//! Reads a declaration, and reports every fault that can be found at once.

use std::collections::HashSet;
use std::sync::Arc;

use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::fault::SchemaFault;
use super::names::{Declared, Spelling, declared};
use super::{Compiled, Field, MAX_FIELDS, keywords};
use crate::name::{folded, nearest};
use crate::value::Kind;

pub(super) fn fault(pointer: impl Into<String>, message: impl Into<String>) -> SchemaFault {
    SchemaFault { pointer: pointer.into(), message: message.into(), of_key: false }
}

/// A pointer one step further.
pub(super) fn join(pointer: &str, step: &str) -> String {
    format!("{pointer}/{}", escaped(step))
}

fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// Keywords of the root that need no look at several fields together.
const FIELD_BY_FIELD: [&str; 9] = [
    "$comment",
    "title",
    "description",
    "examples",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "unevaluatedProperties",
];

/// Keywords of the root that hold what others refer to, and say nothing by themselves.
const DEFINITIONS: [&str; 4] = ["$schema", "$id", "$defs", "definitions"];

/// Keywords of a property that the coercion to its type makes true by itself.
const TYPE_ALONE: [&str; 9] =
    ["type", "writeOnly", "readOnly", "default", "title", "description", "examples", "$comment", "deprecated"];

/// What a `type` may be.
const SHAPES: &str = "`type` is one of string, integer, number, boolean, array, object, or one of them and null";

/// How large a compiled pattern may be, in bytes. Matching is linear in the value, but the factor grows with this: nested
/// counts such as `(\w{1,100}){1,100}` would cost seconds a header.
const PATTERN_BYTES: usize = 256 * 1024;

pub(super) fn compile(schema: &Value) -> Result<Compiled, Vec<SchemaFault>> {
    let Value::Object(root) = schema else {
        return Err(vec![fault("", "a declaration of headers is an object with `properties`")]);
    };
    let mut faults = of_the_language(schema);
    faults.extend(keywords::unknown(schema));
    // What is wrong inside a header's own schema hides nothing of the others.
    let own = |fault: &SchemaFault| fault.pointer.strip_prefix("/properties/")?.split('/').next().map(str::to_owned);
    let Some(faulty) = faults.iter().map(own).collect::<Option<HashSet<String>>>() else { return Err(faults) };
    if root.get("type").is_some_and(|kind| kind != "object") {
        faults.push(fault("/type", "a declaration of headers has `type: object`, or no type"));
    }
    for elsewhere in ["$ref", "$dynamicRef", "patternProperties"] {
        if root.contains_key(elsewhere) {
            faults.push(fault(join("", elsewhere), "every header is declared by its name, under `properties`"));
        }
    }
    let declared = declared(root, &mut faults);
    if declared.len() > MAX_FIELDS {
        let message = format!("{} headers are declared; at most {MAX_FIELDS} can be", declared.len());
        faults.push(fault("/properties", message));
    }
    let spelling = Spelling::new(&declared);
    let required = required(root, &spelling, &mut faults);
    let mut fields = Vec::with_capacity(declared.len());
    for property in declared.iter().filter(|property| !faulty.contains(&escaped(property.written))) {
        match field(property, required.contains(&property.name.as_str()), root) {
            Ok(field) => fields.push(field),
            Err(more) => faults.push(more),
        }
    }
    if !faulty.is_empty() {
        return Err(faults);
    }
    let whole = whole(root, &spelling, &mut faults);
    for astray in keywords::astray(schema, root) {
        let told = |earlier: &SchemaFault| astray.pointer.starts_with(&earlier.pointer);
        if !faults.iter().any(told) {
            faults.push(astray);
        }
    }
    let folded_names = fields.iter().map(|field| folded(&field.name).into()).collect();
    if faults.is_empty() { Ok(Compiled { fields, folded_names, whole }) } else { Err(faults) }
}

/// Faults by the rules of JSON Schema itself.
fn of_the_language(schema: &Value) -> Vec<SchemaFault> {
    let mut faults: Vec<SchemaFault> = Vec::new();
    for error in jsonschema::draft202012::meta::validator().iter_errors(schema) {
        let pointer = error.instance_path().to_string();
        let is_property = pointer.strip_prefix("/properties/").is_some_and(|name| !name.contains('/'));
        let message = if pointer.ends_with("/type") {
            type_fault(error.instance())
        } else if is_property {
            "a header is declared by a schema: write `{ type: string }`".to_owned()
        } else {
            error.to_string()
        };
        let told = fault(pointer, message);
        // Each vocabulary tells what several of them find.
        if !faults.contains(&told) {
            faults.push(told);
        }
    }
    faults
}

fn type_fault(written: &Value) -> String {
    let kinds = ["string", "integer", "number", "boolean", "array", "object"];
    let near = written.as_str().and_then(|name| nearest(name, kinds));
    near.map_or_else(|| SHAPES.to_owned(), |near| format!("{SHAPES}; did you mean `{near}`?"))
}

fn required<'a>(root: &Map<String, Value>, spelling: &Spelling<'a>, faults: &mut Vec<SchemaFault>) -> Vec<&'a str> {
    let names = root.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut required = Vec::new();
    for (at, name) in names.enumerate() {
        match spelling.of(name, &join("/required", &at.to_string())) {
            Ok(name) => required.push(name),
            Err(unknown) => faults.push(unknown),
        }
    }
    required
}

/// The check of the keywords that span several headers, if there are any.
fn whole(root: &Map<String, Value>, spelling: &Spelling<'_>, faults: &mut Vec<SchemaFault>) -> Option<Validator> {
    let kept = |keyword: &str| !FIELD_BY_FIELD.contains(&keyword) && !keyword.starts_with("x-");
    if root.keys().all(|keyword| !kept(keyword) || DEFINITIONS.contains(&keyword.as_str())) {
        return None;
    }
    let spanning = root.iter().filter(|(keyword, _)| kept(keyword));
    let mut schema = Value::Object(spanning.map(|(keyword, value)| (keyword.clone(), value.clone())).collect());
    let before = faults.len();
    spelling.rewrite(&mut schema, "", faults);
    if faults.len() > before {
        return None;
    }
    validator(&schema).map_err(|error| faults.push(fault(error.instance_path().to_string(), error.to_string()))).ok()
}

fn field(declared: &Declared<'_>, required: bool, root: &Map<String, Value>) -> Result<Field, SchemaFault> {
    let pointer = join("/properties", declared.written);
    let property = declared.schema;
    let Value::Object(keywords) = property else {
        return Err(fault(pointer, format!("`{}` needs a schema, such as `{{ type: string }}`", declared.written)));
    };
    let Some(chain) = chain(property, root) else {
        return Err(fault(join(&pointer, "$ref"), "a `$ref` leads to `#/$defs/…` of this declaration, and to an end"));
    };
    let said = |keyword: &str| chain.iter().find_map(|schema| schema.get(keyword));
    let (kind, nullable) = kind_of(said("type")).map_err(|message| fault(join(&pointer, "type"), message))?;
    let items = match said("items") {
        Some(items) => kind_of_items(items, root).map_err(|message| fault(join(&pointer, "items"), message))?,
        None => Kind::String,
    };
    let validator = if keywords.keys().all(|word| TYPE_ALONE.contains(&word.as_str()) || word.starts_with("x-")) {
        None
    } else {
        let validator = validator(&standing_alone(property, root));
        Some(validator.map_err(|error| {
            let path = error.instance_path().to_string();
            fault(pointer.clone() + path.strip_prefix("/allOf/0").unwrap_or(&path), error.to_string())
        })?)
    };
    let field = Field {
        name: Arc::from(declared.name.as_str()),
        kind,
        items,
        nullable,
        secret: keywords::is_secret(property, root),
        required,
        default: said("default").cloned(),
        validator,
    };
    match field.default.as_ref().map(|default| field.check(default)) {
        Some(Err(expected)) => Err(fault(join(&pointer, "default"), format!("the default is not valid: {expected}"))),
        _ => Ok(field),
    }
}

/// A property's schema as a document of its own, with the definitions that its references need.
fn standing_alone(property: &Value, root: &Map<String, Value>) -> Value {
    if !keywords::has_reference(property) {
        return property.clone();
    }
    let mut document = json!({ "allOf": [property] });
    for keyword in ["$defs", "definitions"] {
        if let (Some(definitions), Value::Object(members)) = (root.get(keyword), &mut document) {
            members.insert(keyword.to_owned(), definitions.clone());
        }
    }
    document
}

/// Nothing is fetched: a reference to another document does not resolve, and is a fault.
fn validator(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES))
        .build(schema)
}

/// What a local `$ref` refers to: a definition of this declaration.
pub(super) fn target<'a>(reference: &Value, root: &'a Map<String, Value>) -> Option<&'a Value> {
    let mut parts = reference.as_str()?.strip_prefix("#/")?.split('/');
    let definitions = parts.next().filter(|first| matches!(*first, "$defs" | "definitions"))?;
    let mut target = root.get(definitions)?;
    for part in parts {
        let part = part.replace("~1", "/").replace("~0", "~");
        target = match target {
            Value::Array(list) => list.get(part.parse::<usize>().ok()?)?,
            other => other.get(&part)?,
        };
    }
    Some(target)
}

/// A schema and what it refers to, one after the other. None: a reference leads nowhere, or in a circle.
pub(super) fn chain<'a>(schema: &'a Value, root: &'a Map<String, Value>) -> Option<Vec<&'a Value>> {
    const LONGEST: usize = 16;
    let mut chain = vec![schema];
    while let Some(reference) = chain.last().and_then(|last| last.get("$ref")) {
        if chain.len() == LONGEST {
            return None;
        }
        chain.push(target(reference, root)?);
    }
    Some(chain)
}

/// The kind of a property: `type` is one name, or one and `null`; none means a string.
fn kind_of(written: Option<&Value>) -> Result<(Kind, bool), &'static str> {
    let named = |name: &Value| name.as_str().and_then(Kind::from_schema).ok_or(SHAPES);
    match written {
        None => Ok((Kind::String, false)),
        Some(Value::Array(names)) => match names.as_slice() {
            [one] => Ok((named(one)?, false)),
            [null, one] | [one, null] if null == "null" => Ok((named(one)?, true)),
            _ => Err(SHAPES),
        },
        Some(one) => Ok((named(one)?, false)),
    }
}

fn kind_of_items(items: &Value, root: &Map<String, Value>) -> Result<Kind, &'static str> {
    let chain = chain(items, root).ok_or("a `$ref` leads to `#/$defs/…` of this declaration, and to an end")?;
    kind_of(chain.iter().find_map(|schema| schema.get("type"))).map(|(kind, _)| kind)
}

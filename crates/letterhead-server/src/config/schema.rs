//! The JSON Schema of the configuration: what `letterhead schema` prints is what files are checked with.

use std::sync::LazyLock;

use jsonschema::{JsonType, PatternOptions, Validator, error::TypeKind, error::ValidationErrorKind};
use serde_json::Value as Json;

use super::{
    document::Document,
    explain,
    faults::errors,
    pointer::Pointer,
    report::Diagnostic,
    tree::{Node, Origin, Value},
};

/// The schema's text (JSON Schema 2020-12), for editors. `x-expected` says in words what a `pattern` wants.
pub const SCHEMA: &str = include_str!("letterhead.schema.json");

pub(super) struct Compiled {
    pub(super) json: Json,
    validator: Validator,
}

static COMPILED: LazyLock<Result<Compiled, String>> = LazyLock::new(|| {
    let json: Json = serde_json::from_str(SCHEMA).map_err(|error| error.to_string())?;
    let validator = jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .build(&json)
        .map_err(|error| error.to_string())?;
    Ok(Compiled { json, validator })
});

pub(super) fn compiled() -> Result<&'static Compiled, Diagnostic> {
    COMPILED.as_ref().map_err(|error| Diagnostic::error(None, format!("the configuration schema is faulty: {error}")))
}

/// Checks a document and says every fault, but not at places where `earlier` stages found one.
///
/// A value that is one `${…}` takes the type that the schema wants: a text stays one although it reads like a number, and a number
/// may stand in quotes, which it needs inside `{ … }`.
pub(super) fn check(document: &mut Document, earlier: &[Diagnostic]) -> Vec<Diagnostic> {
    let compiled = match compiled() {
        Ok(compiled) => compiled,
        Err(fault) => return vec![fault],
    };
    let json = document.root.to_json();
    if compiled.validator.is_valid(&json) {
        return Vec::new();
    }
    for (place, wants_text) in misread(compiled, document, &json) {
        if let Some(Node { value: Value::Scalar(scalar), .. }) = document.root.at_mut(&place) {
            scalar.plain = !wants_text;
        }
    }
    let settled = errors(earlier);
    let json = document.root.to_json();
    compiled
        .validator
        .iter_errors(&json)
        .flat_map(|error| explain::explain(&error, &compiled.json, document))
        .filter(|fault| !fault.span.is_some_and(|span| settled.iter().any(|known| span.contains(*known))))
        .collect()
}

/// The places where a variable was read as another type than the schema wants, and whether that is a text.
fn misread(compiled: &Compiled, document: &Document, json: &Json) -> Vec<(Pointer, bool)> {
    let wants_text = |kind: &ValidationErrorKind| match kind {
        ValidationErrorKind::Type { kind: TypeKind::Single(wanted) } => Some(*wanted == JsonType::String),
        ValidationErrorKind::Type { kind: TypeKind::Multiple(wanted) } => Some(wanted.contains(JsonType::String)),
        _ => None,
    };
    let is_variable = |pointer: &Pointer| {
        let scalar = document.root.at(pointer).and_then(Node::scalar);
        scalar.is_some_and(|scalar| scalar.origin == Origin::Environment { whole: true })
    };
    compiled
        .validator
        .iter_errors(json)
        .filter_map(|error| Some((Pointer::from(error.instance_path().as_str()), wants_text(error.kind())?)))
        .filter(|(pointer, _)| is_variable(pointer))
        .collect()
}

//! What a schema expected, in words. The validator's own messages carry the value that was sent; these never do.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

/// Completes the sentence "expected …". Names what the declaration says, never what the instance holds; and of a secret
/// not even the values that the declaration would take. `steps` is the length of the path to the header's own value.
pub(super) fn sentence(error: &ValidationError<'_>, secret: bool, steps: usize) -> String {
    let what = match error.kind() {
        Kind::Enum { .. } | Kind::Constant { .. } if secret => "another value".to_owned(),
        Kind::MaxLength { limit } => format!("at most {limit} characters"),
        Kind::MinLength { limit } => format!("at least {limit} characters"),
        Kind::Pattern { pattern } => format!("a match of the pattern {pattern}"),
        Kind::Format { format } => format!("the format `{format}`"),
        Kind::Enum { options } => format!("one of {options}"),
        Kind::Constant { expected_value } => expected_value.to_string(),
        Kind::Maximum { limit } => format!("at most {limit}"),
        Kind::Minimum { limit } => format!("at least {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("less than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("more than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Kind::MaxItems { limit } => format!("at most {limit} items"),
        Kind::MinItems { limit } => format!("at least {limit} items"),
        Kind::UniqueItems => "items that differ".to_owned(),
        Kind::MaxProperties { limit } => format!("at most {limit} members"),
        Kind::MinProperties { limit } => format!("at least {limit} members"),
        Kind::Required { property } => format!("a member {property}"),
        Kind::Type { kind: TypeKind::Single(name) } => format!("the type {name}"),
        Kind::Type { kind: TypeKind::Multiple(names) } => {
            format!("one of the types {}", names.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(", "))
        }
        Kind::FalseSchema | Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
            "no member or item beyond the declared ones".to_owned()
        }
        other => format!("a value that meets `{}`", other.keyword()),
    };
    // Inside a list or an object, say where; the keys along the way are the sender's, so only positions are named.
    let depth = error.instance_path().into_iter().count();
    if depth <= steps { what } else { format!("{what} (inside the value)") }
}

/// The property that a failed `required` or `dependentRequired` names, if it is one.
pub(super) fn missing_property(error: &ValidationError<'_>) -> Option<String> {
    match error.kind() {
        Kind::Required { property: Value::String(name) } => Some(name.clone()),
        _ => None,
    }
}

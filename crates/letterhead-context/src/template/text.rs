//! A value as text: `true`, `12`, `1.5`, and lists and objects as compact JSON. Missing and null are empty.

use std::borrow::Cow;

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

use super::view::is_root;

/// Is there nothing to write? JSON's null counts as missing, and so does a number that JSON cannot say.
pub(super) fn is_missing(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => true,
        ValueKind::Number => !value.is_integer() && f64::try_from(value.clone()).is_ok_and(|f| !f.is_finite()),
        _ => false,
    }
}

/// Is nothing missing in it, at any depth? In lists and maps that a template makes something may be. What was fetched has
/// null there, which is a value; and so has a root that is used whole.
pub(super) fn is_whole(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Undefined => false,
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter().map_or(true, |mut items| items.all(|item| is_whole(&item)))
        }
        ValueKind::Map if !is_root(value) => value.try_iter().map_or(true, |mut names| {
            names.all(|name| is_whole(&name) && value.get_item(&name).is_ok_and(|member| is_whole(&member)))
        }),
        _ => true,
    }
}

/// The text of a value.
pub(super) fn text_of(value: &Value) -> Result<Cow<'_, str>, Error> {
    if let Some(text) = value.as_str() {
        return Ok(Cow::Borrowed(text));
    }
    if is_missing(value) {
        return Ok(Cow::Borrowed(""));
    }
    match value.kind() {
        ValueKind::Bool => Ok(Cow::Borrowed(if value.is_true() { "true" } else { "false" })),
        // Whole numbers of any size, which JSON's own numbers are not.
        ValueKind::Number if value.is_integer() => Ok(Cow::Owned(value.to_string())),
        // Nothing is plain but what stands for a value.
        ValueKind::Plain => Ok(Cow::Owned(value.to_string())),
        _ => json_of(value).map(Cow::Owned),
    }
}

/// A value as compact JSON, with whole numbers written as such.
pub(super) fn json_of(value: &Value) -> Result<String, Error> {
    let failed = |_| Error::from(ErrorKind::BadSerialization);
    let mut json = serde_json::to_value(value).map_err(failed)?;
    write_whole(&mut json);
    serde_json::to_string(&json).map_err(failed)
}

/// Writes `2.0` as `2`, at any depth.
fn write_whole(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Number(number) => {
            // Beyond 2^53 a float is not exact, and keeps its own spelling.
            let whole = number.as_f64().filter(|f| number.is_f64() && f.fract() == 0.0 && f.abs() < 9e15);
            if let Some(Ok(exact)) = whole.map(|f| format!("{f:.0}").parse::<i64>()) {
                *number = exact.into();
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(write_whole),
        serde_json::Value::Object(members) => members.values_mut().for_each(write_whole),
        _ => {}
    }
}

//! Values of headers: from bytes to text to a typed value, and values that must stay secret.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};
use zeroize::Zeroize;

/// A value of a header that was declared `writeOnly: true`.
///
/// It is never shown by `Debug`, has no `Display` and no `Serialize`, and is wiped from memory when dropped. As a field of a
/// type from which a declaration is [made](crate::HeaderSchema::of) it declares a text that is secret.
///
/// ```
/// use letterhead_context::Secret;
///
/// let secret = Secret::new("t_abc".into());
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// assert_eq!(secret.reveal(), "t_abc");
/// ```
#[derive(Clone, PartialEq)]
pub struct Secret(Value);

impl Secret {
    /// Takes a value into custody.
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    /// The value as text; empty if it is none. As [`reveal`](Self::reveal), a place where a secret leaves.
    pub fn reveal_text(&self) -> &str {
        self.0.as_str().unwrap_or_default()
    }

    /// The value. Every caller of this is a place where a secret leaves: keep them few.
    pub fn reveal(&self) -> &Value {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites the texts in a value. Numbers and names of members stay until their memory is used again.
///
/// ```
/// use letterhead_context::value::wipe;
/// use serde_json::json;
///
/// let mut value = json!({ "a": "secret", "b": ["secret", { "c": "secret" }], "d": 7 });
/// wipe(&mut value);
/// assert_eq!(value, json!({ "a": "", "b": ["", { "c": "" }], "d": 7 }));
/// ```
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Why the bytes of a header are not a text that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Not UTF-8.
    #[error("the value is not UTF-8")]
    NotUtf8,
    /// A C0, DEL or C1 control character.
    #[error("the value holds a control character")]
    Control,
    /// `=?base64?…?=` around something that is not padded standard base64.
    #[error("the value is marked as base64, but is not padded standard base64")]
    Base64,
}

/// Is this UTF-8 without control characters?
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    let visible = |b: &u8| (0x20..0x7f).contains(b);
    bytes.iter().all(visible) || std::str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(char::is_control))
}

/// Reads the bytes of a header: blanks trimmed, UTF-8, no controls, the MCP encoding `=?base64?…?=` decoded.
///
/// A decoded value may hold line breaks, and no other control. It is not trimmed: keeping blanks is what it is for.
///
/// ```
/// use letterhead_context::value::read_text;
///
/// assert_eq!(read_text(b"  Acme Corp ").unwrap(), "Acme Corp");
/// assert_eq!(read_text(b"=?base64?Z3LDvG4=?=").unwrap(), "gr\u{fc}n");
/// assert!(read_text(b"a\x07b").is_err());
/// ```
///
/// # Errors
/// Says which of these rules the bytes break.
pub fn read_text(bytes: &[u8]) -> Result<Cow<'_, str>, ValueError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ValueError::NotUtf8)?.trim_matches([' ', '\t']);
    if !is_plain(text.as_bytes()) {
        return Err(ValueError::Control);
    }
    let Some(encoded) = text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(Cow::Borrowed(text));
    };
    let decoded = STANDARD.decode(encoded).map_err(|_| ValueError::Base64)?;
    let decoded = String::from_utf8(decoded).map_err(|_| ValueError::NotUtf8)?;
    if decoded.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r')) {
        return Err(ValueError::Control);
    }
    Ok(Cow::Owned(decoded))
}

/// What a header's text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The text itself.
    String,
    /// `-?(0|[1-9][0-9]*)` in 64 bits.
    Integer,
    /// A finite number in JSON's grammar.
    Number,
    /// true, false, 1, 0, yes, no in any case.
    Boolean,
    /// JSON if it starts with `[`, else a list separated by commas.
    Array,
    /// A JSON object.
    Object,
}

impl Kind {
    /// What a sender is asked for.
    pub fn expected(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "true, false, 1, 0, yes or no",
            Self::Array => "a list, separated by commas or as a JSON array",
            Self::Object => "a JSON object",
        }
    }

    /// The kind that JSON Schema's `type` names.
    pub fn from_schema(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }
}

/// Reads a header's text as a value of its declared kind. `items` is the kind of a list's items.
///
/// ```
/// use letterhead_context::value::{Kind, coerce};
/// use serde_json::json;
///
/// assert_eq!(coerce("42", Kind::Integer, Kind::String), Some(json!(42)));
/// assert_eq!(coerce("007", Kind::Integer, Kind::String), None);
/// assert_eq!(coerce("YES", Kind::Boolean, Kind::String), Some(json!(true)));
/// assert_eq!(coerce("1, 2,,3", Kind::Array, Kind::Integer), Some(json!([1, 2, 3])));
/// ```
pub fn coerce(text: &str, kind: Kind, items: Kind) -> Option<Value> {
    match kind {
        Kind::String => Some(Value::String(text.to_owned())),
        Kind::Integer => integer(text).map(Value::from),
        Kind::Number => number(text).map(Value::Number),
        Kind::Boolean => boolean(text).map(Value::Bool),
        Kind::Array => array(text, items),
        Kind::Object => serde_json::from_str(text).ok().filter(Value::is_object),
    }
}

fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()));
    if plain { text.parse().ok() } else { None }
}

fn number(text: &str) -> Option<Number> {
    serde_json::from_str::<Number>(text).ok().filter(|n| n.as_f64().is_some_and(f64::is_finite))
}

fn boolean(text: &str) -> Option<bool> {
    const TRUE: [&str; 3] = ["true", "1", "yes"];
    const FALSE: [&str; 3] = ["false", "0", "no"];
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    if TRUE.iter().any(is) {
        Some(true)
    } else if FALSE.iter().any(is) {
        Some(false)
    } else {
        None
    }
}

fn array(text: &str, items: Kind) -> Option<Value> {
    if text.starts_with('[') {
        let Value::Array(list) = serde_json::from_str(text).ok()? else { return None };
        return list.into_iter().map(|item| item_of(item, items)).collect::<Option<Vec<_>>>().map(Value::Array);
    }
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| coerce(item, items, Kind::String))
        .collect::<Option<Vec<_>>>()
        .map(Value::Array)
}

/// An item of a JSON list: text is coerced as an item between commas is, anything else is taken as it stands.
fn item_of(item: Value, kind: Kind) -> Option<Value> {
    match item {
        Value::String(text) if kind != Kind::String => coerce(&text, kind, Kind::String),
        other => Some(other),
    }
}

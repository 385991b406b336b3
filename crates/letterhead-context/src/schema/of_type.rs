//! A declaration made of a type of the program.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Value, json};

use super::{HeaderSchema, SchemaFaults};

impl HeaderSchema {
    /// The declaration that a type is: each of its fields is a header, and its comment the description.
    ///
    /// What `schemars` knows of a field is declared: its type, `Option` and `#[serde(default)]` for what need not be sent,
    /// `#[serde(rename = "…")]`, `#[schemars(length(max = 80))]`, `range`, `regex`, unit enums as lists of words. A secret
    /// is a field of the type [`Secret`](crate::Secret), which shows itself to nobody, or any field with
    /// `#[schemars(extend("writeOnly" = true))]`.
    ///
    /// [`Headers::typed`](crate::Headers::typed) gives the headers of a turn as the type.
    ///
    /// ```
    /// use letterhead_context::{HeaderSchema, Secret};
    /// use schemars::JsonSchema;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct AppHeaders {
    ///     /// Whom the agent works for.
    ///     user_id: u64,
    ///     #[schemars(length(max = 80))]
    ///     org_name: Option<String>,
    ///     auth_token: Secret,
    /// }
    ///
    /// let schema = HeaderSchema::of::<AppHeaders>()?;
    /// assert!(schema.field("User-Id").unwrap().is_required());
    /// assert!(!schema.field("org_name").unwrap().is_required());
    /// assert!(schema.field("auth_token").unwrap().is_secret());
    /// # Ok::<(), letterhead_context::SchemaFaults>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile): if a field has a name that cannot be declared, a type that no header has, or if there
    /// are more than [`MAX_FIELDS`](super::MAX_FIELDS).
    pub fn of<T: JsonSchema>() -> Result<Self, SchemaFaults> {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        });
        let generator = settings.with_transform(RecursiveTransform(as_a_header_says_it)).into_generator();
        Self::compile(&generator.into_root_schema_for::<T>().to_value())
    }
}

/// What `schemars` says of numbers by a `format` of Rust's types is said by bounds, which JSON Schema knows. A default of
/// nothing is none.
fn as_a_header_says_it(schema: &mut schemars::Schema) {
    let Some(members) = schema.as_object_mut() else { return };
    if members.get("default").is_some_and(Value::is_null) {
        members.remove("default");
    }
    let (least, most) = match members.get("format").and_then(Value::as_str) {
        Some("int8") => (Some(json!(i8::MIN)), Some(json!(i8::MAX))),
        Some("int16") => (Some(json!(i16::MIN)), Some(json!(i16::MAX))),
        Some("int32") => (Some(json!(i32::MIN)), Some(json!(i32::MAX))),
        Some("uint8") => (Some(json!(0)), Some(json!(u8::MAX))),
        Some("uint16") => (Some(json!(0)), Some(json!(u16::MAX))),
        Some("uint32") => (Some(json!(0)), Some(json!(u32::MAX))),
        Some("uint64" | "uint" | "uint128") => (Some(json!(0)), None),
        // A header's integer has 64 bits, with a sign.
        Some("int64" | "int" | "int128" | "float" | "double") => (None, None),
        _ => return,
    };
    members.remove("format");
    for (keyword, bound) in [("minimum", least), ("maximum", most)] {
        if let Some(bound) = bound {
            members.entry(keyword).or_insert(bound);
        }
    }
}

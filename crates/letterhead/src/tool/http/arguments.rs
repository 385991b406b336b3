//! The arguments of a call: what a model wrote, checked against the tool's parameters.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use crate::tool::ToolError;
use crate::variable::schema_fault;

/// How large a compiled pattern of a schema may be, in bytes: matching stays linear.
const PATTERN_BYTES: usize = 256 * 1024;

/// How many faults a model is told at once.
const MOST_FAULTS: usize = 8;

/// The parameters of a tool, compiled.
#[derive(Debug)]
pub(super) struct Parameters(Validator);

impl Parameters {
    /// Reads the schema, which is then what a model is shown.
    ///
    /// # Errors
    ///
    /// What is wrong, with a JSON pointer into the schema.
    pub(super) fn compile(schema: &Value) -> Result<(Self, Value), (String, String)> {
        let Value::Object(members) = schema else {
            return Err((String::new(), "the parameters are a JSON Schema, which is an object".to_owned()));
        };
        let mut shown = members.clone();
        match shown.get("type") {
            None => {
                shown.insert("type".to_owned(), "object".into());
            }
            Some(kind) if kind == "object" => {}
            Some(_) => return Err(("/type".to_owned(), "the arguments of a tool are an `object`".to_owned())),
        }
        let shown = Value::Object(shown);
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES))
            .build(&shown)
            .map_err(|error| (error.instance_path().to_string(), schema_fault(&error)))?;
        Ok((Self(validator), shown))
    }

    /// Reads the arguments' JSON text.
    ///
    /// # Errors
    ///
    /// In words with which the model can do better. They say places and what is expected; what it wrote it knows.
    pub(super) fn read(&self, text: &str) -> Result<Value, ToolError> {
        // Models say "nothing" in several ways.
        let text = if matches!(text.trim(), "" | "null") { "{}" } else { text };
        let arguments: Value = serde_json::from_str(text)
            .map_err(|error| ToolError::new(format!("The arguments are not JSON: {error}. Nothing was called.")))?;
        let mut faults: Vec<String> =
            self.0.iter_errors(&arguments).take(MOST_FAULTS).map(|error| told(&error)).collect();
        if faults.is_empty() {
            return Ok(arguments);
        }
        faults.dedup();
        Err(ToolError::new(format!(
            "The arguments do not fit the tool's parameters: {}. Nothing was called.",
            faults.join("; ")
        )))
    }
}

fn told(error: &jsonschema::ValidationError<'_>) -> String {
    let message = error.masked_with("this value");
    match error.instance_path().as_str() {
        "" => message.to_string(),
        place => format!("at `{place}`, {message}"),
    }
}

/// Says of a name that no argument can have, by the schema, which one may be meant. Nothing if the schema leaves names
/// open.
pub(super) fn unknown_argument(schema: &Value, name: &str) -> Option<String> {
    const OPEN: [&str; 8] =
        ["patternProperties", "additionalProperties", "$ref", "allOf", "anyOf", "oneOf", "if", "$dynamicRef"];
    let closed = |keyword: &str| schema.get(keyword).is_none_or(|value| *value == Value::Bool(false));
    let empty = Map::new();
    let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    if known.contains_key(name) || !OPEN.iter().all(|keyword| closed(keyword)) {
        return None;
    }
    let near = letterhead_context::name::nearest(name, known.keys().map(String::as_str));
    let help = near.map_or_else(|| "add it to `parameters`".to_owned(), |near| format!("did you mean `args.{near}`?"));
    Some(format!("there is no argument `{name}`: {help}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameters() -> Parameters {
        let schema = json!({
            "required": ["order_id"],
            "additionalProperties": false,
            "properties": {
                "order_id": { "type": "string", "pattern": "^[0-9]+$" },
                "limit": { "type": "integer", "maximum": 10 },
                "state": { "enum": ["open", "closed"] },
            },
        });
        Parameters::compile(&schema).unwrap().0
    }

    fn fault(text: &str) -> String {
        parameters().read(text).unwrap_err().to_string()
    }

    #[test]
    fn arguments_that_fit_are_taken_as_they_are() {
        assert_eq!(parameters().read(r#"{"order_id": "7"}"#).unwrap(), json!({ "order_id": "7" }));
        let open = Parameters::compile(&json!({})).unwrap().0;
        for nothing in ["", " ", "null", "{}"] {
            assert_eq!(open.read(nothing).unwrap(), json!({}));
        }
    }

    #[test]
    fn a_model_is_told_every_fault_with_its_place_and_what_is_expected() {
        let told = fault(r#"{"order_id": "sk-1", "limit": 99, "state": "sk-1", "x": 1}"#);
        for part in ["at `/order_id`", "at `/limit`", "at `/state`", "Nothing was called."] {
            assert!(told.contains(part), "{told}");
        }
        assert!(!told.contains("sk-1") && !told.contains("99"), "{told}");
        assert!(fault("{}").contains("\"order_id\" is a required property"), "{}", fault("{}"));
        assert!(fault("[]").contains("this value is not of type \"object\""), "{}", fault("[]"));
        assert!(fault("{\"order_id\":").starts_with("The arguments are not JSON: EOF"), "{}", fault("{"));
    }

    #[test]
    fn what_is_no_schema_of_arguments_is_a_fault_with_its_place() {
        for (schema, place) in [
            (json!([]), ""),
            (json!({ "type": "string" }), "/type"),
            (json!({ "properties": { "a": { "type": "text" } } }), "/properties/a/type"),
            (json!({ "properties": { "a": { "$ref": "https://example.com/a.json" } } }), ""),
        ] {
            let (found, message) = Parameters::compile(&schema).unwrap_err();
            assert_eq!(found, place, "{message}");
        }
    }

    #[test]
    fn an_argument_that_cannot_be_is_known_with_the_one_that_may_be_meant() {
        let closed = json!({ "properties": { "order_id": {} } });
        assert_eq!(unknown_argument(&closed, "order_id"), None);
        assert_eq!(
            unknown_argument(&closed, "orderid").unwrap(),
            "there is no argument `orderid`: did you mean `args.order_id`?"
        );
        assert_eq!(unknown_argument(&json!({}), "zzz").unwrap(), "there is no argument `zzz`: add it to `parameters`");
        assert_eq!(unknown_argument(&json!({ "additionalProperties": true }), "zzz"), None);
        assert_eq!(unknown_argument(&json!({ "allOf": [{}] }), "zzz"), None);
    }
}

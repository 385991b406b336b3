//! Checking an answer against the schema of its agent.

use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::model::OutputSchema;
use crate::variable::schema_fault;

/// How large a compiled pattern of a schema may be, in bytes: matching stays linear.
const PATTERN_BYTES: usize = 256 * 1024;

/// How many faults a model is told at once.
const MOST_FAULTS: usize = 8;

/// An output schema, compiled.
#[derive(Debug)]
pub(crate) struct OutputCheck(Validator);

/// Why an answer does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// For the model that wrote it: places and what is expected. What stands there it knows.
    pub(crate) told: String,
    /// For everyone else. Places in the schema, which is the operator's own text; nothing of the answer.
    pub(crate) reason: String,
}

impl OutputCheck {
    /// Compiles a schema. Nothing is fetched: a reference to another document is a fault.
    ///
    /// # Errors
    ///
    /// What is wrong, with a JSON pointer into the schema.
    pub(crate) fn compile(output: &OutputSchema) -> Result<Self, (String, String)> {
        if !(1..=64).contains(&output.name.len())
            || !output.name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        {
            return Err((String::new(), "the name of a schema is 1 to 64 letters, digits, `_` or `-`".to_owned()));
        }
        if !output.schema.is_object() {
            return Err((String::new(), "the form of answers is a JSON Schema, which is an object".to_owned()));
        }
        jsonschema::options()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(true)
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES))
            .build(&output.schema)
            .map(Self)
            .map_err(|error| (error.instance_path().to_string(), schema_fault(&error)))
    }

    /// Does the text of an answer fit?
    pub(crate) fn check(&self, text: &str) -> Result<(), Unfit> {
        let answer: Value = serde_json::from_str(text).map_err(|error| Unfit {
            told: format!("it is not one JSON value ({error})"),
            reason: "it is not JSON".to_owned(),
        })?;
        let faults: Vec<ValidationError<'_>> = self.0.iter_errors(&answer).take(MOST_FAULTS).collect();
        if faults.is_empty() {
            return Ok(());
        }
        let mut places: Vec<String> = faults.iter().map(|fault| format!("`{}`", fault.schema_path())).collect();
        places.dedup();
        Err(Unfit {
            told: faults.iter().map(told).collect::<Vec<_>>().join("; "),
            reason: format!("it breaks the schema at {}", places.join(", ")),
        })
    }
}

fn told(fault: &ValidationError<'_>) -> String {
    let message = fault.masked_with("this value");
    match fault.instance_path().as_str() {
        "" => message.to_string(),
        place => format!("at `{place}`, {message}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check() -> OutputCheck {
        let schema = json!({
            "type": "object", "required": ["total"], "additionalProperties": { "type": "string" },
            "properties": { "total": { "type": "number", "maximum": 100 } },
        });
        OutputCheck::compile(&OutputSchema::new("invoice", schema)).unwrap()
    }

    #[test]
    fn an_answer_that_fits_may_have_blanks_around_it() {
        assert_eq!(check().check(" {\"total\": 7}\n"), Ok(()));
    }

    #[test]
    fn the_model_is_told_each_place_and_others_the_schemas_own_places() {
        let unfit = check().check(r#"{"total": 4711, "canary": 1}"#).unwrap_err();
        assert!(unfit.told.contains("at `/total`") && unfit.told.contains("at `/canary`"), "{}", unfit.told);
        assert!(!unfit.told.contains("4711"), "{}", unfit.told);
        assert!(unfit.reason.contains("`/properties/total/maximum`"), "{}", unfit.reason);
        assert!(!unfit.reason.contains("canary") && !unfit.reason.contains("4711"), "{}", unfit.reason);
        assert!(check().check("{}").unwrap_err().told.contains("\"total\" is a required property"));
    }

    #[test]
    fn only_json_alone_is_json() {
        for text in ["", "Sure! {\"total\": 7}", "```json\n{\"total\": 7}\n```", "{\"total\": 7} {}"] {
            let unfit = check().check(text).unwrap_err();
            assert!(unfit.told.starts_with("it is not one JSON value"), "{}", unfit.told);
            assert_eq!(unfit.reason, "it is not JSON");
        }
    }

    #[test]
    fn what_is_no_schema_is_a_fault_with_its_place() {
        for (name, schema, place) in [
            ("a b", json!({}), ""),
            ("", json!({}), ""),
            ("a", json!([]), ""),
            ("a", json!({ "properties": { "a": { "type": "text" } } }), "/properties/a/type"),
            ("a", json!({ "$ref": "https://example.com/a.json" }), ""),
        ] {
            let (found, message) = OutputCheck::compile(&OutputSchema::new(name, schema)).unwrap_err();
            assert_eq!(found, place, "{message}");
        }
    }
}

//! From the answer of an API to a variable's value. No error holds a part of the answer.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::select::{NotFound, Select};

/// How large a compiled pattern of a schema may be, in bytes: matching stays linear.
const PATTERN_BYTES: usize = 256 * 1024;

/// What an answer has to be, and which part of it is the value.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) schema: Option<Validator>,
    pub(crate) select: Option<Select>,
}

/// Why an answer gives no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    #[error("the answer is not JSON")]
    NotJson,
    #[error("the answer is neither JSON nor text")]
    NotText,
    #[error("the answer reports errors, as GraphQL does")]
    GraphQl,
    /// With the place in the schema, which is the operator's own text; a place in the answer would be the API's.
    #[error("the answer does not meet `response_schema` (at `{0}`)")]
    Schema(String),
    #[error("`select` finds nothing in the answer")]
    NothingSelected,
    #[error("`select` finds more than can be kept")]
    TooMuchSelected,
}

impl Reading {
    /// The value in an answer of a good status.
    pub(crate) fn value(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Unread> {
        let answer = self.parse(headers, body)?;
        if answer.get("errors").and_then(Value::as_array).is_some_and(|errors| !errors.is_empty()) {
            return Err(Unread::GraphQl);
        }
        if let Some(error) = self.schema.as_ref().and_then(|schema| schema.iter_errors(&answer).next()) {
            return Err(Unread::Schema(error.schema_path().to_string()));
        }
        match &self.select {
            Some(select) => select.find(&answer).map_err(|not_found| match not_found {
                NotFound::Nothing => Unread::NothingSelected,
                NotFound::TooMuch => Unread::TooMuchSelected,
            }),
            None => Ok(answer),
        }
    }

    fn parse(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Unread> {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let must_be_json = self.schema.is_some() || self.select.is_some();
        match serde_json::from_slice::<Value>(body) {
            // `12` in a text is a text: only what cannot be meant as one is taken for JSON.
            Ok(value) if must_be_json || value.is_object() || value.is_array() || !is_text(headers) => Ok(value),
            Err(_) if must_be_json || is_json(headers) => Err(Unread::NotJson),
            _ => std::str::from_utf8(body).map(Value::from).map_err(|_| Unread::NotText),
        }
    }
}

/// Does the answer say that it is JSON?
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

/// Does the answer say that it is text, and not JSON?
fn is_text(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().get(..5).is_some_and(|t| t.eq_ignore_ascii_case(b"text/")))
}

/// Compiles a schema of answers. Nothing is fetched: a reference to another document is a fault. Formats that are not
/// known are passed over, for descriptions of APIs have many of their own.
pub(super) fn response_schema(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    jsonschema::options()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES))
        .build(schema)
}

/// What is wrong with a schema, for who wrote it.
pub(crate) fn schema_fault(error: &ValidationError<'_>) -> String {
    if error.instance_path().as_str().ends_with("/type") {
        return "this is no JSON Schema: `type` is string, number, integer, boolean, array, object or null, or a list of \
                these"
            .to_owned();
    }
    format!("this is no JSON Schema: {error}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reading(schema: Option<Value>, select: Option<&str>) -> Reading {
        Reading {
            schema: schema.map(|schema| response_schema(&schema).unwrap()),
            select: select.map(|path| Select::compile(path).unwrap()),
        }
    }

    fn headers(kind: &'static str) -> HeaderMap {
        [(CONTENT_TYPE, http::HeaderValue::from_static(kind))].into_iter().collect()
    }

    #[test]
    fn json_is_a_value_and_any_other_text_a_string() {
        let plain = reading(None, None);
        let json = headers("application/json");
        assert_eq!(plain.value(&json, br#"{"a":[1]}"#), Ok(json!({ "a": [1] })));
        assert_eq!(plain.value(&json, b"12"), Ok(json!(12)));
        assert_eq!(plain.value(&headers("text/plain"), b"12"), Ok(json!("12")));
        assert_eq!(plain.value(&headers("Text/Plain"), b"{\"a\":1}"), Ok(json!({ "a": 1 })));
        assert_eq!(plain.value(&HeaderMap::new(), "Gr\u{fc}\u{df}e".as_bytes()), Ok(json!("Gr\u{fc}\u{df}e")));
        assert_eq!(plain.value(&json, b"\xef\xbb\xbf[1]"), Ok(json!([1])));
        assert_eq!(plain.value(&HeaderMap::new(), b""), Ok(json!("")));
        assert_eq!(plain.value(&headers("text/html"), b"<p>"), Ok(json!("<p>")));
        assert_eq!(plain.value(&HeaderMap::new(), b"\xff\xfe"), Err(Unread::NotText));
    }

    #[test]
    fn what_says_that_it_is_json_and_is_not_is_no_value() {
        let plain = reading(None, None);
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
            for body in [&b"{\"a\":"[..], b"<html>", b"", b"\xff\xfe"] {
                assert_eq!(plain.value(&headers(kind), body), Err(Unread::NotJson), "{kind}");
            }
            assert_eq!(plain.value(&headers(kind), b"[1]"), Ok(json!([1])), "{kind}");
        }
        for kind in ["application/x-ndjson", "application/jsonp", "text/plain"] {
            assert_eq!(plain.value(&headers(kind), b"{} {}"), Ok(json!("{} {}")), "{kind}");
        }
    }

    #[test]
    fn text_is_no_answer_where_json_is_needed() {
        for needs_json in [reading(Some(json!({})), None), reading(None, Some("user"))] {
            assert_eq!(needs_json.value(&headers("text/html"), b"<h1>canary</h1>"), Err(Unread::NotJson));
            assert_eq!(needs_json.value(&HeaderMap::new(), b""), Err(Unread::NotJson));
        }
    }

    /// The document's own example: the schema describes the answer, of which `user` is a part.
    #[test]
    fn the_schema_checks_the_answer_as_received_and_then_a_part_is_selected() {
        let schema = json!({
            "type": "object", "required": ["user"],
            "properties": { "user": { "type": "object", "required": ["name", "email"] } },
        });
        let reading = reading(Some(schema), Some("user"));
        let user = json!({ "name": "John Doe", "email": "john.doe@example.com" });
        let answer = json!({ "user": user }).to_string();
        assert_eq!(reading.value(&HeaderMap::new(), answer.as_bytes()), Ok(user));
        let error = reading.value(&HeaderMap::new(), br#"{"user":{"canary":1}}"#).unwrap_err();
        assert_eq!(error, Unread::Schema("/properties/user/required".to_owned()));
        assert!(!error.to_string().contains("canary"));
    }

    #[test]
    fn what_is_not_there_is_a_fault_only_where_one_thing_was_selected() {
        let nothing = HeaderMap::new();
        assert_eq!(reading(None, Some("user")).value(&nothing, b"{}"), Err(Unread::NothingSelected));
        assert_eq!(reading(None, Some("users[*]")).value(&nothing, b"{}"), Ok(json!([])));
    }

    #[test]
    fn errors_as_graphql_has_them_are_faults_whatever_else_came() {
        let graphql = reading(None, Some("data.user"));
        let both = br#"{"errors":[{"message":"canary"}],"data":{"user":{"name":"Ada"}}}"#;
        assert_eq!(graphql.value(&HeaderMap::new(), both), Err(Unread::GraphQl));
        let none = br#"{"errors":[],"data":{"user":{"name":"Ada"}}}"#;
        assert_eq!(graphql.value(&HeaderMap::new(), none), Ok(json!({ "name": "Ada" })));
    }
}

//! A tool as a model is told of it.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// A tool as a model is told of it. Immutable; its JSON is made once.
#[derive(Clone, Debug)]
pub struct ToolSpec {
    name: Arc<str>,
    description: Option<Arc<str>>,
    parameters: Arc<Value>,
    openai: Arc<str>,
}

/// Why a tool in OpenAI's form cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolSpecError {
    /// Not `{"type":"function","function":{"name":…}}`.
    #[error("a tool must be an object with `type: function` and a `function` that has a `name`")]
    Shape,
    /// A name that providers do not take.
    #[error("a tool's name must be 1 to 64 characters of `A-Za-z0-9_-`")]
    Name,
    /// Parameters that are not a JSON Schema object.
    #[error("a tool's parameters must be a JSON Schema object")]
    Parameters,
}

impl ToolSpec {
    /// Describes a tool.
    ///
    /// ```
    /// use letterhead::model::ToolSpec;
    /// use serde_json::json;
    ///
    /// let order = json!({"type": "object", "properties": {"order_id": {"type": "string"}}});
    /// let spec = ToolSpec::new("get_order", Some("Looks an order up."), order)?;
    /// assert_eq!(spec.name(), "get_order");
    /// # Ok::<_, letterhead::model::ToolSpecError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the name is not one that providers take, or `parameters` is not an object.
    pub fn new(name: &str, description: Option<&str>, parameters: Value) -> Result<Self, ToolSpecError> {
        if !is_name(name) {
            return Err(ToolSpecError::Name);
        }
        if !parameters.is_object() {
            return Err(ToolSpecError::Parameters);
        }
        let mut function = Map::new();
        function.insert("name".into(), name.into());
        if let Some(description) = description {
            function.insert("description".into(), description.into());
        }
        function.insert("parameters".into(), parameters.clone());
        let openai = json!({"type": "function", "function": function}).to_string();
        Ok(Self {
            name: name.into(),
            description: description.map(Into::into),
            parameters: Arc::new(parameters),
            openai: openai.into(),
        })
    }

    /// Reads a tool in OpenAI's form, as clients send their own. Its JSON is kept as it stands.
    ///
    /// # Errors
    ///
    /// If it is not a function tool with a usable name and, where given, an object as parameters.
    pub fn from_openai(raw: &RawValue) -> Result<Self, ToolSpecError> {
        let tool: OpenAiTool = serde_json::from_str(raw.get()).map_err(|_| ToolSpecError::Shape)?;
        if tool.kind != "function" {
            return Err(ToolSpecError::Shape);
        }
        if !is_name(&tool.function.name) {
            return Err(ToolSpecError::Name);
        }
        let parameters = match tool.function.parameters {
            Value::Null => json!({"type": "object", "properties": {}}),
            parameters @ Value::Object(_) => parameters,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(ToolSpecError::Parameters);
            }
        };
        Ok(Self {
            name: tool.function.name.into(),
            description: tool.function.description.map(Into::into),
            parameters: Arc::new(parameters),
            openai: raw.get().into(),
        })
    }

    /// The tool's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the tool does, for the model.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The JSON Schema of the tool's arguments: always an object.
    pub fn parameters(&self) -> &Value {
        &self.parameters
    }

    /// The tool in OpenAI's form, as JSON text.
    pub fn openai_json(&self) -> &str {
        &self.openai
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[derive(Deserialize)]
struct OpenAiTool {
    #[serde(rename = "type")]
    kind: String,
    function: OpenAiFunction,
}

#[derive(Deserialize)]
struct OpenAiFunction {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_tool_keeps_its_json_as_it_stands() {
        let raw = RawValue::from_string(
            r#"{"type":"function", "function":{"name":"get_time","strict":true,"parameters":{"type":"object"}}}"#
                .into(),
        )
        .unwrap();
        let spec = ToolSpec::from_openai(&raw).unwrap();
        assert_eq!(spec.openai_json(), raw.get());
        assert_eq!(spec.parameters(), &json!({"type": "object"}));
        assert_eq!(spec.description(), None);
    }

    #[test]
    fn what_is_no_function_tool_is_refused() {
        for (text, error) in [
            (r#"{"type":"custom","function":{"name":"a"}}"#, ToolSpecError::Shape),
            (r#"{"type":"function"}"#, ToolSpecError::Shape),
            (r#"{"type":"function","function":{"name":""}}"#, ToolSpecError::Name),
            (r#"{"type":"function","function":{"name":"a b"}}"#, ToolSpecError::Name),
            (r#"{"type":"function","function":{"name":"a","parameters":[]}}"#, ToolSpecError::Parameters),
        ] {
            let raw = RawValue::from_string(text.into()).unwrap();
            assert_eq!(ToolSpec::from_openai(&raw).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn a_tool_of_ours_is_made_into_openais_form() {
        let spec = ToolSpec::new("look", Some("Looks."), json!({"type": "object"})).unwrap();
        assert_eq!(
            spec.openai_json(),
            r#"{"type":"function","function":{"name":"look","description":"Looks.","parameters":{"type":"object"}}}"#
        );
        assert_eq!(ToolSpec::new("a.b", None, json!({})).unwrap_err(), ToolSpecError::Name);
    }
}

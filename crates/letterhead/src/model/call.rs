//! What one call of a model is made of.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{OutputSchema, ToolSpec};

/// The request fields that a call itself says, and its params cannot.
pub(crate) const OWN_FIELDS: [&str; 5] = ["model", "messages", "tools", "tool_choice", "stream"];

/// One call of a model.
#[derive(Default)]
pub struct ModelCall {
    /// The provider's own name for the model.
    pub model: Arc<str>,
    /// The rendered instructions: the first system message.
    pub instructions: Option<Arc<str>>,
    /// The conversation: each one raw JSON object, a message in OpenAI's chat-completions form. Sent as it stands.
    pub messages: Vec<Arc<str>>,
    /// The tools that the model may call.
    pub tools: Vec<Arc<ToolSpec>>,
    /// Which tool to call, in OpenAI's form; none leaves it to the model.
    pub tool_choice: Option<Box<RawValue>>,
    /// Request fields by OpenAI's names (`temperature`, `max_tokens`, anything), merged already.
    pub params: Map<String, Value>,
    /// The JSON Schema that the answer has to fit.
    pub output: Option<OutputSchema>,
    /// Every header of the call, the credential among them. Goes out as it is.
    pub headers: HeaderMap,
    /// Whether the provider shall stream its answer.
    pub stream: bool,
}

/// Shows how much there is of each thing; neither the conversation nor a header's value.
impl fmt::Debug for ModelCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelCall")
            .field("model", &self.model)
            .field("messages", &self.messages.len())
            .field("tools", &self.tools.len())
            .field("headers", &self.headers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>())
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

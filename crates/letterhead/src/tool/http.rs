//! Tools that are calls of an HTTP API, described by templates.

mod answer;
mod arguments;
mod prepare;

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::agent::Text;
use crate::variable::{RequestParts, request_methods};

pub(crate) use prepare::{PreparedHttpTool, prepare_http_tool};

/// A tool that calls an HTTP API. The model gives the arguments; the address, the headers and the body are templates, in
/// which `args` are the arguments, and everything else is what the request behind the turn carries.
///
/// A model never sees what the templates are filled with, nor more of the answer than
/// [`with_select`](Self::with_select) lets through. What goes wrong is the call's result: the model reads it and the run
/// goes on.
///
/// What is wrong with it is found when the [`Runner`](crate::Runner) or [`Registry`](crate::Registry) is built.
///
/// ```
/// use letterhead::HttpTool;
/// use serde_json::json;
///
/// let get_order = HttpTool::new("get_order", "https://api.example.com/orders/{{ args.order_id }}")
///     .with_description("Looks an order up.")
///     .with_parameters(json!({
///         "type": "object", "required": ["order_id"], "properties": { "order_id": { "type": "string" } },
///     }))
///     .with_header("Authorization", "Bearer {{ headers.auth_token }}")
///     .with_select("order.state");
/// assert_eq!(get_order.name(), "get_order");
/// ```
#[derive(Clone, PartialEq)]
#[must_use = "a tool does nothing until it is added to a runner or registry"]
pub struct HttpTool {
    name: Arc<str>,
    description: Option<Text>,
    parameters: Value,
    request: RequestParts,
    select: Option<String>,
    max_answer: usize,
    has_effects: Option<bool>,
    needs_approval: bool,
}

impl HttpTool {
    /// A tool without parameters that calls this address. The address is a template; its scheme, host and port are
    /// literal, or from the listed environment.
    pub fn new(name: impl Into<Arc<str>>, url: impl Into<Text>) -> Self {
        Self {
            name: name.into(),
            description: None,
            parameters: json!({ "type": "object", "properties": {} }),
            request: RequestParts::new(url.into()),
            select: None,
            max_answer: 1024 * 1024,
            has_effects: None,
            needs_approval: false,
        }
    }

    /// What it does, for the model: a template that no secret may be in.
    pub fn with_description(self, text: impl Into<Text>) -> Self {
        Self { description: Some(text.into()), ..self }
    }

    /// The JSON Schema of its arguments, which the model is shown and every call is checked against. An object; where it
    /// says no `type`, it is `object`.
    pub fn with_parameters(self, schema: Value) -> Self {
        Self { parameters: schema, ..self }
    }

    request_methods!();

    /// Which part of the answer is the result, as JSONPath (RFC 9535); the leading `$.` may be left out. Without it, the
    /// whole answer. A text is told as it stands, anything else as JSON.
    pub fn with_select(self, path: impl Into<String>) -> Self {
        Self { select: Some(path.into()), ..self }
    }

    /// The most bytes that an answer may have: 1 MiB.
    pub fn with_max_answer(self, bytes: usize) -> Self {
        Self { max_answer: bytes, ..self }
    }

    /// Says whether a call may change something at the other side. Without it, all methods but GET and HEAD may. A call
    /// that may not is made again, twice, where that may help.
    pub fn with_effects(self, has_effects: bool) -> Self {
        Self { has_effects: Some(has_effects), ..self }
    }

    /// Lets a call be made only when a person has approved it: see [`Tool::needs_approval`](crate::Tool::needs_approval).
    pub fn with_approval(self) -> Self {
        Self { needs_approval: true, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The name alone: the rest may hold keys.
impl fmt::Debug for HttpTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTool").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Which part of a tool a fault is in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpToolPlace {
    /// The tool as a whole, or its name.
    Whole,
    /// What the model is told of it.
    Description,
    /// The schema of its arguments, by a JSON pointer into it.
    Parameters(String),
    /// A part of its request.
    Request(letterhead_context::RequestPlace),
    /// The path to the result.
    Select,
    /// The time that a call may take.
    Timeout,
}

//! The definition of a context variable.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::parts::{RequestParts, request_methods};
use crate::agent::Text;

/// How long a fetched value is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// For the conversation, as long as the request that fetched it would be the same.
    #[default]
    Conversation,
    /// For one turn.
    Turn,
}

/// The body of a variable's request. `Debug` does not show it.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub enum VariableBody {
    /// None.
    #[default]
    None,
    /// JSON, of which every text is a template. A text that is one expression keeps the type of its value.
    Json(Value),
    /// A form: names, with templates of the values.
    Form(Vec<(String, Text)>),
}

impl fmt::Debug for VariableBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Json(_) => "Json(…)",
            Self::Form(_) => "Form(…)",
        })
    }
}

/// A context variable: a named value that an HTTP API gives.
///
/// What is wrong with it (a name that is a root of templates, a circle, a path that does not parse) is found when the
/// [`Runner`](crate::Runner) or [`Registry`](crate::Registry) is built.
///
/// ```
/// use letterhead::{Agent, HeaderSchema, Runner, Variable};
/// use serde_json::json;
///
/// let schema = HeaderSchema::compile(&json!({ "properties": {
///     "user_id": { "type": "string" }, "auth_token": { "type": "string", "writeOnly": true },
/// } }))
/// .unwrap();
/// let user = Variable::new("user", "https://api.example.com/users/{{ headers.user_id }}")
///     .with_header("Authorization", "Bearer {{ headers.auth_token }}")
///     .with_select("user") // { "user": { "name": … } }
///     .with_default(json!({ "name": "Guest" }));
/// let runner = Runner::with_agents([Agent::new("assistant").with_instructions("You help {{ user.name }}.")])
///     .headers(schema)
///     .variable(user)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
#[must_use = "a variable does nothing until it is added to a runner or registry"]
pub struct Variable {
    pub(crate) name: Arc<str>,
    pub(super) when: When,
    pub(super) request: RequestParts,
    pub(super) select: Option<String>,
    pub(super) response_schema: Option<Value>,
    pub(super) default: Option<Value>,
    pub(super) requires: Vec<Text>,
    pub(super) optional: bool,
    pub(super) ttl: Option<Duration>,
}

impl Variable {
    /// A variable that is fetched from this address, once for the conversation. The address is a template; its scheme,
    /// host and port are literal, or from the listed environment.
    pub fn new(name: impl Into<Arc<str>>, url: impl Into<Text>) -> Self {
        Self {
            name: name.into(),
            when: When::default(),
            request: RequestParts::new(url.into()),
            select: None,
            response_schema: None,
            default: None,
            requires: Vec::new(),
            optional: false,
            ttl: None,
        }
    }

    /// How long a fetched value is good for.
    pub fn with_when(self, when: When) -> Self {
        Self { when, ..self }
    }

    request_methods!();

    /// Which part of the answer is the value, as JSONPath (RFC 9535); the leading `$.` may be left out. A path that can
    /// name one place only gives the value there; any other gives the list of what it finds.
    pub fn with_select(self, path: impl Into<String>) -> Self {
        Self { select: Some(path.into()), ..self }
    }

    /// What the answer has to be, as JSON Schema, before anything is selected from it.
    pub fn with_response_schema(self, schema: Value) -> Self {
        Self { response_schema: Some(schema), ..self }
    }

    /// The value where nothing could be fetched. It is not kept: the next turn tries again.
    pub fn with_default(self, value: Value) -> Self {
        Self { default: Some(value), ..self }
    }

    /// A template that must give something, such as `{{ headers.user_id }}`: else nothing is asked, and the variable has
    /// its default or is missing.
    pub fn with_required(mut self, template: impl Into<Text>) -> Self {
        self.requires.push(template.into());
        self
    }

    /// Lets the turn go on without the value where it cannot be fetched and there is no default.
    pub fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// How long a value is kept at most. Without it, as long as the conversation.
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The name and how long values are good for: the rest may hold keys.
impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variable").field("name", &self.name).field("when", &self.when).finish_non_exhaustive()
    }
}

//! Agents: a name, instructions, a model, and what their calls carry.

use std::fmt;
use std::sync::Arc;

use letterhead_context::RequestContext;
use serde_json::{Map, Value};

use crate::model::OutputSchema;
use crate::tool::Tool;

/// Text of a configuration that may be a template. `Debug` does not show it: it may be a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    source: Arc<str>,
    literal: bool,
}

impl Text {
    /// A template.
    pub fn template(source: impl Into<Arc<str>>) -> Self {
        Self { source: source.into(), literal: false }
    }

    /// Text that goes out as it stands, whatever it holds.
    pub fn literal(text: impl Into<Arc<str>>) -> Self {
        Self { source: text.into(), literal: true }
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Is it to be taken as it stands?
    pub fn is_literal(&self) -> bool {
        self.literal
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.literal { "Literal(…)" } else { "Template(…)" })
    }
}

impl From<&str> for Text {
    fn from(source: &str) -> Self {
        Self::template(source)
    }
}

impl From<String> for Text {
    fn from(source: String) -> Self {
        Self::template(source)
    }
}

/// Makes instructions of a request's context.
pub type InstructionsFn = Arc<dyn Fn(&RequestContext) -> String + Send + Sync>;

/// What an agent is told to be.
#[derive(Clone)]
#[non_exhaustive]
pub enum Instructions {
    /// Text, perhaps a template over the request's context.
    Text(Text),
    /// Made by the program for each model call. What it returns is told to the model as it stands.
    Function(InstructionsFn),
}

impl fmt::Debug for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Function(_) => f.write_str("Function(…)"),
        }
    }
}

/// Another agent that this one may ask, without giving the conversation away.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delegate {
    /// The agent's name.
    pub agent: Arc<str>,
    /// Does it see the conversation, rather than its input alone?
    pub history: bool,
}

impl Delegate {
    /// An agent that sees its input alone.
    pub fn new(agent: impl Into<Arc<str>>) -> Self {
        Self { agent: agent.into(), history: false }
    }

    /// Shows it the conversation too.
    #[must_use]
    pub fn with_history(self) -> Self {
        Self { history: true, ..self }
    }
}

impl From<&str> for Delegate {
    fn from(agent: &str) -> Self {
        Self::new(agent)
    }
}

impl From<String> for Delegate {
    fn from(agent: String) -> Self {
        Self::new(agent)
    }
}

impl From<Arc<str>> for Delegate {
    fn from(agent: Arc<str>) -> Self {
        Self::new(agent)
    }
}

/// An agent. Immutable, cheap to clone; every `with_…` gives a changed copy.
///
/// ```
/// use letterhead::Agent;
///
/// let agent = Agent::new("Assistant")
///     .with_instructions("You are a helpful assistant")
///     .with_header("X-Environment", "staging")
///     .with_header("X-Agent-ID", "agent-001");
/// assert_eq!(agent.name(), "Assistant");
/// ```
#[derive(Clone, Debug)]
pub struct Agent(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    name: Arc<str>,
    description: Option<Arc<str>>,
    instructions: Instructions,
    model: Option<Arc<str>>,
    headers: Vec<(String, Text)>,
    params: Map<String, Value>,
    requires: Vec<Arc<str>>,
    handoffs: Vec<Arc<str>>,
    delegates: Vec<Delegate>,
    tools: Vec<Arc<dyn Tool>>,
    tool_names: Vec<Arc<str>>,
    output: Option<OutputSchema>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("name", &self.name).field("model", &self.model).finish_non_exhaustive()
    }
}

impl Agent {
    /// An agent without instructions, on the default model.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(Parts {
            name: name.into(),
            description: None,
            instructions: Instructions::Text(Text::literal("")),
            model: None,
            headers: Vec::new(),
            params: Map::new(),
            requires: Vec::new(),
            handoffs: Vec::new(),
            delegates: Vec::new(),
            tools: Vec::new(),
            tool_names: Vec::new(),
            output: None,
        }))
    }

    fn changed(mut self, change: impl FnOnce(&mut Parts)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What it is for, told to agents that may hand over to it or ask it.
    #[must_use]
    pub fn with_description(self, text: impl Into<Arc<str>>) -> Self {
        self.changed(|parts| parts.description = Some(text.into()))
    }

    /// What it is told to be: a template over the request's context.
    #[must_use]
    pub fn with_instructions(self, text: impl Into<Text>) -> Self {
        self.changed(|parts| parts.instructions = Instructions::Text(text.into()))
    }

    /// Instructions made by the program, for each model call.
    #[must_use]
    pub fn with_instructions_from(self, make: impl Fn(&RequestContext) -> String + Send + Sync + 'static) -> Self {
        self.changed(|parts| parts.instructions = Instructions::Function(Arc::new(make)))
    }

    /// Its model, as `provider:model` or `demo`.
    #[must_use]
    pub fn with_model(self, model: impl Into<Arc<str>>) -> Self {
        self.changed(|parts| parts.model = Some(model.into()))
    }

    /// A header of its LLM calls. The value is a template.
    #[must_use]
    pub fn with_header(self, name: impl Into<String>, value: impl Into<Text>) -> Self {
        self.changed(|parts| parts.headers.push((name.into(), value.into())))
    }

    /// A field of its LLM requests, such as `temperature`.
    #[must_use]
    pub fn with_param(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.changed(|parts| {
            parts.params.insert(name.into(), value.into());
        })
    }

    /// Several of them.
    #[must_use]
    pub fn with_params(self, params: Map<String, Value>) -> Self {
        self.changed(|parts| parts.params.extend(params))
    }

    /// A context header that turns of this agent need, beyond those required of everyone.
    #[must_use]
    pub fn with_required_header(self, field: impl Into<Arc<str>>) -> Self {
        self.changed(|parts| parts.requires.push(field.into()))
    }

    /// Another agent that may take the conversation over.
    #[must_use]
    pub fn with_handoff(self, agent: impl Into<Arc<str>>) -> Self {
        self.changed(|parts| parts.handoffs.push(agent.into()))
    }

    /// Another agent that this one may ask: its name, or a [`Delegate`] that also sees the conversation.
    #[must_use]
    pub fn with_delegate(self, agent: impl Into<Delegate>) -> Self {
        self.changed(|parts| parts.delegates.push(agent.into()))
    }

    /// A tool that it may call.
    #[must_use]
    pub fn with_tool(self, tool: impl Tool + 'static) -> Self {
        self.changed(|parts| parts.tools.push(Arc::new(tool)))
    }

    /// A tool that it may call and that several agents can share, by name: an [`HttpTool`](crate::HttpTool) of the
    /// [`Runner`](crate::Runner) or [`Registry`](crate::Registry), or all the tools of one of its MCP servers
    /// ([`McpServer`](crate::McpServer)).
    #[must_use]
    pub fn with_tool_named(self, name: impl Into<Arc<str>>) -> Self {
        self.changed(|parts| parts.tool_names.push(name.into()))
    }

    /// A JSON Schema that its answers have to fit.
    ///
    /// The model is told of it, and the answer is checked. One that does not fit is not given out: the model is told what
    /// is wrong and asked once more, and then the run fails with
    /// [`UpstreamFailed`](letterhead_context::Code::UpstreamFailed). In a stream the text therefore comes in one piece, when
    /// it has been found to fit. The schema wins over a `response_format` among the fields of the request, and ends with a
    /// handoff. A refusal is not checked.
    #[must_use]
    pub fn with_output(self, output: OutputSchema) -> Self {
        self.changed(|parts| parts.output = Some(output))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its name, to keep.
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.0.name)
    }

    /// What it is for.
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// What it is told to be.
    pub fn instructions(&self) -> &Instructions {
        &self.0.instructions
    }

    /// Its model; none means the default one.
    pub fn model(&self) -> Option<&str> {
        self.0.model.as_deref()
    }

    /// The headers of its LLM calls, as configured.
    pub fn headers(&self) -> &[(String, Text)] {
        &self.0.headers
    }

    /// The fields of its LLM requests.
    pub fn params(&self) -> &Map<String, Value> {
        &self.0.params
    }

    /// The context headers that its turns need.
    pub fn requires(&self) -> &[Arc<str>] {
        &self.0.requires
    }

    /// The agents that it may hand over to.
    pub fn handoffs(&self) -> &[Arc<str>] {
        &self.0.handoffs
    }

    /// The agents that it may ask.
    pub fn delegates(&self) -> &[Delegate] {
        &self.0.delegates
    }

    /// Its tools.
    pub fn tools(&self) -> &[Arc<dyn Tool>] {
        &self.0.tools
    }

    /// The names of shared tools that it may call.
    pub fn tool_names(&self) -> &[Arc<str>] {
        &self.0.tool_names
    }

    /// The schema of its answers.
    pub fn output(&self) -> Option<&OutputSchema> {
        self.0.output.as_ref()
    }
}

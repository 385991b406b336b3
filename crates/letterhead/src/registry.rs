//! The checked set of agents and providers: everything that can be wrong is found when it is built.

mod build;
mod client_tools;
mod fault;
mod headers;
mod model_name;
mod offer;
mod prepare;
mod uses;

use std::collections::HashMap;
use std::sync::Arc;

use letterhead_context::{Credential, HeaderBudget, HeaderSchema, HeaderTemplates, InstructionsDestination, Template};
use serde_json::{Map, Value};

use crate::agent::{Agent, InstructionsFn};
use crate::lookup::{LookupSource, Source};
use crate::model::{ChatModel, ToolSpec};
use crate::output::OutputCheck;
use crate::provider::ProviderKind;
use crate::tool::{CardPool, McpPool, PreparedExternalAgent, PreparedHttpTool, PreparedMcpServer, Tool};
use crate::variable::{Fetching, PreparedVariable};

pub use build::RegistryBuilder;
pub use fault::{BuildError, RegistryFault, RegistryPlace, VariablePlace};
pub use headers::{HeaderRead, Reach, Route};
pub use model_name::ModelRef;
pub(crate) use offer::lookup_arguments;

/// The name of the built-in tool that shows what stands behind a key.
pub(crate) const LOOKUP: &str = "lookup";

/// Agents and providers, checked against each other. Shared by all runs.
#[derive(Debug)]
pub struct Registry {
    agents: Vec<Prepared>,
    by_name: HashMap<Arc<str>, usize>,
    providers: Vec<PreparedProvider>,
    default_model: Arc<str>,
    allow_models: Option<Vec<String>>,
    entry: Agent,
    schema: HeaderSchema,
    pub(crate) variables: Vec<PreparedVariable>,
    pub(crate) http_tools: Vec<Arc<PreparedHttpTool>>,
    pub(crate) mcp_servers: Vec<Arc<PreparedMcpServer>>,
    pub(crate) mcp_pool: McpPool,
    pub(crate) external_agents: Vec<Arc<PreparedExternalAgent>>,
    pub(crate) card_pool: CardPool,
    /// Where agents look up.
    pub(crate) lookup: Source,
    /// The most tokens of a conversation that a model is sent.
    pub(crate) max_history_tokens: Option<u32>,
    /// There where there are variables, HTTP tools, MCP servers or external agents.
    pub(crate) fetching: Option<Fetching>,
}

/// An agent, ready to run.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) agent: Agent,
    /// Its own model, or the default one.
    pub(crate) model: ModelRef,
    pub(crate) instructions: PreparedInstructions,
    pub(crate) headers: HeaderTemplates,
    /// Everything that its model is offered, in one order.
    pub(crate) specs: Vec<Arc<ToolSpec>>,
    pub(crate) calls: HashMap<Arc<str>, Callable>,
    /// The MCP servers whose tools it has. Which those are is known when a turn begins.
    pub(crate) mcp_servers: Vec<Arc<PreparedMcpServer>>,
    /// Where in `specs` there are tools whose descriptions are templates.
    pub(crate) described: Vec<Described>,
    /// What its answers have to be.
    pub(crate) output: Option<OutputCheck>,
    /// The context variables that its instructions, its headers and those descriptions read, by place.
    pub(crate) variables: Vec<usize>,
}

/// A tool of an agent whose description is a template.
#[derive(Debug)]
pub(crate) struct Described {
    /// Where it is among what is offered.
    pub(crate) at: usize,
    pub(crate) tool: Arc<PreparedHttpTool>,
    pub(crate) destination: InstructionsDestination,
}

/// What an agent is told to be, ready to be rendered.
pub(crate) enum PreparedInstructions {
    /// The same each time; nothing if it is blank.
    Literal(Option<Arc<str>>),
    Template(Template, InstructionsDestination),
    Function(InstructionsFn),
}

impl std::fmt::Debug for PreparedInstructions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Literal(_) => "Literal(…)",
            Self::Template(..) => "Template(…)",
            Self::Function(_) => "Function(…)",
        })
    }
}

/// What a tool's name stands for.
#[derive(Clone)]
pub(crate) enum Callable {
    Tool(Arc<dyn Tool>),
    HttpTool(Arc<PreparedHttpTool>),
    Handoff(Arc<str>),
    AskAgent,
    Lookup,
}

impl std::fmt::Debug for Callable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tool(_) => "Tool",
            Self::HttpTool(_) => "HttpTool",
            Self::Handoff(_) => "Handoff",
            Self::AskAgent => "AskAgent",
            Self::Lookup => "Lookup",
        })
    }
}

/// A provider, ready to be called.
pub(crate) struct PreparedProvider {
    pub(crate) name: Arc<str>,
    pub(crate) kind: ProviderKind,
    /// Is it the demo model that is there without being asked for?
    pub(crate) is_built_in: bool,
    /// As a trail names it.
    pub(crate) destination: Arc<str>,
    pub(crate) model: Arc<dyn ChatModel>,
    pub(crate) credential: Option<Credential>,
    pub(crate) headers: HeaderTemplates,
    pub(crate) params: Map<String, Value>,
    pub(crate) budget: HeaderBudget,
    pub(crate) trace: bool,
    /// The context variables that its headers read, by place.
    pub(crate) variables: Vec<usize>,
}

impl std::fmt::Debug for PreparedProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Registry {
    /// Collects agents and providers.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    /// The same, with something to look up for agents that have the tool `lookup`: see [`crate::lookup`]. For programs that
    /// open what they keep documents in after they have checked their agents.
    #[must_use]
    pub fn with_lookup(mut self, source: Arc<dyn LookupSource>) -> Self {
        self.lookup = Source::new(source);
        self
    }

    /// The agent that answers when none is asked for.
    pub fn entry(&self) -> &Agent {
        &self.entry
    }

    /// An agent by name.
    pub fn agent(&self, name: &str) -> Option<&Agent> {
        self.prepared(name).map(|prepared| &prepared.agent)
    }

    /// The agents, in the order in which they were given.
    pub fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.iter().map(|prepared| &prepared.agent)
    }

    /// The declaration of context headers.
    pub fn schema(&self) -> &HeaderSchema {
        &self.schema
    }

    /// The names of the context variables, in the order in which they were given.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|variable| &*variable.name)
    }

    /// The model of agents that name none.
    pub fn default_model(&self) -> &str {
        &self.default_model
    }

    /// An external agent by name.
    pub(crate) fn external_agent(&self, name: &str) -> Option<&Arc<PreparedExternalAgent>> {
        self.external_agents.iter().find(|agent| *agent.endpoint.name == *name)
    }

    /// The place of a context variable.
    pub(crate) fn variable(&self, name: &str) -> Option<usize> {
        self.variables.iter().position(|variable| &*variable.name == name)
    }

    pub(crate) fn prepared(&self, name: &str) -> Option<&Prepared> {
        self.by_name.get(name).and_then(|at| self.agents.get(*at))
    }
}

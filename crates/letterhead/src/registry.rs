//! The checked set of agents and providers: everything that can be wrong is found when it is built.

mod build;
mod client_tools;
mod fault;
mod headers;
mod model_name;
mod offer;
mod prepare;

use std::collections::HashMap;
use std::sync::Arc;

use letterhead_context::{Credential, HeaderBudget, HeaderSchema, HeaderTemplates, InstructionsDestination, Template};
use serde_json::{Map, Value};

use crate::agent::{Agent, InstructionsFn};
use crate::model::{ChatModel, ToolSpec};
use crate::provider::ProviderKind;
use crate::tool::Tool;

pub use build::RegistryBuilder;
pub use fault::{RegistryFault, RegistryPlace};
pub use headers::{HeaderRead, Reach, Route};
pub use model_name::ModelRef;

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
    Handoff(Arc<str>),
    AskAgent,
}

impl std::fmt::Debug for Callable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tool(_) => "Tool",
            Self::Handoff(_) => "Handoff",
            Self::AskAgent => "AskAgent",
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

    /// The model of agents that name none.
    pub fn default_model(&self) -> &str {
        &self.default_model
    }

    pub(crate) fn prepared(&self, name: &str) -> Option<&Prepared> {
        self.by_name.get(name).and_then(|at| self.agents.get(*at))
    }
}

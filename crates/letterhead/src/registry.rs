//! The checked set of agents and providers: everything that can be wrong is found when it is built.

mod build;
mod model_name;

use std::collections::HashMap;
use std::sync::Arc;

use letterhead_context::{Credential, HeaderBudget, HeaderSchema, HeaderTemplates, Read, Template};
use serde_json::{Map, Value};

use crate::agent::Agent;
use crate::model::{ChatModel, ToolSpec};
use crate::provider::ProviderKind;
use crate::tool::Tool;

pub use build::{RegistryBuilder, RegistryFault, RegistryPlace};
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
    /// Absent where the program makes the instructions.
    pub(crate) instructions: Option<Template>,
    pub(crate) headers: HeaderTemplates,
    /// Everything that its model is offered, in one order.
    pub(crate) specs: Vec<Arc<ToolSpec>>,
    pub(crate) calls: HashMap<Arc<str>, Callable>,
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
    /// As a trail names it.
    pub(crate) destination: Arc<str>,
    pub(crate) model: Arc<dyn ChatModel>,
    pub(crate) credential: Option<Credential>,
    pub(crate) headers: HeaderTemplates,
    pub(crate) params: Map<String, Value>,
    pub(crate) budget: HeaderBudget,
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

/// A header that something reads: who, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRead {
    /// The declared header.
    pub header: Arc<str>,
    /// The destination, as a trail names it.
    pub destination: Arc<str>,
    /// The outbound header that it goes into; none for instructions.
    pub into: Option<Arc<str>>,
}

impl Registry {
    /// Every declared header that a template names, with where it goes: known from the configuration alone.
    pub fn header_reads(&self) -> Vec<HeaderRead> {
        let mut found = Vec::new();
        let mut note = |read: &Read, destination: &Arc<str>, into: Option<&str>| {
            if let Read::Header { name, .. } = read {
                let (header, destination) = (Arc::clone(name), Arc::clone(destination));
                found.push(HeaderRead { header, destination, into: into.map(Arc::from) });
            }
        };
        for provider in &self.providers {
            if let Some(credential) = &provider.credential {
                credential.reads().iter().for_each(|read| note(read, &provider.destination, Some("credential")));
            }
            provider.headers.reads().for_each(|(into, read)| note(read, &provider.destination, Some(into)));
        }
        for prepared in &self.agents {
            let name = prepared.agent.name();
            let instructions: Arc<str> = format!("agents.{name}.instructions").into();
            let reads = prepared.instructions.iter().flat_map(|template| template.reads());
            reads.for_each(|read| note(read, &instructions, None));
            let headers: Arc<str> = format!("agents.{name}.headers").into();
            prepared.headers.reads().for_each(|(into, read)| note(read, &headers, Some(into)));
        }
        found
    }
}

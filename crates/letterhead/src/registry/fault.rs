//! What can be wrong with a set of agents and providers.

use std::fmt;
use std::sync::Arc;

use letterhead_context::RequestPlace;

use crate::tool::{ExternalAgentPlace, HttpToolPlace, McpServerPlace};

/// Which part of an agent or provider a fault is in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryPlace {
    /// The set as a whole.
    Registry,
    /// An agent.
    Agent(Arc<str>),
    /// An agent's instructions.
    Instructions(Arc<str>),
    /// A header of an agent.
    AgentHeader(Arc<str>, String),
    /// A required header of an agent.
    Requires(Arc<str>, usize),
    /// A handoff of an agent.
    Handoff(Arc<str>, usize),
    /// A delegate of an agent.
    Delegate(Arc<str>, usize),
    /// An agent's model.
    AgentModel(Arc<str>),
    /// The default model.
    DefaultModel,
    /// A provider.
    Provider(Arc<str>),
    /// A provider's key.
    ApiKey(Arc<str>),
    /// A header of a provider.
    ProviderHeader(Arc<str>, String),
    /// A part of a context variable.
    Variable(Arc<str>, VariablePlace),
    /// A part of an HTTP tool.
    HttpTool(Arc<str>, HttpToolPlace),
    /// A part of an MCP server.
    McpServer(Arc<str>, McpServerPlace),
    /// A part of an external agent.
    ExternalAgent(Arc<str>, ExternalAgentPlace),
    /// One of the tools that an agent names.
    ToolName(Arc<str>, usize),
    /// The schema of an agent's answers, by a JSON pointer into it.
    Output(Arc<str>, String),
}

/// Which part of a context variable a fault is in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VariablePlace {
    /// The variable as a whole, or its name.
    Whole,
    /// A part of its request.
    Request(RequestPlace),
    /// One of the templates that have to give something.
    Requires(usize),
    /// The path to the value.
    Select,
    /// The schema of the answer, by a JSON pointer into it.
    ResponseSchema(String),
    /// The time that a fetch may take.
    Timeout,
}

/// A set of agents that cannot run: every fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct BuildError(pub Vec<RegistryFault>);

/// A fault of a set of agents and providers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryFault {
    /// What is at fault.
    pub place: RegistryPlace,
    /// Line and column within a template's text, counted from 1.
    pub position: Option<(usize, usize)>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for RegistryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            RegistryPlace::Registry | RegistryPlace::DefaultModel => f.write_str(&self.message),
            RegistryPlace::Agent(name)
            | RegistryPlace::Instructions(name)
            | RegistryPlace::AgentHeader(name, _)
            | RegistryPlace::Requires(name, _)
            | RegistryPlace::Handoff(name, _)
            | RegistryPlace::Delegate(name, _)
            | RegistryPlace::ToolName(name, _)
            | RegistryPlace::Output(name, _)
            | RegistryPlace::AgentModel(name) => write!(f, "agent `{name}`: {}", self.message),
            RegistryPlace::Provider(name) | RegistryPlace::ApiKey(name) | RegistryPlace::ProviderHeader(name, _) => {
                write!(f, "provider `{name}`: {}", self.message)
            }
            RegistryPlace::Variable(name, VariablePlace::Request(place)) => {
                write!(f, "context variable `{name}`, {place}: {}", self.message)
            }
            RegistryPlace::Variable(name, _) => write!(f, "context variable `{name}`: {}", self.message),
            RegistryPlace::HttpTool(name, HttpToolPlace::Request(place)) => {
                write!(f, "tool `{name}`, {place}: {}", self.message)
            }
            RegistryPlace::HttpTool(name, _) => write!(f, "tool `{name}`: {}", self.message),
            RegistryPlace::McpServer(name, McpServerPlace::Request(place)) => {
                write!(f, "MCP server `{name}`, {place}: {}", self.message)
            }
            RegistryPlace::McpServer(name, _) => write!(f, "MCP server `{name}`: {}", self.message),
            RegistryPlace::ExternalAgent(name, ExternalAgentPlace::Request(place)) => {
                write!(f, "external agent `{name}`, {place}: {}", self.message)
            }
            RegistryPlace::ExternalAgent(name, _) => write!(f, "external agent `{name}`: {}", self.message),
        }
    }
}

impl RegistryFault {
    /// A fault that is not within a template.
    pub(crate) fn at(place: RegistryPlace, message: impl Into<String>) -> Self {
        Self { place, position: None, message: message.into() }
    }
}

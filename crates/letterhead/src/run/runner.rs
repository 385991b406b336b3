//! The library's way in: build a [`Runner`] of agents, and run.

use std::sync::Arc;

use letterhead_context::HeaderSchema;

use super::limits::Limits;
use super::single::Run;
use crate::agent::Agent;
use crate::outbound::GuardedClient;
use crate::provider::Provider;
use crate::registry::{Registry, RegistryBuilder, RegistryFault};
use crate::tool::{HttpTool, McpServer};
use crate::variable::Variable;

/// Agents that are ready to run. Cheap to clone.
///
/// ```
/// use letterhead::{Agent, Runner};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let agent = Agent::new("Assistant").with_instructions("You are a helpful assistant").with_header("X-Environment", "staging");
/// let runner = Runner::with_agents([agent]).build()?;
/// let result = runner.run("Hello!").header("X-Environment", "production")?.await?;
/// assert!(!result.output.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Runner {
    registry: Arc<Registry>,
    limits: Limits,
}

/// Collects what a [`Runner`] needs.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct RunnerBuilder {
    registry: RegistryBuilder,
    limits: Limits,
}

/// A set of agents that cannot run: every fault.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct BuildError(pub Vec<RegistryFault>);

impl Runner {
    /// Starts from agents; the first is the entry.
    pub fn with_agents(agents: impl IntoIterator<Item = Agent>) -> RunnerBuilder {
        let registry = agents.into_iter().fold(Registry::builder(), RegistryBuilder::agent);
        RunnerBuilder { registry, limits: Limits::default() }
    }

    /// A run that answers one message.
    pub fn run(&self, input: impl Into<String>) -> Run {
        Run::new(self, &input.into())
    }

    /// The checked set of agents and providers.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }
}

impl RunnerBuilder {
    /// Adds a provider of models. Without one there is the demo model.
    pub fn provider(mut self, provider: Provider) -> Self {
        self.registry = self.registry.provider(provider);
        self
    }

    /// The model of agents that name none, as `provider:model`.
    pub fn default_model(mut self, name: impl Into<Arc<str>>) -> Self {
        self.registry = self.registry.default_model(name);
        self
    }

    /// The models that agents may choose for those that they ask. A pattern may end with `*`.
    pub fn allow_models(mut self, patterns: Vec<String>) -> Self {
        self.registry = self.registry.allow_models(patterns);
        self
    }

    /// The declaration of context headers.
    pub fn headers(mut self, schema: HeaderSchema) -> Self {
        self.registry = self.registry.schema(schema);
        self
    }

    /// Adds a context variable, which templates then read by its name.
    pub fn variable(mut self, variable: Variable) -> Self {
        self.registry = self.registry.variable(variable);
        self
    }

    /// Adds an HTTP tool, for the agents that [name](Agent::with_tool_named) it.
    pub fn http_tool(mut self, tool: HttpTool) -> Self {
        self.registry = self.registry.http_tool(tool);
        self
    }

    /// Adds an MCP server, for the agents that [name](Agent::with_tool_named) it.
    pub fn mcp_server(mut self, server: McpServer) -> Self {
        self.registry = self.registry.mcp_server(server);
        self
    }

    /// The client for calls out to anything but a provider. Without it, one that goes to the public internet alone.
    pub fn guarded_client(mut self, client: GuardedClient) -> Self {
        self.registry = self.registry.guarded_client(client);
        self
    }

    /// What bounds every run.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// All faults at once.
    pub fn build(self) -> Result<Runner, BuildError> {
        let registry = self.registry.build().map_err(BuildError)?;
        Ok(Runner { registry: Arc::new(registry), limits: self.limits })
    }
}

//! The library's way in: build a [`Runner`] of agents, and run.

use std::sync::Arc;

use letterhead_context::{HeaderSchema, Problem, RequestContext};

use super::approval::ApprovalAnswer;
use super::event::RunEvent;
use super::hook::{Hooks, NewHook};
use super::limits::Limits;
use super::result::RunResult;
use super::single::Run;
use crate::agent::Agent;
use crate::lookup::LookupSource;
use crate::outbound::GuardedClient;
use crate::provider::Provider;
use crate::registry::{BuildError, Registry, RegistryBuilder, RegistryFault, RegistryPlace};
use crate::tool::{ExternalAgent, HttpTool, McpServer};
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
    hooks: Hooks,
}

/// Collects what a [`Runner`] needs.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct RunnerBuilder {
    registry: RegistryBuilder,
    limits: Limits,
    hooks: Vec<NewHook>,
}

impl Runner {
    /// Starts from agents; the first is the entry.
    pub fn with_agents(agents: impl IntoIterator<Item = Agent>) -> RunnerBuilder {
        let registry = agents.into_iter().fold(Registry::builder(), RegistryBuilder::agent);
        RunnerBuilder { registry, limits: Limits::default(), hooks: Vec::new() }
    }

    /// A run that answers one message.
    pub fn run(&self, input: impl Into<String>) -> Run {
        Run::new(self, &input.into())
    }

    /// A run that goes on where calls wait for a person's [approval](RunResult::approvals): those that were approved are made,
    /// the model is told of those that were refused, and it is called again. What was not answered waits further.
    ///
    /// A call is made each time its approval is given: keep the new result in place of the earlier one, one run at a time. A
    /// [run](Self::run) that goes on with a new message instead leaves the calls unmade, which the model is told.
    ///
    /// ```
    /// use letterhead::run::PendingApproval;
    /// use letterhead::{Agent, FunctionTool, Runner, ToolContext, ToolError};
    /// use schemars::JsonSchema;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct Refund {
    ///     order_id: u32,
    /// }
    ///
    /// async fn refund(refund: Refund, _: ToolContext) -> Result<String, ToolError> {
    ///     Ok(format!("Order {} is refunded.", refund.order_id))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let tool = FunctionTool::new("refund", "Gives money back.", refund)?.with_approval();
    /// let runner = Runner::with_agents([Agent::new("shop").with_tool(tool)]).build()?;
    ///
    /// let waiting = runner.run("/tool refund {\"order_id\": 7}").await?;
    /// assert_eq!(&*waiting.approvals[0].name, "refund"); // Ask somebody who may decide.
    /// let result = runner.resume(&waiting, waiting.approvals.iter().map(PendingApproval::approve))?.await?;
    /// assert!(result.output.contains("Order 7 is refunded."));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no answer, or one of them is for no call that waits.
    pub fn resume(
        &self,
        result: &RunResult,
        answers: impl IntoIterator<Item = ApprovalAnswer>,
    ) -> Result<Run, Problem> {
        Run::resuming(self, result, answers)
    }

    /// The checked set of agents and providers.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Waits until every [hook](RunnerBuilder::hook) has been told of all that has happened until now. For the end of a
    /// program, and for tests: runs do not wait for hooks.
    pub async fn hooks_caught_up(&self) {
        self.hooks.caught_up().await;
    }

    pub(super) fn hooks(&self) -> &Hooks {
        &self.hooks
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

    /// Narrows the models that a request may choose, and lets agents choose among them for those that they ask. In a pattern
    /// `*` stands for any text: `openai:gpt-*`.
    pub fn allow_models(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
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

    /// Adds an agent on another machine, for the agents that have it among their [delegates](Agent::with_delegate).
    pub fn external_agent(mut self, agent: ExternalAgent) -> Self {
        self.registry = self.registry.external_agent(agent);
        self
    }

    /// What agents find with the tool `lookup`: see [`crate::lookup`].
    pub fn lookup(mut self, source: impl LookupSource + 'static) -> Self {
        self.registry = self.registry.lookup(source);
        self
    }

    /// The client for calls out to anything but a provider. Without it, one that goes to the public internet alone.
    pub fn guarded_client(mut self, client: GuardedClient) -> Self {
        self.registry = self.registry.guarded_client(client);
        self
    }

    /// Sends models no more than so many tokens of a conversation, at least 1,000; without it, all of it.
    ///
    /// What is longer is shortened in its middle: long messages first, then whole exchanges. The model is offered the tool
    /// `lookup`, which shows what was left out. The result has all messages. Tokens are an estimate; instructions and tools
    /// are not among them.
    ///
    /// ```
    /// use letterhead::{Agent, Runner};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let runner = Runner::with_agents([Agent::new("assistant")]).max_history_tokens(20_000).build()?;
    /// # let result = runner.run("Hello!").await?;
    /// # assert!(!result.output.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn max_history_tokens(mut self, tokens: u32) -> Self {
        self.registry = self.registry.max_history_tokens(tokens);
        self
    }

    /// Sets what has no method of its own here, such as the operator's [credentials](RegistryBuilder::credentials) that
    /// templates may read.
    pub fn registry(mut self, change: impl FnOnce(RegistryBuilder) -> RegistryBuilder) -> Self {
        self.registry = change(self.registry);
        self
    }

    /// What bounds every run.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A function that is told what happens in every run of this runner, with the context of its request: for logs and
    /// figures.
    ///
    /// It hears and has no say. It has a thread of its own, so it may block; runs do not wait for it, and a panic in it is
    /// noted in the log and ends there. It is told each event once, those of one run in their order, and of children as
    /// [`RunEvent::Child`]. One that is 4,096 events behind is not told of further ones until it has caught up; how many
    /// they were is in the log. A run that is refused for its headers, before it begins, is not told.
    ///
    /// ```
    /// use letterhead::{Agent, RunEvent, Runner};
    /// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let tokens = Arc::new(AtomicU64::new(0));
    /// let sum = Arc::clone(&tokens);
    /// let runner = Runner::with_agents([Agent::new("assistant")])
    ///     .hook(move |_request, event| {
    ///         if let RunEvent::RunCompleted { usage, .. } = event {
    ///             sum.fetch_add(usage.total_tokens(), Ordering::Relaxed);
    ///         }
    ///     })
    ///     .build()?;
    /// let result = runner.run("Hello!").await?;
    /// runner.hooks_caught_up().await;
    /// assert_eq!(tokens.load(Ordering::Relaxed), result.usage.total_tokens());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn hook(mut self, hook: impl FnMut(&RequestContext, &RunEvent) + Send + 'static) -> Self {
        self.hooks.push(NewHook::new(hook));
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// All faults at once.
    pub fn build(self) -> Result<Runner, BuildError> {
        let registry = self.registry.build()?;
        let hooks = Hooks::start(self.hooks).map_err(|error| {
            let message = format!("the thread of a hook could not be started: {error}");
            BuildError(vec![RegistryFault::at(RegistryPlace::Registry, message)])
        })?;
        Ok(Runner { registry: Arc::new(registry), limits: self.limits, hooks })
    }
}

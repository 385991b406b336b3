//! Builds a registry, and reports every fault at once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use letterhead_context::name::folded;
use letterhead_context::{HeaderSchema, Scope};
use letterhead_store::{Clock, Fingerprints};

use super::model_name::resolve;
use super::prepare::{Known, prepare_agent, prepare_provider};
use super::{BuildError, LOOKUP, PreparedProvider, Registry, RegistryFault, RegistryPlace};
use crate::agent::Agent;
use crate::history::LEAST_TOKENS;
use crate::lookup::{LookupSource, Source};
use crate::outbound::{GuardedClient, RetryPolicy};
use crate::provider::Provider;
use crate::tool::{
    CardPool, ExternalAgent, ExternalAgentPlace, HttpTool, HttpToolPlace, McpPool, McpServer, McpServerPlace,
    PreparedHttpTool, prepare_external_agents, prepare_http_tool, prepare_mcp_servers,
};
use crate::variable::{FetchingParts, Variable, prepare_variables};

/// Collects agents and providers, and checks them.
#[derive(Debug, Default)]
pub struct RegistryBuilder {
    agents: Vec<Agent>,
    providers: Vec<Provider>,
    entry: Option<Arc<str>>,
    default_model: Option<Arc<str>>,
    allow_models: Option<Vec<String>>,
    schema: HeaderSchema,
    env: Vec<String>,
    credentials: Vec<String>,
    variables: Vec<Variable>,
    http_tools: Vec<HttpTool>,
    mcp_servers: Vec<McpServer>,
    external_agents: Vec<ExternalAgent>,
    max_history_tokens: Option<u32>,
    lookup: Source,
    fetching: FetchingParts,
}

impl RegistryBuilder {
    /// Adds an agent.
    #[must_use]
    pub fn agent(mut self, agent: Agent) -> Self {
        self.agents.push(agent);
        self
    }

    /// Adds a provider. The demo model needs none.
    #[must_use]
    pub fn provider(mut self, provider: Provider) -> Self {
        self.providers.push(provider);
        self
    }

    /// The agent that answers when none is asked for; without it, the first.
    #[must_use]
    pub fn entry(mut self, name: impl Into<Arc<str>>) -> Self {
        self.entry = Some(name.into());
        self
    }

    /// The model of agents that name none; without it, the demo model.
    #[must_use]
    pub fn default_model(mut self, name: impl Into<Arc<str>>) -> Self {
        self.default_model = Some(name.into());
        self
    }

    /// Narrows the models that callers may choose, and lets agents choose among them for those that they ask. In a pattern
    /// `*` stands for any text: `openai:gpt-*`.
    #[must_use]
    pub fn allow_models(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allow_models = Some(patterns.into_iter().map(Into::into).collect());
        self
    }

    /// The declaration of context headers, which templates are checked against.
    #[must_use]
    pub fn schema(mut self, schema: HeaderSchema) -> Self {
        self.schema = schema;
        self
    }

    /// The environment names that headers of destinations may read. The values come with the context of each request:
    /// [`RequestContextBuilder::env`](letterhead_context::RequestContextBuilder::env).
    #[must_use]
    pub fn env(mut self, names: Vec<String>) -> Self {
        self.env = names;
        self
    }

    /// The names of the operator's credentials that destinations may read. The values come with the context of each request,
    /// so that they may change while the program runs:
    /// [`RequestContextBuilder::credentials`](letterhead_context::RequestContextBuilder::credentials).
    #[must_use]
    pub fn credentials(mut self, names: Vec<String>) -> Self {
        self.credentials = names;
        self
    }

    /// Adds a context variable, which templates then read by its name.
    #[must_use]
    pub fn variable(mut self, variable: Variable) -> Self {
        self.variables.push(variable);
        self
    }

    /// Adds an HTTP tool, for the agents that [name](Agent::with_tool_named) it.
    #[must_use]
    pub fn http_tool(mut self, tool: HttpTool) -> Self {
        self.http_tools.push(tool);
        self
    }

    /// Adds an MCP server, for the agents that [name](Agent::with_tool_named) it.
    #[must_use]
    pub fn mcp_server(mut self, server: McpServer) -> Self {
        self.mcp_servers.push(server);
        self
    }

    /// Adds an agent on another machine, for the agents that have it among their [delegates](Agent::with_delegate).
    #[must_use]
    pub fn external_agent(mut self, agent: ExternalAgent) -> Self {
        self.external_agents.push(agent);
        self
    }

    /// What agents find with the tool `lookup`: see [`crate::lookup`].
    #[must_use]
    pub fn lookup(mut self, source: impl LookupSource + 'static) -> Self {
        self.lookup = Source::new(Arc::new(source));
        self
    }

    /// Sends models no more than so many tokens of a conversation; without it, all of it. What is longer is shortened in its
    /// middle, and the tool `lookup` shows what is left out: see [`RunnerBuilder::max_history_tokens`].
    ///
    /// [`RunnerBuilder::max_history_tokens`]: crate::RunnerBuilder::max_history_tokens
    #[must_use]
    pub fn max_history_tokens(mut self, tokens: u32) -> Self {
        self.max_history_tokens = Some(tokens);
        self
    }

    /// The client for calls out to anything but a provider; without it, one that goes to the public internet alone.
    #[must_use]
    pub fn guarded_client(mut self, client: GuardedClient) -> Self {
        self.fetching.client = Some(client);
        self
    }

    /// How fetches that fail are repeated, where the method is safe and the fault may pass; without it, twice.
    #[must_use]
    pub fn fetch_retry(mut self, retry: RetryPolicy) -> Self {
        self.fetching.retry = retry;
        self
    }

    /// What tells whether a kept variable's request is still the same; without it, fingerprints without a key, of which
    /// those of requests with a secret hold for this process alone.
    #[must_use]
    pub fn fingerprints(mut self, fingerprints: Arc<Fingerprints>) -> Self {
        self.fetching.fingerprints = Some(fingerprints);
        self
    }

    /// The clock by which kept variables age; without it, the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.fetching.clock = Some(clock);
        self
    }

    /// Checks everything against everything.
    ///
    /// # Errors
    ///
    /// Lists every fault at once: names that are none, twice there or too alike, unknown models, targets and headers,
    /// tools of one name, templates that do not compile, headers that cannot be sent.
    pub fn build(self) -> Result<Registry, BuildError> {
        let mut faults = Vec::new();
        let variables: Vec<String> = self.variables.iter().map(|variable| variable.name().to_owned()).collect();
        let scope =
            Scope { variables: &variables, env: &self.env, credentials: &self.credentials, ..Scope::of(&self.schema) };
        let variables = prepare_variables(&self.variables, scope, &mut faults);
        let http_tools = prepare_http_tools(&self.http_tools, scope, &mut faults);
        let mcp_servers = prepare_mcp_servers(&self.mcp_servers, scope, &mut faults);
        let external_agents = prepare_external_agents(&self.external_agents, scope, &mut faults);
        for external in &self.external_agents {
            if self.agents.iter().any(|agent| agent.name() == external.name()) {
                let place = RegistryPlace::ExternalAgent(external.name().into(), ExternalAgentPlace::Whole);
                let message = "an agent has this name too: agents name both among their delegates";
                faults.push(RegistryFault::at(place, message));
            }
        }
        for server in &self.mcp_servers {
            if self.http_tools.iter().any(|tool| tool.name() == server.name()) {
                let place = RegistryPlace::McpServer(server.name().into(), McpServerPlace::Whole);
                let message = "a tool has this name too: agents name both in one list";
                faults.push(RegistryFault::at(place, message));
            }
        }
        let message = || format!("`{LOOKUP}` is the built-in tool that looks documents up: call this something else");
        for tool in self.http_tools.iter().filter(|tool| tool.name() == LOOKUP) {
            let place = RegistryPlace::HttpTool(tool.name().into(), HttpToolPlace::Whole);
            faults.push(RegistryFault::at(place, message()));
        }
        for server in self.mcp_servers.iter().filter(|server| server.name() == LOOKUP) {
            let place = RegistryPlace::McpServer(server.name().into(), McpServerPlace::Whole);
            faults.push(RegistryFault::at(place, message()));
        }
        check_providers(&self.providers, &mut faults);
        if self.max_history_tokens.is_some_and(|tokens| tokens < LEAST_TOKENS) {
            let message = format!("a conversation cannot be bounded to fewer than {LEAST_TOKENS} tokens");
            faults.push(RegistryFault::at(RegistryPlace::Registry, message));
        }
        let mut providers: Vec<_> =
            self.providers.iter().map(|provider| prepare_provider(provider, scope, &mut faults)).collect();
        if !providers.iter().any(|provider| &*provider.name == "demo") {
            let demo = prepare_provider(&Provider::demo("demo"), scope, &mut faults);
            providers.push(PreparedProvider { is_built_in: true, ..demo });
        }
        let default_model = self.default_model.clone().unwrap_or_else(|| Arc::from("demo"));
        let default = resolve(&providers, &default_model);
        if default.is_none() {
            faults.push(unknown_model(RegistryPlace::DefaultModel, &default_model, &providers));
        }
        let by_name = check_names(&self.agents, &mut faults);
        let known = Known {
            scope,
            descriptions: &self
                .agents
                .iter()
                .map(|agent| (agent.name(), agent.description()))
                .collect::<BTreeMap<_, _>>(),
            allow_models: self.allow_models.as_deref(),
            http_tools: &self.http_tools,
            prepared_tools: &http_tools.iter().map(|tool| (tool.spec.name(), tool)).collect(),
            mcp_servers: &self.mcp_servers,
            prepared_servers: &mcp_servers,
            external_agents: &self.external_agents,
            bounds_history: self.max_history_tokens.is_some(),
        };
        let mut agents = Vec::with_capacity(self.agents.len());
        for agent in &self.agents {
            let model = match agent.model() {
                None => default.clone(),
                Some(name) => {
                    let model = resolve(&providers, name);
                    if model.is_none() {
                        faults.push(unknown_model(RegistryPlace::AgentModel(agent.shared_name()), name, &providers));
                    }
                    model
                }
            };
            // Without a model nothing is built, but the agent's other faults are told too.
            agents.extend(prepare_agent(agent, model, known, &mut faults));
        }
        let entry = match &self.entry {
            None => self.agents.first(),
            Some(name) => by_name.get(name).and_then(|at| self.agents.get(*at)),
        };
        let Some(entry) = entry.cloned() else {
            let message = match &self.entry {
                Some(name) if !self.agents.is_empty() => format!("the entry agent `{name}` does not exist"),
                _ => "there is no agent".to_owned(),
            };
            faults.push(RegistryFault::at(RegistryPlace::Registry, message));
            return Err(BuildError(faults));
        };
        if !faults.is_empty() {
            return Err(BuildError(faults));
        }
        let Self { schema, allow_models, fetching, max_history_tokens, lookup, .. } = self;
        let calls_out = !variables.is_empty() || !http_tools.is_empty() || !mcp_servers.is_empty();
        let calls_out = calls_out || !external_agents.is_empty();
        let exchanges = variables.iter().any(|variable| variable.exchange.is_some())
            || http_tools.iter().any(|tool| tool.exchange.is_some())
            || mcp_servers.iter().any(|server| server.endpoint.exchange.is_some())
            || external_agents.iter().any(|agent| agent.endpoint.exchange.is_some());
        let fetching =
            if !calls_out { None } else { Some(fetching.ready(exchanges).map_err(|fault| BuildError(vec![fault]))?) };
        Ok(Registry {
            agents,
            by_name,
            providers,
            default_model,
            allow_models,
            entry,
            schema,
            variables,
            http_tools,
            mcp_servers,
            mcp_pool: McpPool::default(),
            external_agents,
            card_pool: CardPool::default(),
            max_history_tokens,
            lookup,
            fetching,
        })
    }
}

fn prepare_http_tools(
    tools: &[HttpTool],
    scope: Scope<'_>,
    faults: &mut Vec<RegistryFault>,
) -> Vec<Arc<PreparedHttpTool>> {
    let mut names = HashSet::with_capacity(tools.len());
    for tool in tools {
        if !names.insert(tool.name()) {
            let place = RegistryPlace::HttpTool(tool.name().into(), HttpToolPlace::Whole);
            faults.push(RegistryFault::at(place, "there are two tools of this name"));
        }
    }
    tools.iter().filter_map(|tool| prepare_http_tool(tool, scope, faults)).map(Arc::new).collect()
}

fn unknown_model(place: RegistryPlace, name: &str, providers: &[PreparedProvider]) -> RegistryFault {
    let there = providers.iter().map(|provider| format!("`{}:…`", provider.name)).collect::<Vec<_>>().join(", ");
    let message = format!("the model `{name}` is at no known provider; write `provider:model`, with one of {there}");
    RegistryFault::at(place, message)
}

fn check_providers(providers: &[Provider], faults: &mut Vec<RegistryFault>) {
    for (at, provider) in providers.iter().enumerate() {
        let place = || RegistryPlace::Provider(Arc::clone(&provider.name));
        if provider.name.is_empty() || provider.name.contains(':') {
            let message = "a provider's name is not empty and holds no `:`, which ends it in `provider:model`";
            faults.push(RegistryFault::at(place(), message));
        }
        if providers.iter().take(at).any(|earlier| earlier.name == provider.name) {
            faults.push(RegistryFault::at(place(), "there are two providers of this name"));
        }
    }
}

/// Where each agent stands. Names must differ by more than case and the separator: models mix the tools
/// `handoff_to_<agent>` up otherwise.
fn check_names(agents: &[Agent], faults: &mut Vec<RegistryFault>) -> HashMap<Arc<str>, usize> {
    let mut by_name: HashMap<Arc<str>, usize> = HashMap::with_capacity(agents.len());
    let mut seen: HashMap<String, &str> = HashMap::with_capacity(agents.len());
    for (at, agent) in agents.iter().enumerate() {
        let message = match seen.insert(folded(agent.name()), agent.name()) {
            Some(other) if other == agent.name() => "there are two agents of this name".to_owned(),
            Some(other) => format!(
                "its name is too like `{other}`: names differ by more than case, `-` and `_`, for `handoff_to_…` is made of them"
            ),
            None => String::new(),
        };
        if !message.is_empty() {
            faults.push(RegistryFault::at(RegistryPlace::Agent(agent.shared_name()), message));
        }
        by_name.insert(agent.shared_name(), at);
    }
    by_name
}

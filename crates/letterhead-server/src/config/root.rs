//! The whole configuration, typed.

use serde_json::Value as Json;

use super::{
    agents::{self, Agent},
    auth::Auth,
    context::{self, ContextVariable},
    credentials::{self, Credential},
    declared,
    egress::Egress,
    environment::{self, Variable},
    external_agents::{self, ExternalAgent},
    history::History,
    interpolate::Environment,
    limits::Limits,
    mcp_servers::{self, McpServer},
    models::{self, Model, ModelPattern},
    nearest,
    providers::Providers,
    runtime_headers::{self, RuntimeHeader},
    section::Section,
    server::{Cors, Server},
    sessions::Sessions,
    store::Store,
    tools::{self, HttpTool},
    written_secrets,
};

/// The tool that agents have without a definition: it looks documents up.
const BUILT_IN_TOOL: &str = "lookup";

/// The configuration of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The HTTP server.
    pub server: Server,
    /// Where sessions are kept.
    pub store: Store,
    /// The LLM endpoints.
    pub providers: Providers,
    /// The model of agents that name none.
    pub model: Model,
    /// The JSON Schema of the context headers, not yet compiled; its places begin with `/headers`.
    pub headers: Option<Json>,
    /// What is fetched before the model is called, in the file's order.
    pub context: Vec<ContextVariable>,
    /// The tools that call an HTTP API, in the file's order.
    pub tools: Vec<HttpTool>,
    /// The MCP servers whose tools agents have, in the file's order.
    pub mcp_servers: Vec<McpServer>,
    /// The agents on other machines, in the file's order.
    pub external_agents: Vec<ExternalAgent>,
    /// Which private addresses calls out may go to.
    pub egress: Egress,
    /// Inbound headers that a caller may set on LLM calls.
    pub runtime_headers: Vec<RuntimeHeader>,
    /// The agents, in the file's order.
    pub agents: Vec<Agent>,
    /// The agent that answers a request which names none.
    pub entry: String,
    /// How long things are kept.
    pub sessions: Sessions,
    /// What callers and runs may use.
    pub limits: Limits,
    /// How much of a conversation a model is sent.
    pub history: History,
    /// Environment variables for templates of outgoing headers.
    pub env: Vec<Variable>,
    /// Secrets of the operator for destinations. One that stands at a provider is called after its place.
    pub credentials: Vec<Credential>,
    /// The models that a request may ask for; nothing is all.
    pub allow_models: Option<Vec<ModelPattern>>,
    /// The parameters that a request may set; nothing is all.
    pub allow_params: Option<Vec<String>>,
    /// Names that clients send as model.
    pub model_aliases: Vec<Alias>,
    /// Who is calling.
    pub auth: Auth,
}

/// A name that clients send as model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alias {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub target: AliasTarget,
}

/// What an alias stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasTarget {
    /// An agent, by its name.
    Agent(String),
    /// A model.
    Model(Model),
}

impl Config {
    /// The agent with this name.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.name == name)
    }

    /// The model that an agent asks unless the run says otherwise.
    #[must_use]
    pub fn model_of<'c>(&'c self, agent: &'c Agent) -> &'c Model {
        agent.model.as_ref().unwrap_or(&self.model)
    }

    /// Whether a request may ask for a model.
    #[must_use]
    pub fn allows_model(&self, model: &Model) -> bool {
        self.allow_models.as_ref().is_none_or(|allowed| allowed.iter().any(|pattern| pattern.matches(model)))
    }

    /// Whether a request may set a parameter.
    #[must_use]
    pub fn allows_param(&self, name: &str) -> bool {
        self.allow_params.as_ref().is_none_or(|allowed| allowed.iter().any(|known| known == name))
    }

    /// Reads all sections, with defaults for what has faults.
    pub(super) fn read(root: &Section<'_>, env: Environment<'_>) -> Self {
        let headers = root.child("headers");
        let declared = declared::read(&headers);
        let providers = Providers::read(&root.child("providers"));
        let tools = tools::read(&root.child("tools"));
        let known_tools =
            [root.child("tools").names(), root.child("mcp_servers").names(), vec![BUILT_IN_TOOL]].concat();
        let elsewhere = root.child("external_agents");
        let known = agents::Known {
            providers: &providers,
            declared: &declared.names,
            tools: &known_tools,
            external: &elsewhere.names(),
        };
        let agents = agents::read(&root.child("agents"), known);
        let entry = agents::read_entry(root, &agents, known.external).unwrap_or_default();
        let config = Self {
            server: Server::read(&root.child("server")),
            store: Store::read(&root.child("store")),
            model: Model::read(&root.child("model"), &providers).unwrap_or_default(),
            headers: headers.json(),
            context: context::read(&root.child("context")),
            tools,
            mcp_servers: mcp_servers::read(&root.child("mcp_servers")),
            external_agents: external_agents::read(&elsewhere, &agents::asked(&agents)),
            egress: Egress::read(&root.child("egress")),
            runtime_headers: runtime_headers::read(&root.child("runtime_headers"), &declared.secrets),
            entry,
            sessions: Sessions::read(&root.child("sessions")),
            limits: Limits::read(&root.child("limits")),
            history: History::read(&root.child("history")),
            env: environment::read(&root.child("env"), env),
            credentials: credentials::read_all(root, env),
            allow_models: models::read_patterns(&root.child("allow_models"), &providers),
            allow_params: allow_params(&root.child("allow_params")),
            model_aliases: aliases(&root.child("model_aliases"), &providers, &agents),
            auth: Auth::read(&root.child("auth")),
            providers,
            agents,
        };
        written_secrets::warn(root);
        config.check_cors(root);
        config.check_api_keys(root);
        config.check_keys(&root.child("providers"));
        config
    }

    fn check_cors(&self, root: &Section<'_>) {
        if self.server.cors == Cors::Any && !self.auth.has_verifier() {
            let help = "name the origins, or configure `auth`: tokens (`jwt`), API keys (`api_keys: true`) or a gateway \
                        (`trust_identity_headers: [10.0.0.0/8]`)";
            let cors = root.child("server").child("cors");
            cors.error_at_key("`'*'` would let every web page call a server that verifies nobody", help.to_owned());
        }
    }

    /// Keys are made on the command line, which cannot reach a store in memory.
    fn check_api_keys(&self, root: &Section<'_>) {
        if self.auth.api_keys && self.store == Store::Memory {
            let help = "with a store that lasts, `letterhead api-key new NAME` makes them".to_owned();
            let place = root.child("auth").child("api_keys");
            place.warn_at_key("with `store: memory` there can be no API keys, so that they let nobody in", help);
        }
    }

    /// A provider without a key is no fault as long as nobody asks it: the starter file has one.
    fn check_keys(&self, providers: &Section<'_>) {
        let used: Vec<&Model> = self.agents.iter().map(|agent| self.model_of(agent)).collect();
        for provider in self.providers.iter() {
            if used.iter().any(|model| matches!(model, Model::Of { provider: name, .. } if *name == provider.name)) {
                provider.check_key(&providers.child(&provider.name));
            }
        }
    }
}

fn allow_params(section: &Section<'_>) -> Option<Vec<String>> {
    section.exists().then(|| section.texts().into_iter().map(|(text, _)| text.to_owned()).collect())
}

fn aliases(section: &Section<'_>, providers: &Providers, agents: &[Agent]) -> Vec<Alias> {
    let mut aliases = Vec::new();
    for (name, entry) in section.entries() {
        if agents.iter().any(|agent| agent.name == name) {
            entry.error_at_key(format!("`{name}` is an agent, so it cannot be an alias"), None);
            continue;
        }
        let Some(text) = entry.text() else { continue };
        let target = if agents.iter().any(|agent| agent.name == text) {
            Some(AliasTarget::Agent(text.to_owned()))
        } else if text.contains(':') || text == "demo" {
            Model::read(&entry, providers).map(AliasTarget::Model)
        } else {
            let names = agents.iter().map(|agent| agent.name.as_str());
            entry.error(format!("no agent is called {}", entry.shown()), nearest::suggestion(text, "agents", names));
            None
        };
        aliases.extend(target.map(|target| Alias { name: name.to_owned(), target }));
    }
    aliases
}

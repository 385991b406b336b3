//! Builds a registry, and reports every fault at once.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use letterhead_context::{
    Credential, HeaderSchema, HeaderSource, HeaderTemplateFault, HeaderTemplates, Scope, Sink, Template,
};
use serde_json::{Value, json};

use super::model_name::resolve;
use super::{Callable, Prepared, PreparedProvider, Registry};
use crate::agent::{Agent, Instructions, Text};
use crate::model::ToolSpec;
use crate::provider::{KeyHeader, Provider};

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
    /// A provider's key.
    ApiKey(Arc<str>),
    /// A header of a provider.
    ProviderHeader(Arc<str>, String),
}

/// A fault of a set of agents and providers.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            | RegistryPlace::AgentModel(name) => write!(f, "agent `{name}`: {}", self.message),
            RegistryPlace::ApiKey(name) | RegistryPlace::ProviderHeader(name, _) => {
                write!(f, "provider `{name}`: {}", self.message)
            }
        }
    }
}

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

    /// Narrows the models that callers may choose. A pattern may end with `*`.
    #[must_use]
    pub fn allow_models(mut self, patterns: Vec<String>) -> Self {
        self.allow_models = Some(patterns);
        self
    }

    /// The declaration of context headers, which templates are checked against.
    #[must_use]
    pub fn schema(mut self, schema: HeaderSchema) -> Self {
        self.schema = schema;
        self
    }

    /// The environment names that headers of destinations may read.
    #[must_use]
    pub fn env(mut self, names: Vec<String>) -> Self {
        self.env = names;
        self
    }

    /// Checks everything against everything.
    pub fn build(self) -> Result<Registry, Vec<RegistryFault>> {
        let mut faults = Vec::new();
        let scope = Scope { schema: &self.schema, variables: &[], env: &self.env };
        let mut providers: Vec<_> =
            self.providers.iter().map(|provider| prepare_provider(provider, scope, &mut faults)).collect();
        if !providers.iter().any(|provider| &*provider.name == "demo") {
            providers.push(prepare_provider(&Provider::demo("demo"), scope, &mut faults));
        }
        let default_model = self.default_model.clone().unwrap_or_else(|| Arc::from("demo"));
        if resolve(&providers, &default_model).is_none() {
            faults.push(unknown_model(RegistryPlace::DefaultModel, &default_model, &providers));
        }
        let mut by_name: HashMap<Arc<str>, usize> = HashMap::new();
        for (at, agent) in self.agents.iter().enumerate() {
            if by_name.insert(agent.shared_name(), at).is_some() {
                let message = "there are two agents of this name".to_owned();
                faults.push(fault(RegistryPlace::Agent(agent.shared_name()), message));
            }
        }
        let descriptions: BTreeMap<&str, Option<&str>> =
            self.agents.iter().map(|agent| (agent.name(), agent.description())).collect();
        let agents: Vec<_> = self
            .agents
            .iter()
            .map(|agent| {
                if let Some(model) = agent.model()
                    && resolve(&providers, model).is_none()
                {
                    faults.push(unknown_model(RegistryPlace::AgentModel(agent.shared_name()), model, &providers));
                }
                prepare_agent(agent, scope, &descriptions, &mut faults)
            })
            .collect();
        let entry = match &self.entry {
            None => self.agents.first(),
            Some(name) => by_name.get(name).and_then(|at| self.agents.get(*at)),
        };
        let Some(entry) = entry.cloned() else {
            let message = match &self.entry {
                Some(name) if !agents.is_empty() => format!("the entry agent `{name}` does not exist"),
                _ => "there is no agent".to_owned(),
            };
            faults.push(fault(RegistryPlace::Registry, message));
            return Err(faults);
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        let Self { schema, allow_models, .. } = self;
        Ok(Registry { agents, by_name, providers, default_model, allow_models, entry, schema })
    }
}

fn fault(place: RegistryPlace, message: String) -> RegistryFault {
    RegistryFault { place, position: None, message }
}

fn unknown_model(place: RegistryPlace, name: &str, providers: &[PreparedProvider]) -> RegistryFault {
    let there = providers.iter().map(|provider| format!("`{}:…`", provider.name)).collect::<Vec<_>>().join(", ");
    fault(place, format!("the model `{name}` is at no known provider; write `provider:model`, with one of {there}"))
}

fn compile_headers<'a>(
    headers: &'a [(String, Text)],
    scope: Scope<'_>,
    faults: &mut Vec<RegistryFault>,
    place: impl Fn(String) -> RegistryPlace,
) -> HeaderTemplates {
    let source = |text: &'a Text| {
        if text.is_literal() { HeaderSource::Literal(text.source()) } else { HeaderSource::Template(text.source()) }
    };
    let entries = headers.iter().map(|(name, text)| (name.as_str(), source(text)));
    HeaderTemplates::compile(entries, scope).unwrap_or_else(|found| {
        faults.extend(found.into_iter().map(|HeaderTemplateFault { name, position, message }| {
            let message = format!("header `{}`: {message}", name.escape_debug());
            RegistryFault { place: place(name), position, message }
        }));
        HeaderTemplates::default()
    })
}

fn compile_text(text: &Text, sink: Sink, scope: Scope<'_>, place: &RegistryPlace, faults: &mut Vec<RegistryFault>) -> Template {
    if text.is_literal() {
        return Template::literal(text.source(), sink);
    }
    Template::compile(text.source(), sink, scope).unwrap_or_else(|found| {
        faults.extend(found.into_iter().map(|f| RegistryFault {
            place: place.clone(),
            position: Some((f.line, f.column)),
            message: f.message,
        }));
        Template::literal("", sink)
    })
}

fn prepare_provider(provider: &Provider, scope: Scope<'_>, faults: &mut Vec<RegistryFault>) -> PreparedProvider {
    let name = &provider.name;
    let headers = compile_headers(&provider.headers, scope, faults, |header| {
        RegistryPlace::ProviderHeader(Arc::clone(name), header)
    });
    let credential = provider.api_key.as_ref().map(|(header, key)| {
        let key = compile_text(key, Sink::Header, scope, &RegistryPlace::ApiKey(Arc::clone(name)), faults);
        match header {
            KeyHeader::Bearer => Credential::bearer(key),
            KeyHeader::Named(header) => Credential::header(header.clone(), key),
        }
    });
    PreparedProvider {
        name: Arc::clone(name),
        kind: provider.kind,
        destination: format!("providers.{name}").into(),
        model: Arc::clone(&provider.model),
        credential,
        headers,
        params: provider.params.clone(),
        budget: provider.budget,
    }
}

fn prepare_agent(
    agent: &Agent,
    scope: Scope<'_>,
    descriptions: &BTreeMap<&str, Option<&str>>,
    faults: &mut Vec<RegistryFault>,
) -> Prepared {
    let name = agent.shared_name();
    if !is_agent_name(&name) {
        let message = "an agent's name is 1 to 48 letters, digits, `_` or `-`".to_owned();
        faults.push(fault(RegistryPlace::Agent(Arc::clone(&name)), message));
    }
    for (at, field) in agent.requires().iter().enumerate() {
        if scope.schema.field(field).is_none() {
            let hint = scope.schema.nearest(field).map(|near| format!("did you mean `{near}`?"));
            let hint = hint.unwrap_or_else(|| "declare it under `headers.properties`".to_owned());
            let message = format!("`{field}` is required but not declared: {hint}");
            faults.push(fault(RegistryPlace::Requires(Arc::clone(&name), at), message));
        }
    }
    let instructions = match agent.instructions() {
        Instructions::Text(text) => {
            let place = RegistryPlace::Instructions(Arc::clone(&name));
            Some(compile_text(text, Sink::Instructions, scope, &place, faults))
        }
        Instructions::Function(_) => None,
    };
    let headers = compile_headers(agent.headers(), scope, faults, |header| {
        RegistryPlace::AgentHeader(Arc::clone(&name), header)
    });
    let (specs, calls) = offer(agent, descriptions, faults);
    Prepared { agent: agent.clone(), instructions, headers, specs, calls }
}

fn is_agent_name(name: &str) -> bool {
    (1..=48).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// What an agent's model is offered: its tools, its handoffs and the way to ask its delegates.
fn offer(
    agent: &Agent,
    descriptions: &BTreeMap<&str, Option<&str>>,
    faults: &mut Vec<RegistryFault>,
) -> (Vec<Arc<ToolSpec>>, HashMap<Arc<str>, Callable>) {
    let mut specs: Vec<Arc<ToolSpec>> = Vec::new();
    let mut calls: HashMap<Arc<str>, Callable> = HashMap::new();
    let mut add = |spec: Arc<ToolSpec>, callable: Callable, place: RegistryPlace, faults: &mut Vec<RegistryFault>| {
        let name: Arc<str> = Arc::from(spec.name());
        if calls.insert(Arc::clone(&name), callable).is_some() {
            faults.push(fault(place, format!("two tools would be called `{name}`: names of tools must differ")));
        } else {
            specs.push(spec);
        }
    };
    let own = || agent.shared_name();
    for tool in agent.tools() {
        add(Arc::clone(tool.spec()), Callable::Tool(Arc::clone(tool)), RegistryPlace::Agent(own()), faults);
    }
    for (at, target) in agent.handoffs().iter().enumerate() {
        let place = RegistryPlace::Handoff(own(), at);
        let Some(description) = descriptions.get(&**target) else {
            faults.push(fault(place, format!("there is no agent `{target}` to hand over to")));
            continue;
        };
        let about = format!("Hands the conversation over to {target}. {}", description.unwrap_or_default());
        match ToolSpec::new(&format!("handoff_to_{target}"), Some(about.trim()), no_arguments()) {
            Ok(spec) => add(Arc::new(spec), Callable::Handoff(Arc::clone(target)), place, faults),
            Err(error) => faults.push(fault(place, error.to_string())),
        }
    }
    let mut known = Vec::new();
    for (at, delegate) in agent.delegates().iter().enumerate() {
        match descriptions.get(&*delegate.agent) {
            Some(description) => known.push((&delegate.agent, description.unwrap_or_default())),
            None => {
                let message = format!("there is no agent `{}` to ask", delegate.agent);
                faults.push(fault(RegistryPlace::Delegate(own(), at), message));
            }
        }
    }
    if !known.is_empty() {
        let list = known.iter().map(|(name, about)| format!("- {name}: {about}")).collect::<Vec<_>>().join("\n");
        let names: Vec<&str> = known.iter().map(|(name, _)| &***name).collect();
        let about = format!("Asks another agent one question and gives its answer. The agents:\n{list}");
        match ToolSpec::new("ask_agent", Some(&about), ask_arguments(&names)) {
            Ok(spec) => add(Arc::new(spec), Callable::AskAgent, RegistryPlace::Agent(own()), faults),
            Err(error) => faults.push(fault(RegistryPlace::Agent(own()), error.to_string())),
        }
    }
    (specs, calls)
}

fn no_arguments() -> Value {
    json!({ "type": "object", "properties": {}, "additionalProperties": false })
}

fn ask_arguments(agents: &[&str]) -> Value {
    json!({
        "type": "object",
        "required": ["agent", "input"],
        "additionalProperties": false,
        "properties": {
            "agent": { "type": "string", "enum": agents, "description": "Who is asked." },
            "input": { "type": "string", "description": "The question, with all that is needed to answer it." },
        },
    })
}

//! From a configuration to what runs: the declaration compiled, templates checked, agents and providers put together.

mod keys;
mod places;
mod warnings;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use letterhead::outbound::{RetryPolicy, Timeouts, TrustedClient};
use letterhead::{Agent, Limits, Provider, Registry, Text};
use letterhead_context::{HeaderBudget, HeaderLimits, HeaderSchema, Ingress, ListedEnv, RuntimeNames};
use letterhead_store::sqlite::SqliteOptions;
use letterhead_store::{Clock, Lifetimes, MemoryStore, SqliteStore, Store, Vault};

pub use self::keys::{KEY, PREVIOUS_KEY};
use crate::app::{App, Timing, Turns};
use crate::auth::Authenticator;
use crate::config::models::ModelPattern;
use crate::config::providers::ProviderKind;
use crate::config::server::Cors;
use crate::config::{self, AliasTarget, Config, Env, Faults, Loaded, Report, TemplateSource};
use crate::edge::{Edge, Hosts, Origins};
use crate::logging::AccessLog;
use crate::model_choice::ModelAliases;

/// A configuration that has been checked whole, and what was made of it.
pub struct Checked {
    /// The configuration, with its file and the warnings.
    pub loaded: Loaded,
    /// Agents and providers.
    pub registry: Registry,
    /// Which headers are admitted.
    pub ingress: Ingress,
    /// What encrypts secrets for the store; none where no key is set.
    pub vault: Option<Arc<Vault>>,
}

/// Reads and checks a configuration file.
///
/// # Errors
///
/// A report of every fault.
pub fn check(path: &Path, env: Env<'_>) -> Result<Checked, Report> {
    checked(env, |checks| config::read_with(path, env, checks))
}

/// Checks a configuration that is given as text.
///
/// # Errors
///
/// A report of every fault.
pub fn check_text(name: &str, text: &str, env: Env<'_>) -> Result<Checked, Report> {
    checked(env, |checks| config::read_text_with(name, text, env, checks))
}

fn checked(env: Env<'_>, read: impl FnOnce(config::Checks<'_>) -> Result<Loaded, Report>) -> Result<Checked, Report> {
    let (parts, vault) = (RefCell::new(None), RefCell::new(None));
    let loaded = read(&|config, faults| {
        *vault.borrow_mut() = keys::vault(env, faults);
        *parts.borrow_mut() = assemble(config, keys::is_set(env), faults);
    })?;
    let (registry, ingress) = parts.into_inner().ok_or_else(|| {
        let fault = config::Diagnostic::error(None, "the configuration could not be put together");
        Report::new(Arc::clone(loaded.document.source()), vec![fault])
    })?;
    Ok(Checked { loaded, registry, ingress, vault: vault.into_inner() })
}

/// Compiles everything, and reports what cannot be. Nothing if there was a fault.
fn assemble(config: &Config, has_key: bool, faults: &Faults<'_>) -> Option<(Registry, Ingress)> {
    let schema = match &config.headers {
        None => Some(HeaderSchema::empty()),
        Some(declaration) => HeaderSchema::compile(declaration).map_err(|found| places::of_schema(&found, faults)).ok(),
    };
    // Templates are checked against what is declared: without a declaration every name in them would look wrong.
    let schema = schema?;
    let names: Vec<String> = config.runtime_headers.iter().map(|row| row.entry().to_string()).collect();
    let runtime = RuntimeNames::new(names.iter().map(String::as_str)).and_then(|names| names.with_declared(&schema));
    let runtime = runtime.map_err(|found| places::of_runtime_names(&found, config, faults)).ok();
    let registry = registry(config, &schema, faults);
    let (registry, runtime) = (registry?, runtime?);
    warnings::of_open_address(config, faults);
    warnings::of_unused_headers(config, &schema, &registry, &runtime, faults);
    if !has_key {
        warnings::of_secrets_without_key(&schema, faults);
    }
    let limits = HeaderLimits { value: bytes(config.limits.header_value), total: bytes(config.limits.headers_total) };
    Some((registry, Ingress::new(schema, runtime, limits)))
}

fn bytes(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn text(source: &TemplateSource) -> Text {
    if source.is_literal() { Text::literal(source.text()) } else { Text::template(source.text()) }
}

fn registry(config: &Config, schema: &HeaderSchema, faults: &Faults<'_>) -> Option<Registry> {
    let mut builder = Registry::builder()
        .schema(schema.clone())
        .default_model(config.model.to_string())
        .env(config.env.iter().map(|variable| variable.name().to_owned()).collect());
    if !config.entry.is_empty() {
        builder = builder.entry(config.entry.as_str());
    }
    if let Some(patterns) = &config.allow_models {
        builder =
            builder.allow_models(patterns.iter().map(|pattern: &ModelPattern| pattern.as_str().to_owned()).collect());
    }
    let mut clients: Vec<((Timeouts, u32), TrustedClient)> = Vec::new();
    for provider in config.providers.iter() {
        match prepare(provider, &mut clients) {
            Ok(prepared) => builder = builder.provider(prepared),
            Err(message) => faults.add(faults.document().error(provider.pointer.key("base_url"), message)),
        }
    }
    for configured in &config.agents {
        builder = builder.agent(agent(configured));
    }
    builder.build().map_err(|found| places::of_registry(&found, faults)).ok()
}

/// A provider with its client. Providers with equal timeouts share one, and its connections.
fn prepare(
    provider: &config::providers::Provider,
    clients: &mut Vec<((Timeouts, u32), TrustedClient)>,
) -> Result<Provider, String> {
    let name = provider.name.as_str();
    let base_url = provider.base_url.as_deref().unwrap_or_default();
    let timeouts = Timeouts {
        connect: provider.connect_timeout,
        first_byte: provider.first_byte_timeout,
        idle: provider.idle_timeout,
    };
    let wanted = (timeouts, provider.retries);
    let mut client = || match clients.iter().find(|(known, _)| *known == wanted) {
        Some((_, client)) => Ok(client.clone()),
        None => {
            let retry = RetryPolicy { retries: provider.retries, ..RetryPolicy::default() };
            let client = TrustedClient::new(timeouts, retry).map_err(|error| error.to_string())?;
            clients.push((wanted, client.clone()));
            Ok::<_, String>(client)
        }
    };
    let made = match provider.kind {
        ProviderKind::OpenAi => Provider::openai(name, client()?, base_url).map_err(|error| error.to_string())?,
        ProviderKind::Anthropic => Provider::anthropic(name, client()?, base_url).map_err(|error| error.to_string())?,
        ProviderKind::Demo => Provider::demo(name),
        _ => return Err("providers of this kind cannot be configured".to_owned()),
    };
    let budget = HeaderBudget {
        max_headers: provider.max_headers.map(|count| count as usize),
        max_bytes: provider.max_header_bytes.map(bytes),
    };
    let mut made = made.with_params(provider.params.clone()).with_budget(budget);
    if !provider.trace {
        made = made.without_trace();
    }
    if let Some(key) = &provider.api_key {
        made = if is_azure(base_url) {
            made.with_api_key_in(letterhead::KeyHeader::Named(http::HeaderName::from_static("api-key")), text(key))
        } else {
            made.with_api_key(text(key))
        };
    }
    Ok(provider.headers.iter().fold(made, |made, header| made.with_header(header.name.as_str(), text(&header.value))))
}

/// Azure takes the key in a header of its own.
fn is_azure(base_url: &str) -> bool {
    let host = letterhead::outbound::Url::parse(base_url).ok();
    host.as_ref()
        .and_then(|url| url.host_str())
        .is_some_and(|host| host.ends_with(".openai.azure.com") || host.ends_with(".cognitiveservices.azure.com"))
}

fn agent(configured: &config::agents::Agent) -> Agent {
    let mut agent = Agent::new(configured.name.as_str());
    if let Some(description) = &configured.description {
        agent = agent.with_description(description.text());
    }
    if let Some(instructions) = &configured.instructions {
        agent = agent.with_instructions(text(instructions));
    }
    if let Some(model) = &configured.model {
        agent = agent.with_model(model.to_string());
    }
    for header in &configured.headers {
        agent = agent.with_header(header.name.as_str(), text(&header.value));
    }
    for (name, value) in &configured.params {
        agent = agent.with_param(name.as_str(), value.clone());
    }
    for field in &configured.requires {
        agent = agent.with_required_header(field.name.as_str());
    }
    for target in &configured.handoffs {
        agent = agent.with_handoff(target.name.as_str());
    }
    for target in &configured.delegates {
        agent = agent.with_delegate(target.name.as_str());
    }
    agent
}

/// Opens the store that a configuration names. With a key it keeps secrets, encrypted.
///
/// # Errors
///
/// What is wrong with the file, and what to do.
pub fn open_store(
    checked: &Checked,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Store>, letterhead_store::sqlite::OpenError> {
    let config = &checked.loaded.config;
    let lifetimes = Lifetimes {
        headers: config.sessions.headers_ttl,
        secrets: config.sessions.secrets_ttl,
        sessions: config.sessions.ttl,
    };
    Ok(match &config.store {
        config::store::Store::Memory => Arc::new(MemoryStore::new(lifetimes, Arc::clone(clock))),
        config::store::Store::Sqlite { path } => {
            let options = SqliteOptions { lifetimes, vault: checked.vault.clone(), ..SqliteOptions::default() };
            Arc::new(SqliteStore::open(path, options, Arc::clone(clock))?)
        }
    })
}

impl Checked {
    /// Puts the application together.
    pub fn into_app(self, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> App {
        let Self { loaded: Loaded { config, .. }, registry, ingress, .. } = self;
        let auth = Authenticator::new(&config.auth);
        let edge = Edge {
            // A verifier makes the name that a browser was led to irrelevant.
            hosts: (!auth.has_verifier()).then(|| Hosts::new(config.server.hosts.clone())),
            origins: match &config.server.cors {
                Cors::Any => Origins::Any,
                Cors::Origins(origins) => Origins::Listed(origins.clone()),
            },
        };
        let env: BTreeMap<String, String> =
            config.env.iter().map(|variable| (variable.name().to_owned(), variable.value().to_owned())).collect();
        App {
            registry,
            ingress,
            auth,
            store,
            edge,
            aliases: aliases(&config),
            allow_params: config.allow_params.clone(),
            env: ListedEnv::new(env),
            limits: Limits { max_turns: config.limits.max_turns, depth: config.limits.depth, runs: config.limits.runs },
            timing: Timing {
                turn_wait: config.sessions.turn_wait,
                disconnect_grace: config.sessions.disconnect_grace,
                ..Timing::default()
            },
            max_body: bytes(config.server.max_body),
            clock,
            turns: Turns::default(),
            access_log: AccessLog::default(),
        }
    }
}

fn aliases(config: &Config) -> ModelAliases {
    let target = |target: &AliasTarget| match target {
        AliasTarget::Agent(name) => Arc::from(name.as_str()),
        AliasTarget::Model(model) => Arc::from(model.to_string()),
    };
    config.model_aliases.iter().map(|alias| (alias.name.clone(), target(&alias.target))).collect()
}

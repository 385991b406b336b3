//! From a configuration to what runs: the declaration compiled, templates checked, agents and providers put together.

mod external_agents;
mod keys;
mod mcp_servers;
mod outbound;
mod places;
mod providers;
mod registry;
mod token_exchange;
mod tools;
mod variables;
mod warnings;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use letterhead::lookup::StoredDocuments;
use letterhead::{Limits, Registry, Text};
use letterhead_context::{HeaderLimits, HeaderSchema, Ingress, ListedEnv, RuntimeNames};
use letterhead_store::postgres::{PostgresAddress, PostgresOptions};
use letterhead_store::sqlite::SqliteOptions;
use letterhead_store::{
    ApiKeys, Clock, Documents, Fingerprints, Lifetimes, MemoryStore, PostgresStore, SqliteStore, Store, Vault,
};

pub use self::keys::{KEY, PREVIOUS_KEY};
pub(crate) use self::warnings::DEVELOPMENT_KEY;
use serde_json::{Map, Value as Json, json};

use crate::app::{App, DocumentLimits, Timing, Turns};
use crate::auth::{Authenticator, Means};
use crate::caller_limits::CallerLimits;
use crate::config::server::Cors;
use crate::config::{self, AliasTarget, Config, Env, Faults, Loaded, Report, TemplateSource};
use crate::credentials::LiveCredentials;
use crate::edge::{Edge, Hosts, Origins};
use crate::logging::{AccessLog, Outage};
use crate::model_choice::ModelAliases;
use crate::readiness::Readiness;

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
    /// Stand for requests and secrets where those themselves may not be written.
    pub fingerprints: Arc<Fingerprints>,
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
        let found = keys::vault(env, faults);
        *parts.borrow_mut() = assemble(config, keys::is_set(env), found.as_ref(), faults);
        *vault.borrow_mut() = found;
    })?;
    let (registry, ingress, fingerprints) = parts.into_inner().ok_or_else(|| {
        let fault = config::Diagnostic::error(None, "the configuration could not be put together");
        Report::new(Arc::clone(loaded.document.source()), vec![fault])
    })?;
    Ok(Checked { loaded, registry, ingress, vault: vault.into_inner(), fingerprints })
}

/// Compiles everything, and reports what cannot be. Nothing if there was a fault.
fn assemble(
    config: &Config,
    has_key: bool,
    vault: Option<&Arc<Vault>>,
    faults: &Faults<'_>,
) -> Option<(Registry, Ingress, Arc<Fingerprints>)> {
    let declared = config.headers.as_ref().map_or_else(|| Ok(HeaderSchema::empty()), HeaderSchema::compile);
    let is_declared = declared.is_ok();
    // Faults of the declaration hide none that are elsewhere. Without its names, though, every template would look wrong.
    let schema = declared.or_else(|found| {
        places::of_schema(&found, faults);
        config.headers.as_ref().and_then(names_alone).ok_or(())
    });
    let schema = schema.ok()?;
    let names: Vec<String> = config.runtime_headers.iter().map(|row| row.entry().to_string()).collect();
    let runtime = RuntimeNames::new(names.iter().map(String::as_str)).and_then(|names| names.with_declared(&schema));
    let runtime = runtime.map_err(|found| places::of_runtime_names(&found, config, faults)).ok();
    let fingerprints = Fingerprints::new(vault.cloned()).map(Arc::new);
    let fingerprints =
        fingerprints.map_err(|error| faults.add(config::Diagnostic::error(None, error.to_string()))).ok()?;
    let registry = registry::registry(config, &schema, &fingerprints, faults);
    token_exchange::check(config, faults);
    let (registry, runtime) = (registry?, runtime?);
    if !is_declared {
        return None;
    }
    warnings::of_open_address(config, faults);
    warnings::of_connections(config, faults);
    warnings::of_development_key(config, faults);
    warnings::of_unused_headers(config, &schema, &registry, &runtime, faults);
    warnings::of_unused_requests(config, &registry, faults);
    warnings::of_defaults(config, &registry, faults);
    warnings::of_misspelt_keywords(config, faults);
    warnings::of_approvals(config, faults);
    warnings::of_optional_values(config, &schema, &registry, faults);
    if !has_key {
        warnings::of_secrets_without_key(&schema, faults);
    }
    let limits = HeaderLimits { value: bytes(config.limits.header_value), total: bytes(config.limits.headers_total) };
    Some((registry, Ingress::new(schema, runtime, limits), fingerprints))
}

/// The names of a declaration with faults, and which are secrets, as far as they can be declared at all.
fn names_alone(declaration: &Json) -> Option<HeaderSchema> {
    let mut names = Map::new();
    // Without `properties`, they are likely to stand one step too high.
    for (name, field) in declaration.get("properties").unwrap_or(declaration).as_object()? {
        let secret = field.get("writeOnly").and_then(Json::as_bool).unwrap_or_default();
        let alone = json!({ "properties": { name: { "writeOnly": secret } } });
        if HeaderSchema::compile(&alone).is_ok() {
            names.insert(name.clone(), json!({ "writeOnly": secret }));
        }
    }
    HeaderSchema::compile(&json!({ "properties": names })).ok()
}

fn bytes(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Why the store that a configuration names cannot be opened, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreNotOpened {
    /// The SQLite file.
    #[error(transparent)]
    Sqlite(#[from] letterhead_store::sqlite::OpenError),
    /// The PostgreSQL database.
    #[error(transparent)]
    Postgres(#[from] letterhead_store::postgres::OpenError),
}

/// Opens the store that a configuration names. With a key it keeps secrets, encrypted.
///
/// # Errors
///
/// What is wrong with the file or the database, and what to do.
pub fn open_store(checked: &Checked, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Store>, StoreNotOpened> {
    let config = &checked.loaded.config;
    let lifetimes = lifetimes(config);
    Ok(match &config.store {
        config::store::Store::Memory => Arc::new(MemoryStore::new(lifetimes, Arc::clone(clock))),
        config::store::Store::Sqlite { path } => {
            let options = SqliteOptions { lifetimes, vault: checked.vault.clone(), ..SqliteOptions::default() };
            Arc::new(SqliteStore::open(path, options, Arc::clone(clock))?)
        }
        config::store::Store::Postgres { address } => Arc::new(open_postgres(checked, address, clock)?),
    })
}

/// Opens a PostgreSQL database, as [`open_store`] does.
pub(crate) fn open_postgres(
    checked: &Checked,
    address: &PostgresAddress,
    clock: &Arc<dyn Clock>,
) -> Result<PostgresStore, letterhead_store::postgres::OpenError> {
    let config = &checked.loaded.config;
    let options = PostgresOptions {
        lifetimes: lifetimes(config),
        lease: config.sessions.lease,
        vault: checked.vault.clone(),
        ..PostgresOptions::default()
    };
    PostgresStore::open(address, options, Arc::clone(clock))
}

fn lifetimes(config: &Config) -> Lifetimes {
    Lifetimes {
        headers: config.sessions.headers_ttl,
        secrets: config.sessions.secrets_ttl,
        sessions: config.sessions.ttl,
    }
}

/// What bounds a turn.
fn run_limits(config: &Config) -> Limits {
    let mut limits = Limits::default();
    limits.max_turns = config.limits.max_turns;
    limits.depth = config.limits.depth;
    limits.runs = config.limits.runs;
    limits
}

impl Checked {
    /// Puts the application together.
    pub fn into_app(self, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> App {
        let Self { loaded: Loaded { config, .. }, registry, ingress, fingerprints, .. } = self;
        let auth = Authenticator::new(
            &config.auth,
            Means {
                keys: Arc::clone(&store) as Arc<dyn ApiKeys>,
                clock: Arc::clone(&clock),
                key_header_is_declared: ingress.schema().field("x-api-key").is_some(),
                public_url: config.server.public_url.clone(),
            },
        );
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
        let documents = StoredDocuments::new(Arc::clone(&store) as Arc<dyn Documents>);
        let registry = registry.with_lookup(Arc::new(documents));
        App {
            registry,
            ingress,
            auth,
            caller_limits: CallerLimits::new(&config.limits),
            credentials: LiveCredentials::new(&config.credentials, Arc::clone(&clock)),
            store,
            edge,
            aliases: aliases(&config),
            allow_params: config.allow_params.clone(),
            env: ListedEnv::new(env),
            limits: run_limits(&config),
            documents: DocumentLimits {
                size: bytes(config.limits.document_size),
                per_user: bytes(config.limits.documents_per_user.into()),
            },
            timing: Timing {
                turn_wait: config.sessions.turn_wait,
                disconnect_grace: config.sessions.disconnect_grace,
                ..Timing::default()
            },
            max_body: bytes(config.server.max_body),
            clock,
            turns: Turns::default(),
            access_log: AccessLog::default(),
            fingerprints,
            readiness: Readiness::default(),
            outage: Outage::default(),
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

fn text(source: &TemplateSource) -> Text {
    if source.is_literal() { Text::literal(source.text()) } else { Text::template(source.text()) }
}

//! What can be used, but should be looked at.

use std::collections::{BTreeSet, HashSet};

use http::HeaderName;
use letterhead::{ExternalAgentPlace, HttpToolPlace, McpServerPlace, Registry, RegistryPlace, VariablePlace};
use letterhead_context::{HeaderSchema, Read, RequestPlace, RuntimeNames, misspelt_keywords};

use super::places;
use crate::config::auth::Jwt;
use crate::config::mcp_servers::Approve;
use crate::config::{Config, Faults, Pointer};
use crate::serve::open_files;

fn field(name: &str, config: &Config) -> Pointer {
    let written = config.headers.as_ref().and_then(|headers| headers.get("properties")).and_then(|p| p.as_object());
    let written = written.and_then(|properties| properties.keys().find(|key| key.eq_ignore_ascii_case(name)));
    Pointer::root().key("headers").key("properties").key(written.map_or(name, String::as_str))
}

/// A declared header that no template, agent or rule names goes nowhere.
pub(super) fn of_unused_headers(
    config: &Config,
    schema: &HeaderSchema,
    registry: &Registry,
    runtime: &RuntimeNames,
    faults: &Faults<'_>,
) {
    let used: BTreeSet<String> = registry.header_reads().into_iter().map(|read| read.header.to_string()).collect();
    for declared in schema.fields() {
        let required = config.agents.iter().any(|agent| {
            agent.requires.iter().any(|r| schema.field(&r.name).is_some_and(|f| f.name() == declared.name()))
        });
        let passes = HeaderName::from_bytes(declared.name().as_bytes()).is_ok_and(|name| runtime.allows(&name));
        if used.contains(declared.name()) || required || passes {
            continue;
        }
        let message = format!("nothing uses the header `{}`: no template names it", declared.name());
        let help = "name it in a template, or remove it: what is declared is kept for the conversation";
        faults.add(faults.document().warning_at_key(field(declared.name(), config), message).with_help(help));
    }
}

/// Without a key to encrypt them with, secrets live as long as the process.
pub(super) fn of_secrets_without_key(schema: &HeaderSchema, faults: &Faults<'_>) {
    let secrets: Vec<&str> =
        schema.fields().iter().filter(|field| field.is_secret()).map(letterhead_context::Field::name).collect();
    if secrets.is_empty() {
        return;
    }
    let names = secrets.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let message = format!("secrets ({names}) are kept in memory only: they reach neither a restart nor another node");
    let help = "set `LETTERHEAD_KEY` to have them stored, encrypted: `letterhead key new` makes one";
    faults.add(faults.document().warning_at_key(Pointer::root().key("headers"), message).with_help(help));
}

/// `serve` refuses to listen beyond this machine while nothing verifies callers: better told in advance.
pub(super) fn of_open_address(config: &Config, faults: &Faults<'_>) {
    if config.auth.has_verifier() || config.server.listen.ip().to_canonical().is_loopback() {
        return;
    }
    let message = "this address can be reached from outside, and nothing verifies callers: `serve` will refuse it";
    let help = "listen on 127.0.0.1, or configure `auth`: tokens (`jwt`), API keys (`api_keys: true`) or a gateway \
                (`trust_identity_headers: [10.0.0.0/8]`)";
    faults.add(faults.document().warning(Pointer::root().key("server").key("listen"), message).with_help(help));
}

/// What is said of a key for development where others than this machine reach the server.
pub(crate) const DEVELOPMENT_KEY: &str = "this address can be reached from outside, and tokens that `letterhead token` makes are believed: whoever has its key, \
     which lies beside the configuration, can be anybody";

/// A key that was made for trying things out is on the disks of developers.
pub(super) fn of_development_key(config: &Config, faults: &Faults<'_>) {
    let is_believed = config.auth.jwt.as_ref().is_some_and(Jwt::is_for_development);
    if !is_believed || config.server.listen.ip().to_canonical().is_loopback() {
        return;
    }
    let help = "listen on 127.0.0.1, or believe your identity provider (`jwks_url`) instead of the key `dev-…`";
    let place = Pointer::root().key("auth").key("jwt").key("keys");
    faults.add(faults.document().warning_at_key(place, DEVELOPMENT_KEY).with_help(help));
}

/// Where the system allows few open files, fewer connections are taken than the file says.
pub(super) fn of_connections(config: &Config, faults: &Faults<'_>) {
    let (Some(wanted), files) = (config.server.max_connections, open_files::most()) else { return };
    let taken = open_files::connections(Some(wanted), files);
    if taken == wanted {
        return;
    }
    let place = Pointer::root().key("server").key("max_connections");
    let message =
        format!("no more than {taken} connections are taken at a time: a process may open {files} files here");
    let help = format!(
        "half of them are for calls out: allow {} (`ulimit -Hn`, `LimitNOFILE` of systemd), or write a smaller number",
        open_files::needed(wanted)
    );
    faults.add(faults.document().warning(&place, message).with_help(help));
}

/// A limit that is spelled wrong does not hold, and no validator says so.
pub(super) fn of_misspelt_keywords(config: &Config, faults: &Faults<'_>) {
    let parameters = config.tools.iter().filter_map(|tool| tool.parameters.as_ref());
    let answers = config.context.iter().filter_map(|variable| variable.response_schema.as_ref());
    let outputs = config.agents.iter().filter_map(|agent| agent.output.as_ref());
    for schema in parameters.chain(answers).chain(outputs) {
        for slip in misspelt_keywords(&schema.value) {
            let place = places::beneath(&schema.pointer, &slip.pointer);
            faults.add(faults.document().warning_at_key(place, slip.message));
        }
    }
}

/// A default that lacks what templates read leaves holes in them, and nobody hears of it.
pub(super) fn of_defaults(config: &Config, registry: &Registry, faults: &Faults<'_>) {
    for variable in &config.context {
        let Some(default) = &variable.default else { continue };
        let mut told = BTreeSet::new();
        for (place, used) in registry.uses() {
            let of_this = used.root() == variable.name && *used.path != *variable.name;
            if !of_this || used.guarded || used.is_in(&default.value) || !told.insert(&used.path) {
                continue;
            }
            let reader = places::pointer(&place, config).dotted();
            let message =
                format!("this default has no `{}`, which `{reader}` reads: there it would be missing", used.path);
            let help = format!("add it to the default, or write `{{{{ {} | default(\"…\") }}}}` there", used.path);
            faults.add(faults.document().warning(&default.pointer, message).with_help(help));
        }
    }
}

/// A variable that no template reads is never fetched, and a tool that no agent has is never called.
pub(super) fn of_unused_requests(config: &Config, registry: &Registry, faults: &Faults<'_>) {
    let routes = registry.routes([]);
    let is_read = |name: &str| {
        let mut reads = routes.iter().flat_map(|route| &route.reads);
        reads.any(|read| matches!(read, Read::Variable(read) if **read == *name))
    };
    for variable in config.context.iter().filter(|variable| !is_read(&variable.name)) {
        let message = format!("nothing uses `{}`: no template reads it, so it is never fetched", variable.name);
        let help = format!("write `{{{{ {} }}}}` into a template, or remove it", variable.name);
        faults.add(faults.document().warning_at_key(&variable.pointer, message).with_help(help));
    }
    let had: HashSet<&str> =
        config.agents.iter().flat_map(|agent| &agent.tools).map(|tool| tool.name.as_str()).collect();
    let asked: HashSet<&str> =
        config.agents.iter().flat_map(|agent| &agent.delegates).map(|asked| asked.name.as_str()).collect();
    let tools = config.tools.iter().map(|tool| (&tool.name, &tool.pointer, &had, "tools"));
    let servers = config.mcp_servers.iter().map(|server| (&server.endpoint, &had, "tools"));
    let external = config.external_agents.iter().map(|agent| (&agent.endpoint, &asked, "delegates"));
    let endpoints = servers.chain(external).map(|(it, used, list)| (&it.name, &it.pointer, used, list));
    for (name, pointer, used, list) in tools.chain(endpoints) {
        if !used.contains(name.as_str()) {
            let message = format!("nothing uses `{name}`: no agent has it among its `{list}`");
            faults.add(faults.document().warning_at_key(pointer, message));
        }
    }
}

/// An agent that another one asks has nobody to ask for approval.
pub(super) fn of_approvals(config: &Config, faults: &Faults<'_>) {
    let needs_approval = |tool: &str| {
        config.tools.iter().any(|known| known.name == tool && known.approve)
            || config
                .mcp_servers
                .iter()
                .any(|known| known.endpoint.name == tool && !matches!(known.approve, Approve::None))
    };
    for delegate in config.agents.iter().flat_map(|agent| &agent.delegates) {
        let Some(asked) = config.agents.iter().find(|agent| agent.name == delegate.name) else { continue };
        let Some(tool) = asked.tools.iter().find(|tool| needs_approval(&tool.name)) else { continue };
        let message = format!(
            "calls of `{}` need approval, and `{}` cannot get it when another agent asks it: they are not made then",
            tool.name, asked.name
        );
        let help = format!(
            "let it hand the conversation over to `{}` (`handoffs`), or give the tool to this agent",
            asked.name
        );
        faults.add(faults.document().warning(&delegate.pointer, message).with_help(help));
    }
}

/// A request is not sent where its address or body lacks a value: a header that need not be there should be asked for first.
pub(super) fn of_optional_values(config: &Config, schema: &HeaderSchema, registry: &Registry, faults: &Faults<'_>) {
    for (place, used) in registry.needs() {
        let (part, owner, asked_for) = match &place {
            RegistryPlace::Variable(name, VariablePlace::Request(part)) => {
                let field = used.path.strip_prefix("headers.").unwrap_or_default();
                (part, format!("`context.{name}` cannot be fetched"), registry.asks_for(name, field))
            }
            RegistryPlace::HttpTool(name, HttpToolPlace::Request(part)) => {
                (part, format!("`tools.{name}` cannot be called"), false)
            }
            RegistryPlace::McpServer(name, McpServerPlace::Request(part)) => {
                (part, format!("`mcp_servers.{name}` cannot be asked"), false)
            }
            RegistryPlace::ExternalAgent(name, ExternalAgentPlace::Request(part)) => {
                (part, format!("`external_agents.{name}` cannot be asked"), false)
            }
            _ => continue,
        };
        let field = used.path.strip_prefix("headers.").and_then(|field| schema.field(field));
        let Some(field) = field.filter(|_| !matches!(part, RequestPlace::Header(_))) else { continue };
        let by_agent = config
            .agents
            .iter()
            .flat_map(|agent| &agent.requires)
            .any(|required| schema.field(&required.name).is_some_and(|required| required.name() == field.name()));
        if field.is_required() || field.default_value().is_some() || asked_for || by_agent {
            continue;
        }
        let message = format!("`{}` may be missing, and {owner} without it", used.path);
        let help = match &place {
            RegistryPlace::Variable(..) => {
                format!(
                    "write `requires: [\"{{{{ {} }}}}\"]` to do without the variable then, or require the header",
                    used.path
                )
            }
            _ => "require the header, there or of the agents that have the tool (`requires`)".to_owned(),
        };
        faults.add(faults.document().warning(places::pointer(&place, config), message).with_help(help));
    }
}

//! What can be used, but should be looked at.

use std::collections::BTreeSet;

use http::HeaderName;
use letterhead::Registry;
use letterhead_context::{HeaderSchema, RuntimeNames};

use crate::config::{Config, Faults, Pointer};

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
    let help = "listen on 127.0.0.1, or let a gateway verify callers: `auth: { trust_identity_headers: [10.0.0.0/8] }`";
    faults.add(faults.document().warning(Pointer::root().key("server").key("listen"), message).with_help(help));
}

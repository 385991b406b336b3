//! How a configuration gets the tokens of destinations, as the library has it.

use letterhead::TokenExchange;

use super::text;
use crate::config::token_exchange::{Client, TokenExchange as Configured};
use crate::config::{Config, Faults};

/// What is traded is a token that was verified. Without a verifier there is none, and every call would be refused.
///
/// Not said where sections are read: `letterhead token --add`, which mends it, has to read the file.
pub(super) fn check(config: &Config, faults: &Faults<'_>) {
    if config.auth.jwt.is_some() || faults.document().json("/auth/jwt").is_some() {
        return;
    }
    let variables = config.context.iter().filter_map(|variable| variable.request.exchange.as_ref());
    let tools = config.tools.iter().filter_map(|tool| tool.request.exchange.as_ref());
    let servers = config.mcp_servers.iter().filter_map(|server| server.endpoint.exchange.as_ref());
    let agents = config.external_agents.iter().filter_map(|agent| agent.endpoint.exchange.as_ref());
    for exchange in variables.chain(tools).chain(servers).chain(agents) {
        let fault = faults
            .document()
            .error_at_key(&exchange.pointer, "there is nothing to trade: this server verifies no tokens of callers");
        let help = "say whose are believed (`auth.jwt`); for a try, `letterhead token --add` does";
        faults.add(fault.with_help(help));
    }
}

pub(super) fn exchange(configured: &Configured) -> TokenExchange {
    let mut exchange = TokenExchange::new(configured.endpoint.as_str())
        .with_subject_token_type(configured.subject_token_type)
        .with_timeout(configured.timeout);
    if let Some(audience) = &configured.audience {
        exchange = exchange.with_audience(audience.as_str());
    }
    if let Some(resource) = &configured.resource {
        exchange = exchange.with_resource(resource.as_str());
    }
    if let Some(scope) = &configured.scope {
        exchange = exchange.with_scope(scope.as_str());
    }
    match &configured.client {
        None => exchange,
        Some(Client { id, secret: Some(secret), authentication }) => {
            exchange.with_client(id.as_str(), text(secret), *authentication)
        }
        Some(Client { id, secret: None, .. }) => exchange.with_public_client(id.as_str()),
    }
}

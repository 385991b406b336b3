//! The client for calls to where templates lead, and what can be said of their addresses before any call.

use letterhead::outbound::{AddressKind, EgressAllow, EgressAllowFault, GuardOptions, GuardedClient, Refused, Url};

use crate::config::{Config, Diagnostic, Faults, TemplateSource};

/// What is said of an entry that may be a secret in the wrong variable.
const FROM_ENVIRONMENT: &str = "the value of this variable is none: hosts are written as `crm.internal` or \
     `crm.internal:8080`, networks as `10.0.0.0/8`";

/// The client; none where there was a fault, or where nothing is called: reading the system's certificates takes its time.
pub(super) fn guarded(config: &Config, faults: &Faults<'_>) -> Option<GuardedClient> {
    let entries: Vec<&str> = config.egress.allow.iter().map(|entry| entry.value.as_str()).collect();
    let allow = EgressAllow::parse(&entries).map_err(|found| {
        for EgressAllowFault { entry, message, .. } in found.0 {
            let Some(entry) = config.egress.allow.get(entry) else { continue };
            let document = faults.document();
            let message =
                if document.is_from_environment(&entry.pointer) { FROM_ENVIRONMENT.to_owned() } else { message };
            faults.add(document.error(&entry.pointer, message));
        }
    });
    let allow = allow.ok()?;
    for url in addresses(config) {
        check(url, &allow, !entries.is_empty(), faults);
    }
    addresses(config).next()?;
    let client = GuardedClient::new(GuardOptions { allow, ..GuardOptions::default() });
    client.map_err(|error| faults.add(Diagnostic::error(None, error.to_string()))).ok()
}

fn addresses(config: &Config) -> impl Iterator<Item = &TemplateSource> {
    let variables = config.context.iter().map(|variable| &variable.request.url);
    let tools = config.tools.iter().map(|tool| &tool.request.url);
    let servers = config.mcp_servers.iter().map(|server| &server.endpoint.url);
    variables.chain(tools).chain(servers).chain(config.external_agents.iter().map(|agent| &agent.endpoint.url))
}

/// An address that every call would be refused for is told now, and not to the first caller.
fn check(url: &TemplateSource, allow: &EgressAllow, has_entries: bool, faults: &Faults<'_>) {
    let Some(origin) = origin(url) else { return };
    // What else can be wrong with an address, its template is checked for.
    let Err(refused @ Refused::Address { kind, .. }) = &allow.check(&origin) else { return };
    let host = origin.host_str().unwrap_or_default();
    let host = origin.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let fault = faults.document().error(url.pointer(), refused.to_string());
    faults.add(
        fault.with_help(match kind {
            AddressKind::Metadata => {
                "leave it so: whoever reaches it gets the machine's own credentials; take those that are \
                                  needed from the environment or a file (`credentials`)"
                    .to_owned()
            }
            _ if has_entries => format!("if calls may go there, add `\"{host}\"` to `egress.allow`"),
            _ => format!("if calls may go there, write `egress: {{ allow: [\"{host}\"] }}`"),
        }),
    );
}

/// Scheme, host and port of an address, where they are written out.
fn origin(url: &TemplateSource) -> Option<Url> {
    let (scheme, rest) = url.text().split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or(rest);
    if !url.is_literal() && [scheme, authority].iter().any(|part| part.contains('{')) {
        return None;
    }
    Url::parse(&format!("{scheme}://{authority}/")).ok()
}

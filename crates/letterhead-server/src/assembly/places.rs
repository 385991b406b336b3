//! Where in the file a fault of the parts is.

use letterhead::{ExternalAgentPlace, HttpToolPlace, McpServerPlace, RegistryFault, RegistryPlace, VariablePlace};
use letterhead_context::{RequestPlace, RuntimeNameFault, SchemaFault};

use crate::config::endpoint::Endpoint;
use crate::config::mcp_servers::Approve;
use crate::config::outgoing::OutgoingHeader;
use crate::config::request::{HttpRequest, NamedText, RequestBody};
use crate::config::{Config, Faults, Pointer, Position};

pub(super) fn of_schema(found: &[SchemaFault], faults: &Faults<'_>) {
    for fault in found {
        let pointer = beneath(&Pointer::root().key("headers"), &fault.pointer);
        let document = faults.document();
        faults.add(match fault.of_key {
            true => document.error_at_key(pointer, &fault.message),
            false => document.error(pointer, &fault.message),
        });
    }
}

pub(super) fn of_runtime_names(found: &[RuntimeNameFault], config: &Config, faults: &Faults<'_>) {
    for fault in found {
        let Some(row) = config.runtime_headers.get(fault.index) else { continue };
        faults.add(faults.document().error(&row.pointer, &fault.message));
    }
}

pub(super) fn of_registry(found: &[RegistryFault], config: &Config, faults: &Faults<'_>) {
    for fault in found {
        // That there are none, the schema has said with the reason.
        if config.agents.is_empty() && fault.place == RegistryPlace::Registry {
            continue;
        }
        let pointer = pointer(&fault.place, config);
        let span = match fault.position {
            Some((line, column)) => faults.document().locate_position(&pointer, Position { line, column }),
            None => faults.document().locate(&pointer),
        };
        faults.add(crate::config::Diagnostic::error(span, &fault.message));
    }
}

/// Where a place of the registry stands in the file.
pub(super) fn pointer(place: &RegistryPlace, config: &Config) -> Pointer {
    let agent = |name: &str| Pointer::root().key("agents").key(name);
    let provider = |name: &str| Pointer::root().key("providers").key(name);
    match place {
        RegistryPlace::Agent(name) => agent(name),
        RegistryPlace::Instructions(name) => agent(name).key("instructions"),
        RegistryPlace::AgentHeader(name, header) => agent(name).key("headers").key(header),
        RegistryPlace::Requires(name, at) => agent(name).key("requires").index(*at),
        RegistryPlace::Handoff(name, at) => agent(name).key("handoffs").index(*at),
        RegistryPlace::Delegate(name, at) => agent(name).key("delegates").index(*at),
        RegistryPlace::AgentModel(name) => agent(name).key("model"),
        RegistryPlace::DefaultModel => Pointer::root().key("model"),
        RegistryPlace::ApiKey(name) => provider(name).key("api_key"),
        RegistryPlace::ProviderHeader(name, header) => provider(name).key("headers").key(header),
        RegistryPlace::Variable(name, part) => variable(name, part, config),
        RegistryPlace::HttpTool(name, part) => tool(name, part, config),
        RegistryPlace::McpServer(name, part) => mcp_server(name, part, config),
        RegistryPlace::ExternalAgent(name, part) => external_agent(name, part, config),
        RegistryPlace::Output(name, below) => beneath(&agent(name).key("output"), below),
        RegistryPlace::ToolName(name, at) => {
            let named = config.agent(name).and_then(|agent| agent.tools.get(*at));
            named.map_or_else(|| agent(name).key("tools"), |tool| tool.pointer.clone())
        }
        _ => Pointer::root(),
    }
}

/// A place of a variable, however its definition is spelled.
fn variable(name: &str, part: &VariablePlace, config: &Config) -> Pointer {
    let whole = Pointer::root().key("context").key(name);
    let Some(variable) = config.context.iter().find(|variable| variable.name == name) else { return whole };
    let pointer = match part {
        VariablePlace::Request(RequestPlace::TokenExchange(key)) => Some(exchange(&whole, key)),
        VariablePlace::Request(place) => request(place, &variable.request),
        VariablePlace::Requires(at) => variable.requires.get(*at).map(|template| template.pointer().clone()),
        VariablePlace::Select => variable.select.as_ref().map(|path| path.pointer.clone()),
        VariablePlace::ResponseSchema(below) => {
            variable.response_schema.as_ref().map(|schema| beneath(&schema.pointer, below))
        }
        VariablePlace::Timeout => Some(whole.key("timeout")),
        _ => None,
    };
    pointer.unwrap_or(whole)
}

/// How the token of a destination is got, or a part of that.
fn exchange(whole: &Pointer, key: &str) -> Pointer {
    let exchange = whole.key("auth").key("token_exchange");
    if key.is_empty() { exchange } else { exchange.key(key) }
}

fn tool(name: &str, part: &HttpToolPlace, config: &Config) -> Pointer {
    let whole = Pointer::root().key("tools").key(name);
    let tool = config.tools.iter().find(|tool| tool.name == name);
    match part {
        HttpToolPlace::Request(RequestPlace::TokenExchange(key)) => exchange(&whole, key),
        HttpToolPlace::Request(place) => tool.and_then(|tool| request(place, &tool.request)).unwrap_or(whole),
        HttpToolPlace::Description => whole.key("description"),
        HttpToolPlace::Parameters(below) => beneath(&whole.key("parameters"), below),
        HttpToolPlace::Select => whole.key("select"),
        HttpToolPlace::Timeout => whole.key("timeout"),
        _ => whole,
    }
}

fn mcp_server(name: &str, part: &McpServerPlace, config: &Config) -> Pointer {
    let whole = Pointer::root().key("mcp_servers").key(name);
    let Some(server) = config.mcp_servers.iter().find(|server| server.endpoint.name == name) else { return whole };
    let pointer = match part {
        McpServerPlace::Request(place) => of_endpoint(place, &server.endpoint),
        McpServerPlace::Tool(tool) => {
            let mut tools = server.tools.iter().flatten();
            tools.find(|known| known.tool == *tool).map(|known| known.name.pointer.clone())
        }
        McpServerPlace::Approval(tool) => match &server.approve {
            Approve::Of(tools) => tools.iter().rfind(|known| known.value == *tool).map(|known| known.pointer.clone()),
            Approve::None | Approve::All => None,
        },
        McpServerPlace::Timeout => Some(whole.key("timeout")),
        _ => None,
    };
    pointer.unwrap_or(whole)
}

fn external_agent(name: &str, part: &ExternalAgentPlace, config: &Config) -> Pointer {
    let whole = Pointer::root().key("external_agents").key(name);
    let agent = config.external_agents.iter().find(|agent| agent.endpoint.name == name);
    match (part, agent) {
        (ExternalAgentPlace::Request(place), Some(agent)) => of_endpoint(place, &agent.endpoint).unwrap_or(whole),
        (ExternalAgentPlace::Timeout, Some(_)) => whole.key("timeout"),
        _ => whole,
    }
}

/// A place of the requests to an endpoint.
fn of_endpoint(place: &RequestPlace, endpoint: &Endpoint) -> Option<Pointer> {
    match place {
        RequestPlace::TokenExchange(key) => Some(exchange(&endpoint.pointer, key)),
        RequestPlace::Url => Some(endpoint.url.pointer().clone()),
        RequestPlace::Header(name) => of_header(name, &endpoint.headers),
        _ => None,
    }
}

fn of_header(name: &str, headers: &[OutgoingHeader]) -> Option<Pointer> {
    headers.iter().find(|header| header.name == *name).map(|header| header.pointer().clone())
}

/// A place of a request.
fn request(place: &RequestPlace, request: &HttpRequest) -> Option<Pointer> {
    let named =
        |all: &[NamedText], name: &str| all.iter().find(|one| one.name == name).map(|one| one.value.pointer().clone());
    match (place, &request.body) {
        (RequestPlace::Url, _) => Some(request.url.pointer().clone()),
        (RequestPlace::Header(name), _) => of_header(name, &request.headers),
        (RequestPlace::Query(name), _) => named(&request.query, name),
        (RequestPlace::Form(name), RequestBody::Form(fields)) => named(fields, name),
        (RequestPlace::Body(below), RequestBody::Json { pointer, .. }) => Some(beneath(pointer, below)),
        _ => None,
    }
}

/// The place that a pointer within a value names.
pub(super) fn beneath(pointer: &Pointer, below: &str) -> Pointer {
    Pointer::from(format!("{pointer}{below}").as_str())
}

//! Makes an MCP server ready: its templates and names checked; and asks it.

use std::sync::Arc;

use letterhead_context::name::nearest;
use letterhead_context::{CarriedSecrets, DestinationKind, RequestContext, RequestPlace, Scope, TrailEntry, Values};
use serde_json::{Map, Value};

use super::fault::Unusable;
use super::listing::McpTool;
use super::opening::Era;
use super::peer::{Listed, Peer};
use super::result::{failed, result};
use super::{Approval, McpPool, McpServer, McpServerPlace};
use crate::outbound::Url;
use crate::registry::{RegistryFault, RegistryPlace};
use crate::token_exchange::CallFault;
use crate::tool::ToolError;
use crate::tool::endpoint::{EndpointPlace, Line, PreparedEndpoint, Protocol, is_name_byte};
use crate::tool::json_rpc::AskFault;
use crate::variable::{Fetching, PreviewRequest, reached_nobody};

const PROTOCOL: Protocol = Protocol {
    name: "the name of an MCP server",
    section: "mcp_servers",
    destination: DestinationKind::McpServer,
    headers: "mcp-",
    asked: "request",
};

/// A server, ready to be asked.
#[derive(Debug)]
pub(crate) struct PreparedMcpServer {
    pub(crate) endpoint: PreparedEndpoint,
    /// The tools that agents may have, by the server's name and by ours. None: all.
    pub(super) tools: Option<Vec<(Arc<str>, Arc<str>)>>,
    pub(super) approval: Approval,
    pub(crate) optional: bool,
    shared: bool,
    pub(super) era: Era,
}

impl From<EndpointPlace> for McpServerPlace {
    fn from(place: EndpointPlace) -> Self {
        match place {
            EndpointPlace::Whole => Self::Whole,
            EndpointPlace::Request(part) => Self::Request(part),
            EndpointPlace::Timeout => Self::Timeout,
        }
    }
}

/// Checks servers.
pub(crate) fn prepare_mcp_servers(
    servers: &[McpServer],
    scope: Scope<'_>,
    faults: &mut Vec<RegistryFault>,
) -> Vec<Arc<PreparedMcpServer>> {
    let mut prepared = Vec::with_capacity(servers.len());
    for (at, server) in servers.iter().enumerate() {
        if servers.iter().take(at).any(|earlier| earlier.name() == server.name()) {
            faults.push(fault(server, McpServerPlace::Whole, "there are two MCP servers of this name"));
        }
        prepared.extend(prepare(server, scope, faults).map(Arc::new));
    }
    prepared
}

fn fault(server: &McpServer, place: McpServerPlace, message: impl Into<String>) -> RegistryFault {
    RegistryFault::at(RegistryPlace::McpServer(Arc::clone(&server.endpoint.name), place), message)
}

fn prepare(server: &McpServer, scope: Scope<'_>, faults: &mut Vec<RegistryFault>) -> Option<PreparedMcpServer> {
    let before = faults.len();
    for (at, (remote, shown)) in server.tools.iter().flatten().enumerate() {
        let earlier = || server.tools.iter().flatten().take(at);
        let message = if remote.is_empty() {
            "a tool has a name".to_owned()
        } else if remote != shown && !shown.bytes().all(is_name_byte) {
            format!("`{shown}` cannot be the name of a tool: letters, digits, `_` and `-` can")
        } else if server.name().len() + 1 + shown.len() > 64 {
            format!("`{}_{shown}` has more than 64 characters: give the tool a shorter name", server.name())
        } else if earlier().any(|(known, _)| known == remote) {
            format!("the tool `{remote}` is named twice")
        } else if earlier().any(|(_, known)| known == shown) {
            format!("two tools would be called `{}_{shown}`", server.name())
        } else {
            continue;
        };
        faults.push(fault(server, McpServerPlace::Tool(remote.clone()), message));
    }
    if let Approval::Of(named) = &server.approval {
        // A name that is not right would leave the tool that was meant free.
        for (at, tool) in named.iter().enumerate() {
            let message = if named.iter().take(at).any(|earlier| earlier == tool) {
                format!("the tool `{tool}` is named twice")
            } else if let Some(tools) =
                server.tools.as_ref().filter(|tools| tools.iter().all(|(known, _)| known != tool))
            {
                let near = nearest(tool, tools.iter().map(|(known, _)| known.as_str()));
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                format!("agents have no tool `{tool}` of this server, by the server's own name{near}")
            } else {
                continue;
            };
            faults.push(fault(server, McpServerPlace::Approval(tool.to_string()), message));
        }
    }
    let endpoint = server.endpoint.prepare(&PROTOCOL, scope, &mut |place, position, message| {
        let place = RegistryPlace::McpServer(Arc::clone(&server.endpoint.name), place.into());
        faults.push(RegistryFault { place, position, message });
    });
    if server.shared && server.endpoint.request.exchange.is_some() {
        let message = "a server that callers share cannot have tokens of each: remove `shared`";
        faults.push(fault(server, McpServerPlace::Request(RequestPlace::TokenExchange("")), message));
    }
    Some(PreparedMcpServer {
        endpoint: endpoint.filter(|_| faults.len() == before)?,
        tools: server.tools.as_ref().map(|tools| {
            tools.iter().map(|(remote, shown)| (Arc::from(remote.as_str()), Arc::from(shown.as_str()))).collect()
        }),
        approval: server.approval.clone(),
        optional: server.optional,
        shared: server.shared,
        era: Era::default(),
    })
}

/// A server as one caller has it, for one request.
pub(crate) struct Reached {
    peer: Arc<Peer>,
    line: Line,
    carried: CarriedSecrets,
}

impl PreparedMcpServer {
    /// Does a tool's name, as a model calls it, begin like those of this server's tools?
    pub(crate) fn may_have(&self, name: &str) -> bool {
        name.strip_prefix(&*self.endpoint.name).is_some_and(|rest| rest.starts_with('_'))
    }

    /// The name that follows the server's in what a model calls. None for a tool that agents may not have.
    pub(super) fn shown<'a>(&'a self, remote: &'a str) -> Option<&'a str> {
        match &self.tools {
            None => Some(remote),
            Some(tools) => tools.iter().find(|(known, _)| **known == *remote).map(|(_, shown)| &**shown),
        }
    }

    /// Renders the headers of one request. What goes out, and what stays, is added to the trail.
    ///
    /// # Errors
    ///
    /// If a credential or a secret is missing, or the address cannot be made: nothing is sent then.
    pub(crate) fn reach(
        &self,
        fetching: &Fetching,
        pool: &McpPool,
        context: &RequestContext,
        values: &Values,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<Reached, Unusable> {
        let caller = (!self.shared).then(|| context.caller());
        let reached = self.endpoint.reach(fetching, caller, context, values, trail).map_err(Unusable::NotSent)?;
        Ok(Reached { peer: pool.of(reached.key), line: reached.line, carried: reached.carried })
    }

    /// What would be sent to it, to look at: secrets stand for themselves. Nothing is sent. What would go out, and what
    /// stays, is added to the trail.
    ///
    /// # Errors
    ///
    /// Where it would not be asked.
    pub(crate) fn look(
        &self,
        context: &RequestContext,
        values: &Values,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<PreviewRequest, Unusable> {
        self.endpoint.look(context, values, trail, Url::clone).map_err(Unusable::NotSent)
    }

    /// The tools that it has, by its own words or by what is kept of them.
    /// `trail` has the entries of [`reach`](Self::reach), which are taken back where there is no token for it.
    pub(crate) async fn tools(&self, reached: &Reached, trail: &mut [TrailEntry]) -> Result<Listed, Unusable> {
        let listed = reached.peer.tools(self, &reached.line, &reached.carried).await;
        if let Err(Unusable::Asked(fault)) = &listed {
            take_back(trail, fault);
        }
        listed
    }

    /// Calls one of its tools.
    pub(crate) async fn call(
        &self,
        reached: &Reached,
        tool: &McpTool,
        arguments: Map<String, Value>,
        context: &RequestContext,
        trail: &mut [TrailEntry],
    ) -> Result<String, ToolError> {
        match reached.peer.call(self, &reached.line, tool, arguments).await {
            Ok(value) => result(value, &reached.carried),
            Err(fault) => {
                tracing::warn!(
                    request_id = context.request_id(),
                    server = &*self.endpoint.destination.name,
                    tool = tool.spec.name(),
                    "a call of an MCP server failed: {fault}"
                );
                take_back(trail, &fault);
                Err(failed(fault, &reached.carried))
            }
        }
    }
}

/// Without a token nothing was sent.
fn take_back(trail: &mut [TrailEntry], fault: &AskFault) {
    if let AskFault::NoToken(no) = fault {
        let fault = CallFault::NoToken(no.clone());
        trail.iter_mut().for_each(|entry| reached_nobody(entry, &fault));
    }
}

/// Reads the arguments' JSON text, as the model wrote it. What they have to be, the server checks.
pub(crate) fn mcp_arguments(text: &str) -> Result<Map<String, Value>, ToolError> {
    // Models say "nothing" in several ways.
    let text = if matches!(text.trim(), "" | "null") { "{}" } else { text };
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err(ToolError::new("The arguments are no JSON object. Nothing was called.")),
        Err(error) => Err(ToolError::new(format!("The arguments are not JSON: {error}. Nothing was called."))),
    }
}

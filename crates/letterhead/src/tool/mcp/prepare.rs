//! Makes an MCP server ready: its templates and names checked; and asks it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};
use letterhead_context::{
    BodySource, CarriedSecrets, Destination, DestinationKind, RequestContext, RequestPlace, RequestSource,
    RequestTemplate, Scope, TextSource, TrailEntry, Values,
};
use letterhead_store::Fingerprint;
use serde_json::{Map, Value};

use super::ask::Line;
use super::fault::Unusable;
use super::listing::McpTool;
use super::opening::Era;
use super::peer::{Listed, Peer};
use super::pool::McpPool;
use super::result::{failed, result};
use super::{McpServer, McpServerPlace};
use crate::agent::Text;
use crate::registry::{RegistryFault, RegistryPlace};
use crate::tool::ToolError;
use crate::variable::{Fetching, PreviewRequest, needed, shown_headers};

/// Headers that the protocol itself sets, beside all that begin with `mcp-`.
const OWN_HEADERS: [&str; 2] = ["accept", "last-event-id"];

/// A server, ready to be asked.
#[derive(Debug)]
pub(crate) struct PreparedMcpServer {
    pub(crate) name: Arc<str>,
    /// As a trail names it: `mcp_servers.crm`.
    pub(crate) destination: Destination,
    pub(crate) request: RequestTemplate,
    /// Is its address text that the environment may have a part in?
    literal_url: bool,
    per_call: Vec<HeaderName>,
    /// The tools that agents may have, by the server's name and by ours. None: all.
    pub(super) tools: Option<Vec<(Arc<str>, Arc<str>)>>,
    pub(crate) optional: bool,
    shared: bool,
    pub(super) timeout: Duration,
    trace: bool,
    /// The context variables that its templates read, by place.
    pub(crate) variables: Vec<usize>,
    pub(super) era: Era,
}

/// Checks servers.
pub(crate) fn prepare_mcp_servers(
    servers: &[McpServer],
    scope: Scope<'_>,
    faults: &mut Vec<RegistryFault>,
) -> Vec<Arc<PreparedMcpServer>> {
    let mut prepared = Vec::with_capacity(servers.len());
    for (at, server) in servers.iter().enumerate() {
        if servers.iter().take(at).any(|earlier| earlier.name == server.name) {
            faults.push(fault(server, McpServerPlace::Whole, "there are two MCP servers of this name"));
        }
        prepared.extend(prepare(server, scope, faults).map(Arc::new));
    }
    prepared
}

fn fault(server: &McpServer, place: McpServerPlace, message: impl Into<String>) -> RegistryFault {
    RegistryFault::at(RegistryPlace::McpServer(Arc::clone(&server.name), place), message)
}

fn prepare(server: &McpServer, scope: Scope<'_>, faults: &mut Vec<RegistryFault>) -> Option<PreparedMcpServer> {
    let before = faults.len();
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !(1..=48).contains(&server.name.len()) || !server.name.bytes().all(is_name_byte) {
        let message = "the name of an MCP server is 1 to 48 letters, digits, `_` or `-`";
        faults.push(fault(server, McpServerPlace::Whole, message));
    }
    for (name, _) in &server.headers {
        let lower = name.to_ascii_lowercase();
        if OWN_HEADERS.contains(&&*lower) || lower.starts_with("mcp-") {
            let place = McpServerPlace::Request(RequestPlace::Header(name.clone()));
            faults.push(fault(server, place, format!("the header `{lower}` belongs to the protocol, which sets it")));
        }
    }
    for (at, (remote, shown)) in server.tools.iter().flatten().enumerate() {
        let earlier = || server.tools.iter().flatten().take(at);
        let message = if remote.is_empty() {
            "a tool has a name".to_owned()
        } else if remote != shown && !shown.bytes().all(is_name_byte) {
            format!("`{shown}` cannot be the name of a tool: letters, digits, `_` and `-` can")
        } else if server.name.len() + 1 + shown.len() > 64 {
            format!("`{}_{shown}` has more than 64 characters: give the tool a shorter name", server.name)
        } else if earlier().any(|(known, _)| known == remote) {
            format!("the tool `{remote}` is named twice")
        } else if earlier().any(|(_, known)| known == shown) {
            format!("two tools would be called `{}_{shown}`", server.name)
        } else {
            continue;
        };
        faults.push(fault(server, McpServerPlace::Tool(remote.clone()), message));
    }
    if server.timeout.is_zero() {
        faults.push(fault(server, McpServerPlace::Timeout, "a request needs more time than none"));
    }
    let request = RequestTemplate::compile(source(server), scope).map_err(|found| {
        faults.extend(found.into_iter().map(
            |letterhead_context::RequestFault { place, position, message, .. }| {
                let place = RegistryPlace::McpServer(Arc::clone(&server.name), McpServerPlace::Request(place));
                RegistryFault { place, position, message }
            },
        ));
    });
    let request = request.ok()?;
    if faults.len() > before {
        return None;
    }
    Some(PreparedMcpServer {
        name: Arc::clone(&server.name),
        destination: Destination::new(format!("mcp_servers.{}", server.name), DestinationKind::McpServer),
        variables: needed(request.reads().map(|(_, read)| read), scope.variables),
        request,
        literal_url: server.url.is_literal(),
        per_call: server.per_call.iter().filter_map(|name| name.parse().ok()).collect(),
        tools: server.tools.as_ref().map(|tools| {
            tools.iter().map(|(remote, shown)| (Arc::from(remote.as_str()), Arc::from(shown.as_str()))).collect()
        }),
        optional: server.optional,
        shared: server.shared,
        timeout: server.timeout,
        trace: server.trace,
        era: Era::default(),
    })
}

fn source(server: &McpServer) -> RequestSource<'_> {
    fn text(text: &Text) -> TextSource<'_> {
        if text.is_literal() { TextSource::Literal(text.source()) } else { TextSource::Template(text.source()) }
    }
    RequestSource {
        method: Method::POST,
        url: text(&server.url),
        headers: server.headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect(),
        query: Vec::new(),
        body: BodySource::None,
    }
}

/// A server as one caller has it, for one request.
pub(crate) struct Reached {
    peer: Arc<Peer>,
    line: Line,
    carried: CarriedSecrets,
}

impl PreparedMcpServer {
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
        let request = self.request.render(&self.destination, context, values, trail).map_err(Unusable::NotSent)?;
        let carried = self.request.carried(context, &request);
        let key = self.key(fetching, context, &request);
        let trace = context.trace().copied().filter(|_| self.trace);
        let line = Line { client: fetching.client.clone(), url: request.url, headers: request.headers, trace };
        Ok(Reached { peer: pool.peer(key), line, carried })
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
        let masked = Values { masked: true, ..values.clone() };
        let request = self.request.render(&self.destination, context, &masked, trail).map_err(Unusable::NotSent)?;
        let origin = request.url.origin().ascii_serialization();
        Ok(PreviewRequest {
            destination: Arc::clone(&self.destination.name),
            method: request.method,
            url: if self.literal_url { format!("{origin}/…") } else { format!("{origin}{}", request.url.path()) },
            headers: shown_headers(self.request.headers(), &request.headers),
            body: None,
        })
    }

    /// What tells this server, caller and set of headers from all others.
    fn key(
        &self,
        fetching: &Fetching,
        context: &RequestContext,
        request: &letterhead_context::RenderedRequest,
    ) -> Fingerprint {
        let mut bytes = Vec::new();
        let mut add = |part: &[u8]| {
            bytes.extend_from_slice(&part.len().to_be_bytes());
            bytes.extend_from_slice(part);
        };
        add(b"mcp");
        add(self.name.as_bytes());
        if !self.shared {
            let caller = context.caller();
            add(caller.tenant().as_str().as_bytes());
            match caller.user() {
                Some(user) => {
                    add(b"user");
                    add(user.as_str().as_bytes());
                }
                None => add(b"nobody"),
            }
        }
        add(request.url.as_str().as_bytes());
        for (name, value) in &request.headers {
            if !self.per_call.contains(name) {
                add(name.as_str().as_bytes());
                add(value.as_bytes());
            }
        }
        fetching.fingerprints.of(&bytes, true)
    }

    /// The tools that it has, by its own words or by what is kept of them.
    pub(crate) async fn tools(&self, reached: &Reached) -> Result<Listed, Unusable> {
        reached.peer.tools(self, &reached.line, &reached.carried).await
    }

    /// Calls one of its tools.
    pub(crate) async fn call(
        &self,
        reached: &Reached,
        tool: &McpTool,
        arguments: Map<String, Value>,
        context: &RequestContext,
    ) -> Result<String, ToolError> {
        match reached.peer.call(self, &reached.line, tool, arguments).await {
            Ok(value) => result(value, &reached.carried),
            Err(fault) => {
                tracing::warn!(
                    request_id = context.request_id(),
                    server = &*self.destination.name,
                    tool = tool.spec.name(),
                    "a call of an MCP server failed: {fault}"
                );
                Err(failed(fault, &reached.carried))
            }
        }
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

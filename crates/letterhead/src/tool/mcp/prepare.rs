//! Makes an MCP server ready: its templates and names checked; and asks it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};
use letterhead_context::name::nearest;
use letterhead_context::{
    BodySource, CarriedSecrets, Destination, DestinationKind, RequestContext, RequestPlace, RequestSource,
    RequestTemplate, Scope, TextSource, TrailEntry, Values,
};
use serde_json::{Map, Value};

use super::ask::Line;
use super::fault::Unusable;
use super::listing::McpTool;
use super::opening::Era;
use super::peer::{Listed, Peer};
use super::result::{failed, result};
use super::{Approval, McpPool, McpServer, McpServerPlace};
use crate::agent::Text;
use crate::registry::{RegistryFault, RegistryPlace};
use crate::token_exchange::{CallFault, PreparedExchange, prepare_exchange};
use crate::tool::ToolError;
use crate::tool::json_rpc::AskFault;
use crate::tool::kept::Key;
use crate::variable::{Fetching, PreviewRequest, needed, reached_nobody, shown_headers};

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
    pub(super) approval: Approval,
    pub(crate) optional: bool,
    shared: bool,
    pub(super) timeout: Duration,
    trace: bool,
    /// How the token of its requests is got.
    pub(crate) exchange: Option<Arc<PreparedExchange>>,
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
    let destination = Destination::new(format!("mcp_servers.{}", server.name), DestinationKind::McpServer);
    let exchange = exchange(server, &destination, scope, faults);
    let request = request.ok()?;
    if faults.len() > before {
        return None;
    }
    Some(PreparedMcpServer {
        name: Arc::clone(&server.name),
        destination,
        exchange,
        variables: needed(request.reads().map(|(_, read)| read), scope.variables),
        request,
        literal_url: server.url.is_literal(),
        per_call: server.per_call.iter().filter_map(|name| name.parse().ok()).collect(),
        tools: server.tools.as_ref().map(|tools| {
            tools.iter().map(|(remote, shown)| (Arc::from(remote.as_str()), Arc::from(shown.as_str()))).collect()
        }),
        approval: server.approval.clone(),
        optional: server.optional,
        shared: server.shared,
        timeout: server.timeout,
        trace: server.trace,
        era: Era::default(),
    })
}

fn exchange(
    server: &McpServer,
    destination: &Destination,
    scope: Scope<'_>,
    faults: &mut Vec<RegistryFault>,
) -> Option<Arc<PreparedExchange>> {
    let exchange = server.exchange.as_ref()?;
    let mut add = |part, position, message| {
        let place = RegistryPlace::McpServer(Arc::clone(&server.name), McpServerPlace::Request(part));
        faults.push(RegistryFault { place, position, message });
    };
    if server.shared {
        let message = "a server that callers share cannot have tokens of each: remove `shared`";
        add(RequestPlace::TokenExchange(""), None, message.to_owned());
    }
    let headers = server.headers.iter().map(|(name, _)| name.as_str());
    let prepared = prepare_exchange(exchange, &destination.name, headers, scope);
    let prepared = prepared.map_err(|found| {
        found.into_iter().for_each(|(part, position, message)| add(part, position, message));
    });
    prepared.ok()
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
        let pass = fetching.pass(self.exchange.as_ref(), context).map_err(|no| {
            trail.extend(self.exchange.as_ref().map(|exchange| exchange.entry(context, &self.destination, Some(&no))));
            Unusable::NotSent(no)
        })?;
        let request = self.request.render(&self.destination, context, values, trail).map_err(Unusable::NotSent)?;
        trail.extend(self.exchange.as_ref().map(|exchange| exchange.entry(context, &self.destination, None)));
        let carried = self.request.carried(context, &request);
        let caller = (!self.shared).then(|| context.caller());
        let (name, per_call) = (&*self.name, &*self.per_call);
        let key = Key { kind: "mcp", name, caller, request: &request, per_call, pass: pass.as_ref() };
        let key = key.fingerprint(&fetching.fingerprints);
        let trace = context.trace().copied().filter(|_| self.trace);
        let line = Line { client: fetching.client.clone(), url: request.url, headers: request.headers, trace, pass };
        Ok(Reached { peer: pool.of(key), line, carried })
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
        if let Some(exchange) = &self.exchange {
            let refused = exchange.refuses(context);
            trail.push(exchange.entry(context, &self.destination, refused.as_ref()));
            refused.map_or(Ok(()), |no| Err(Unusable::NotSent(no)))?;
        }
        let request = self.request.render(&self.destination, context, &masked, trail).map_err(Unusable::NotSent)?;
        let origin = request.url.origin().ascii_serialization();
        Ok(PreviewRequest {
            destination: Arc::clone(&self.destination.name),
            method: request.method,
            url: if self.literal_url { format!("{origin}/…") } else { format!("{origin}{}", request.url.path()) },
            headers: shown_headers(self.request.headers(), &request.headers, self.exchange.as_deref()),
            body: None,
        })
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
                    server = &*self.destination.name,
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

//! The tools of MCP servers in a run: asked for when an agent's turn begins, then the same for all its model calls.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use letterhead_context::{Code, Fault, Layer, Problem, TrailEntry, Values};

use super::answer::ToolCall;
use super::tool_calls::{Made, Round};
use super::turn::{NoValues, RunLoop, Shared, Stop};
use crate::model::ToolSpec;
use crate::registry::Prepared;
use crate::tool::{Listing, McpTool, PreparedMcpServer, State, ToolError, Unusable, mcp_arguments};

/// The reason in the trail for what a server was not asked again.
const KNOWN: &str = "not asked: which tools it has is known from earlier";

/// The tools of an agent's MCP servers, as they were when its turn began.
pub(super) struct McpOffer {
    agent: Arc<str>,
    pub(super) specs: Vec<Arc<ToolSpec>>,
    calls: HashMap<Arc<str>, McpCall>,
    /// The optional servers whose tools are not to be had now, and why.
    missing: Vec<(Arc<PreparedMcpServer>, Problem)>,
}

/// What the name of a tool stands for.
struct McpCall {
    server: Arc<PreparedMcpServer>,
    tool: Arc<McpTool>,
}

/// What came of asking one server.
struct Asked {
    listing: Result<Arc<Listing>, Unusable>,
    trail: Vec<TrailEntry>,
}

impl RunLoop<'_> {
    /// Asks the agent's MCP servers which tools they have, unless that was done since the agent has the conversation.
    pub(super) async fn offer_mcp(&mut self) -> Result<(), Stop> {
        let prepared = self.prepared()?;
        if prepared.mcp_servers.is_empty() {
            self.mcp = None;
            return Ok(());
        }
        let agent = prepared.agent.shared_name();
        if self.mcp.as_ref().is_some_and(|offer| offer.agent == agent) {
            return Ok(());
        }
        let (shared, context, state) = (self.shared, &self.context, &self.input.state);
        let asking = prepared.mcp_servers.iter().map(|server| shared.ask(server, context, state));
        let all = tokio::select! {
            biased;
            () = shared.cancelled.cancelled() => return Err(Stop::Cancelled),
            all = join_all(asking) => all,
        };
        let mut offer = McpOffer { agent, specs: Vec::new(), calls: HashMap::new(), missing: Vec::new() };
        let mut failed = None;
        for (server, Asked { listing, mut trail }) in prepared.mcp_servers.iter().zip(all) {
            let added = listing.and_then(|listing| offer.add(prepared, server, &listing).map(|()| listing));
            match added {
                Ok(listing) => trail.extend(listing.left_out.iter().map(|why| self.noted(server, why.clone()))),
                Err(why) => {
                    let goes_on = if server.optional { "the turn goes on without its tools" } else { "the turn ends" };
                    tracing::warn!(
                        request_id = self.context.request_id(),
                        server = &*server.endpoint.destination.name,
                        "the tools of an MCP server are not to be had: {why}; {goes_on}"
                    );
                    trail.push(self.noted(server, format!("its tools are not to be had: {why}; {goes_on}")));
                    let problem = why.problem(&server.endpoint.destination.name);
                    if server.optional {
                        offer.missing.push((Arc::clone(server), problem));
                    } else {
                        failed.get_or_insert(problem);
                    }
                }
            }
            self.outcome.note(trail);
        }
        self.outcome.note(self.shared.variables.take_trail());
        if let Some(problem) = failed {
            return Err(problem.into());
        }
        self.check_client_names(&offer)?;
        self.mcp = Some(offer);
        Ok(())
    }

    /// With two tools of one name nobody could tell who has to run it.
    fn check_client_names(&self, offer: &McpOffer) -> Result<(), Problem> {
        let clients = self.input.client_tools.iter().enumerate();
        let taken = clients.filter(|(_, spec)| offer.calls.contains_key(spec.name()));
        let faults: Vec<Fault> = taken
            .map(|(at, spec)| {
                let detail = format!("the agent `{}` has a tool `{}` of its own", offer.agent, spec.name());
                Fault::pointer(format!("/tools/{at}/function/name"), Code::InvalidBody, detail)
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(Problem::faults(faults)) }
    }

    /// An entry of the trail for a server as a whole.
    pub(super) fn noted(&self, server: &PreparedMcpServer, reason: String) -> TrailEntry {
        TrailEntry {
            agent: self.context.shared_agent(),
            destination: Arc::clone(&server.endpoint.destination.name),
            kind: server.endpoint.destination.kind,
            header: Arc::clone(&server.endpoint.name),
            from: Arc::clone(&server.endpoint.destination.name),
            part: None,
            layer: Layer::Destination,
            sent: false,
            reason: Some(Cow::Owned(reason)),
        }
    }
}

impl McpOffer {
    /// Adds the tools of a server; none of them if one has a name that another tool has.
    fn add(&mut self, prepared: &Prepared, server: &Arc<PreparedMcpServer>, listing: &Listing) -> Result<(), Unusable> {
        let is_taken = |name: &str| prepared.calls.contains_key(name) || self.calls.contains_key(name);
        if let Some(taken) = listing.tools.iter().find(|tool| is_taken(tool.spec.name())) {
            let name = taken.spec.name();
            return Err(Unusable::Because(format!("it offers a tool `{name}`, and the agent has one of this name")));
        }
        for tool in &listing.tools {
            self.specs.push(Arc::clone(&tool.spec));
            let call = McpCall { server: Arc::clone(server), tool: Arc::clone(tool) };
            self.calls.insert(Arc::from(tool.spec.name()), call);
        }
        Ok(())
    }

    /// Is there a tool of this name?
    pub(super) fn has(&self, name: &str) -> bool {
        self.calls.contains_key(name)
    }

    /// Why the tool of this name is not there, if it may be one of a server whose tools are not to be had now.
    pub(super) fn missing(&self, name: &str) -> Option<&Problem> {
        let (_, why) = self.missing.iter().find(|(server, _)| server.may_have(name))?;
        Some(why).filter(|_| !self.has(name))
    }

    /// Is there a tool of this name whose calls need approval?
    pub(super) fn needs_approval(&self, name: &str) -> bool {
        self.calls.get(name).is_some_and(|call| call.tool.needs_approval)
    }
}

impl Shared<'_> {
    /// What a server's templates read beside the context.
    async fn values_for(
        &self,
        server: &PreparedMcpServer,
        context: &letterhead_context::RequestContext,
        state: &State,
    ) -> Result<Values, String> {
        let found = self.values(&server.endpoint.variables, context, state).await;
        let variables = found.map_err(|none| match none {
            NoValues::Cancelled => "the turn was cancelled".to_owned(),
            NoValues::Unavailable(unavailable) => unavailable.to_string(),
        })?;
        Ok(Values { state: Some(state.snapshot()), variables, ..Values::default() })
    }

    /// Asks a server which tools it has, or remembers it.
    async fn ask(
        &self,
        server: &PreparedMcpServer,
        context: &letterhead_context::RequestContext,
        state: &State,
    ) -> Asked {
        let mut trail = Vec::new();
        let listing = self.try_ask(server, context, state, &mut trail).await;
        Asked { listing, trail }
    }

    async fn try_ask(
        &self,
        server: &PreparedMcpServer,
        context: &letterhead_context::RequestContext,
        state: &State,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<Arc<Listing>, Unusable> {
        let registry = self.registry;
        let Some(fetching) = &registry.fetching else {
            return Err(Unusable::Because("there is no client for it".to_owned()));
        };
        let values = self.values_for(server, context, state).await.map_err(Unusable::Because)?;
        let reached = server.reach(fetching, &registry.mcp_pool, context, &values, trail)?;
        let listed = server.tools(&reached, trail).await?;
        if !listed.is_fresh {
            for entry in trail.iter_mut().filter(|entry| entry.sent) {
                entry.sent = false;
                entry.reason = Some(Cow::Borrowed(KNOWN));
            }
        }
        Ok(listed.listing)
    }
}

impl Round<'_> {
    /// Calls a tool of an MCP server.
    pub(super) async fn call_mcp(&self, offer: &McpOffer, call: &ToolCall) -> Made {
        let mut made = Made::default();
        let done = tokio::select! {
            biased;
            done = self.try_mcp(offer, call, &mut made) => done,
            () = self.shared.cancelled.cancelled() => Err(ToolError::new("The call was interrupted.")),
        };
        made.trail.extend(self.shared.variables.take_trail());
        match done {
            Ok(text) => Made { text, ..made },
            Err(error) => Made { text: error.to_string(), is_error: true, ..made },
        }
    }

    async fn try_mcp(&self, offer: &McpOffer, call: &ToolCall, made: &mut Made) -> Result<String, ToolError> {
        let Some(McpCall { server, tool }) = offer.calls.get(&call.name) else {
            return Err(ToolError::new("There is no tool of this name."));
        };
        let arguments = mcp_arguments(&call.arguments)?;
        let not_made = |why: String| ToolError::new(format!("The call was not made: {why}."));
        let registry = self.shared.registry;
        let Some(fetching) = &registry.fetching else {
            return Err(not_made("there is no client for it".to_owned()));
        };
        let values = self.shared.values_for(server, self.context, &self.input.state).await.map_err(not_made)?;
        let reached = server.reach(fetching, &registry.mcp_pool, self.context, &values, &mut made.trail);
        let reached = reached.map_err(|why| not_made(why.to_string()))?;
        made.had_effects = tool.has_effects;
        server.call(&reached, tool, arguments, self.context, &mut made.trail).await
    }
}

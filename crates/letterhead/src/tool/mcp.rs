//! MCP servers whose tools an agent has: the client's side of the Model Context Protocol over streamable HTTP.
//!
//! Own code, and not the official `rmcp`: headers are rendered anew for each call, which a client with headers per
//! transport cannot do, and every request goes through the [`GuardedClient`](crate::outbound::GuardedClient), which looks
//! at where it goes.

mod ask;
mod cancel;
mod fault;
mod listing;
mod message;
mod opening;
mod peer;
mod prepare;
mod result;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::endpoint::{Endpoint, endpoint_methods};
use crate::agent::Text;

pub(crate) use fault::Unusable;
pub(crate) use listing::{Listing, McpTool};
pub(crate) use prepare::{PreparedMcpServer, mcp_arguments, prepare_mcp_servers};

/// Opened servers, one for each caller and set of headers.
pub(crate) type McpPool = super::kept::Kept<peer::Peer>;

/// A server of the Model Context Protocol, by streamable HTTP. An agent that [names](crate::Agent::with_tool_named) it
/// has its tools, each called `<server>_<tool>`.
///
/// The address and the headers are templates. The headers are rendered for every request: what a server is asked when an
/// agent's turn begins (which tools it has) carries the same headers as the calls of its tools. Nothing else of the
/// request behind the turn reaches it.
///
/// Both revisions are spoken that servers have: 2026-07-28, and 2025-11-25 and before, with their sessions. What a server
/// said of itself is kept for five minutes, for one caller with one set of headers.
///
/// All tools that an agent has are sent with every call of its model. Of one server they are 128 at most, with 512 KiB of
/// names, descriptions and schemas: one that has more cannot be used until those that agents need are
/// [listed](Self::with_tool).
///
/// ```
/// use letterhead::McpServer;
///
/// let crm = McpServer::new("crm", "https://crm.example.com/mcp")
///     .with_header("Authorization", "Bearer {{ headers.auth_token }}")
///     .with_header_per_call("X-Request-Id", "{{ request.id }}")
///     .with_tool("find_customer") // This one alone, and
///     .with_tool_as("tickets.open", "open_ticket"); // this one, as `crm_open_ticket`.
/// assert_eq!(crm.name(), "crm");
/// ```
#[derive(Clone, PartialEq)]
#[must_use = "a server does nothing until it is added to a runner or registry"]
pub struct McpServer {
    endpoint: Endpoint,
    /// The tools that agents have, each with the name that follows the server's. None: all.
    tools: Option<Vec<(String, String)>>,
    approval: Approval,
    optional: bool,
    shared: bool,
}

impl McpServer {
    /// A server at this address, which is a template; its scheme, host and port are literal, or from the listed
    /// environment. The name is 1 to 48 letters, digits, `_` or `-`.
    pub fn new(name: impl Into<Arc<str>>, url: impl Into<Text>) -> Self {
        Self {
            endpoint: Endpoint::new(name.into(), url.into(), Method::POST, Duration::from_secs(30)),
            tools: None,
            approval: Approval::None,
            optional: false,
            shared: false,
        }
    }

    endpoint_methods!(with_timeout: "How long one request may take, to the last byte of its answer: 30 s.");

    /// Lets agents have this tool. Without a word on tools they have all.
    pub fn with_tool(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.with_tool_as(name.clone(), name)
    }

    /// Lets agents have this tool, under the name `<server>_<name>`.
    pub fn with_tool_as(mut self, tool: impl Into<String>, name: impl Into<String>) -> Self {
        self.tools.get_or_insert_default().push((tool.into(), name.into()));
        self
    }

    /// Lets its tools be called only when a person has approved each call: see
    /// [`Tool::needs_approval`](crate::Tool::needs_approval).
    pub fn with_approval(self) -> Self {
        Self { approval: Approval::All, ..self }
    }

    /// The same for this tool, by the server's own name for it. Who names some leaves the others free, and the server says
    /// what its tools are called: where it is not trusted to, [list](Self::with_tool) the tools that agents may have.
    /// Without such a list, while the server has no tool of this name, all its tools need approval: log and trail say so.
    pub fn with_approval_of(mut self, tool: impl Into<String>) -> Self {
        match &mut self.approval {
            Approval::All => {}
            Approval::Of(tools) => tools.push(tool.into()),
            Approval::None => self.approval = Approval::Of(vec![tool.into()]),
        }
        self
    }

    /// Lets a turn go on without its tools when it cannot be used. Without this the turn fails.
    pub fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// Shares what is kept of the server among all callers whose requests have the same headers. Without this, each caller
    /// opens the server anew.
    pub fn shared(self) -> Self {
        Self { shared: true, ..self }
    }
}

/// Which of a server's tools are called only when a person has approved it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Approval {
    None,
    All,
    /// Those of these names, which are the server's own.
    Of(Vec<String>),
}

impl Approval {
    fn needs(&self, remote: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Of(tools) => tools.iter().any(|tool| tool == remote),
        }
    }
}

/// The name alone: the rest may hold keys.
impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpServer").field("name", &self.endpoint.name).finish_non_exhaustive()
    }
}

/// Which part of an MCP server a fault is in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum McpServerPlace {
    /// The server as a whole, or its name.
    Whole,
    /// A part of its requests.
    Request(letterhead_context::RequestPlace),
    /// One of the tools that agents may have, by the server's own name for it.
    Tool(String),
    /// One of the tools that need approval, by the server's own name for it.
    Approval(String),
    /// The time that a request may take.
    Timeout,
}

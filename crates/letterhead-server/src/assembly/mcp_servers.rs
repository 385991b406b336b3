//! The MCP servers of a configuration, as the library has them.

use letterhead::McpServer;

use super::{text, token_exchange};
use crate::config::mcp_servers::{Approve, McpServer as Configured};

pub(super) fn server(configured: &Configured) -> McpServer {
    let endpoint = &configured.endpoint;
    let mut server = McpServer::new(endpoint.name.as_str(), text(&endpoint.url)).with_timeout(endpoint.timeout);
    for header in &endpoint.headers {
        let (name, value) = (header.name.as_str(), text(&header.value));
        server = if endpoint.per_call.contains(&header.name) {
            server.with_header_per_call(name, value)
        } else {
            server.with_header(name, value)
        };
    }
    for tool in configured.tools.iter().flatten() {
        server = server.with_tool_as(tool.tool.as_str(), tool.name.value.as_str());
    }
    server = match &configured.approve {
        Approve::None => server,
        Approve::All => server.with_approval(),
        Approve::Of(tools) => tools.iter().fold(server, |server, tool| server.with_approval_of(tool.value.as_str())),
    };
    if configured.optional {
        server = server.optional();
    }
    if configured.shared {
        server = server.shared();
    }
    if let Some(exchange) = &endpoint.exchange {
        server = server.with_token_exchange(token_exchange::exchange(exchange));
    }
    if endpoint.trace { server } else { server.without_trace() }
}

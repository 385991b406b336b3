//! `mcp_servers:` — servers of the Model Context Protocol whose tools agents have.

use std::time::Duration;

use super::{endpoint::Endpoint, placed::Placed, section::Section};

/// How long a request may take, unless the file says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A server of the Model Context Protocol, by streamable HTTP.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct McpServer {
    /// Its address, and the headers of its requests. With its name the names of its tools begin.
    pub endpoint: Endpoint,
    /// The tools that agents have; nothing is all.
    pub tools: Option<Vec<AllowedTool>>,
    /// Whose calls a person has to approve.
    pub approve: Approve,
    /// Whether a turn goes on without it.
    pub optional: bool,
    /// Whether all callers with the same headers share what is known of it.
    pub shared: bool,
}

/// The tools that are called only when a person has approved it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Approve {
    /// None.
    None,
    /// All.
    All,
    /// These, by the server's names for them.
    Of(Vec<Placed<String>>),
}

/// A tool that agents have.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AllowedTool {
    /// The server's name for it.
    pub tool: String,
    /// What follows the server's name in the name by which models call it.
    pub name: Placed<String>,
}

pub(super) fn read(section: &Section<'_>) -> Vec<McpServer> {
    let read = |(name, server): (&str, Section<'_>)| McpServer {
        tools: server.child("tools").exists().then(|| tools(&server.child("tools"))),
        approve: approve(&server.child("approve")),
        optional: server.child("optional").bool(false),
        shared: server.child("shared").bool(false),
        endpoint: Endpoint::read(name, &server, TIMEOUT, "https://crm.example.com/mcp"),
    };
    section.entries().into_iter().map(read).collect()
}

/// All or none, or a list of names.
fn approve(section: &Section<'_>) -> Approve {
    match section.json() {
        Some(serde_json::Value::Bool(true)) => Approve::All,
        Some(serde_json::Value::Array(_)) => {
            let listed = |(tool, item): (&str, Section<'_>)| Placed::new(tool.to_owned(), item.pointer());
            Approve::Of(section.texts().into_iter().map(listed).collect())
        }
        _ => Approve::None,
    }
}

/// A list of names, or a map from names to other names.
fn tools(section: &Section<'_>) -> Vec<AllowedTool> {
    if section.is_map() {
        let renamed = |(tool, entry): (&str, Section<'_>)| {
            Some(AllowedTool { tool: tool.to_owned(), name: Placed::new(entry.text()?.to_owned(), entry.pointer()) })
        };
        return section.entries().into_iter().filter_map(renamed).collect();
    }
    let listed = |(tool, item): (&str, Section<'_>)| AllowedTool {
        tool: tool.to_owned(),
        name: Placed::new(tool.to_owned(), item.pointer()),
    };
    section.texts().into_iter().map(listed).collect()
}

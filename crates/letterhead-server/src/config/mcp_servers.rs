//! `mcp_servers:` — servers of the Model Context Protocol whose tools agents have.

use std::time::Duration;

use super::{
    outgoing::{OutgoingHeader, read_headers_at},
    placed::Placed,
    pointer::Pointer,
    request::{check_address, missing_address},
    section::Section,
    template::TemplateSource,
    token_exchange::TokenExchange,
};

/// How long a request may take, unless the file says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A server of the Model Context Protocol, by streamable HTTP.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct McpServer {
    /// Its name, with which the names of its tools begin.
    pub name: String,
    /// The address. Its scheme, host and port are literal, or from the environment.
    pub url: TemplateSource,
    /// The headers of every request, in the file's order.
    pub headers: Vec<OutgoingHeader>,
    /// The names of those that may differ from call to call.
    pub per_call: Vec<String>,
    /// The tools that agents have; nothing is all.
    pub tools: Option<Vec<AllowedTool>>,
    /// Whose calls a person has to approve.
    pub approve: Approve,
    /// Whether a turn goes on without it.
    pub optional: bool,
    /// Whether all callers with the same headers share what is known of it.
    pub shared: bool,
    /// How long a request may take.
    pub timeout: Duration,
    /// Whether requests carry the turn's `traceparent`.
    pub trace: bool,
    /// How the token of its requests is got.
    pub exchange: Option<TokenExchange>,
    /// Where it stands.
    pub pointer: Pointer,
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
    section.entries().into_iter().filter_map(|(name, server)| McpServer::read(name, &server)).collect()
}

/// The names of all servers, of those with faults too.
pub(super) fn names<'r>(section: &Section<'r>) -> Vec<&'r str> {
    section.entries().into_iter().map(|(name, _)| name).collect()
}

impl McpServer {
    fn read(name: &str, section: &Section<'_>) -> Option<Self> {
        let headers = section.child("headers");
        let is_per_call = |entry: &Section<'_>| entry.is_map() && entry.child("per_call").bool(false);
        let per_call = headers.entries().into_iter().filter(|(_, entry)| is_per_call(entry));
        let url = section.child("url");
        let server = Self {
            name: name.to_owned(),
            per_call: per_call.map(|(name, _)| name.to_owned()).collect(),
            headers: read_headers_at(&headers, |entry| if entry.is_map() { entry.child("value") } else { entry }),
            tools: section.child("tools").exists().then(|| tools(&section.child("tools"))),
            approve: approve(&section.child("approve")),
            optional: section.child("optional").bool(false),
            shared: section.child("shared").bool(false),
            timeout: section.child("timeout").duration(TIMEOUT),
            trace: section.child("trace").bool(true),
            exchange: TokenExchange::read(&section.child("auth")),
            pointer: section.pointer().clone(),
            url: match url.template() {
                Some(url) => url,
                None if url.exists() => return None,
                None => {
                    missing_address(section, "url: https://crm.example.com/mcp");
                    return None;
                }
            },
        };
        check_address(&url, &server.url);
        Some(server)
    }
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

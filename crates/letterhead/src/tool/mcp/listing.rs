//! The tools that a server says it has, as a model may be told of them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Approval;
use super::prepare::PreparedMcpServer;
use crate::model::ToolSpec;

/// The most tools of one server.
const MOST_TOOLS: usize = 256;

/// The most bytes of a description that a model is told.
const MOST_TOLD: usize = 4096;

/// The longest name of a tool that providers take.
const LONGEST_NAME: usize = 64;

/// The tools of a server.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) tools: Vec<Arc<McpTool>>,
    /// What was left out or renamed, each with the reason, in words for an operator.
    pub(crate) left_out: Vec<String>,
}

/// A tool of a server.
#[derive(Debug)]
pub(crate) struct McpTool {
    /// As a model is told of it.
    pub(crate) spec: Arc<ToolSpec>,
    /// The server's own name for it.
    pub(super) name: Arc<str>,
    /// May a call change something? Yes, unless the server says that it only reads.
    pub(crate) has_effects: bool,
    pub(crate) needs_approval: bool,
}

/// One page of a list.
pub(super) struct Offered {
    pub(super) page: Vec<Value>,
    /// How long it holds, if the server says so.
    pub(super) ttl: Option<Duration>,
    /// The next page.
    pub(super) next: Option<Value>,
}

impl Offered {
    pub(super) fn read(result: Value) -> Option<Self> {
        let Value::Object(mut result) = result else { return None };
        let Some(Value::Array(page)) = result.remove("tools") else { return None };
        let ttl = result.get("ttlMs").and_then(Value::as_u64).map(Duration::from_millis);
        let next = result.remove("nextCursor").filter(Value::is_string);
        Some(Self { page, ttl, next })
    }
}

impl Listing {
    /// Reads what a server listed: the tools that agents may have, under the names by which models call them.
    ///
    /// # Errors
    ///
    /// If two of them would have one name: nobody could tell which is meant, so none of the server's is offered.
    pub(super) fn read(server: &PreparedMcpServer, listed: Vec<Value>) -> Result<Self, String> {
        let (mut listing, mut names) = (Self::default(), HashSet::new());
        let mut wanted: Vec<&str> = server.tools.iter().flatten().map(|(remote, _)| &**remote).collect();
        // Where agents have only the tools that are listed, none is free that is not meant to be.
        let unknown = if server.tools.is_none() { unknown(&server.approval, &listed) } else { Vec::new() };
        // Which tool was meant nobody can tell: it could be any.
        let approval = if unknown.is_empty() { &server.approval } else { &Approval::All };
        listing.left_out.extend(unknown.into_iter().map(|name| {
            format!(
                "it has no tool `{name}`, of which calls need approval: until the names there are right, every call of \
                 its tools needs approval"
            )
        }));
        for tool in listed {
            let Value::Object(tool) = tool else {
                listing.left_out.push("a tool that is no object was left out".to_owned());
                continue;
            };
            let remote = tool.get("name").and_then(Value::as_str).unwrap_or_default();
            let Some(shown) = server.shown(remote) else { continue };
            wanted.retain(|name| *name != remote);
            if listing.tools.len() == MOST_TOOLS {
                listing.left_out.push(format!("it has more than {MOST_TOOLS} tools: the rest was left out"));
                break;
            }
            match read(server, approval, remote, shown, &tool, &mut listing.left_out) {
                Ok(tool) if names.insert(tool.spec.name().to_owned()) => listing.tools.push(Arc::new(tool)),
                Ok(tool) => return Err(format!("two of its tools would be called `{}`", tool.spec.name())),
                Err(why) => {
                    listing.left_out.push(format!("the tool `{}` was left out: {why}", printable(remote)));
                }
            }
        }
        listing.left_out.extend(wanted.into_iter().map(|name| format!("it has no tool `{name}`")));
        Ok(listing)
    }
}

/// The tools that need approval and that the server does not have: misspelt, or called otherwise now.
fn unknown<'a>(approval: &'a Approval, listed: &[Value]) -> Vec<&'a str> {
    let Approval::Of(named) = approval else { return Vec::new() };
    let has = |name: &str| listed.iter().any(|tool| tool.get("name").and_then(Value::as_str) == Some(name));
    named.iter().map(String::as_str).filter(|name| !has(name)).collect()
}

fn read(
    server: &PreparedMcpServer,
    approval: &Approval,
    remote: &str,
    shown: &str,
    tool: &Map<String, Value>,
    notes: &mut Vec<String>,
) -> Result<McpTool, &'static str> {
    // What may stand in a name by the protocol; it can stand in a header too.
    let is_name = (1..=128).contains(&remote.len())
        && remote.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/'));
    if !is_name {
        return Err("its name is none that the protocol allows");
    }
    let name = format!("{}_{}", server.endpoint.name, shown.replace(['.', '/'], "_"));
    if name.len() > LONGEST_NAME {
        return Err("with the server's name it has more than 64 characters; give it another name under `tools`");
    }
    if shown.contains(['.', '/']) {
        notes.push(format!("the tool `{remote}` is called `{name}`: models take no `.` and no `/` in a name"));
    }
    let Some(Value::Object(schema)) = tool.get("inputSchema") else { return Err("it has no schema of its arguments") };
    let mut schema = schema.clone();
    match schema.get("type") {
        Some(kind) if kind == "object" => {}
        Some(_) => return Err("its arguments are no object"),
        None => {
            schema.insert("type".to_owned(), "object".into());
        }
    }
    let description = tool.get("description").or_else(|| tool.get("title")).and_then(Value::as_str);
    let description = description.map(told);
    let spec = ToolSpec::new(&name, description.as_deref(), schema.into());
    let reads_only = tool.get("annotations").and_then(|hints| hints.get("readOnlyHint")).and_then(Value::as_bool);
    Ok(McpTool {
        spec: Arc::new(spec.map_err(|_| "its name is none that models take")?),
        name: remote.into(),
        has_effects: !reads_only.unwrap_or(false),
        needs_approval: approval.needs(remote),
    })
}

/// A description as a model reads it: not without end, and nothing in it that a person would not see.
fn told(text: &str) -> String {
    let is_hidden = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{E0000}'..='\u{E007F}');
    let mut seen: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    if seen.len() > MOST_TOLD {
        seen.truncate(seen.floor_char_boundary(MOST_TOLD));
        seen.push('…');
    }
    seen
}

/// A name of the server's for a log.
fn printable(name: &str) -> String {
    let mut short: String = name.chars().take(LONGEST_NAME).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST_NAME).is_some() {
        short.push('…');
    }
    short
}

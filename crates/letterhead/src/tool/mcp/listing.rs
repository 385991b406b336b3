//! The tools that a server says it has, as a model may be told of them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Approval;
use super::prepare::PreparedMcpServer;
use crate::model::ToolSpec;

/// The most tools of one server: what OpenAI takes in a request. Each is sent with every call of the model.
const MOST_TOOLS: usize = 128;

/// The most bytes that the tools of one server have together, as a model is told of them: names, descriptions, schemas.
const MOST_TOGETHER: usize = 512 * 1024;

/// The most that is said of what was left out or renamed.
const MOST_NOTES: usize = 32;

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

/// Reads what a server lists, page by page: the tools that agents may have, under the names by which models call them.
/// It keeps no more than a model may be told, however much there is.
pub(super) struct Reader<'s> {
    server: &'s PreparedMcpServer,
    tools: Vec<McpTool>,
    names: HashSet<String>,
    /// What they have together, in bytes.
    together: usize,
    /// The tools that agents may have, and the server has not.
    wanted: Vec<&'s str>,
    /// The tools that need approval, and the server has not: misspelt, or called otherwise now.
    unknown: Vec<&'s str>,
    notes: Vec<String>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(server: &'s PreparedMcpServer) -> Self {
        let unknown = match &server.approval {
            // Where agents have only the tools that are listed, none is free that is not meant to be.
            Approval::Of(named) if server.tools.is_none() => named.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        Self {
            server,
            tools: Vec::new(),
            names: HashSet::new(),
            together: 0,
            wanted: server.tools.iter().flatten().map(|(remote, _)| &**remote).collect(),
            unknown,
            notes: Vec::new(),
        }
    }

    /// Reads a page.
    ///
    /// # Errors
    ///
    /// If two tools would have one name, or they are more than a model is told of: nobody could tell which are meant, so
    /// none of the server's is offered.
    pub(super) fn page(&mut self, page: Vec<Value>) -> Result<(), String> {
        for tool in page {
            let Value::Object(tool) = tool else {
                self.note("a tool that is no object was left out".to_owned());
                continue;
            };
            let remote = tool.get("name").and_then(Value::as_str).unwrap_or_default();
            self.unknown.retain(|name| *name != remote);
            let Some(shown) = self.server.shown(remote) else { continue };
            self.wanted.retain(|name| *name != remote);
            match read(self.server, remote, shown, &tool) {
                Ok(tool) => self.add(tool, shown)?,
                Err(why) => self.note(format!("the tool `{}` was left out: {why}", printable(remote))),
            }
        }
        Ok(())
    }

    fn add(&mut self, tool: McpTool, shown: &str) -> Result<(), String> {
        let name = tool.spec.name();
        if !self.names.insert(name.to_owned()) {
            return Err(format!("two of its tools would be called `{name}`"));
        }
        if self.tools.len() == MOST_TOOLS {
            return Err(self.too_much(&format!("it has more than {MOST_TOOLS} tools for agents")));
        }
        self.together += tool.spec.openai_json().len();
        if self.together > MOST_TOGETHER {
            let most = MOST_TOGETHER / 1024;
            return Err(self.too_much(&format!("what its tools say of themselves is more than {most} KiB together")));
        }
        if shown.contains(['.', '/']) {
            let why = "models take no `.` and no `/` in a name";
            self.note(format!("the tool `{}` is called `{name}`: {why}", tool.name));
        }
        self.tools.push(tool);
        Ok(())
    }

    fn too_much(&self, what: &str) -> String {
        let server = &self.server.endpoint.name;
        format!(
            "{what}, and all of it is sent with every call of a model: list only what agents need in `mcp_servers.{server}.tools`"
        )
    }

    fn note(&mut self, note: String) {
        match self.notes.len() {
            0..MOST_NOTES => self.notes.push(note),
            MOST_NOTES => self.notes.push("more of its tools were left out or renamed than are told here".to_owned()),
            _ => {}
        }
    }

    /// What was read, when there is no more.
    pub(super) fn end(mut self) -> Listing {
        // Which tool was meant nobody can tell: it could be any.
        let all_need_approval = !self.unknown.is_empty();
        self.tools.iter_mut().for_each(|tool| tool.needs_approval |= all_need_approval);
        let unknown = self.unknown.into_iter().map(|name| {
            format!(
                "it has no tool `{name}`, of which calls need approval: until the names there are right, every call of \
                 its tools needs approval"
            )
        });
        let wanted = self.wanted.into_iter().map(|name| format!("it has no tool `{name}`"));
        Listing {
            tools: self.tools.into_iter().map(Arc::new).collect(),
            left_out: unknown.chain(wanted).chain(self.notes).collect(),
        }
    }
}

fn read(
    server: &PreparedMcpServer,
    remote: &str,
    shown: &str,
    tool: &Map<String, Value>,
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
        needs_approval: server.approval.needs(remote),
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

//! What an agent's model is offered: its tools, its handoffs and the way to ask its delegates.

use std::collections::HashMap;
use std::sync::Arc;

use letterhead_context::InstructionsDestination;
use letterhead_context::name::nearest;
use serde_json::{Value, json};

use super::prepare::Known;
use super::{Callable, Described, LOOKUP, RegistryFault, RegistryPlace};
use crate::agent::Agent;
use crate::model::{ToolSpec, ToolSpecError};
use crate::tool::{HttpTool, McpServer, PreparedMcpServer};
use crate::variable::unknown;

/// The tools of an agent, in one order, and what their names stand for.
#[derive(Default)]
pub(super) struct Offered {
    pub(super) specs: Vec<Arc<ToolSpec>>,
    pub(super) calls: HashMap<Arc<str>, Callable>,
    /// Where in `specs` there are tools whose descriptions are templates.
    pub(super) described: Vec<Described>,
    /// The servers whose tools are added when they are known.
    pub(super) mcp_servers: Vec<Arc<PreparedMcpServer>>,
}

/// What an agent's model is offered.
pub(super) fn offer(agent: &Agent, known: Known<'_>, faults: &mut Vec<RegistryFault>) -> Offered {
    let mut offer = Offer { offered: Offered::default(), bounds_history: known.bounds_history, faults };
    let own = || RegistryPlace::Agent(agent.shared_name());
    for tool in agent.tools() {
        for name in tool.variables().iter().filter(|name| !known.scope.variables.iter().any(|other| **other == ***name))
        {
            let message = format!("the tool `{}`: {}", tool.spec().name(), unknown(name, known.scope.variables));
            offer.faults.push(RegistryFault::at(own(), message));
        }
        offer.add(Ok(Arc::clone(tool.spec())), Callable::Tool(Arc::clone(tool)), own());
    }
    for (at, name) in agent.tool_names().iter().enumerate() {
        offer.named(agent, name, known, RegistryPlace::ToolName(agent.shared_name(), at));
    }
    for (at, target) in agent.handoffs().iter().enumerate() {
        let place = RegistryPlace::Handoff(agent.shared_name(), at);
        let Some(description) = other(agent, target, known, "hand over to", &place, offer.faults) else { continue };
        let about = format!("Hands the conversation over to {target}. {description}");
        let spec = ToolSpec::new(&format!("handoff_to_{target}"), Some(about.trim()), no_arguments());
        offer.add(spec.map(Arc::new), Callable::Handoff(Arc::clone(target)), place);
    }
    let mut asked: Vec<(&str, &str)> = Vec::new();
    for (at, delegate) in agent.delegates().iter().enumerate() {
        let place = RegistryPlace::Delegate(agent.shared_name(), at);
        let external = known.external_agents.iter().find(|external| *external.name() == *delegate.agent);
        let description = match external {
            Some(_) if delegate.history => {
                let message = "an external agent sees its input alone: leave `history` out";
                offer.faults.push(RegistryFault::at(place, message));
                continue;
            }
            Some(external) => Some(external.description().unwrap_or_default()),
            None => other(agent, &delegate.agent, known, "ask", &place, offer.faults),
        };
        let Some(description) = description else { continue };
        if asked.iter().any(|(earlier, _)| *earlier == &*delegate.agent) {
            offer.faults.push(RegistryFault::at(place, format!("`{}` is named twice", delegate.agent)));
            continue;
        }
        asked.push((&delegate.agent, description));
    }
    if !asked.is_empty() {
        let list = asked.iter().map(|(name, about)| format!("- {name}: {about}")).collect::<Vec<_>>().join("\n");
        let about = format!("Asks another agent one question and gives its answer. The agents:\n{list}");
        let names: Vec<&str> = asked.iter().map(|(name, _)| *name).collect();
        let spec = ToolSpec::new("ask_agent", Some(&about), ask_arguments(&names, known.allow_models));
        offer.add(spec.map(Arc::new), Callable::AskAgent, own());
    }
    offer.offered
}

/// What another agent is for, if there is such an agent.
fn other<'a>(
    agent: &Agent,
    target: &str,
    known: Known<'a>,
    what: &str,
    place: &RegistryPlace,
    faults: &mut Vec<RegistryFault>,
) -> Option<&'a str> {
    let message = match known.descriptions.get(target) {
        _ if target == agent.name() => format!("an agent cannot {what} itself"),
        Some(description) => return Some(description.unwrap_or_default()),
        None => format!("there is no agent `{target}` to {what}"),
    };
    faults.push(RegistryFault::at(place.clone(), message));
    None
}

struct Offer<'a> {
    offered: Offered,
    bounds_history: bool,
    faults: &'a mut Vec<RegistryFault>,
}

impl Offer<'_> {
    fn add(&mut self, spec: Result<Arc<ToolSpec>, ToolSpecError>, callable: Callable, place: RegistryPlace) {
        let message = match spec {
            Ok(spec) if self.bounds_history && spec.name() == LOOKUP && !matches!(callable, Callable::Lookup) => {
                format!(
                    "a tool cannot be called `{LOOKUP}`: the tool that shows what is left out of long conversations is"
                )
            }
            Ok(spec) if !self.offered.calls.contains_key(spec.name()) => {
                self.offered.calls.insert(Arc::from(spec.name()), callable);
                self.offered.specs.push(spec);
                return;
            }
            Ok(spec) => format!("two tools would be called `{}`: names of tools must differ", spec.name()),
            Err(error) => error.to_string(),
        };
        self.faults.push(RegistryFault::at(place, message));
    }
}

impl Offer<'_> {
    /// A shared tool. Of one with faults somebody has complained already.
    fn named(&mut self, agent: &Agent, name: &str, known: Known<'_>, place: RegistryPlace) {
        if name == LOOKUP {
            return self.add(lookup_spec(known.bounds_history).map(Arc::new), Callable::Lookup, place);
        }
        if known.mcp_servers.iter().any(|server| server.name() == name) {
            return self.server(name, known, place);
        }
        let Some(tool) = known.prepared_tools.get(name).copied() else {
            if !known.http_tools.iter().any(|tool| tool.name() == name) {
                let servers = known.mcp_servers.iter().map(McpServer::name);
                let names = known.http_tools.iter().map(HttpTool::name).chain(servers).chain([LOOKUP]);
                let near = nearest(name, names);
                let help = near.map(|near| format!("did you mean `{near}`?"));
                let help = help.unwrap_or_else(|| "define it under `tools`".to_owned());
                self.faults.push(RegistryFault::at(place, format!("there is no tool `{name}`: {help}")));
            }
            return;
        };
        let at = self.offered.specs.len();
        self.add(Ok(Arc::clone(&tool.spec)), Callable::HttpTool(Arc::clone(tool)), place);
        if let Some(template) = tool.description().filter(|_| self.offered.specs.len() > at) {
            let destination = format!("agents.{}.tools.{name}.description", agent.name());
            let destination = InstructionsDestination::named(destination, template);
            self.offered.described.push(Described { at, tool: Arc::clone(tool), destination });
        }
    }
}

impl Offer<'_> {
    /// A server, all of whose tools the agent has. Of one with faults somebody has complained already.
    fn server(&mut self, name: &str, known: Known<'_>, place: RegistryPlace) {
        let servers = &mut self.offered.mcp_servers;
        if servers.iter().any(|server| *server.endpoint.name == *name) {
            return self.faults.push(RegistryFault::at(place, format!("the MCP server `{name}` is named twice")));
        }
        servers.extend(known.prepared_servers.iter().find(|server| *server.endpoint.name == *name).cloned());
    }
}

/// The tool `lookup` of an agent that has it.
fn lookup_spec(bounds_history: bool) -> Result<ToolSpec, ToolSpecError> {
    let about = "Looks a document up by its key.";
    let more = " Shows also what was left out of this conversation: where something was, a key stands, such as #14.";
    let about = if bounds_history { format!("{about}{more}") } else { about.to_owned() };
    ToolSpec::new(LOOKUP, Some(&about), lookup_arguments("The key."))
}

/// The one argument of `lookup`. It names no caller, no tenant and no conversation.
pub(crate) fn lookup_arguments(about: &str) -> Value {
    json!({
        "type": "object",
        "required": ["key"],
        "additionalProperties": false,
        "properties": { "key": { "type": "string", "description": about } },
    })
}

fn no_arguments() -> Value {
    json!({ "type": "object", "properties": {}, "additionalProperties": false })
}

fn ask_arguments(agents: &[&str], models: Option<&[String]>) -> Value {
    let mut arguments = json!({
        "type": "object",
        "required": ["agent", "input"],
        "additionalProperties": false,
        "properties": {
            "agent": { "type": "string", "enum": agents, "description": "Who is asked." },
            "input": { "type": "string", "description": "The question, with all that is needed to answer it." },
        },
    });
    if let Some(models) = models
        && let Some(Value::Object(properties)) = arguments.get_mut("properties")
    {
        let about = format!("The model that answers, instead of the agent's own: {}.", models.join(", "));
        properties.insert("model".to_owned(), json!({ "type": "string", "description": about }));
    }
    arguments
}

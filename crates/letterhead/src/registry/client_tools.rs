//! A client's own tools beside those of the agents.

use std::collections::HashSet;
use std::sync::Arc;

use letterhead_context::{Code, Fault, Problem};

use super::{Callable, LOOKUP, Prepared, Registry};
use crate::model::ToolSpec;

impl Registry {
    /// Checks a client's tools against those of the agent that starts, and of every agent that the conversation may be
    /// handed over to from there: with two tools of one name nobody could tell who has to run it.
    ///
    /// # Errors
    ///
    /// [`InvalidBody`](Code::InvalidBody), with each name that is taken.
    pub fn check_client_tools(&self, agent: &str, tools: &[Arc<ToolSpec>]) -> Result<(), Problem> {
        if tools.is_empty() {
            return Ok(());
        }
        let agents = self.reachable(agent);
        let mut faults = Vec::new();
        let mut names = HashSet::with_capacity(tools.len());
        for (at, tool) in tools.iter().enumerate() {
            let name = tool.name();
            let again = !names.insert(name);
            let owner = agents.iter().find(|prepared| prepared.calls.contains_key(name));
            let detail = if let Some(owner) = owner {
                format!("the agent `{}` has a tool `{name}` of its own", owner.agent.name())
            } else if self.max_history_tokens.is_some() && name == LOOKUP {
                format!("the tool that shows what is left out of long conversations is called `{name}`")
            } else if again {
                format!("there are two tools `{name}`")
            } else {
                continue;
            };
            faults.push(Fault::pointer(format!("/tools/{at}/function/name"), Code::InvalidBody, detail));
        }
        if faults.is_empty() { Ok(()) } else { Err(Problem::faults(faults)) }
    }

    /// Is this the name of one of the agent's own tools, by what is configured? Any name that begins like those of an MCP
    /// server's tools is taken for one of them.
    pub fn has_tool(&self, agent: &str, name: &str) -> bool {
        let Some(prepared) = self.prepared(agent) else { return false };
        prepared.calls.contains_key(name) || prepared.mcp_servers.iter().any(|server| server.may_have(name))
    }

    /// Is this the name of a tool whose calls may wait for a person's approval? Not so those of a client, and whatever hands
    /// over or asks another agent. An open call of such a tool has waited, even if the tool needs no approval any more. Of the
    /// calls of an agent that is gone nobody knows which ones did.
    pub fn can_wait(&self, agent: &str, name: &str) -> bool {
        let Some(prepared) = self.prepared(agent) else { return true };
        prepared.calls.get(name).map_or_else(
            || self.has_tool(agent, name),
            |call| matches!(call, Callable::Tool(_) | Callable::HttpTool(_)),
        )
    }

    /// The agent, and all that the conversation may be handed over to, in however many steps.
    fn reachable(&self, agent: &str) -> Vec<&Prepared> {
        let mut found: Vec<&Prepared> = self.prepared(agent).into_iter().collect();
        let mut at = 0;
        while let Some(prepared) = found.get(at) {
            for target in prepared.agent.handoffs() {
                if let Some(target) = self.prepared(target)
                    && !found.iter().any(|known| known.agent.name() == target.agent.name())
                {
                    found.push(target);
                }
            }
            at += 1;
        }
        found
    }
}

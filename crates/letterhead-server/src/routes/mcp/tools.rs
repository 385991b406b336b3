//! The agents, as the tools that a client sees.

use letterhead::{Agent, Registry};
use serde_json::{Value, json};

use super::answer::Fault;
use super::message::Request;
use crate::members::wrong;

/// All agents, on one page. Who may see them depends on the server and perhaps on the caller: nobody between may keep the list.
pub(super) fn list(registry: &Registry, request: &Request<'_>) -> Result<Value, Fault> {
    if request.params.raw("cursor").is_some() {
        return Err(Fault::invalid(&wrong("/params/cursor", "no cursor: the list has one page")));
    }
    let tools: Vec<Value> = registry.agents().map(tool).collect();
    Ok(json!({ "tools": tools, "ttlMs": 0, "cacheScope": "private" }))
}

fn tool(agent: &Agent) -> Value {
    let name = agent.name();
    let description = agent.description().map_or_else(|| format!("Asks the agent {name}."), str::to_owned);
    json!({
        "name": name,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": {
                "input": { "type": "string", "description": "What is said to the agent." },
                "session_id": {
                    "type": "string",
                    "description": "The conversation to go on with: 1 to 128 of A-Z a-z 0-9 . _ : -. Without it a new one begins.",
                },
            },
            "required": ["input"],
        },
    })
}

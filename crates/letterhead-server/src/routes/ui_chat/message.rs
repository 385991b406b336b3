//! A whole answer as one UI message, for clients that do not stream.

use std::collections::HashMap;

use letterhead::run::{AnsweredApproval, Outcome, PendingApproval};
use letterhead_store::Role;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::stream::ui::{input, output};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Vec<Call>,
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
struct Call {
    id: String,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    arguments: String,
}

/// The results that a model was told next, by the calls' ids.
fn results(told: &[(Role, Body)]) -> HashMap<&str, &str> {
    let told = told.iter().take_while(|(role, _)| *role == Role::Tool);
    told.filter_map(|(_, body)| Some((body.tool_call_id.as_deref()?, body.content.as_deref()?))).collect()
}

/// The message that a stream of the same run would have built, but for what is not kept of it: thoughts, and whether a result
/// is an error.
pub(super) fn of(id: &str, metadata: &Value, outcome: &Outcome) -> Value {
    let bodies: Vec<(Role, Body)> = outcome
        .messages
        .iter()
        .map(|message| (message.role, serde_json::from_str(&message.body).unwrap_or_default()))
        .collect();
    let mut parts = Vec::new();
    let made = results(&bodies);
    for AnsweredApproval { call, approved } in &outcome.answered {
        let result = made.get(&*call.call_id).filter(|_| *approved);
        let state = if *approved { "output-available" } else { "output-denied" };
        let approval = json!({ "id": &*call.id, "approved": approved });
        let own = Own { id: &call.call_id, name: &call.name, arguments: &call.arguments };
        parts.push(own.part(state, result.copied(), Some(approval)));
    }
    for (at, (_, body)) in bodies.iter().enumerate().filter(|(_, (role, _))| *role == Role::Assistant) {
        parts.push(json!({ "type": "step-start" }));
        let text: String = [&body.content, &body.refusal].into_iter().filter_map(Option::as_deref).collect();
        if !text.is_empty() {
            parts.push(json!({ "type": "text", "text": text, "state": "done" }));
        }
        // Models use the ids of calls again.
        let results = results(bodies.get(at + 1..).unwrap_or_default());
        for Call { id, function: Function { name, arguments } } in &body.tool_calls {
            if let Some(result) = results.get(id.as_str()) {
                parts.push(Own { id, name, arguments }.part("output-available", Some(result), None));
            } else if outcome.client_calls.iter().any(|(call, ..)| **call == *id.as_str()) {
                parts.push(json!({
                    "type": format!("tool-{name}"), "toolCallId": id, "state": "input-available", "input": input(arguments),
                }));
            }
        }
    }
    for PendingApproval { id, call_id, name, arguments } in &outcome.approvals {
        let own = Own { id: call_id, name, arguments };
        parts.push(own.part("approval-requested", None, Some(json!({ "id": &**id }))));
    }
    json!({ "id": id, "role": "assistant", "metadata": metadata, "parts": parts })
}

/// A call of one of the agent's own tools.
struct Own<'a> {
    id: &'a str,
    name: &'a str,
    arguments: &'a str,
}

impl Own<'_> {
    fn part(&self, state: &str, result: Option<&str>, approval: Option<Value>) -> Value {
        let mut part = json!({
            "type": "dynamic-tool", "toolName": self.name, "toolCallId": self.id, "state": state,
            "input": input(self.arguments),
        });
        let more = [("output", result.map(output)), ("approval", approval), ("providerExecuted", Some(true.into()))];
        if let Value::Object(part) = &mut part {
            part.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        }
        part
    }
}

//! Conversations in which every call has a result: models take no others.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;

use super::approval::unanswered;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    role: String,
    tool_calls: Option<Vec<Call>>,
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
struct Call {
    id: String,
}

impl Body {
    fn of(body: &str) -> Self {
        // Most messages are neither calls nor results, and need not be read.
        if !body.contains("\"tool_call") {
            return Self::default();
        }
        serde_json::from_str(body).unwrap_or_default()
    }
}

/// Puts a [result](unanswered) behind every call that has none: one that was cut short, or passed over. `messages` are in
/// OpenAI's form. Where the run goes on with the calls of the last answer, these stay open.
pub fn closed<'a>(messages: impl IntoIterator<Item = &'a Arc<str>>, goes_on: bool) -> Vec<Arc<str>> {
    let mut closed = Vec::new();
    let (mut calls, mut answered): (Vec<Call>, HashSet<String>) = Default::default();
    for message in messages {
        let Body { role, tool_calls, tool_call_id } = Body::of(message);
        if role == "tool" {
            answered.extend(tool_call_id);
        } else {
            closed.extend(open(&calls, &answered));
            answered.clear();
            // A user's message has no calls, whatever it says.
            calls = tool_calls.filter(|_| role == "assistant").unwrap_or_default();
        }
        closed.push(Arc::clone(message));
    }
    if !goes_on {
        closed.extend(open(&calls, &answered));
    }
    closed
}

fn open(calls: &[Call], answered: &HashSet<String>) -> impl Iterator<Item = Arc<str>> {
    calls.iter().filter(|call| !answered.contains(&call.id)).map(|call| unanswered(&call.id))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn added(messages: &[Value], goes_on: bool) -> Vec<(usize, String)> {
        let messages: Vec<Arc<str>> = messages.iter().map(|message| message.to_string().into()).collect();
        let closed = closed(&messages, goes_on);
        assert!(closed.iter().filter(|body| messages.contains(body)).eq(&messages), "all are there, in their order");
        let new = closed.iter().enumerate().filter(|(_, body)| !messages.contains(body));
        new.map(|(at, body)| (at, Body::of(body).tool_call_id.unwrap())).collect()
    }

    fn calls(ids: &[&str]) -> Value {
        let calls = ids
            .iter()
            .map(|id| json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } }));
        json!({ "role": "assistant", "tool_calls": calls.collect::<Vec<_>>() })
    }

    fn result(id: &str) -> Value {
        json!({ "role": "tool", "tool_call_id": id, "content": "" })
    }

    #[test]
    fn what_has_no_result_gets_one_before_anything_else_is_said() {
        let user = json!({ "role": "user", "content": "Hello" });
        let all = [user.clone(), calls(&["a", "b", "c"]), result("b"), user, calls(&["a", "d"]), result("d")];
        let expected = [(3, "a"), (4, "c")].map(|(at, id)| (at, id.to_owned()));
        assert_eq!(added(&all, true), expected, "an id may come again");
        assert_eq!(added(&all, false), [expected.as_slice(), &[(8, "a".to_owned())]].concat());
    }

    #[test]
    fn what_only_looks_like_a_call_is_none() {
        let quoted = json!({ "role": "user", "content": "\"tool_calls\"", "tool_calls": [{ "id": "a" }] });
        for odd in
            [quoted, json!("\"tool_calls\""), json!({ "role": "assistant", "tool_calls": 7 }), json!([]), json!({})]
        {
            assert_eq!(added(&[odd], false), []);
        }
        let nulls = json!({ "role": "tool", "tool_call_id": "a", "content": "", "tool_calls": null });
        assert_eq!(added(&[calls(&["a"]), nulls], false), [], "some clients write out what they have not");
        let orphan = [result("x"), json!({ "role": "tool", "content": "\"tool_call_id\"" })];
        assert_eq!(added(&orphan, false), []);
    }
}

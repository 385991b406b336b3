//! A2A by hand: requests, results, errors, and the events of a stream.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{Answered, House};

impl House {
    /// A request of a method.
    pub(crate) fn a2a(&self, method: &str, params: &Value) -> RequestBuilder {
        self.post("/a2a", &rpc(method, params)).header("a2a-version", "1.0")
    }

    /// A message that waits for its answer.
    pub(crate) fn tell(&self, message: &Value) -> RequestBuilder {
        self.a2a("SendMessage", &json!({ "message": message }))
    }

    /// The same, followed as it is answered.
    pub(crate) fn tell_streaming(&self, message: &Value) -> RequestBuilder {
        self.a2a("SendStreamingMessage", &json!({ "message": message }))
    }

    /// The same, not waited for.
    pub(crate) fn tell_and_leave(&self, message: &Value) -> RequestBuilder {
        self.a2a("SendMessage", &json!({ "message": message, "configuration": { "returnImmediately": true } }))
    }

    /// A method that is about one task.
    pub(crate) fn about(&self, method: &str, task: &str) -> RequestBuilder {
        self.a2a(method, &json!({ "id": task }))
    }
}

/// The body of a request.
pub(crate) fn rpc(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

/// A message that says something.
pub(crate) fn message(text: &str) -> Value {
    json!({ "messageId": "m-1", "role": "ROLE_USER", "parts": [{ "text": text }] })
}

/// The same, with a member more.
pub(crate) fn message_in(text: &str, member: &str, value: &str) -> Value {
    let mut message = message(text);
    message[member] = value.into();
    message
}

impl Answered {
    /// The result of an answer that is one.
    #[track_caller]
    pub(crate) fn rpc_result(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.text);
        let body = self.json();
        assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &json!(7)), "{body}");
        body.get("result").unwrap_or_else(|| panic!("{body}")).clone()
    }

    /// The task that a message has become.
    #[track_caller]
    pub(crate) fn task(&self) -> Value {
        let result = self.rpc_result();
        result.get("task").unwrap_or(&result).clone()
    }

    /// The error of an answer that is one, in the form that all have.
    #[track_caller]
    pub(crate) fn rpc_error(&self, code: i64) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.text);
        let body = self.json();
        assert_eq!(body["error"]["code"], code, "{body}");
        is_an_error(&body);
        body["error"].clone()
    }

    /// The events of a stream, each as its result. All but the last have to be one.
    #[track_caller]
    pub(crate) fn updates(&self) -> Vec<Value> {
        let events = self.events();
        let result = |body: Value| {
            assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &json!(7)), "{body}");
            body.get("result").unwrap_or_else(|| panic!("{body}")).clone()
        };
        assert!(events.iter().all(|event| event.name.is_none()), "{}", self.text);
        events.iter().map(|event| result(event.json())).collect()
    }
}

/// Checks the form of an error.
#[track_caller]
fn is_an_error(body: &Value) {
    assert!(body.get("result").is_none(), "{body}");
    assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    if let Some(data) = body["error"].get("data") {
        let details = data.as_array().unwrap_or_else(|| panic!("a list of details: {body}"));
        let is_typed =
            |detail: &Value| detail["@type"].as_str().is_some_and(|kind| kind.starts_with("type.googleapis.com/"));
        assert!(details.iter().all(is_typed), "{body}");
    }
}

/// The state of a task.
#[track_caller]
pub(crate) fn state(task: &Value) -> String {
    let state = task["status"]["state"].as_str().unwrap_or_else(|| panic!("{task}"));
    state.strip_prefix("TASK_STATE_").unwrap().to_owned()
}

/// The ids of a task and of its context.
#[track_caller]
pub(crate) fn ids(task: &Value) -> (String, String) {
    let text = |name: &str| task[name].as_str().unwrap_or_else(|| panic!("{task}")).to_owned();
    (text("id"), text("contextId"))
}

/// The artifacts of a task, as `(id, agent, text)`.
#[track_caller]
pub(crate) fn artifacts(task: &Value) -> Vec<(String, String, String)> {
    let artifacts = task["artifacts"].as_array().unwrap_or_else(|| panic!("{task}"));
    artifacts.iter().map(artifact).collect()
}

#[track_caller]
fn artifact(artifact: &Value) -> (String, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{artifact}")).to_owned();
    let said = artifact["parts"].as_array().unwrap().iter().map(|part| text(&part["text"])).collect();
    (text(&artifact["artifactId"]), text(&artifact["metadata"]["agent"]), said)
}

/// What the updates of a stream add up to: the artifacts as a task would have them, in the order of their beginning.
#[track_caller]
pub(crate) fn added_up(updates: &[Value]) -> Vec<(String, String, String)> {
    let mut sum: Vec<(String, String, String)> = Vec::new();
    for update in updates {
        if let Some(task) = update.get("task") {
            sum.extend(artifacts(task));
        }
        let Some(update) = update.get("artifactUpdate") else { continue };
        let (id, agent, text) = artifact(&update["artifact"]);
        match sum.iter_mut().find(|known| known.0 == id) {
            Some(known) if update["append"] == true => known.2.push_str(&text),
            Some(known) => panic!("{} begins again: {update}", known.0),
            None => {
                assert!(update.get("append").is_none(), "nothing to append to: {update}");
                sum.push((id, agent, text));
            }
        }
    }
    sum
}

//! A scripted agent behind the Agent2Agent protocol, of either version.

#![expect(clippy::indexing_slicing, reason = "of JSON: what is not there is null, and what is put in is there")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Map, Value, json};

use crate::{Answer, Recorded, ScriptedApi};

/// The version of the protocol that an agent speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum A2a {
    /// 1.0.
    One,
    /// 0.3.
    Zero3,
}

/// An agent that answers as it was told. Results are given in the words of 1.0, whatever it speaks.
///
/// What nothing is scripted for it answers itself: a question with a completed task that repeats it, in pieces where the
/// answer streams; a request for a task with that task, completed; a cancellation with the task, cancelled.
///
/// ```
/// use letterhead_testkit::{A2a, ScriptedAgent};
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let agent = ScriptedAgent::start(A2a::One).await;
/// agent.then([json!({ "message": { "messageId": "m", "role": "ROLE_AGENT", "parts": [{ "text": "Yes." }] } })]);
/// assert!(agent.questions().is_empty());
/// # });
/// ```
#[derive(Debug)]
pub struct ScriptedAgent {
    /// The server beneath: its address, and all requests.
    pub api: ScriptedApi,
    state: Arc<Mutex<State>>,
}

type Raw = Box<dyn FnOnce(&Value) -> Answer + Send>;

struct State {
    version: A2a,
    card: Option<Value>,
    streams: bool,
    answers: VecDeque<Raw>,
    tasks: VecDeque<Value>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("version", &self.version).finish_non_exhaustive()
    }
}

/// A completed task with this answer, or one in another state with these words.
pub fn task(state: &str, text: &str) -> Value {
    let parts = json!([{ "text": text }]);
    let mut task = json!({ "id": "task-1", "contextId": "context-1", "status": { "state": state } });
    if state == "TASK_STATE_COMPLETED" {
        task["artifacts"] = json!([{ "artifactId": "a", "parts": parts }]);
    } else if !text.is_empty() {
        task["status"]["message"] = json!({ "messageId": "m", "role": "ROLE_AGENT", "parts": parts });
    }
    json!({ "task": task })
}

/// A piece of the answer of a task.
pub fn artifact(text: &str, append: bool) -> Value {
    let artifact = json!({ "artifactId": "a", "parts": [{ "text": text }] });
    json!({ "artifactUpdate": { "taskId": "task-1", "contextId": "context-1", "artifact": artifact, "append": append } })
}

/// A change of a task's state.
pub fn status(state: &str) -> Value {
    json!({ "statusUpdate": { "taskId": "task-1", "contextId": "context-1", "status": { "state": state } } })
}

impl ScriptedAgent {
    /// Starts an agent of this version, which does not stream.
    pub async fn start(version: A2a) -> Self {
        let api = ScriptedApi::start().await;
        let state = State { version, card: None, streams: false, answers: VecDeque::new(), tasks: VecDeque::new() };
        let state = Arc::new(Mutex::new(state));
        let (shared, base) = (Arc::clone(&state), api.url(""));
        api.always(move |request| {
            let mut state = shared.lock().expect("no test panics while it holds the lock");
            state.answer(request, &base)
        });
        Self { api, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the lock")
    }

    /// Says in its card that its answers stream.
    #[must_use]
    pub fn streaming(self) -> Self {
        self.state().streams = true;
        self
    }

    /// Has this card from now on.
    pub fn set_card(&self, card: Value) {
        self.state().card = Some(card);
    }

    /// Speaks this version from now on.
    pub fn set_version(&self, version: A2a) {
        self.state().version = version;
    }

    /// The card as it is without [`set_card`](Self::set_card).
    pub fn card(&self) -> Value {
        self.state().own_card(&self.api.url(""))
    }

    /// Answers the next question with these results: one, or a stream of them.
    pub fn then(&self, results: impl IntoIterator<Item = Value>) -> &Self {
        let mut state = self.state();
        let (version, streams) = (state.version, state.streams);
        let results: Vec<Value> = results.into_iter().collect();
        state.answers.push_back(Box::new(move |id| of(version, streams, id, results)));
        drop(state);
        self
    }

    /// Answers the next question so; the function gets the id of the request.
    pub fn then_raw(&self, answer: impl FnOnce(&Value) -> Answer + Send + 'static) -> &Self {
        self.state().answers.push_back(Box::new(answer));
        self
    }

    /// Answers the next request for a task so.
    pub fn then_task(&self, task: Value) -> &Self {
        self.state().tasks.push_back(task);
        self
    }

    /// The requests for its card.
    pub fn cards(&self) -> Vec<Recorded> {
        self.api.requests().into_iter().filter(|request| request.method == "GET").collect()
    }

    /// The questions that it was asked.
    pub fn questions(&self) -> Vec<Recorded> {
        self.called(&["SendMessage", "SendStreamingMessage", "message/send", "message/stream"])
    }

    /// The requests for a task.
    pub fn polls(&self) -> Vec<Recorded> {
        self.called(&["GetTask", "tasks/get"])
    }

    /// The requests that a task be cancelled.
    pub fn cancels(&self) -> Vec<Recorded> {
        self.called(&["CancelTask", "tasks/cancel"])
    }

    fn called(&self, methods: &[&str]) -> Vec<Recorded> {
        let is_one = |request: &Recorded| {
            request.method == "POST" && request.json()["method"].as_str().is_some_and(|it| methods.contains(&it))
        };
        self.api.requests().into_iter().filter(is_one).collect()
    }
}

impl State {
    fn own_card(&self, base: &str) -> Value {
        let mut card = json!({
            "name": "Scripted", "description": "What the card says of it.", "version": "1.0.0",
            "capabilities": { "streaming": self.streams },
            "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"], "skills": [],
        });
        let url = format!("{base}/a2a");
        match self.version {
            A2a::One => {
                card["supportedInterfaces"] =
                    json!([{ "url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0" }]);
            }
            A2a::Zero3 => {
                card["protocolVersion"] = "0.3.0".into();
                card["url"] = url.into();
                card["preferredTransport"] = "JSONRPC".into();
            }
        }
        card
    }

    fn answer(&mut self, request: &Recorded, base: &str) -> Answer {
        if request.method == "GET" {
            return match request.route() {
                "/.well-known/agent-card.json" => {
                    Answer::json(&self.card.clone().unwrap_or_else(|| self.own_card(base)))
                }
                _ => Answer::status(404),
            };
        }
        let message = request.json();
        let (id, method) = (&message["id"], message["method"].as_str().unwrap_or_default());
        let one = self.version == A2a::One;
        let said = match self.version {
            A2a::One => "1.0",
            A2a::Zero3 => "0.3",
        };
        if request.header("a2a-version") != [said] {
            return error(id, -32009, "the version is not spoken here");
        }
        match (one, method) {
            (true, "SendMessage") | (false, "message/send") => self.question(&message, false),
            (true, "SendStreamingMessage") | (false, "message/stream") if self.streams => self.question(&message, true),
            (true, "GetTask") | (false, "tasks/get") => {
                let task = self.tasks.pop_front().unwrap_or_else(|| task("TASK_STATE_COMPLETED", "Done."));
                of(self.version, false, id, vec![task["task"].clone()])
            }
            (true, "CancelTask") | (false, "tasks/cancel") => {
                of(self.version, false, id, vec![task("TASK_STATE_CANCELED", "")["task"].clone()])
            }
            _ => error(id, -32601, "there is no such method"),
        }
    }

    fn question(&mut self, message: &Value, stream: bool) -> Answer {
        let id = &message["id"];
        if let Some(answer) = self.answers.pop_front() {
            return answer(id);
        }
        let text = message["params"]["message"]["parts"][0]["text"].as_str().unwrap_or_default();
        let text = format!("You asked: {text}");
        if !stream {
            return of(self.version, false, id, vec![task("TASK_STATE_COMPLETED", &text)]);
        }
        let pieces = text.split_inclusive(' ').enumerate().map(|(at, piece)| artifact(piece, at > 0));
        let begun = [task("TASK_STATE_WORKING", "")];
        let results = begun.into_iter().chain(pieces).chain([status("TASK_STATE_COMPLETED")]);
        of(self.version, true, id, results.collect())
    }
}

/// An error in the protocol's words.
pub fn error(id: &Value, code: i64, message: &str) -> Answer {
    Answer::json(&json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }))
}

fn of(version: A2a, stream: bool, id: &Value, results: Vec<Value>) -> Answer {
    let results = results.into_iter().map(|result| match version {
        A2a::One => result,
        A2a::Zero3 => older(unwrapped(result)),
    });
    let mut messages = results.map(|result| json!({ "jsonrpc": "2.0", "id": id, "result": result }));
    if stream {
        return Answer::sse(messages.map(|message| message.to_string()));
    }
    Answer::json(&messages.next().expect("an answer has a result"))
}

/// A result as 0.3 has it on the outside.
fn unwrapped(result: Value) -> Value {
    let kinds = [
        ("task", "task"),
        ("message", "message"),
        ("statusUpdate", "status-update"),
        ("artifactUpdate", "artifact-update"),
    ];
    for (name, kind) in kinds {
        if let Some(inner) = result.get(name).filter(|inner| inner.is_object()) {
            let mut inner = inner.clone();
            inner["kind"] = kind.into();
            if kind == "status-update" {
                inner["final"] = Value::from(inner["status"]["state"] != "TASK_STATE_WORKING");
            }
            return inner;
        }
    }
    result
}

/// The words of 0.3 for what is in a result.
fn older(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, member)| {
                let member = match (name.as_str(), &member) {
                    ("state", Value::String(state)) => {
                        state.trim_start_matches("TASK_STATE_").to_ascii_lowercase().replace('_', "-").into()
                    }
                    ("role", Value::String(role)) => role.trim_start_matches("ROLE_").to_ascii_lowercase().into(),
                    ("parts", Value::Array(parts)) => parts.iter().map(older_part).collect(),
                    _ => older(member),
                };
                (name, member)
            });
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(older).collect(),
        other => other,
    }
}

fn older_part(part: &Value) -> Value {
    let mut part = part.clone();
    if part.get("text").is_some() {
        part["kind"] = "text".into();
    }
    part
}

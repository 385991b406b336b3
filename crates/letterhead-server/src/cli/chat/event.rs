//! What a stream of `/api/v1/chat/completions` says: chunks, and the named events between them.

use serde::Deserialize;

use crate::cli::client::Frame;

/// One thing that a stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A piece of the answer.
    Text(String),
    /// An agent has the conversation: the first one, or one it was handed over to.
    Agent(String),
    /// A tool is called, with these arguments.
    ToolStarted { tool: String, arguments: String },
    /// A tool has answered, or failed.
    ToolEnded { tool: String, result: String, failed: bool },
    /// A piece of what an agent says that was asked by another.
    Child { agent: String, text: String },
    /// A call waits for a person's approval.
    Waits(Waiting),
    /// Why the model ended.
    Finished(String),
    /// The turn failed.
    Failed { code: String, message: String },
    /// The answer is complete.
    Done,
}

/// A call that waits for a person's approval.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Waiting {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON text.
    pub(super) arguments: String,
}

/// Every member that is read of chunks and events. What an older or newer server leaves out is empty.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    choices: Vec<Choice>,
    agent_schema: String,
    agent_name: String,
    content: String,
    tool_name: String,
    status: String,
    arguments: serde_json::Value,
    result: serde_json::Value,
    code: String,
    message: String,
    approval: Option<Waiting>,
    error: Option<Problem>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: Option<String>,
    message: String,
}

impl Event {
    /// What a frame says: nothing, one thing, or two. None for a frame that is not of this protocol.
    pub(super) fn read(frame: &Frame) -> Option<Vec<Self>> {
        if frame.data == "[DONE]" {
            return Some(vec![Self::Done]);
        }
        let data: Data = serde_json::from_str(&frame.data).ok()?;
        Some(match frame.name.as_str() {
            "" => Self::of_chunk(data),
            "metadata" if !data.agent_schema.is_empty() => vec![Self::Agent(data.agent_schema)],
            "tool_call" if data.status == "started" => {
                vec![Self::ToolStarted { tool: data.tool_name, arguments: text(&data.arguments) }]
            }
            "tool_call" if data.status == "refused" => {
                vec![Self::ToolEnded { tool: data.tool_name, result: "was refused".to_owned(), failed: true }]
            }
            "tool_call" => {
                let failed = data.status == "failed";
                vec![Self::ToolEnded { tool: data.tool_name, result: text(&data.result), failed }]
            }
            "action_request" => data.approval.into_iter().map(Self::Waits).collect(),
            "child_content" => vec![Self::Child { agent: data.agent_name, text: data.content }],
            "error" => vec![Self::Failed { code: data.code, message: data.message }],
            _ => Vec::new(),
        })
    }

    fn of_chunk(data: Data) -> Vec<Self> {
        if let Some(problem) = data.error {
            return vec![Self::Failed { code: problem.code.unwrap_or_default(), message: problem.message }];
        }
        let Some(choice) = data.choices.into_iter().next() else { return Vec::new() };
        let said = [choice.delta.content, choice.delta.refusal].into_iter().flatten().filter(|text| !text.is_empty());
        said.map(Self::Text).chain(choice.finish_reason.map(Self::Finished)).collect()
    }
}

/// Arguments or a result, as one line.
fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, data: &str) -> Option<Vec<Event>> {
        Event::read(&Frame { name: name.to_owned(), data: data.to_owned() })
    }

    #[test]
    fn chunks_are_text_and_an_end() {
        let chunk =
            |delta: &str, finish: &str| format!(r#"{{"choices":[{{"delta":{delta},"finish_reason":{finish}}}]}}"#);
        assert_eq!(read("", &chunk(r#"{"content":"Hi"}"#, "null")), Some(vec![Event::Text("Hi".to_owned())]));
        assert_eq!(read("", &chunk(r#"{"refusal":"No"}"#, "null")), Some(vec![Event::Text("No".to_owned())]));
        assert_eq!(read("", &chunk("{}", r#""length""#)), Some(vec![Event::Finished("length".to_owned())]));
        assert_eq!(read("", &chunk(r#"{"role":"assistant","content":""}"#, "null")), Some(vec![]));
        assert_eq!(read("", r#"{"choices":[],"usage":{}}"#), Some(vec![]));
        assert_eq!(read("", "[DONE]"), Some(vec![Event::Done]));
        assert_eq!(read("", "<html>"), None);
    }

    #[test]
    fn named_events_tell_of_tools_agents_and_failures() {
        let started = r#"{"choices":[],"tool_name":"get_order","status":"started","arguments":{"id":1}}"#;
        let expected = Event::ToolStarted { tool: "get_order".to_owned(), arguments: r#"{"id":1}"#.to_owned() };
        assert_eq!(read("tool_call", started), Some(vec![expected]));
        let failed = r#"{"choices":[],"tool_name":"get_order","status":"failed","result":"gone"}"#;
        let expected = Event::ToolEnded { tool: "get_order".to_owned(), result: "gone".to_owned(), failed: true };
        assert_eq!(read("tool_call", failed), Some(vec![expected]));
        let waits = r#"{"choices":[],"action":"approval","approval":{"id":"m:0","tool_call_id":"c","name":"refund","arguments":"{}"}}"#;
        let expected = Waiting { id: "m:0".to_owned(), name: "refund".to_owned(), arguments: "{}".to_owned() };
        assert_eq!(read("action_request", waits), Some(vec![Event::Waits(expected)]));
        let agent = r#"{"choices":[],"agent_schema":"billing"}"#;
        assert_eq!(read("metadata", agent), Some(vec![Event::Agent("billing".to_owned())]));
        let error = r#"{"choices":[],"code":"upstream_failed","message":"it failed","details":null}"#;
        let expected = Event::Failed { code: "upstream_failed".to_owned(), message: "it failed".to_owned() };
        assert_eq!(read("error", error), Some(vec![expected]));
        assert_eq!(read("something_new", r#"{"choices":[]}"#), Some(vec![]), "is passed over");
    }
}

//! What an agent answers, in either version's words: tasks, changes of them, messages.
//!
//! Agents in the wild mix the versions' words, so one lenient reader serves both. Of what it does not know it says so.

use serde_json::{Map, Value};

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Submitted or working.
    Underway,
    InputRequired,
    AuthRequired,
    Completed,
    Failed,
    Canceled,
    Rejected,
}

impl Stage {
    /// Does the agent do no more of its own accord?
    pub(super) fn is_end(self) -> bool {
        self != Self::Underway
    }

    /// Is the task over, so that there is nothing to cancel?
    pub(super) fn is_over(self) -> bool {
        !matches!(self, Self::Underway | Self::InputRequired | Self::AuthRequired)
    }
}

/// How far a task is, and what the agent says to that.
#[derive(Debug, PartialEq)]
pub(super) struct Status {
    pub(super) stage: Stage,
    pub(super) said: String,
}

/// A piece of an artifact or message.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// What is no text, named in a line of its own.
    Other(String),
}

/// A part of the answer.
#[derive(Debug, PartialEq)]
pub(super) struct Artifact {
    pub(super) id: String,
    pub(super) pieces: Vec<Piece>,
    /// Does it go on where the artifact of this id ended, rather than stand in its place?
    pub(super) append: bool,
}

/// One thing that an agent says.
#[derive(Debug, PartialEq)]
pub(super) enum Update {
    /// The whole task as it is now.
    Task {
        id: String,
        status: Status,
        artifacts: Vec<Artifact>,
        last: String,
    },
    Status {
        task: String,
        status: Status,
    },
    Artifact {
        task: String,
        artifact: Artifact,
    },
    /// An answer without a task.
    Message(String),
}

/// Reads a result. None for what is none of the protocol's.
pub(super) fn read(result: &Value) -> Option<Update> {
    let object = result.as_object()?;
    // 1.0 puts each kind into a member of its name, 0.3 names it in `kind`; a task that was asked for stands bare.
    for (name, reader) in READERS {
        if let Some(inner) = object.get(name).and_then(Value::as_object) {
            return reader(inner);
        }
    }
    match object.get("kind").and_then(Value::as_str) {
        Some("task") => task(object),
        Some("message") => message(object),
        Some("status-update") => status_update(object),
        Some("artifact-update") => artifact_update(object),
        _ if object.contains_key("status") => task(object),
        _ if object.contains_key("parts") => message(object),
        _ => None,
    }
}

type Reader = fn(&Map<String, Value>) -> Option<Update>;

const READERS: [(&str, Reader); 4] =
    [("task", task), ("statusUpdate", status_update), ("artifactUpdate", artifact_update), ("message", message)];

fn task(of: &Map<String, Value>) -> Option<Update> {
    let artifacts = list(of, "artifacts").iter().filter_map(Value::as_object).filter_map(|it| artifact(it, false));
    let last = list(of, "history")
        .iter()
        .rev()
        .filter_map(Value::as_object)
        .find(|message| matches!(message.get("role").and_then(Value::as_str), Some("agent" | "ROLE_AGENT")));
    Some(Update::Task {
        id: text(of, "id")?.to_owned(),
        status: status(of.get("status")?)?,
        artifacts: artifacts.collect(),
        last: last.map(said).unwrap_or_default(),
    })
}

fn status_update(of: &Map<String, Value>) -> Option<Update> {
    Some(Update::Status { task: text(of, "taskId")?.to_owned(), status: status(of.get("status")?)? })
}

fn artifact_update(of: &Map<String, Value>) -> Option<Update> {
    let append = of.get("append").and_then(Value::as_bool).unwrap_or(false);
    let artifact = artifact(of.get("artifact")?.as_object()?, append)?;
    Some(Update::Artifact { task: text(of, "taskId")?.to_owned(), artifact })
}

fn message(of: &Map<String, Value>) -> Option<Update> {
    of.get("parts")?.as_array()?;
    Some(Update::Message(said(of)))
}

fn artifact(of: &Map<String, Value>, append: bool) -> Option<Artifact> {
    let id = text(of, "artifactId")?.to_owned();
    Some(Artifact { id, pieces: pieces(of), append })
}

fn status(of: &Value) -> Option<Status> {
    let state = of.get("state")?.as_str()?;
    let state = state.strip_prefix("TASK_STATE_").unwrap_or(state).to_ascii_lowercase().replace('_', "-");
    let stage = match state.as_str() {
        "submitted" | "working" => Stage::Underway,
        "input-required" => Stage::InputRequired,
        "auth-required" => Stage::AuthRequired,
        "completed" => Stage::Completed,
        "failed" => Stage::Failed,
        "canceled" | "cancelled" => Stage::Canceled,
        "rejected" => Stage::Rejected,
        _ => return None,
    };
    Some(Status { stage, said: of.get("message").and_then(Value::as_object).map(said).unwrap_or_default() })
}

/// The words of a message.
fn said(message: &Map<String, Value>) -> String {
    let mut text = String::new();
    pieces(message).iter().for_each(|piece| piece.add_to(&mut text));
    text
}

fn pieces(of: &Map<String, Value>) -> Vec<Piece> {
    list(of, "parts").iter().filter_map(Value::as_object).map(piece).collect()
}

fn piece(part: &Map<String, Value>) -> Piece {
    if let Some(text) = text(part, "text") {
        return Piece::Text(text.to_owned());
    }
    if let Some(data) = part.get("data") {
        return Piece::Other(data.to_string());
    }
    // 0.3 has what is said of a file in a member of its own.
    let file = part.get("file").and_then(Value::as_object).unwrap_or(part);
    let say = |names: [&str; 2]| names.iter().find_map(|name| text(file, name)).unwrap_or_default();
    let about = [say(["filename", "name"]), say(["mediaType", "mimeType"])];
    let mut about: Vec<String> = about.into_iter().filter(|it| !it.is_empty()).map(str::to_owned).collect();
    match (say(["url", "uri"]), say(["raw", "bytes"])) {
        ("", "") => return Piece::Other("[content of a kind that is not known here]".to_owned()),
        ("", raw) => about.push(format!("about {} bytes", raw.len() / 4 * 3)),
        (url, _) => about.push(url.to_owned()),
    }
    Piece::Other(format!("[file: {}]", about.join(", ")))
}

impl Piece {
    /// Adds it to what was said before. Pieces of text go on where the last one ended: so streams cut them.
    pub(super) fn add_to(&self, text: &mut String) {
        match self {
            Self::Text(more) => text.push_str(more),
            Self::Other(line) => {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                text.push_str(line);
                text.push('\n');
            }
        }
    }
}

fn text<'a>(of: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    of.get(name).and_then(Value::as_str)
}

fn list<'a>(of: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    of.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn completed() -> Status {
        Status { stage: Stage::Completed, said: String::new() }
    }

    #[test]
    fn both_versions_say_the_same() {
        let status = json!({ "state": "TASK_STATE_COMPLETED" });
        let older = json!({ "state": "completed" });
        let artifact = json!({ "artifactId": "a", "parts": [{ "text": "Yes" }] });
        let older_artifact = json!({ "artifactId": "a", "parts": [{ "kind": "text", "text": "Yes" }] });
        let task = Update::Task {
            id: "t".to_owned(),
            status: completed(),
            artifacts: vec![Artifact {
                id: "a".to_owned(),
                pieces: vec![Piece::Text("Yes".to_owned())],
                append: false,
            }],
            last: "So".to_owned(),
        };
        let history =
            json!([{ "role": "ROLE_AGENT", "parts": [{ "text": "So" }] }, { "role": "ROLE_USER", "parts": [] }]);
        let bare =
            json!({ "id": "t", "contextId": "c", "status": status, "artifacts": [artifact], "history": history });
        assert_eq!(read(&bare).unwrap(), task);
        assert_eq!(read(&json!({ "task": bare })).unwrap(), task);
        let history = json!([{ "kind": "message", "role": "agent", "parts": [{ "kind": "text", "text": "So" }] }]);
        let of_03 =
            json!({ "kind": "task", "id": "t", "status": older, "artifacts": [older_artifact], "history": history });
        assert_eq!(read(&of_03).unwrap(), task);

        let update = Update::Status { task: "t".to_owned(), status: completed() };
        assert_eq!(read(&json!({ "statusUpdate": { "taskId": "t", "status": status } })).unwrap(), update);
        let of_03 = json!({ "kind": "status-update", "taskId": "t", "status": older, "final": true });
        assert_eq!(read(&of_03).unwrap(), update);

        let one = read(&json!({ "artifactUpdate": { "taskId": "t", "artifact": artifact, "append": true } })).unwrap();
        let other = json!({ "kind": "artifact-update", "taskId": "t", "artifact": older_artifact, "append": true });
        assert_eq!(one, read(&other).unwrap());
        assert!(matches!(one, Update::Artifact { artifact: Artifact { append: true, .. }, .. }));

        let message = Update::Message("Hello".to_owned());
        assert_eq!(
            read(&json!({ "message": { "role": "ROLE_AGENT", "parts": [{ "text": "Hello" }] } })),
            Some(message)
        );
    }

    #[test]
    fn what_is_no_text_is_named_in_a_line_of_its_own() {
        let parts = json!([
            { "text": "See" }, { "data": { "total": 7 } }, { "raw": "AAAAAAAA", "mediaType": "image/png", "filename": "a.png" },
            { "url": "https://x.example/r.pdf" }, { "kind": "file", "file": { "uri": "https://x.example/f", "name": "f" } },
            { "hologram": 1 }, { "text": "and" }, { "text": " so on." }, 7,
        ]);
        assert_eq!(
            read(&json!({ "message": { "parts": parts } })),
            Some(Update::Message(
                "See\n{\"total\":7}\n[file: a.png, image/png, about 6 bytes]\n[file: https://x.example/r.pdf]\n\
                 [file: f, https://x.example/f]\n[content of a kind that is not known here]\nand so on."
                    .to_owned()
            ))
        );
    }

    #[test]
    fn what_is_no_result_of_the_protocol_is_not_read() {
        for result in [
            json!(null),
            json!([]),
            json!({}),
            json!({ "task": 7 }),
            json!({ "task": {} }),
            json!({ "id": "t", "status": { "state": "TASK_STATE_LOST" } }),
            json!({ "id": 7, "status": { "state": "completed" } }),
            json!({ "kind": "status-update", "status": { "state": "completed" } }),
            json!({ "artifactUpdate": { "taskId": "t", "artifact": { "parts": [] } } }),
            json!({ "kind": "message", "parts": "Hello" }),
            json!({ "kind": "hologram" }),
        ] {
            assert_eq!(read(&result), None, "{result}");
        }
    }
}

//! Tasks, as this protocol writes them.

use std::sync::Arc;

use letterhead_store::Usage;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Something that was asked of an agent, and what has come of it.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task {
    pub(super) id: Arc<str>,
    /// The conversation that it belongs to.
    pub(super) context_id: Arc<str>,
    pub(super) status: Status,
    /// What was said. None where nobody asked for it: then it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) artifacts: Option<Vec<Artifact>>,
    /// What the client sent, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) history: Vec<Message>,
    pub(super) metadata: About,
}

/// Where a task stands.
#[derive(Clone, Serialize)]
pub(super) struct Status {
    pub(super) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Message>,
    /// Since when, in Unix milliseconds; written as RFC 3339 has it.
    #[serde(serialize_with = "timestamp")]
    pub(super) timestamp: i64,
}

/// The states that there are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum State {
    #[serde(rename = "TASK_STATE_WORKING")]
    Working,
    #[serde(rename = "TASK_STATE_INPUT_REQUIRED")]
    InputRequired,
    #[serde(rename = "TASK_STATE_COMPLETED")]
    Completed,
    #[serde(rename = "TASK_STATE_FAILED")]
    Failed,
    #[serde(rename = "TASK_STATE_CANCELED")]
    Canceled,
}

impl State {
    /// Has it come to its end?
    pub(super) fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }

    /// The name, as an error says it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::InputRequired => "waiting for input",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// A piece of what came of a task: one answer of a model, of the agent that is asked or of one that this has asked.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Artifact {
    pub(super) artifact_id: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) parts: [Part; 1],
    pub(super) metadata: By,
}

/// Whose words they are.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct By {
    /// The agent.
    pub(super) agent: Arc<str>,
    /// The call by which another agent asked it. None for the agent that has the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) call_id: Option<Arc<str>>,
}

/// A message of the client's, or one that says why a task stands where it does.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    pub(super) message_id: Arc<str>,
    pub(super) context_id: Arc<str>,
    pub(super) task_id: Arc<str>,
    pub(super) role: Role,
    pub(super) parts: Vec<Part>,
}

/// Who a message is from.
#[derive(Clone, Copy, Serialize)]
pub(super) enum Role {
    #[serde(rename = "ROLE_USER")]
    User,
    #[serde(rename = "ROLE_AGENT")]
    Agent,
}

/// A piece of content.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    #[serde(flatten)]
    pub(super) content: Content,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
}

/// What a piece of content is.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Content {
    /// Words.
    Text(String),
    /// Bytes, in base64.
    Raw(String),
    /// Where it is.
    Url(String),
    /// JSON.
    Data(Value),
}

impl Part {
    pub(super) fn of(content: Content) -> Self {
        Self { content, filename: None, media_type: None }
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::of(Content::Text(text.into()))
    }

    pub(super) fn data(data: Value) -> Self {
        Self { media_type: Some("application/json".to_owned()), ..Self::of(Content::Data(data)) }
    }
}

/// What else there is to say of a task.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    /// The agent that has the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<Arc<str>>,
    /// What it cost until now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Tokens>,
}

/// Tokens used, those of delegates included.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tokens {
    input_tokens: u64,
    output_tokens: u64,
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens }
    }
}

impl Task {
    /// With the last `length` messages of its history, where the client says how many it wants.
    pub(super) fn with_history(mut self, length: Option<usize>) -> Self {
        if let Some(length) = length {
            self.history.drain(..self.history.len().saturating_sub(length));
        }
        self
    }
}

/// An event of a stream.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Event<'a> {
    Task(&'a Task),
    StatusUpdate(StatusUpdate<'a>),
    ArtifactUpdate(ArtifactUpdate<'a>),
}

/// A task stands somewhere else now.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusUpdate<'a> {
    task_id: &'a str,
    context_id: &'a str,
    status: &'a Status,
    metadata: &'a About,
}

/// More of what comes of a task.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArtifactUpdate<'a> {
    task_id: &'a str,
    context_id: &'a str,
    artifact: Piece<'a>,
    /// Does it go behind what was sent of this artifact before?
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    append: bool,
}

/// A piece of an artifact.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Piece<'a> {
    artifact_id: &'a str,
    name: &'a str,
    parts: [TextPart<'a>; 1],
    metadata: &'a By,
}

#[derive(Serialize)]
struct TextPart<'a> {
    text: &'a str,
}

impl<'a> Event<'a> {
    /// Where the task stands.
    pub(super) fn status(task: &'a Task) -> Self {
        let Task { id, context_id, status, metadata, .. } = task;
        Self::StatusUpdate(StatusUpdate { task_id: id, context_id, status, metadata })
    }

    /// A piece of an artifact's text.
    pub(super) fn piece(task: &'a Task, artifact: &'a Artifact, text: &'a str, append: bool) -> Self {
        let Artifact { artifact_id, name, metadata, .. } = artifact;
        let artifact = Piece { artifact_id, name, parts: [TextPart { text }], metadata };
        Self::ArtifactUpdate(ArtifactUpdate { task_id: &task.id, context_id: &task.context_id, artifact, append })
    }
}

impl Artifact {
    /// One with this text.
    pub(super) fn new(artifact_id: String, name: Arc<str>, text: String, metadata: By) -> Self {
        Self { artifact_id: artifact_id.into(), name, parts: [Part::text(text)], metadata }
    }

    /// Its text.
    pub(super) fn text(&self) -> &str {
        let [part] = &self.parts;
        if let Content::Text(text) = &part.content { text } else { "" }
    }

    /// Adds to its text, and says where that begins.
    pub(super) fn push(&mut self, more: &str) -> usize {
        let [part] = &mut self.parts;
        let Content::Text(text) = &mut part.content else { return 0 };
        let from = text.len();
        text.push_str(more);
        from
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn timestamp<S: serde::Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    let time = jiff::Timestamp::from_millisecond(*ms).unwrap_or_default();
    serializer.collect_str(&format_args!("{time:.3}"))
}

/// The text of a stored message's content, which is a text, or a list of parts.
pub(super) fn text_of(content: &RawValue) -> String {
    match serde_json::from_str(content.get()) {
        Ok(Value::String(text)) => text,
        Ok(Value::Array(parts)) => parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect(),
        _ => String::new(),
    }
}

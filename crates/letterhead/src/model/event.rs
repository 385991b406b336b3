//! What a model's answer is made of.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use letterhead_store::Usage;

/// One piece of a model's answer.
///
/// In one stream: [`Model`](Self::Model) at most once and first; the answer's pieces in the order in which the provider
/// sent them; then [`Usage`](Self::Usage) at most once; then [`Finish`](Self::Finish), always and last.
///
/// `Debug` shows lengths, and not what the model says.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelEvent {
    /// The exact model that answers, as the provider calls it.
    Model(String),
    /// A piece of the answer's text.
    Text(String),
    /// A piece of what the model thought before it answered.
    Reasoning(String),
    /// A piece of a refusal.
    Refusal(String),
    /// A piece of a tool call.
    ToolCall {
        /// Which call of this answer: 0, 1, ….
        index: usize,
        /// The call's id. In the first piece of the call, and only there.
        id: Option<String>,
        /// The tool's name. In the first piece of the call, and only there.
        name: Option<String>,
        /// The next piece of the arguments' JSON text; perhaps empty.
        arguments: String,
    },
    /// What the call cost.
    Usage(Usage),
    /// The answer is complete.
    Finish(FinishReason),
}

impl fmt::Debug for ModelEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(name) => f.debug_tuple("Model").field(name).finish(),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Reasoning(text) => write!(f, "Reasoning({} bytes)", text.len()),
            Self::Refusal(text) => write!(f, "Refusal({} bytes)", text.len()),
            Self::ToolCall { index, id, name, arguments } => f
                .debug_struct("ToolCall")
                .field("index", index)
                .field("id", id)
                .field("name", name)
                .field("arguments_bytes", &arguments.len())
                .finish(),
            Self::Usage(usage) => f.debug_tuple("Usage").field(usage).finish(),
            Self::Finish(reason) => f.debug_tuple("Finish").field(reason).finish(),
        }
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model had said what it wanted to say.
    Stop,
    /// The limit of output tokens was reached.
    Length,
    /// The model calls tools.
    ToolCalls,
    /// The provider's filter ended the answer.
    ContentFilter,
}

impl FinishReason {
    /// The reason by OpenAI's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

//! Messages, as they are kept.

use std::fmt;
use std::ops::{Add, AddAssign};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Who a message is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions.
    System,
    /// The person, or the program, that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
}

impl Role {
    /// The name in the API and in a database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }

    /// The role of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::System, Self::User, Self::Assistant, Self::Tool].into_iter().find(|role| role.as_str() == name)
    }
}

/// How a turn, or a message, ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should.
    #[default]
    Complete,
    /// Cut short, as when the client left; what there is counts as history.
    Incomplete,
    /// By an error: kept for the record, but no part of later history.
    Failed,
}

impl Status {
    /// The name in the API and in a database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }

    /// The status of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Complete, Self::Incomplete, Self::Failed].into_iter().find(|status| status.as_str() == name)
    }
}

/// Tokens used, as the provider counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens sent, those read from a cache included.
    pub input_tokens: u64,
    /// Tokens answered, those of reasoning included.
    pub output_tokens: u64,
    /// Of the tokens sent: read from the provider's cache.
    pub cached_input_tokens: u64,
    /// Of the tokens answered: reasoning.
    pub reasoning_tokens: u64,
}

impl Usage {
    /// Tokens sent and answered.
    pub fn total_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cached_input_tokens = self.cached_input_tokens.saturating_add(other.cached_input_tokens);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(other.reasoning_tokens);
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// A message that a turn adds.
///
/// It gets its turn, its place and its time when it is stored: a user's message the time when the turn began, any
/// other that of the commit.
#[derive(Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Unique in its session; the client's own id where it sent one.
    pub id: Arc<str>,
    /// Who it is from.
    pub role: Role,
    /// One JSON object in the form of an OpenAI chat message, which the store never looks into.
    pub body: Arc<str>,
    /// The agent that said it.
    pub agent: Option<Arc<str>>,
    /// What it cost.
    pub usage: Option<Usage>,
    /// Whether it is whole. In a failed turn every message is stored as [`Status::Failed`], but for those that last.
    pub status: Status,
    /// Whether it stays history though its turn fails: the result of a call that was made all the same, and that nobody
    /// may make again.
    pub lasting: bool,
}

impl NewMessage {
    /// A complete message of no agent, with no usage.
    pub fn new(id: impl Into<Arc<str>>, role: Role, body: impl Into<Arc<str>>) -> Self {
        Self {
            id: id.into(),
            role,
            body: body.into(),
            agent: None,
            usage: None,
            status: Status::Complete,
            lasting: false,
        }
    }
}

/// A stored message. It never changes.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Unique in its session.
    pub id: Arc<str>,
    /// Its place: a message with a higher number came later. Numbers of removed messages are not used again.
    pub seq: u64,
    /// The number of its turn, from 1.
    pub turn: u64,
    /// Who it is from.
    pub role: Role,
    /// One JSON object in the form of an OpenAI chat message.
    pub body: Arc<str>,
    /// The agent that said it.
    pub agent: Option<Arc<str>>,
    /// What it cost.
    pub usage: Option<Usage>,
    /// Whether it is whole, and whether its turn failed.
    pub status: Status,
    /// When it came to be, in Unix milliseconds.
    pub created_at_ms: i64,
}

impl Message {
    /// Whether later turns see it.
    pub fn is_history(&self) -> bool {
        self.status != Status::Failed
    }

    /// Roughly the bytes it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        // Two words for each of the counts of an `Arc`, and what the allocator adds.
        const OVERHEAD: usize = size_of::<Message>() + 64;
        OVERHEAD + self.id.len() + self.body.len()
    }
}

/// Bodies are people's words: logs get their length alone.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("seq", &self.seq)
            .field("turn", &self.turn)
            .field("role", &self.role)
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NewMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewMessage")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

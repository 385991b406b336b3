//! Sessions, as a turn finds them.

use std::fmt;
use std::sync::Arc;

use letterhead_context::SessionMode;
use letterhead_context::value::wipe;
use serde_json::Value;

use crate::{KeptVariable, Message, SessionKey};

/// A session without its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Whose, and which.
    pub key: SessionKey,
    /// The agent that was asked for last.
    pub asked_agent: Arc<str>,
    /// The agent that has the conversation now: another one after a handoff.
    pub agent: Arc<str>,
    /// Real use or an evaluation.
    pub mode: SessionMode,
    /// `X-Client-Id`, as it was sent last.
    pub client_id: Option<Arc<str>>,
    /// When its first turn began, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When its last turn was committed, in Unix milliseconds.
    pub updated_at_ms: i64,
}

/// A context header that is remembered. Its `Debug` never shows the value, and a secret wipes itself when dropped.
#[derive(Clone, PartialEq)]
pub struct StoredHeader {
    /// The declared name.
    pub field: Arc<str>,
    /// The value, of its declared type.
    pub value: Value,
    /// Declared `writeOnly`: never written to a database in the clear.
    pub secret: bool,
    /// When it was last sent, in Unix milliseconds: lifetimes count from here.
    pub sent_at_ms: i64,
}

impl StoredHeader {
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + 32 + self.field.len() + value_weight(&self.value)
    }
}

impl Drop for StoredHeader {
    fn drop(&mut self) {
        if self.secret {
            wipe(&mut self.value);
        }
    }
}

impl fmt::Debug for StoredHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredHeader")
            .field("field", &self.field)
            .field("secret", &self.secret)
            .field("sent_at_ms", &self.sent_at_ms)
            .finish_non_exhaustive()
    }
}

/// Roughly the bytes that a value takes in memory.
pub(crate) fn value_weight(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(value_weight).sum(),
            Value::Object(members) => members.iter().map(|(name, value)| name.len() + value_weight(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

/// A session and what a turn works with. A snapshot: nothing changes it.
#[derive(Clone, PartialEq)]
pub struct Session {
    /// What it is and who has it.
    pub record: SessionRecord,
    /// The remembered headers that have not expired, secrets included, in the order of their first coming.
    pub headers: Vec<StoredHeader>,
    /// The context variables that it keeps and that have not expired, in the order of their names.
    pub variables: Vec<KeptVariable>,
    /// The shared state: one JSON object, or none yet.
    pub state: Option<Arc<str>>,
    /// The history, oldest first: the messages of the turns that did not fail.
    pub messages: Vec<Arc<Message>>,
    /// How many turns were committed, the failed ones included.
    pub turns: u64,
}

impl Session {
    /// The remembered header of this declared name.
    pub fn header(&self, field: &str) -> Option<&StoredHeader> {
        self.headers.iter().find(|header| &*header.field == field)
    }

    /// The kept context variable of this name.
    pub fn variable(&self, name: &str) -> Option<&KeptVariable> {
        self.variables.iter().find(|variable| &*variable.name == name)
    }

    /// What lists show of it.
    pub fn summary(&self) -> SessionSummary {
        let headers = self.headers.iter().map(|header| header.field.clone()).collect();
        SessionSummary { record: self.record.clone(), headers }
    }

    /// Roughly the bytes it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        const OVERHEAD: usize = size_of::<Session>() + 256;
        OVERHEAD
            + self.record.key.weight()
            + self.state.as_ref().map_or(0, |state| state.len())
            + self.headers.iter().map(StoredHeader::weight).sum::<usize>()
            + self.variables.iter().map(KeptVariable::weight).sum::<usize>()
            + self.messages.iter().map(|message| message.weight() + size_of::<Arc<Message>>()).sum::<usize>()
    }
}

/// Words and state stay out of logs.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("record", &self.record)
            .field("headers", &self.headers)
            .field("variables", &self.variables)
            .field("messages", &self.messages.len())
            .field("turns", &self.turns)
            .finish_non_exhaustive()
    }
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSummary {
    /// What it is and who has it.
    pub record: SessionRecord,
    /// The names of its remembered headers that have not expired.
    pub headers: Vec<Arc<str>>,
}

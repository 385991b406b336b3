//! What a request asks of a turn, in whatever protocol it came.

use std::fmt;
use std::sync::Arc;

use letterhead::model::ToolSpec;
use letterhead::run::ApprovalAnswer;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::conversation::{Edit, IncomingMessage, ToolAnswer};
use super::session_choice::SessionChoice;
use crate::model_choice::Asked;

/// What a protocol brings to a turn.
pub struct Incoming {
    /// The session that is named.
    pub session: SessionChoice,
    /// The agent and model that are asked for.
    pub asked: Asked,
    /// The request's messages without system ones, oldest first.
    pub messages: Vec<IncomingMessage>,
    /// System and developer messages, raw.
    pub instructions: Vec<Arc<str>>,
    /// Results for calls that the stored conversation left open (the UI protocol has them inside a message).
    pub answers: Vec<ToolAnswer>,
    /// What a person says of calls that wait for approval.
    pub approvals: Vec<ApprovalAnswer>,
    /// What happens to the stored history first.
    pub edit: Edit,
    /// The client's own tools.
    pub tools: Vec<Arc<ToolSpec>>,
    /// Which tool the model has to call.
    pub tool_choice: Option<Box<RawValue>>,
    /// The request fields for the model.
    pub params: Map<String, Value>,
    /// Does the client want events as they happen?
    pub stream: bool,
    /// Is the client told the turn's id when it begins? Then it can ask for it later, and the turn is kept however it ends.
    pub announced: bool,
}

impl Incoming {
    /// These messages, for whoever is asked, and nothing besides: no tools of the client's, no events.
    pub fn new(session: SessionChoice, asked: Asked, messages: Vec<IncomingMessage>) -> Self {
        Self {
            session,
            asked,
            messages,
            instructions: Vec::new(),
            answers: Vec::new(),
            approvals: Vec::new(),
            edit: Edit::default(),
            tools: Vec::new(),
            tool_choice: None,
            params: Map::new(),
            stream: false,
            announced: false,
        }
    }

    /// Is it for a turn that waits? Results of a client's tools are not: nobody but the client waits for what comes of them.
    pub(super) fn answers_what_waits(&self) -> bool {
        !self.approvals.is_empty() || matches!(self.edit, Edit::Add { after: Some(_) })
    }
}

/// What is said is nobody's business in a log: how much of it there is, and no more.
impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("session", &self.session)
            .field("asked", &self.asked)
            .field("messages", &self.messages.len())
            .field("instructions", &self.instructions.len())
            .field("answers", &self.answers.len())
            .field("approvals", &self.approvals)
            .field("edit", &self.edit)
            .field("tools", &self.tools.len())
            .field("params", &self.params.len())
            .field("stream", &self.stream)
            .field("announced", &self.announced)
            .finish_non_exhaustive()
    }
}

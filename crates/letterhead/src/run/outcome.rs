//! What a run starts from, and what comes out of it.

use std::sync::Arc;

use letterhead_context::{Problem, TrailEntry};
use letterhead_store::{ChildRun, KeptVariable, NewMessage};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::approval::{AnsweredApproval, ApprovedCalls, OpenCalls, PendingApproval};
use crate::model::{FinishReason, ToolSpec, Usage};
use crate::tool::State;

/// What a run starts from.
///
/// ```
/// use letterhead::run::RunInput;
///
/// let mut input = RunInput::new([r#"{"role":"user","content":"Hello!"}"#.into()]);
/// input.stream = true;
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct RunInput {
    /// The conversation, each message as raw JSON in OpenAI's form, the new one last.
    pub messages: Vec<Arc<str>>,
    /// System and developer messages of the client: they follow the agent's instructions, in this request alone.
    pub client_instructions: Vec<Arc<str>>,
    /// Tools that the client runs. None may have the name of an agent's own: see
    /// [`Registry::check_client_tools`](crate::Registry::check_client_tools).
    pub client_tools: Vec<Arc<ToolSpec>>,
    /// Which tool the model has to call, in OpenAI's form. It holds for the first call of the model alone.
    pub tool_choice: Option<Box<RawValue>>,
    /// Request fields of this run. They win over the agent's and the provider's, through handoffs and for children.
    pub params: Map<String, Value>,
    /// Ask the provider to stream.
    pub stream: bool,
    /// The session's shared object. The run changes it in place.
    pub state: State,
    /// The context variables that the session keeps. They are not fetched again as long as their requests are the same.
    pub kept: Vec<KeptVariable>,
    /// The calls that the last answer of the conversation left open, decided as far as somebody has: they come first. No
    /// message follows them.
    pub open: Option<OpenCalls>,
    /// Can the run end where a call needs a person's approval, and a later one go on from there? If not, such a call is not
    /// made, and the model is told.
    pub can_pause: bool,
    /// Where it is written down that an approved call is about to be made. None where nothing is to be remembered.
    pub approved: Option<Arc<dyn ApprovedCalls>>,
}

impl RunInput {
    /// Starts from a conversation alone.
    pub fn new(messages: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { messages: messages.into_iter().collect(), ..Self::default() }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunEnd {
    /// With an answer, with calls of the client's tools, or with calls that wait for approval.
    Complete(FinishReason),
    /// It was cancelled; what came before is kept.
    Cancelled,
    /// It failed.
    Failed(Problem),
}

/// What came out of a run, however it ended.
#[derive(Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// How it ended.
    pub end: RunEnd,
    /// What was said, in order: answers, tool results.
    pub messages: Vec<NewMessage>,
    /// The text of the last answer in which anything was said, as far as it came. Of an agent with an output schema, only
    /// an answer that fits.
    pub output: String,
    /// A refusal instead of an answer.
    pub refusal: String,
    /// The calls of the client's tools, as `(id, name, arguments)`.
    pub client_calls: Vec<(Arc<str>, Arc<str>, Arc<str>)>,
    /// The calls that wait for a person's approval. While there are any the conversation waits: the model was not called
    /// after them. A run that began with an answer to them and ended before they could be made has them still.
    pub approvals: Vec<PendingApproval>,
    /// The approvals that this run began with, answered: their calls were made, or refused.
    pub answered: Vec<AnsweredApproval>,
    /// What all model calls cost together, those of children included.
    pub usage: Usage,
    /// The runs of the agents that this one has asked, in the order of asking, however they ended. They are no part of the
    /// conversation.
    pub children: Vec<ChildRun>,
    /// The agent that has the conversation now.
    pub agent: Arc<str>,
    /// The model that was called last, as `provider:model`. Empty if none was.
    pub model: Arc<str>,
    /// Which header went where.
    pub trail: Vec<TrailEntry>,
    /// The context variables that were fetched and are to be kept for the session, however the run ended.
    pub kept: Vec<KeptVariable>,
    /// Has a tool run that may have changed something outside?
    pub had_effects: bool,
}

impl Outcome {
    /// A run of `agent` that ended so before anything had happened.
    pub fn new(end: RunEnd, agent: Arc<str>) -> Self {
        Self {
            end,
            messages: Vec::new(),
            output: String::new(),
            refusal: String::new(),
            client_calls: Vec::new(),
            approvals: Vec::new(),
            answered: Vec::new(),
            usage: Usage::default(),
            children: Vec::new(),
            agent,
            model: Arc::from(""),
            trail: Vec::new(),
            kept: Vec::new(),
            had_effects: false,
        }
    }

    /// Adds entries to the trail. Every call to one destination carries much the same: what was noted is not noted again.
    pub(super) fn note(&mut self, trail: Vec<TrailEntry>) {
        if self.trail.is_empty() {
            self.trail = trail;
            return;
        }
        for entry in trail {
            if !self.trail.contains(&entry) {
                self.trail.push(entry);
            }
        }
    }
}

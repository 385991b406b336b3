//! The body of a chat completion, as OpenAI clients send it. What is not known is ignored.

use std::sync::Arc;

use letterhead::model::ToolSpec;
use letterhead::run::ApprovalAnswer;
use letterhead_context::{Code, Fault, Problem, SessionId};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::members::{Members, wrong};
use crate::openai_message::{self, Messages};

/// Request fields of OpenAI's that go to the model.
const PARAMS: [&str; 26] = [
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "temperature",
    "top_k",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
    "modalities",
];

/// A chat completion, as it was asked for.
pub(super) struct ChatRequest {
    pub(super) model: Option<String>,
    pub(super) messages: Messages,
    /// What a person says of calls that wait.
    pub(super) approvals: Vec<ApprovalAnswer>,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) conversation_id: Option<SessionId>,
    pub(super) tools: Vec<Arc<ToolSpec>>,
    pub(super) tool_choice: Option<Box<RawValue>>,
    pub(super) params: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl ChatRequest {
    /// Reads a body. `allowed` narrows the fields that go to the model.
    pub(super) fn read(body: &[u8], allowed: Option<&[String]>) -> Result<Self, Problem> {
        let members = Members::read(body)?;
        refuse_what_changes_the_answer(&members)?;
        let approvals = approvals(&members)?;
        let messages = match members.list("messages")? {
            Some(messages) => messages,
            None if !approvals.is_empty() => Vec::new(),
            None => return Err(wrong("/messages", "a list of messages")),
        };
        let stream = members.get::<bool>("stream", "true or false")?.unwrap_or(false);
        let options = members.get::<StreamOptions>("stream_options", "an object")?.unwrap_or_default();
        let conversation_id = members.get::<String>("conversationId", "a string")?;
        Ok(Self {
            model: members.get("model", "a string")?,
            messages: match messages.as_slice() {
                [] if !approvals.is_empty() => Messages::default(),
                messages => openai_message::read(messages)?,
            },
            approvals,
            stream,
            include_usage: options.include_usage.unwrap_or(false),
            conversation_id: conversation_id.map(|id| SessionId::parse(&id)).transpose()?,
            tools: openai_message::tools(&members)?,
            tool_choice: members.raw("tool_choice").map(ToOwned::to_owned),
            params: params(&members, allowed)?,
        })
    }
}

/// What would make the answer another one than the client expects.
fn refuse_what_changes_the_answer(members: &Members<'_>) -> Result<(), Problem> {
    if members.get::<u64>("n", "a number")?.is_some_and(|n| n != 1) {
        return Err(wrong("/n", "1: one answer is given"));
    }
    let audio = members.get::<Vec<String>>("modalities", "a list of strings")?;
    if members.raw("audio").is_some() || audio.is_some_and(|kinds| kinds.iter().any(|kind| kind == "audio")) {
        let place = if members.raw("audio").is_some() { "/audio" } else { "/modalities" };
        return Err(wrong(place, "no audio: answers are text"));
    }
    Ok(())
}

/// Letterhead's own field: answers to the `requires_action` of an earlier answer.
fn approvals(members: &Members<'_>) -> Result<Vec<ApprovalAnswer>, Problem> {
    let expected = "expected an object with `id`, `approved` (true or false) and perhaps `reason`, a string";
    let mut approvals = Vec::new();
    for (at, raw) in members.list("approvals")?.unwrap_or_default().into_iter().enumerate() {
        match serde_json::from_str(raw.get()) {
            Ok(answer) => approvals.push(answer),
            Err(_) => {
                let fault = Fault::pointer(format!("/approvals/{at}"), Code::InvalidBody, expected);
                return Err(Problem::faults(vec![fault]));
            }
        }
    }
    Ok(approvals)
}

/// The fields that go to the model. One that cannot is no field to leave out: the answer would be another than was asked for.
fn params(members: &Members<'_>, allowed: Option<&[String]>) -> Result<Map<String, Value>, Problem> {
    let passes = |name: &str| match allowed {
        Some(allowed) => allowed.iter().any(|known| known == name),
        None => PARAMS.contains(&name),
    };
    let known = members.iter().filter(|(name, raw)| passes(name) && raw.get() != "null");
    let value = |(name, raw): (&str, &RawValue)| match serde_json::from_str(raw.get()) {
        Ok(value) => Ok((name.to_owned(), value)),
        Err(_) => Err(wrong(
            &format!("/{name}"),
            "what can be passed on: no number beyond all bounds, no half character, no deep nesting",
        )),
    };
    known.map(value).collect()
}

//! OpenAI's chunks, strictly, or with named events between them.

use letterhead::model::{FinishReason, Usage};
use letterhead::run::{Outcome, PendingApproval, RunEnd, RunEvent};
use letterhead_context::{OpenAiError, Problem};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{Encoder, data_frame};
use crate::turn::Ended;

/// Which of the two protocols is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's, strictly: `data:` lines and comments alone.
    Strict,
    /// The same, and between the chunks named events, whose data are chunks without choices.
    WithEvents,
}

/// Writes a run as OpenAI chunks.
#[derive(Debug)]
pub struct ChunkEncoder {
    dialect: Dialect,
    head: Head,
    include_usage: bool,
    /// `{"id":…,"choices":[{"index":0,"delta":`: what every chunk begins with.
    prefix: Vec<u8>,
    suffix: &'static [u8],
    step: u32,
}

/// What every chunk of an answer has.
#[derive(Clone, Debug, Serialize)]
pub struct Head {
    /// The answer's id.
    pub id: String,
    /// What it is.
    pub object: &'static str,
    /// When it began, in Unix seconds.
    pub created: i64,
    /// The model, as it was asked for.
    pub model: String,
    /// The session, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

impl ChunkEncoder {
    /// An encoder for one answer.
    pub fn new(dialect: Dialect, head: Head, include_usage: bool) -> Self {
        let mut prefix = b"data: ".to_vec();
        let _ = serde_json::to_writer(&mut prefix, &head);
        prefix.pop();
        prefix.extend_from_slice(b",\"choices\":[{\"index\":0,\"delta\":");
        // Clients that ask for usage expect the member in every chunk.
        let suffix: &[u8] = if include_usage { b"}],\"usage\":null}\n\n" } else { b"}]}\n\n" };
        Self { dialect, head, include_usage, prefix, suffix, step: 0 }
    }

    fn delta(&self, delta: &impl Serialize, finish: Option<FinishReason>, out: &mut Vec<u8>) {
        self.choice(delta, finish, out);
        out.extend_from_slice(self.suffix);
    }

    /// The last chunk of an answer that waits for a person: it says for what.
    fn waiting(&self, finish: FinishReason, action: &RequiresAction<'_>, out: &mut Vec<u8>) {
        self.choice(&json!({}), Some(finish), out);
        out.extend_from_slice(b"}],\"requires_action\":");
        let _ = serde_json::to_writer(&mut *out, action);
        out.extend_from_slice(self.suffix.get(b"}]".len()..).unwrap_or_default());
    }

    fn choice(&self, delta: &impl Serialize, finish: Option<FinishReason>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        let _ = serde_json::to_writer(&mut *out, delta);
        out.extend_from_slice(b",\"finish_reason\":");
        match finish {
            None => out.extend_from_slice(b"null"),
            Some(finish) => {
                out.push(b'"');
                out.extend_from_slice(finish.as_str().as_bytes());
                out.push(b'"');
            }
        }
    }

    /// A named event. Its data also is a chunk without choices, so that clients which do not know it pass over it.
    fn named(&self, name: &str, fields: Value, out: &mut Vec<u8>) {
        if self.dialect == Dialect::Strict {
            return;
        }
        let mut chunk = match serde_json::to_value(&self.head) {
            Ok(Value::Object(chunk)) => chunk,
            _ => Map::new(),
        };
        chunk.insert("choices".to_owned(), Value::Array(Vec::new()));
        chunk.insert("type".to_owned(), name.into());
        if let Value::Object(fields) = fields {
            chunk.extend(fields);
        }
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
        data_frame(&chunk, out);
    }

    /// Something in the run of an agent that was asked. `way` are the calls that led there, outermost first: the same
    /// agent may be asked twice at once.
    fn child(&self, agent: &str, way: &str, event: &RunEvent, out: &mut Vec<u8>) {
        let tool_call = |mut fields: Value, out| {
            if let Some(fields) = fields.as_object_mut() {
                fields.insert("call_id".to_owned(), way.into());
            }
            self.named("tool_call", fields, out);
        };
        match event {
            RunEvent::Text(text) | RunEvent::Refusal(text) => {
                let fields = json!({ "agent_name": agent, "call_id": way, "content": text });
                self.named("child_content", fields, out);
            }
            RunEvent::ToolStarted { id, name, arguments } => {
                tool_call(started(&format!("{agent}:{name}"), id, arguments), out);
            }
            RunEvent::ToolCompleted { id, name, result, is_error } => {
                tool_call(completed(&format!("{agent}:{name}"), id, result, *is_error), out);
            }
            RunEvent::Child { agent, call_id, event } => self.child(agent, &format!("{way}/{call_id}"), event, out),
            _ => {}
        }
    }
}

fn started(name: &str, id: &str, arguments: &str) -> Value {
    let arguments = RawValue::from_string(arguments.to_owned());
    let arguments = arguments.ok().and_then(|raw| serde_json::to_value(raw).ok()).unwrap_or(Value::Null);
    json!({ "tool_name": name, "tool_id": id, "status": "started", "arguments": arguments })
}

fn completed(name: &str, id: &str, result: &str, is_error: bool) -> Value {
    let status = if is_error { "failed" } else { "completed" };
    json!({ "tool_name": name, "tool_id": id, "status": status, "result": result })
}

impl Encoder for ChunkEncoder {
    fn begin(&mut self, out: &mut Vec<u8>) {
        // The first delta has the role: official helpers count on it.
        self.delta(&json!({ "role": "assistant", "content": "" }), None, out);
    }

    fn event(&mut self, event: &RunEvent, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Content<'a> {
            content: &'a str,
        }
        match event {
            RunEvent::Text(text) => self.delta(&Content { content: text }, None, out),
            RunEvent::Reasoning(text) => {
                self.delta(&json!({ "reasoning_content": text }), None, out);
                self.named("reasoning", json!({ "content": text, "step": self.step }), out);
            }
            RunEvent::Refusal(text) => self.delta(&json!({ "refusal": text }), None, out),
            RunEvent::ClientToolCall { index, id, name, arguments } => {
                let call = ToolCall::new(Some(*index), id, name, arguments);
                self.delta(&json!({ "tool_calls": [call] }), None, out);
            }
            RunEvent::RunStarted { agent } => {
                let fields = json!({ "message_id": self.head.id, "agent_schema": &**agent });
                self.named("metadata", fields, out);
            }
            RunEvent::ModelCallStarted { agent, model, step } => {
                self.step = *step;
                let label = format!("{agent} is thinking");
                let fields = json!({
                    "step": step, "total_steps": null, "label": label, "status": "in_progress", "model_version": &**model,
                });
                self.named("progress", fields, out);
            }
            RunEvent::ToolStarted { id, name, arguments } => self.named("tool_call", started(name, id, arguments), out),
            RunEvent::ToolCompleted { id, name, result, is_error } => {
                self.named("tool_call", completed(name, id, result, *is_error), out);
            }
            RunEvent::ApprovalAnswered { call_id, name, approved: false, .. } => {
                let fields = json!({ "tool_name": &**name, "tool_id": &**call_id, "status": "refused" });
                self.named("tool_call", fields, out);
            }
            RunEvent::HandedOver { to, .. } => {
                self.named("metadata", json!({ "message_id": self.head.id, "agent_schema": &**to }), out);
            }
            RunEvent::Child { agent, call_id, event } if self.dialect == Dialect::WithEvents => {
                self.child(agent, call_id, event, out);
            }
            _ => {}
        }
    }

    fn end(&mut self, ended: &Ended, out: &mut Vec<u8>) {
        if let Some(problem) = &ended.problem {
            return self.failed(problem, out);
        }
        let (finish, reason) = match ended.outcome.end {
            RunEnd::Complete(FinishReason::Length) => (FinishReason::Length, "length"),
            RunEnd::Complete(finish) => (finish, "stop"),
            _ => (FinishReason::Stop, "cancelled"),
        };
        match RequiresAction::of(&ended.outcome) {
            None => self.delta(&json!({}), Some(finish), out),
            Some(action) => {
                for approval in action.approvals {
                    self.named("action_request", json!({ "action": action.r#type, "approval": approval }), out);
                }
                self.waiting(finish, &action, out);
            }
        }
        if self.include_usage {
            #[derive(Serialize)]
            struct Tail<'a> {
                #[serde(flatten)]
                head: &'a Head,
                choices: [(); 0],
                usage: OpenAiUsage,
            }
            data_frame(&Tail { head: &self.head, choices: [], usage: ended.outcome.usage.into() }, out);
        }
        self.named("done", json!({ "reason": reason }), out);
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl ChunkEncoder {
    /// Ends with the error, and never with what a client takes for a clean end.
    fn failed(&self, problem: &Problem, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Failed<'a> {
            error: OpenAiError<'a>,
        }
        match self.dialect {
            Dialect::Strict => data_frame(&Failed { error: problem.into() }, out),
            Dialect::WithEvents => {
                let error = serde_json::to_value(OpenAiError::from(problem)).unwrap_or_default();
                let fields = json!({
                    "code": problem.code().as_str(), "message": problem.detail(), "details": null,
                    "recoverable": problem.should_retry().unwrap_or(false), "error": error,
                });
                self.named("error", fields, out);
                self.named("done", json!({ "reason": "error" }), out);
            }
        }
    }
}

/// What a person has to do before a conversation goes on.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RequiresAction<'a> {
    r#type: &'static str,
    approvals: &'a [PendingApproval],
}

impl<'a> RequiresAction<'a> {
    /// None where nobody has to do anything.
    pub fn of(outcome: &'a Outcome) -> Option<Self> {
        let approvals = outcome.approvals.as_slice();
        (!approvals.is_empty()).then_some(Self { r#type: "approval", approvals })
    }
}

/// Usage in OpenAI's form.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct OpenAiUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptTokens,
    completion_tokens_details: CompletionTokens,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct PromptTokens {
    cached_tokens: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct CompletionTokens {
    reasoning_tokens: u64,
}

impl From<Usage> for OpenAiUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.total_tokens(),
            prompt_tokens_details: PromptTokens { cached_tokens: usage.cached_input_tokens },
            completion_tokens_details: CompletionTokens { reasoning_tokens: usage.reasoning_tokens },
        }
    }
}

/// A call of a client's tool in OpenAI's form.
#[derive(Debug, Serialize)]
pub struct ToolCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl<'a> ToolCall<'a> {
    /// A call. In a stream it has its index.
    pub fn new(index: Option<usize>, id: &'a str, name: &'a str, arguments: &'a str) -> Self {
        Self { index, id, r#type: "function", function: Function { name, arguments } }
    }
}

//! The Vercel AI SDK's UI message stream: only chunks and fields that its versions 5 to 7 all accept.

mod asked;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use letterhead::model::FinishReason;
use letterhead::run::{PendingApproval, RunEnd, RunEvent};
use serde::Serialize;
use serde_json::{Value, json};

use self::asked::Asked;
use super::{Encoder, data_frame};
use crate::turn::Ended;

/// Writes a run as a UI message stream.
#[derive(Debug)]
pub struct UiEncoder {
    message_id: String,
    metadata: Value,
    step_open: bool,
    /// The open block, if there is one, and how many there were.
    block: Option<Block>,
    blocks: u32,
    /// The agents that are asked now, by the calls that ask them.
    asked: HashMap<Arc<str>, Asked>,
    /// The calls that waited and were approved: the client has them.
    approved: HashSet<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Text,
    Reasoning,
}

impl Block {
    fn start(self) -> &'static str {
        match self {
            Self::Text => "text-start",
            Self::Reasoning => "reasoning-start",
        }
    }

    fn delta(self) -> &'static str {
        match self {
            Self::Text => "text-delta",
            Self::Reasoning => "reasoning-delta",
        }
    }

    fn end(self) -> &'static str {
        match self {
            Self::Text => "text-end",
            Self::Reasoning => "reasoning-end",
        }
    }
}

impl UiEncoder {
    /// An encoder for one answer. `metadata` becomes the message's; fields beside the protocol's own are not allowed.
    pub fn new(message_id: String, metadata: Value) -> Self {
        Self {
            message_id,
            metadata,
            step_open: false,
            block: None,
            blocks: 0,
            asked: HashMap::new(),
            approved: HashSet::new(),
        }
    }

    fn block_id(&self) -> String {
        format!("b{}", self.blocks)
    }

    fn close_block(&mut self, out: &mut Vec<u8>) {
        if let Some(block) = self.block.take() {
            data_frame(&json!({ "type": block.end(), "id": self.block_id() }), out);
        }
    }

    fn close_step(&mut self, out: &mut Vec<u8>) {
        self.close_block(out);
        if std::mem::take(&mut self.step_open) {
            data_frame(&json!({ "type": "finish-step" }), out);
        }
    }

    /// A call of one of the agent's own tools.
    fn own_call(&mut self, id: &str, name: &str, arguments: &str, out: &mut Vec<u8>) {
        self.close_block(out);
        let chunk = json!({
            "type": "tool-input-available", "toolCallId": id, "toolName": name, "input": input(arguments),
            "dynamic": true, "providerExecuted": true,
        });
        data_frame(&chunk, out);
    }

    /// A call has its result: what an agent that it asked has said goes before it.
    fn rest(&mut self, id: &Arc<str>, result: &str, out: &mut Vec<u8>) {
        if let Some(output) = self.asked.remove(id).and_then(|mut asked| asked.rest(result)) {
            preliminary(id, &output, out);
        }
    }

    fn piece(&mut self, block: Block, text: &str, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Delta<'a> {
            r#type: &'static str,
            id: &'a str,
            delta: &'a str,
        }
        if self.block != Some(block) {
            self.close_block(out);
            self.blocks += 1;
            self.block = Some(block);
            data_frame(&json!({ "type": block.start(), "id": self.block_id() }), out);
        }
        data_frame(&Delta { r#type: block.delta(), id: &self.block_id(), delta: text }, out);
    }
}

/// What there is so far of a call's output.
fn preliminary(id: &str, output: &Value, out: &mut Vec<u8>) {
    let chunk = json!({
        "type": "tool-output-available", "toolCallId": id, "output": output,
        "dynamic": true, "providerExecuted": true, "preliminary": true,
    });
    data_frame(&chunk, out);
}

/// A tool's arguments as a JSON value; what is no JSON is shown as text.
pub(crate) fn input(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|_| arguments.into())
}

/// A tool's result as a JSON value where it is one.
pub(crate) fn output(result: &str) -> Value {
    match serde_json::from_str(result) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
        _ => result.into(),
    }
}

impl Encoder for UiEncoder {
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("x-vercel-ai-ui-message-stream", "v1")]
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        let start = json!({ "type": "start", "messageId": self.message_id, "messageMetadata": self.metadata });
        data_frame(&start, out);
    }

    fn event(&mut self, event: &RunEvent, out: &mut Vec<u8>) {
        match event {
            RunEvent::ModelCallStarted { .. } => {
                self.close_step(out);
                self.step_open = true;
                data_frame(&json!({ "type": "start-step" }), out);
            }
            RunEvent::Text(text) | RunEvent::Refusal(text) => self.piece(Block::Text, text, out),
            RunEvent::Reasoning(text) => self.piece(Block::Reasoning, text, out),
            RunEvent::ModelCallCompleted { .. } => self.close_block(out),
            // The agent's own: without both flags clients would try to run them, and post again for ever.
            RunEvent::ToolStarted { id, .. } if self.approved.contains(id) => {}
            RunEvent::ToolStarted { id, name, arguments } => self.own_call(id, name, arguments, out),
            RunEvent::ApprovalAnswered { call_id, approved: true, .. } => {
                self.approved.insert(Arc::clone(call_id));
            }
            RunEvent::ApprovalAnswered { call_id, approved: false, .. } => {
                data_frame(&json!({ "type": "tool-output-denied", "toolCallId": &**call_id }), out);
            }
            RunEvent::ToolCompleted { id, result, is_error: false, .. } => {
                self.rest(id, result, out);
                self.approved.remove(id);
                let chunk = json!({
                    "type": "tool-output-available", "toolCallId": &**id, "output": output(result),
                    "dynamic": true, "providerExecuted": true,
                });
                data_frame(&chunk, out);
            }
            RunEvent::ToolCompleted { id, result, is_error: true, .. } => {
                self.rest(id, result, out);
                self.approved.remove(id);
                let chunk = json!({
                    "type": "tool-output-error", "toolCallId": &**id, "errorText": &**result,
                    "dynamic": true, "providerExecuted": true,
                });
                data_frame(&chunk, out);
            }
            RunEvent::ClientToolCall { id, name, arguments, .. } => {
                self.close_block(out);
                let chunk = json!({
                    "type": "tool-input-available", "toolCallId": &**id, "toolName": &**name, "input": input(arguments),
                });
                data_frame(&chunk, out);
            }
            RunEvent::HandedOver { to, .. } => {
                data_frame(&json!({ "type": "message-metadata", "messageMetadata": { "agent": &**to } }), out);
            }
            RunEvent::Child { agent, call_id, event } => {
                let asked = self.asked.entry(Arc::clone(call_id)).or_insert_with(|| Asked::new(agent, call_id));
                if let Some(output) = asked.hear(event) {
                    preliminary(call_id, &output, out);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, ended: &Ended, out: &mut Vec<u8>) {
        self.close_block(out);
        if let Some(problem) = &ended.problem {
            // The last chunk: a clean end would be taken for success.
            data_frame(&json!({ "type": "error", "errorText": problem.detail() }), out);
            return;
        }
        for PendingApproval { id, call_id, name, arguments } in &ended.outcome.approvals {
            self.own_call(call_id, name, arguments, out);
            // Versions 6 and 7 know it; where a tool needs approval there is nothing that 5 would take instead.
            data_frame(&json!({ "type": "tool-approval-request", "approvalId": &**id, "toolCallId": &**call_id }), out);
        }
        self.close_step(out);
        let usage = &ended.outcome.usage;
        let metadata = json!({ "usage": { "inputTokens": usage.input_tokens, "outputTokens": usage.output_tokens } });
        let finish =
            json!({ "type": "finish", "finishReason": finish_reason(&ended.outcome.end), "messageMetadata": metadata });
        data_frame(&finish, out);
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

/// Why a run ended, by the protocol's names.
fn finish_reason(end: &RunEnd) -> &'static str {
    match end {
        RunEnd::Complete(FinishReason::Stop) => "stop",
        RunEnd::Complete(FinishReason::Length) => "length",
        RunEnd::Complete(FinishReason::ToolCalls) => "tool-calls",
        RunEnd::Complete(FinishReason::ContentFilter) => "content-filter",
        RunEnd::Failed(_) => "error",
        _ => "other",
    }
}

//! What a client hears while an agent works, if it gave a token: notifications, and the result as the last message.

use std::time::Duration;

use letterhead::run::RunEvent;
use serde_json::json;
use tokio::time::Instant;

use super::call::Answers;
use crate::json_rpc::Id;
use crate::stream::{Encoder, data_frame};
use crate::turn::Ended;

/// How often a client hears that an agent is still writing. The text itself is the result, and comes whole.
const WRITING_EVERY: Duration = Duration::from_secs(1);

/// Writes a run as progress of one request.
#[derive(Debug)]
pub(super) struct ProgressEncoder {
    answers: Answers,
    token: Id,
    /// How many were sent: it has to grow, and there is no total.
    sent: u64,
    /// When the client last heard that the agent is writing.
    wrote: Option<Instant>,
}

impl ProgressEncoder {
    pub(super) fn new(answers: Answers, token: Id) -> Self {
        Self { answers, token, sent: 0, wrote: None }
    }

    fn notify(&mut self, message: &str, out: &mut Vec<u8>) {
        self.sent += 1;
        let notification = json!({
            "jsonrpc": "2.0",
            "method": "notifications/progress",
            "params": { "progressToken": self.token, "progress": self.sent, "message": message },
        });
        data_frame(&notification, out);
    }

    fn writing(&mut self, out: &mut Vec<u8>) {
        let now = Instant::now();
        if self.wrote.is_none_or(|before| now.duration_since(before) >= WRITING_EVERY) {
            self.wrote = Some(now);
            self.notify("writing", out);
        }
    }

    /// A child's text is no part of the answer: it is told as it comes, and whole.
    fn child(&mut self, agent: &str, event: &RunEvent, out: &mut Vec<u8>) {
        match event {
            RunEvent::Text(text) | RunEvent::Refusal(text) => self.notify(&format!("{agent}: {text}"), out),
            RunEvent::ToolStarted { name, .. } => self.notify(&format!("{agent} calls {name}"), out),
            RunEvent::Child { agent, event, .. } => self.child(agent, event, out),
            _ => {}
        }
    }
}

impl Encoder for ProgressEncoder {
    fn begin(&mut self, _: &mut Vec<u8>) {}

    fn event(&mut self, event: &RunEvent, out: &mut Vec<u8>) {
        match event {
            RunEvent::ModelCallStarted { agent, .. } => self.notify(&format!("{agent} is thinking"), out),
            RunEvent::ToolStarted { name, .. } => self.notify(&format!("calling {name}"), out),
            RunEvent::ToolCompleted { name, is_error: true, .. } => self.notify(&format!("{name} failed"), out),
            RunEvent::ToolCompleted { name, .. } => self.notify(&format!("{name} has answered"), out),
            RunEvent::HandedOver { to, .. } => self.notify(&format!("{to} takes over"), out),
            RunEvent::Text(_) | RunEvent::Reasoning(_) | RunEvent::Refusal(_) => self.writing(out),
            RunEvent::Child { agent, event, .. } => self.child(agent, event, out),
            _ => {}
        }
    }

    fn silence(&mut self, out: &mut Vec<u8>) {
        // A comment would keep the connection, but not the client's own patience: that is renewed by progress alone.
        self.notify("still working", out);
    }

    fn end(&mut self, ended: &Ended, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.answers.frame(ended));
    }
}

#[cfg(test)]
mod tests;

//! One answer of a model, put together from its pieces.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde::Serialize;
use serde::de::IgnoredAny;

use super::event::{Events, RunEvent};
use crate::model::{FinishReason, ModelError, ModelErrorKind, ModelEvent, ModelStream, Usage};

/// Tool calls that one answer may hold.
const MAX_CALLS: usize = 128;

/// Bytes that one answer may say: text, thoughts, refusals and arguments. More than any model gives, and little enough to be
/// kept and sent again.
const MAX_SAID: usize = 8 * 1024 * 1024;

/// How long one answer may take, however often something comes that keeps it from being silent.
const LONGEST: Duration = Duration::from_hours(1);

/// One answer of a model, as far as it came.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) refusal: String,
    pub(super) tool_calls: Vec<ToolCall>,
    pub(super) usage: Usage,
    /// Is its text given out only when all of it has been found to fit?
    pub(super) held: bool,
    finish: Option<FinishReason>,
}

/// A call that the model wants to be made.
#[derive(Clone)]
pub(super) struct ToolCall {
    pub(super) id: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) arguments: Arc<str>,
    /// Has all of it come? Not if the answer was cut off within it.
    pub(super) whole: bool,
}

/// Without what the model wrote.
impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolCall").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Pieces {
    id: String,
    name: String,
    arguments: String,
}

impl Answer {
    /// One of which nothing has come. Is its text to be held back?
    pub(super) fn new(held: bool) -> Self {
        Self { held, ..Self::default() }
    }

    /// Reads the stream to its end, passing text on as it comes. What was read stays, whatever happens.
    pub(super) async fn read(&mut self, mut stream: ModelStream, events: &Events) -> Result<(), ModelError> {
        let mut calls: Vec<Pieces> = Vec::new();
        let mut failed = None;
        let mut said: usize = 0;
        let mut too_long = pin!(tokio::time::sleep(LONGEST));
        loop {
            let event = tokio::select! {
                biased;
                // First: from a flood there is always something to read.
                () = &mut too_long => {
                    let detail = "the model provider did not come to the end of its answer in time";
                    Some(Err(ModelError::new(ModelErrorKind::Timeout, detail)))
                }
                event = stream.next() => event,
            };
            let Some(event) = event else { break };
            said = said.saturating_add(event.as_ref().map_or(0, length));
            match event {
                Ok(_) if said > MAX_SAID => {
                    failed = Some(ModelError::malformed("it is too large"));
                    break;
                }
                Ok(ModelEvent::Text(piece)) => {
                    self.text.push_str(&piece);
                    if !self.held {
                        events.emit(|| RunEvent::Text(piece)).await;
                    }
                }
                Ok(ModelEvent::Reasoning(piece)) => events.emit(|| RunEvent::Reasoning(piece)).await,
                Ok(ModelEvent::Refusal(piece)) => {
                    self.refusal.push_str(&piece);
                    events.emit(|| RunEvent::Refusal(piece)).await;
                }
                Ok(ModelEvent::ToolCall { index, .. }) if index >= MAX_CALLS => {
                    failed = Some(ModelError::malformed("it holds too many tool calls"));
                    break;
                }
                Ok(ModelEvent::ToolCall { index, id, name, arguments }) => {
                    while calls.len() <= index {
                        calls.push(Pieces::default());
                    }
                    if let Some(call) = calls.get_mut(index) {
                        call.id.extend(id);
                        call.name.extend(name);
                        call.arguments.push_str(&arguments);
                    }
                }
                Ok(ModelEvent::Usage(usage)) => self.usage = usage,
                Ok(ModelEvent::Finish(finish)) => self.finish = Some(finish),
                Ok(ModelEvent::Model(_)) => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if let Some(error) = failed {
            // Calls of an answer that broke off are not whole, and are forgotten with it.
            return Err(error);
        }
        self.tool_calls = put_together(calls, self.finish == Some(FinishReason::Length))?;
        Ok(())
    }

    /// Gives out a text that was held back.
    pub(super) async fn release(&mut self, events: &Events) {
        self.held = false;
        events.emit(|| RunEvent::Text(self.text.clone())).await;
    }

    /// Why the answer ended.
    pub(super) fn finish(&self) -> FinishReason {
        match (self.finish, self.tool_calls.is_empty()) {
            // Some say so without calling any.
            (None | Some(FinishReason::ToolCalls), true) => FinishReason::Stop,
            (None, false) => FinishReason::ToolCalls,
            (Some(finish), _) => finish,
        }
    }

    /// The answer as a message in OpenAI's form.
    pub(super) fn message(&self) -> String {
        #[derive(Serialize)]
        struct Message<'a> {
            role: &'static str,
            content: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            refusal: Option<&'a str>,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            tool_calls: Vec<Call<'a>>,
        }
        #[derive(Serialize)]
        struct Call<'a> {
            id: &'a str,
            r#type: &'static str,
            function: Function<'a>,
        }
        #[derive(Serialize)]
        struct Function<'a> {
            name: &'a str,
            arguments: &'a str,
        }
        let tool_calls = self.tool_calls.iter().map(|call| Call {
            id: &call.id,
            r#type: "function",
            function: Function { name: &call.name, arguments: &call.arguments },
        });
        let message = Message {
            role: "assistant",
            content: (!self.text.is_empty() || (self.tool_calls.is_empty() && self.refusal.is_empty()))
                .then_some(self.text.as_str()),
            refusal: (!self.refusal.is_empty()).then_some(self.refusal.as_str()),
            tool_calls: tool_calls.collect(),
        };
        // Text and names alone: this cannot fail.
        serde_json::to_string(&message).unwrap_or_default()
    }

    /// Did anything come at all?
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.refusal.is_empty() && self.tool_calls.is_empty()
    }
}

/// The bytes of what is said in an event.
fn length(event: &ModelEvent) -> usize {
    match event {
        ModelEvent::Text(piece) | ModelEvent::Reasoning(piece) | ModelEvent::Refusal(piece) => piece.len(),
        ModelEvent::ToolCall { id, name, arguments, .. } => {
            [id, name].into_iter().flatten().map(String::len).sum::<usize>() + arguments.len()
        }
        _ => 0,
    }
}

/// The calls of an answer that has ended. If it was cut off, the last one may lack its end.
fn put_together(pieces: Vec<Pieces>, cut_off: bool) -> Result<Vec<ToolCall>, ModelError> {
    let count = pieces.len();
    let mut calls: Vec<ToolCall> = Vec::with_capacity(count);
    for (at, Pieces { id, name, arguments }) in pieces.into_iter().enumerate() {
        if name.is_empty() {
            return Err(ModelError::malformed("it calls a tool without naming it"));
        }
        // Results are matched by the id, so it has to be there, and once.
        let taken = id.is_empty() || calls.iter().any(|call| *call.id == *id);
        let id = if taken { format!("call_{}", uuid::Uuid::now_v7().simple()) } else { id };
        let may_lack_end = cut_off && at + 1 == count;
        let whole = !may_lack_end || serde_json::from_str::<IgnoredAny>(&arguments).is_ok();
        let arguments = if arguments.trim().is_empty() { "{}".to_owned() } else { arguments };
        calls.push(ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), whole });
    }
    Ok(calls)
}

/// A tool's result as a message in OpenAI's form.
pub(super) fn tool_message(call_id: &str, result: &str) -> String {
    #[derive(Serialize)]
    struct Message<'a> {
        role: &'static str,
        tool_call_id: &'a str,
        content: &'a str,
    }
    let message = Message { role: "tool", tool_call_id: call_id, content: result };
    serde_json::to_string(&message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};

    use super::*;

    /// Something is always there to be read, and the task stops only where the runtime makes it.
    #[tokio::test(start_paused = true)]
    async fn a_flood_of_nothing_ends_in_time() {
        let nothing = |_| async {
            tokio::task::consume_budget().await;
            let _ = tokio::time::advance(Duration::from_secs(60)).now_or_never();
            Ok(ModelEvent::Usage(Usage::default()))
        };
        let flood = Box::pin(stream::iter(0..10_000).then(nothing));
        let error = Answer::new(false).read(flood, &Events::none()).await.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Timeout);
    }
}

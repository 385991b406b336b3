//! The built-in demo model: no key, no network, and the same answer each time.

mod command;
mod conversation;
mod instance;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::{ChatModel, FinishReason, ModelCall, ModelError, ModelEvent, ModelStream, Usage};
use command::Wish;
use conversation::Conversation;

/// A model that is none: it repeats what it was told, so that one sees what a model would see.
///
/// It says that it is a demo model, quotes its instructions and the last message, and says how many messages it got.
/// After tool calls it gives the tools' results. A user message that begins with one of these is obeyed if the tool is
/// offered (several, each on a line of its own, are called together):
///
/// - `/tool NAME {json}` calls a tool,
/// - `/lookup KEY` looks a document up (tool `lookup`),
/// - `/ask AGENT text` asks another agent (tool `ask_agent`),
/// - `/handoff AGENT` hands the conversation over (tool `handoff_to_AGENT`).
///
/// With an output schema it answers with a small instance of it. `tool_choice` and `max_tokens` hold. Tokens are words.
#[derive(Clone, Copy, Debug, Default)]
pub struct DemoModel {
    delay: Duration,
}

/// What the demo model does in one call.
enum Reply {
    Says(String),
    Calls(Vec<(String, Value)>),
}

impl DemoModel {
    /// A demo model that answers at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits before each word of a streamed answer, as a real model would.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

#[async_trait]
impl ChatModel for DemoModel {
    async fn call(&self, call: ModelCall) -> Result<ModelStream, ModelError> {
        let delay = if call.stream { self.delay } else { Duration::ZERO };
        let events = stream::iter(answer(&call)).map(Ok);
        if delay.is_zero() {
            return Ok(Box::pin(events));
        }
        Ok(Box::pin(events.then(move |event| async move {
            if matches!(event, Ok(ModelEvent::Text(_))) {
                tokio::time::sleep(delay).await;
            }
            event
        })))
    }
}

fn answer(call: &ModelCall) -> Vec<ModelEvent> {
    let conversation = Conversation::read(call);
    let mut finish = FinishReason::Stop;
    let mut events = vec![ModelEvent::Model(call.model.to_string())];
    let output_tokens = match reply(call, &conversation) {
        Reply::Says(text) => {
            let mut pieces: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
            if let Some(limit) = limit(call).filter(|limit| *limit < pieces.len()) {
                pieces.truncate(limit);
                finish = FinishReason::Length;
            }
            let count = pieces.len();
            if call.stream {
                events.extend(pieces.into_iter().map(|piece| ModelEvent::Text(piece.to_owned())));
            } else {
                events.push(ModelEvent::Text(pieces.concat()));
            }
            count
        }
        Reply::Calls(calls) => {
            finish = FinishReason::ToolCalls;
            let count = calls.len();
            // The number of messages grows with every call of a conversation, and so makes the ids unique in it.
            let turn = call.messages.len();
            events.extend(calls.into_iter().enumerate().map(|(index, (name, arguments))| ModelEvent::ToolCall {
                index,
                id: Some(format!("call_demo_{turn}_{index}")),
                name: Some(name),
                arguments: arguments.to_string(),
            }));
            count
        }
    };
    events.push(ModelEvent::Usage(Usage {
        input_tokens: conversation.words,
        output_tokens: u64::try_from(output_tokens).unwrap_or(u64::MAX),
        ..Usage::default()
    }));
    events.push(ModelEvent::Finish(finish));
    events
}

fn reply(call: &ModelCall, conversation: &Conversation<'_>) -> Reply {
    if let Some(said) = &conversation.last_user {
        match command::wish(said, call) {
            Wish::Calls(calls) => return Reply::Calls(calls),
            Wish::Cannot(why) => return Reply::Says(format!("I am the demo model. {why}")),
            Wish::None => {}
        }
        if let Some(tool) = command::forced(call) {
            return Reply::Calls(vec![(tool.name().to_owned(), instance::of(tool.parameters()))]);
        }
    }
    match schema(call) {
        Some(schema) => Reply::Says(instance::of(schema).to_string()),
        None => Reply::Says(conversation.retell()),
    }
}

fn schema(call: &ModelCall) -> Option<&Value> {
    let asked = || call.params.get("response_format")?.get("json_schema")?.get("schema");
    call.output.as_ref().map(|output| &*output.schema).or_else(asked)
}

fn limit(call: &ModelCall) -> Option<usize> {
    let limit = call.params.get("max_completion_tokens").or_else(|| call.params.get("max_tokens"))?;
    usize::try_from(limit.as_u64()?).ok()
}

#[cfg(test)]
mod tests;

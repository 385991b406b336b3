//! The answer, whole or in chunks: one reader for both, lenient about everything that does not matter.

mod calls;
mod fields;

use std::ops::ControlFlow;

use calls::Calls;
use fields::{Choice, Chunk, Message};

use crate::model::json::{self, Raw};
use crate::model::sse::Event;
use crate::model::stream::{Decoder, Ready, reported};
use crate::model::{FinishReason, ModelError, ModelEvent, Usage};

/// What is known of one answer so far.
#[derive(Debug, Default)]
pub(super) struct Answer {
    named: bool,
    calls: Calls,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
}

impl Decoder for Answer {
    fn event(&mut self, event: Event<'_>, ready: &mut Ready) -> Result<ControlFlow<()>, ModelError> {
        if event.data.trim() == "[DONE]" {
            return Ok(ControlFlow::Break(()));
        }
        let chunk = serde_json::from_str(event.data)
            .map_err(|_| ModelError::malformed("one of its events is not the JSON of a chat completion"))?;
        self.chunk(&chunk, ready)?;
        Ok(ControlFlow::Continue(()))
    }

    fn whole(&mut self, body: &[u8], ready: &mut Ready) -> Result<(), ModelError> {
        let completion: Chunk<'_> = serde_json::from_slice(body)
            .map_err(|_| ModelError::malformed("it is not the JSON of a chat completion"))?;
        self.chunk(&completion, ready)?;
        if self.finish.is_none() && completion.choice().is_some_and(|choice| choice.message.is_some()) {
            // A body that is complete JSON is complete, even if it does not say why it ended.
            self.finish = Some(FinishReason::Stop);
        }
        Ok(())
    }

    fn end(&mut self, ready: &mut Ready) -> Result<(), ModelError> {
        let finish = self.finish.ok_or_else(ModelError::broke_off)?;
        self.calls.end()?;
        ready.extend(self.usage.map(ModelEvent::Usage));
        ready.push_back(ModelEvent::Finish(match finish {
            // Many say `stop` though they call tools.
            FinishReason::Stop if !self.calls.is_empty() => FinishReason::ToolCalls,
            finish => finish,
        }));
        Ok(())
    }
}

impl Answer {
    fn chunk(&mut self, chunk: &Chunk<'_>, ready: &mut Ready) -> Result<(), ModelError> {
        if chunk.error.is_some() {
            return Err(reported(chunk.error));
        }
        if !self.named
            && let Some(model) = json::string(chunk.model)
        {
            self.named = true;
            ready.push_back(ModelEvent::Model(model.into_owned()));
        }
        self.usage = chunk.usage().or(self.usage);
        let Some(choice) = chunk.choice() else { return Ok(()) };
        if let Some(message) = choice.delta.as_ref().or(choice.message.as_ref()) {
            self.message(message, ready);
        }
        self.finish = finish_reason(choice)?.or(self.finish);
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>, ready: &mut Ready) {
        // Some send both names for one thought.
        if let Some(thought) = json::string(message.reasoning_content).or_else(|| json::string(message.reasoning)) {
            ready.push_back(ModelEvent::Reasoning(thought.into_owned()));
        }
        message.content(|event| ready.push_back(event));
        if let Some(refusal) = json::string(message.refusal) {
            ready.push_back(ModelEvent::Refusal(refusal.into_owned()));
        }
        for call in json::object::<Vec<fields::ToolCall<'_>>>(message.tool_calls).into_iter().flatten() {
            ready.extend(self.calls.piece(&call));
        }
        if let Some(function) = json::object::<fields::Function<'_>>(message.function_call) {
            ready.extend(self.calls.legacy(&function));
        }
    }
}

/// Why it ended, in any provider's words; none if it has not, which some say with an empty string.
fn finish_reason(choice: &Choice<'_>) -> Result<Option<FinishReason>, ModelError> {
    let Some(reason) = json::string(choice.finish_reason) else { return Ok(None) };
    Ok(Some(match reason.to_ascii_lowercase().as_str() {
        "null" => return Ok(None),
        "length" | "max_tokens" | "max_output_tokens" | "model_length" => FinishReason::Length,
        "tool_calls" | "tool_call" | "tool_use" | "tool-calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" | "content-filter" | "safety" | "refusal" | "recitation" => FinishReason::ContentFilter,
        "error" | "insufficient_system_resource" => return Err(reported(choice.error)),
        // `stop`, `end_turn`, `eos`, `stop_sequence`, …: it ended of its own accord.
        _ => FinishReason::Stop,
    }))
}

#[cfg(test)]
mod tests;

//! The answer: a message in one piece, or the events that build one.

use std::ops::ControlFlow;

use serde::Deserialize;

use crate::model::json::{self, Raw};
use crate::model::sse::Event;
use crate::model::stream::{Decoder, Ready, reported};
use crate::model::{FinishReason, ModelError, ModelEvent, Usage};

/// What is known of one answer so far.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The blocks that are tool calls.
    calls: Vec<Call>,
    usage: Option<Tokens>,
    finish: Option<FinishReason>,
    /// A stream is complete with `message_stop` alone.
    stopped: bool,
}

#[derive(Debug)]
struct Call {
    block: u64,
    /// Arguments that the block's start had; they hold if no piece follows.
    whole: String,
    pieces: bool,
}

/// Tokens as they were last reported. Each report may repeat some of the figures.
#[derive(Clone, Copy, Debug, Default)]
struct Tokens {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
}

impl Decoder for Answer {
    fn event(&mut self, event: Event<'_>, ready: &mut Ready) -> Result<ControlFlow<()>, ModelError> {
        let said: Said<'_> = serde_json::from_str(event.data)
            .map_err(|_| ModelError::malformed("one of its events is not the JSON of a message"))?;
        match json::string(said.kind).as_deref().unwrap_or(event.name) {
            "message_start" => {
                if let Some(message) = json::object::<Message<'_>>(said.message) {
                    self.message(&message, ready);
                }
            }
            "content_block_start" => {
                if let Some(block) = json::object::<Block<'_>>(said.content_block) {
                    self.block(json::count(said.index), &block, ready);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = json::object::<Block<'_>>(said.delta) {
                    self.delta(json::count(said.index), &delta, ready);
                }
            }
            "content_block_stop" => self.block_stop(json::count(said.index), ready),
            "message_delta" => {
                self.usage(said.usage);
                if let Some(delta) = json::object::<Message<'_>>(said.delta) {
                    self.finish = finish_reason(delta.stop_reason).or(self.finish);
                }
            }
            "message_stop" => {
                self.stopped = true;
                return Ok(ControlFlow::Break(()));
            }
            "error" => return Err(reported(said.error)),
            // `ping`, and what is yet to come: the API asks to pass over what one does not know.
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    fn whole(&mut self, body: &[u8], ready: &mut Ready) -> Result<(), ModelError> {
        let message: Message<'_> =
            serde_json::from_slice(body).map_err(|_| ModelError::malformed("it is not the JSON of a message"))?;
        if message.error.is_some() {
            return Err(reported(message.error));
        }
        self.message(&message, ready);
        self.stopped = true;
        Ok(())
    }

    fn end(&mut self, ready: &mut Ready) -> Result<(), ModelError> {
        let finish = self.finish.filter(|_| self.stopped).ok_or_else(ModelError::broke_off)?;
        ready.extend(self.usage.map(|tokens| ModelEvent::Usage(tokens.into())));
        ready.push_back(ModelEvent::Finish(finish));
        Ok(())
    }
}

impl Answer {
    fn message(&mut self, message: &Message<'_>, ready: &mut Ready) {
        ready.extend(json::string(message.model).map(|model| ModelEvent::Model(model.into_owned())));
        self.usage(message.usage);
        for (index, block) in (0..).zip(json::object::<Vec<Block<'_>>>(message.content).into_iter().flatten()) {
            self.block(Some(index), &block, ready);
            self.block_stop(Some(index), ready);
        }
        self.finish = finish_reason(message.stop_reason).or(self.finish);
    }

    fn block(&mut self, index: Option<u64>, block: &Block<'_>, ready: &mut Ready) {
        match json::string(block.kind).as_deref() {
            Some("tool_use") => {
                let input = json::json_text(block.input);
                ready.push_back(ModelEvent::ToolCall {
                    index: self.calls.len(),
                    id: Some(json::string(block.id).unwrap_or_default().into_owned()),
                    name: Some(json::string(block.name).unwrap_or_default().into_owned()),
                    arguments: String::new(),
                });
                self.calls.push(Call { block: index.unwrap_or(u64::MAX), whole: input, pieces: false });
            }
            _ => self.delta(index, block, ready),
        }
    }

    fn delta(&mut self, index: Option<u64>, delta: &Block<'_>, ready: &mut Ready) {
        if let Some(piece) = json::string(delta.partial_json) {
            let block = index.unwrap_or(u64::MAX);
            if let Some((at, call)) = self.calls.iter_mut().enumerate().rfind(|(_, call)| call.block == block) {
                call.pieces = true;
                let arguments = piece.into_owned();
                ready.push_back(ModelEvent::ToolCall { index: at, id: None, name: None, arguments });
            }
            return;
        }
        // A tool that the provider runs itself also has text in its results: only text and thoughts are the answer.
        match json::string(delta.kind).as_deref() {
            Some("text" | "text_delta") => {
                ready.extend(json::string(delta.text).map(|text| ModelEvent::Text(text.into_owned())));
            }
            Some("thinking" | "thinking_delta") => {
                ready.extend(json::string(delta.thinking).map(|text| ModelEvent::Reasoning(text.into_owned())));
            }
            _ => {}
        }
    }

    fn block_stop(&mut self, index: Option<u64>, ready: &mut Ready) {
        let block = index.unwrap_or(u64::MAX);
        if let Some((at, call)) = self.calls.iter_mut().enumerate().rfind(|(_, call)| call.block == block)
            && !std::mem::replace(&mut call.pieces, true)
        {
            let arguments = std::mem::take(&mut call.whole);
            ready.push_back(ModelEvent::ToolCall { index: at, id: None, name: None, arguments });
        }
    }

    fn usage(&mut self, usage: Raw<'_>) {
        let Some(reported) = json::object::<Reported<'_>>(usage) else { return };
        let tokens = self.usage.get_or_insert_default();
        let thinking = json::object::<Details<'_>>(reported.output_tokens_details);
        for (figure, raw) in [
            (&mut tokens.input, reported.input_tokens),
            (&mut tokens.cache_read, reported.cache_read_input_tokens),
            (&mut tokens.cache_written, reported.cache_creation_input_tokens),
            (&mut tokens.output, reported.output_tokens),
            (&mut tokens.thinking, thinking.and_then(|details| details.thinking_tokens)),
        ] {
            *figure = json::count(raw).or(*figure);
        }
    }
}

impl From<Tokens> for Usage {
    /// The API counts tokens from and to the cache beside `input_tokens`; here they are part of it.
    fn from(tokens: Tokens) -> Self {
        let [input, read, written] =
            [tokens.input, tokens.cache_read, tokens.cache_written].map(Option::unwrap_or_default);
        Self {
            input_tokens: input.saturating_add(read).saturating_add(written),
            output_tokens: tokens.output.unwrap_or_default(),
            cached_input_tokens: read,
            reasoning_tokens: tokens.thinking.unwrap_or_default(),
        }
    }
}

fn finish_reason(reason: Raw<'_>) -> Option<FinishReason> {
    Some(match &*json::string(reason)? {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        // `end_turn`, `stop_sequence`, `pause_turn`
        _ => FinishReason::Stop,
    })
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(default, borrow)]
    index: Raw<'a>,
    #[serde(default, borrow)]
    message: Raw<'a>,
    #[serde(default, borrow)]
    content_block: Raw<'a>,
    #[serde(default, borrow)]
    delta: Raw<'a>,
    #[serde(default, borrow)]
    usage: Raw<'a>,
    #[serde(default, borrow)]
    error: Raw<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    model: Raw<'a>,
    #[serde(default, borrow)]
    content: Raw<'a>,
    #[serde(default, borrow)]
    stop_reason: Raw<'a>,
    #[serde(default, borrow)]
    usage: Raw<'a>,
    #[serde(default, borrow)]
    error: Raw<'a>,
}

/// A content block, or what a delta adds to one.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(default, borrow)]
    id: Raw<'a>,
    #[serde(default, borrow)]
    name: Raw<'a>,
    #[serde(default, borrow)]
    input: Raw<'a>,
    #[serde(default, borrow)]
    text: Raw<'a>,
    #[serde(default, borrow)]
    thinking: Raw<'a>,
    #[serde(default, borrow)]
    partial_json: Raw<'a>,
}

#[derive(Deserialize)]
struct Reported<'a> {
    #[serde(default, borrow)]
    input_tokens: Raw<'a>,
    #[serde(default, borrow)]
    output_tokens: Raw<'a>,
    #[serde(default, borrow)]
    cache_read_input_tokens: Raw<'a>,
    #[serde(default, borrow)]
    cache_creation_input_tokens: Raw<'a>,
    #[serde(default, borrow)]
    output_tokens_details: Raw<'a>,
}

#[derive(Deserialize)]
struct Details<'a> {
    #[serde(default, borrow)]
    thinking_tokens: Raw<'a>,
}

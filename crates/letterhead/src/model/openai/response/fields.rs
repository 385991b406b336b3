//! The fields of a chat completion that are read. All of them may be absent, null or of another type.

use serde::Deserialize;

use super::{Raw, json};
use crate::model::{ModelEvent, Usage};

/// A chat completion, or a chunk of one.
#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(default, borrow)]
    pub(super) model: Raw<'a>,
    #[serde(default, borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default, borrow)]
    usage: Raw<'a>,
    #[serde(default, borrow)]
    pub(super) error: Raw<'a>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default, borrow)]
    index: Raw<'a>,
    #[serde(default, borrow)]
    pub(super) delta: Option<Message<'a>>,
    #[serde(default, borrow)]
    pub(super) message: Option<Message<'a>>,
    #[serde(default, borrow)]
    pub(super) finish_reason: Raw<'a>,
    #[serde(default, borrow)]
    pub(super) error: Raw<'a>,
}

/// A message, or what a chunk adds to one.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(default, borrow)]
    content: Raw<'a>,
    #[serde(default, borrow)]
    pub(super) refusal: Raw<'a>,
    #[serde(default, borrow)]
    pub(super) reasoning_content: Raw<'a>,
    #[serde(default, borrow)]
    pub(super) reasoning: Raw<'a>,
    #[serde(default, borrow)]
    pub(super) tool_calls: Raw<'a>,
    #[serde(default, borrow)]
    pub(super) function_call: Raw<'a>,
}

#[derive(Deserialize)]
pub(super) struct ToolCall<'a> {
    #[serde(default, borrow)]
    pub(super) index: Raw<'a>,
    #[serde(default, borrow)]
    pub(super) id: Raw<'a>,
    #[serde(default, borrow)]
    pub(super) function: Option<Function<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Function<'a> {
    #[serde(default, borrow)]
    pub(super) name: Raw<'a>,
    #[serde(default, borrow)]
    pub(super) arguments: Raw<'a>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(default, borrow)]
    text: Raw<'a>,
    #[serde(default, borrow)]
    refusal: Raw<'a>,
    #[serde(default, borrow)]
    thinking: Raw<'a>,
}

#[derive(Deserialize)]
struct Tokens<'a> {
    #[serde(default, borrow, alias = "input_tokens")]
    prompt_tokens: Raw<'a>,
    #[serde(default, borrow, alias = "output_tokens")]
    completion_tokens: Raw<'a>,
    #[serde(default, borrow)]
    prompt_tokens_details: Raw<'a>,
    #[serde(default, borrow)]
    completion_tokens_details: Raw<'a>,
    #[serde(default, borrow)]
    prompt_cache_hit_tokens: Raw<'a>,
}

#[derive(Deserialize)]
struct Details<'a> {
    #[serde(default, borrow)]
    cached_tokens: Raw<'a>,
    #[serde(default, borrow)]
    reasoning_tokens: Raw<'a>,
}

impl<'a> Chunk<'a> {
    /// The one choice that is read: the first of those with index 0 or none.
    pub(super) fn choice(&self) -> Option<&Choice<'a>> {
        self.choices.iter().flatten().find(|choice| json::count(choice.index).unwrap_or(0) == 0)
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        let tokens: Tokens<'_> = json::object(self.usage)?;
        let details = |raw| json::object::<Details<'_>>(raw);
        let cached = details(tokens.prompt_tokens_details).and_then(|details| json::count(details.cached_tokens));
        let reasoning = details(tokens.completion_tokens_details).and_then(|it| json::count(it.reasoning_tokens));
        Some(Usage {
            input_tokens: json::count(tokens.prompt_tokens).unwrap_or(0),
            output_tokens: json::count(tokens.completion_tokens).unwrap_or(0),
            cached_input_tokens: cached.or_else(|| json::count(tokens.prompt_cache_hit_tokens)).unwrap_or(0),
            reasoning_tokens: reasoning.unwrap_or(0),
        })
    }
}

impl Message<'_> {
    /// The content's pieces, whether it is text, a list of parts or nothing.
    pub(super) fn content(&self, mut piece: impl FnMut(ModelEvent)) {
        if let Some(text) = json::string(self.content) {
            piece(ModelEvent::Text(text.into_owned()));
            return;
        }
        for part in json::object::<Vec<Part<'_>>>(self.content).into_iter().flatten() {
            if let Some(text) = json::string(part.text) {
                piece(ModelEvent::Text(text.into_owned()));
            }
            if let Some(refusal) = json::string(part.refusal) {
                piece(ModelEvent::Refusal(refusal.into_owned()));
            }
            // Mistral's thoughts are parts inside a part.
            for thought in json::object::<Vec<Part<'_>>>(part.thinking).into_iter().flatten() {
                if let Some(text) = json::string(thought.text) {
                    piece(ModelEvent::Reasoning(text.into_owned()));
                }
            }
        }
    }
}

//! `history:` — how much of a conversation a model is sent.

use super::section::Section;

/// How much of a conversation a model is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// The most tokens; nothing is no bound.
    pub max_tokens: Option<u32>,
}

impl History {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self { max_tokens: section.child("max_tokens").optional_count() }
    }
}

//! Lists, a page at a time.

use std::sync::Arc;

use letterhead_context::SessionMode;

/// The most that one page holds.
pub const MAX_PAGE: usize = 500;

/// Which part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    limit: usize,
    after: Option<Arc<str>>,
}

impl Page {
    /// The first page, with so many entries: 1 to [`MAX_PAGE`], what is outside is moved inside.
    pub fn first(limit: usize) -> Self {
        Self { limit: limit.clamp(1, MAX_PAGE), after: None }
    }

    /// Everything at once, for who has to have all of it from one moment.
    #[cfg(feature = "sqlite")]
    pub(crate) fn all() -> Self {
        Self { limit: usize::MAX >> 1, after: None }
    }

    /// The page that follows this entry: a session's id, a message's id, or the number of a turn.
    #[must_use]
    pub fn after(self, id: impl Into<Arc<str>>) -> Self {
        Self { after: Some(id.into()), ..self }
    }

    /// How many entries at most.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The entry before the page.
    pub fn cursor(&self) -> Option<&str> {
        self.after.as_deref()
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::first(100)
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T> {
    /// The entries.
    pub data: Vec<T>,
    /// Whether there are more behind them.
    pub has_more: bool,
}

impl<T> List<T> {
    /// The first `limit` of entries of which one more than that was looked up, if there was one.
    pub(crate) fn cut(mut data: Vec<T>, limit: usize) -> Self {
        let has_more = data.len() > limit;
        data.truncate(limit);
        Self { data, has_more }
    }
}

/// Which sessions a list shows. What is none does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only those of real use, or only evaluations.
    pub mode: Option<SessionMode>,
    /// Only those of this client.
    pub client_id: Option<Arc<str>>,
}

//! What agents look up: where the built-in tool `lookup` finds the documents behind its keys.
//!
//! An agent that [names](crate::Agent::with_tool_named) the tool `lookup` has it. Its one argument is a key; who asks is
//! the run's caller, and nothing that a model says changes that. What a caller may read is for the [`LookupSource`] to
//! know: [`StoredDocuments`] reads those of a store, the caller's own before shared ones.

mod near;
mod stored;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use letterhead_context::{Caller, without_invisible};

pub use stored::StoredDocuments;

use crate::tool::ToolError;

/// The most bytes of a document that a model is told at a time. Behind them stands a key with which it goes on.
const PAGE: usize = 32 * 1024;

/// Finds what stands behind a key.
///
/// ```
/// use async_trait::async_trait;
/// use letterhead::lookup::{Found, LookedUp, LookupSource};
/// use letterhead::{Agent, Caller, Runner, ToolError};
///
/// struct Greetings;
///
/// #[async_trait]
/// impl LookupSource for Greetings {
///     async fn look_up(&self, key: &str, _caller: &Caller) -> Result<Found, ToolError> {
///         Ok(match key {
///             "german" => Found::Text(LookedUp::new("german", "Guten Tag")),
///             _ => Found::Nothing { near: vec!["german".into()] },
///         })
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let agent = Agent::new("host").with_instructions("Greet people.").with_tool_named("lookup");
/// let runner = Runner::with_agents([agent]).lookup(Greetings).build()?;
/// // The demo model does what it is told; a real one decides by itself.
/// let result = runner.run("/lookup german").await?;
/// assert!(result.output.contains("Guten Tag"));
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[async_trait]
pub trait LookupSource: Send + Sync {
    /// What this caller may read under this key, as the model wrote it but for blanks around it.
    ///
    /// # Errors
    ///
    /// In words for the model, where it cannot be looked up now.
    async fn look_up(&self, key: &str, caller: &Caller) -> Result<Found, ToolError>;
}

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// A text.
    Text(LookedUp),
    /// Nothing that the caller may read.
    Nothing {
        /// Keys that the caller may read, and that may have been meant.
        near: Vec<String>,
    },
}

/// A text that was found.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookedUp {
    /// The key, as it is spelled where it was found.
    pub key: Arc<str>,
    /// What people call it.
    pub title: Option<Arc<str>>,
    /// Whose it is, in a few words: the model may weigh what it reads by that.
    pub whose: Option<&'static str>,
    /// The text.
    pub text: Arc<str>,
}

/// The key alone: what somebody has written stays out of logs.
impl fmt::Debug for LookedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookedUp").field("key", &self.key).finish_non_exhaustive()
    }
}

impl LookedUp {
    /// A text without a title.
    pub fn new(key: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { key: key.into(), title: None, whose: None, text: text.into() }
    }
}

/// Where a registry's agents look up; perhaps nowhere.
#[derive(Clone, Default)]
pub(crate) struct Source(Option<Arc<dyn LookupSource>>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Source(…)" } else { "Source(none)" })
    }
}

impl Source {
    pub(crate) fn new(source: Arc<dyn LookupSource>) -> Self {
        Self(Some(source))
    }

    /// Looks up what a model asks for. Behind an `@` a key may have the character at which to begin.
    pub(crate) async fn look_up(&self, wanted: &str, caller: &Caller) -> Result<String, ToolError> {
        let Some(source) = &self.0 else { return Err(ToolError::new("There are no documents here.")) };
        let wanted = wanted.trim();
        let (key, from) = match wanted.rsplit_once('@') {
            Some((key, from)) => match from.parse::<usize>() {
                Ok(from) => (key, from),
                Err(_) => (wanted, 0),
            },
            None => (wanted, 0),
        };
        match source.look_up(key, caller).await? {
            Found::Text(found) => page(&found, from),
            Found::Nothing { near } => Err(ToolError::new(nothing(key, &near))),
        }
    }
}

/// What the model is told: what it is that it reads, and as much of it as it is told at a time. What people do not see is
/// left out: nobody is to hide words in a document that a model alone reads.
fn page(found: &LookedUp, from: usize) -> Result<String, ToolError> {
    let LookedUp { key, title, whose, text } = found;
    let text = without_invisible(text);
    let start = text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(from);
    let Some(rest) = start.and_then(|start| text.get(start..)) else {
        return Err(ToolError::new(format!("The document `{key}` ends before its character {from}.")));
    };
    let title = title.as_ref().map_or_else(String::new, |title| format!(" ({})", without_invisible(title)));
    let whose = whose.map_or_else(String::new, |whose| format!(", {whose}"));
    let part = if from > 0 { format!(", from character {from}") } else { String::new() };
    let head = format!("‹document {key}{title}{whose}{part}›\n");
    let shown = rest.get(..rest.floor_char_boundary(PAGE)).unwrap_or(rest);
    if shown.len() == rest.len() {
        return Ok(head + rest);
    }
    let next = from + shown.chars().count();
    let left = rest.chars().count().saturating_sub(shown.chars().count());
    Ok(format!("{head}{shown}\n‹… {left} characters more; lookup(\"{key}@{next}\") goes on there …›"))
}

fn nothing(key: &str, near: &[String]) -> String {
    let shown: String = without_invisible(key).chars().filter(|c| !c.is_control()).take(128).collect();
    let near: Vec<String> = near.iter().map(|key| format!("`{key}`")).collect();
    match near.as_slice() {
        [] => format!("There is no document `{shown}`."),
        near => format!("There is no document `{shown}`. Known keys: {}.", near.join(", ")),
    }
}

#[cfg(test)]
mod tests;

//! `context:` — the context variables: what is fetched before the model is called.
//!
//! A definition may be spelled as the agents SDK of Inkeep spells it, so that one can be carried over. A key that is there in
//! both spellings is a fault.

use std::time::Duration;

use serde_json::Value as Json;

use super::{
    placed::Placed,
    pointer::Pointer,
    request::{HttpRequest, Parts},
    section::Section,
    template::TemplateSource,
};

/// How long a fetch may take, unless the file says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A context variable.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ContextVariable {
    /// Its name in templates.
    pub name: String,
    /// How long a value is good for.
    pub when: When,
    /// What is asked.
    pub request: HttpRequest,
    /// Which part of the answer is the value, as JSONPath.
    pub select: Option<Placed<String>>,
    /// What the answer has to be, as JSON Schema.
    pub response_schema: Option<Placed<Json>>,
    /// The value where nothing could be fetched.
    pub default: Option<Placed<Json>>,
    /// Templates that must all give something; else nothing is asked.
    pub requires: Vec<TemplateSource>,
    /// Whether the turn goes on without the value.
    pub optional: bool,
    /// How long a value is kept; nothing is as long as the session.
    pub ttl: Option<Duration>,
    /// How long a fetch may take.
    pub timeout: Duration,
    /// Whether requests carry the turn's `traceparent`.
    pub trace: bool,
    /// Where it stands.
    pub pointer: Pointer,
}

/// How long a value is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// For the conversation, as long as its request would be the same.
    #[default]
    Conversation,
    /// For one turn.
    Turn,
}

pub(super) fn read(section: &Section<'_>) -> Vec<ContextVariable> {
    section.entries().into_iter().map(|(name, variable)| ContextVariable::read(name, &variable)).collect()
}

impl ContextVariable {
    fn read(name: &str, section: &Section<'_>) -> Self {
        // What a definition that is carried over was called there. It has no meaning here.
        let _ = (section.child("id"), section.child("name"));
        let fetch = section.child("fetchConfig");
        let parts = Parts {
            url: spelled(section.child("url"), fetch.child("url")),
            method: spelled(section.child("method"), fetch.child("method")),
            headers: spelled(section.child("headers"), fetch.child("headers")),
            query: section.child("query"),
            body: spelled(section.child("body"), fetch.child("body")),
            form: section.child("form"),
            auth: section.child("auth"),
        };
        let when = spelled(section.child("when"), section.child("trigger"));
        let select = spelled(section.child("select"), fetch.child("transform"));
        let response_schema = spelled(section.child("response_schema"), section.child("responseSchema"));
        let default = spelled(section.child("default"), section.child("defaultValue"));
        let requires = spelled(section.child("requires"), fetch.child("requiredToFetch"));
        Self {
            name: name.to_owned(),
            when: match when.text() {
                Some("turn" | "invocation") => When::Turn,
                _ => When::Conversation,
            },
            request: parts.read(section),
            select: select.text().map(|path| Placed::new(path.to_owned(), select.pointer())),
            response_schema: response_schema.json().map(|schema| Placed::new(schema, response_schema.pointer())),
            default: default.json().map(|value| Placed::new(value, default.pointer())),
            requires: requires.items().into_iter().filter_map(|item| item.template()).collect(),
            optional: section.child("optional").bool(false),
            ttl: section.child("ttl").optional_duration(),
            timeout: timeout(section.child("timeout"), fetch.child("timeout")),
            trace: section.child("trace").bool(true),
            pointer: section.pointer().clone(),
        }
    }
}

/// The one of two spellings of a key that is there.
fn spelled<'r>(ours: Section<'r>, theirs: Section<'r>) -> Section<'r> {
    if !theirs.exists() {
        return ours;
    }
    if ours.exists() {
        let (ours, theirs_name) = (ours.pointer().dotted(), theirs.pointer().dotted());
        theirs.error_at_key(format!("`{theirs_name}` is another spelling of `{ours}`"), "keep one of them".to_owned());
    }
    theirs
}

/// How long a fetch may take: a duration, or in the other spelling a number of milliseconds.
fn timeout(ours: Section<'_>, theirs: Section<'_>) -> Duration {
    let milliseconds = theirs.optional_count().map(|count| Duration::from_millis(count.into()));
    let timeout = ours.optional_duration().or(milliseconds);
    spelled(ours, theirs);
    timeout.unwrap_or(TIMEOUT)
}

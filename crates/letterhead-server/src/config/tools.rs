//! `tools:` — tools that call an HTTP API.

use std::time::Duration;

use serde_json::Value as Json;

use super::{
    placed::Placed,
    pointer::Pointer,
    request::{HttpRequest, Parts},
    section::Section,
    template::TemplateSource,
};

/// How long a call may take, unless the file says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What an answer may have at most, unless the file says otherwise.
const MAX_ANSWER: u64 = 1 << 20;

/// A tool that calls an HTTP API.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpTool {
    /// Its name, as the model calls it.
    pub name: String,
    /// What it does, as the model is told.
    pub description: Option<TemplateSource>,
    /// What the model gives it: a JSON Schema of an object.
    pub parameters: Option<Placed<Json>>,
    /// What is asked; the model's arguments are `args` in its templates.
    pub request: HttpRequest,
    /// Which part of the answer the model is told, as JSONPath.
    pub select: Option<Placed<String>>,
    /// How long a call may take.
    pub timeout: Duration,
    /// The most bytes that an answer may have.
    pub max_answer: u64,
    /// Whether a call may change something at the other side; nothing is by the method.
    pub effects: Option<bool>,
    /// Whether a person has to approve each call.
    pub approve: bool,
    /// Whether calls carry the turn's `traceparent`.
    pub trace: bool,
    /// Where it stands.
    pub pointer: Pointer,
}

pub(super) fn read(section: &Section<'_>) -> Vec<HttpTool> {
    section.entries().into_iter().map(|(name, tool)| HttpTool::read(name, &tool)).collect()
}

impl HttpTool {
    fn read(name: &str, section: &Section<'_>) -> Self {
        let (parameters, select, effects) =
            (section.child("parameters"), section.child("select"), section.child("effects"));
        Self {
            name: name.to_owned(),
            description: section.child("description").template(),
            parameters: parameters.json().map(|schema| Placed::new(schema, parameters.pointer())),
            select: select.text().map(|path| Placed::new(path.to_owned(), select.pointer())),
            timeout: section.child("timeout").duration(TIMEOUT),
            max_answer: section.child("max_answer").bytes(MAX_ANSWER),
            effects: effects.exists().then(|| effects.bool(true)),
            approve: section.child("approve").bool(false),
            trace: section.child("trace").bool(true),
            request: Parts::below(section).read(section),
            pointer: section.pointer().clone(),
        }
    }
}

//! `requires`: what must be there for a request to be worth making.

use crate::context::RequestContext;
use crate::egress::TextSource;
use crate::template::{Read, Rendered, Scope, Sink, Template, TemplateFault, Values, View};

/// One entry of `requires: ["{{ headers.user_id }}"]`: is there a value?
///
/// ```
/// use letterhead_context::{Caller, HeaderSchema, RequestContext, Requirement, Scope, Sent, TextSource, Values};
/// use serde_json::json;
///
/// let schema = HeaderSchema::compile(&json!({ "properties": { "user_id": {} } })).unwrap();
/// let requirement = Requirement::compile(TextSource::Template("{{ headers.user_id }}"), Scope::of(&schema)).unwrap();
///
/// let merged = |stored: &[(&str, &serde_json::Value)]| schema.merge(stored.iter().copied(), &Sent::nothing(), &[]).unwrap();
/// let with = RequestContext::builder(Caller::anonymous(), merged(&[("user_id", &json!("u_1"))])).build("assistant");
/// let without = RequestContext::builder(Caller::anonymous(), merged(&[])).build("assistant");
/// assert!(requirement.is_met(&with, &Values::default()));
/// assert!(!requirement.is_met(&without, &Values::default()));
/// ```
#[derive(Clone, Debug)]
pub struct Requirement(Template);

impl Requirement {
    /// Checks one entry.
    ///
    /// # Errors
    /// Lists every fault of the template; a text without any expression is one.
    pub fn compile(source: TextSource<'_>, scope: Scope<'_>) -> Result<Self, Vec<TemplateFault>> {
        let template = match source {
            TextSource::Literal(text) => Template::literal(text, Sink::Text),
            TextSource::Template(text) => Template::compile(text, Sink::Text, scope)?,
        };
        if template.as_literal().is_some() {
            let message =
                "it names nothing that could be missing: write an expression, such as `{{ headers.user_id }}`";
            return Err(vec![TemplateFault { line: 1, column: 1, message: message.to_owned() }]);
        }
        Ok(Self(template))
    }

    /// Is there a value, and not an empty one? What cannot be rendered is not there.
    pub fn is_met(&self, context: &RequestContext, values: &Values) -> bool {
        let rendered = self.0.render(&View::of(Sink::Text, context, values));
        matches!(rendered, Ok(Rendered::Text(text)) if !text.trim().is_empty())
    }

    /// What it reads.
    pub fn reads(&self) -> &[Read] {
        self.0.reads()
    }
}

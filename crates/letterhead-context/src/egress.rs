//! What leaves: a destination's rules and a context make the headers of a call, and an entry of the trail for each.
//!
//! This is the only writer of outbound headers. A header reaches a destination because that destination's own
//! configuration names it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::context::RequestContext;
use crate::name::{is_credential, reserved_outbound};
use crate::precedence::{Layers, is_list_valued};
use crate::problem::{Code, Fault, Problem};
use crate::runtime::header_value;
use crate::template::{Read, Rendered, Scope, Sink, Template, View};
use crate::trail::{DestinationKind, Layer, TrailEntry};

/// The `headers` of one place of the configuration: names with checked templates.
#[derive(Clone, Debug, Default)]
pub struct HeaderTemplates(Vec<HeaderTemplate>);

#[derive(Clone, Debug)]
struct HeaderTemplate {
    name: HeaderName,
    label: Arc<str>,
    from: Arc<str>,
    template: Template,
}

/// A fault of one configured header: which, and what is wrong. Line and column count from 1, within the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderTemplateFault {
    /// The header's name as it was written.
    pub name: String,
    /// Where in the value, if the value's template is at fault.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for HeaderTemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "header `{}`: {}", self.name.escape_debug(), self.message)
    }
}

/// The value of a configured header.
#[derive(Clone, Copy, Debug)]
pub enum HeaderSource<'a> {
    /// A template.
    Template(&'a str),
    /// Text that goes out as it stands.
    Literal(&'a str),
}

impl HeaderTemplates {
    /// Checks names and compiles values. Every fault is reported.
    ///
    /// ```
    /// use letterhead_context::{HeaderSchema, HeaderSource, HeaderTemplates, Scope};
    ///
    /// let schema = HeaderSchema::empty();
    /// let set = [("X-Environment", HeaderSource::Template("staging"))];
    /// assert!(HeaderTemplates::compile(set, Scope::of(&schema)).is_ok());
    ///
    /// let set = [("Content-Type", HeaderSource::Template("text/plain"))];
    /// assert!(HeaderTemplates::compile(set, Scope::of(&schema)).is_err());
    /// ```
    pub fn compile<'a>(
        entries: impl IntoIterator<Item = (&'a str, HeaderSource<'a>)>,
        scope: Scope<'_>,
    ) -> Result<Self, Vec<HeaderTemplateFault>> {
        let mut compiled: Vec<HeaderTemplate> = Vec::new();
        let mut faults = Vec::new();
        for (written, source) in entries {
            match Self::compile_one(written, source, scope, &compiled) {
                Ok(entry) => compiled.push(entry),
                Err(more) => faults.extend(more),
            }
        }
        if faults.is_empty() { Ok(Self(compiled)) } else { Err(faults) }
    }

    fn compile_one(
        written: &str,
        source: HeaderSource<'_>,
        scope: Scope<'_>,
        earlier: &[HeaderTemplate],
    ) -> Result<HeaderTemplate, Vec<HeaderTemplateFault>> {
        let fault = |position, message: String| HeaderTemplateFault { name: written.to_owned(), position, message };
        let name = HeaderName::from_bytes(written.as_bytes())
            .map_err(|_| vec![fault(None, "this is not a header name".to_owned())])?;
        if let Some(reason) = reserved_outbound(&name) {
            return Err(vec![fault(None, format!("it is reserved: {reason}"))]);
        }
        if let Some(same) = earlier.iter().find(|entry| entry.name == name) {
            return Err(vec![fault(None, format!("it is set twice (`{}`)", same.label))]);
        }
        if let Some(other) = earlier.iter().find(|entry| is_credential(&entry.name) && is_credential(&name)) {
            let message = format!("`{}` sets a credential already, and a call has one", other.label);
            return Err(vec![fault(None, message)]);
        }
        let template = match source {
            HeaderSource::Literal(text) => Template::literal(text, Sink::Header),
            HeaderSource::Template(text) => Template::compile(text, Sink::Header, scope).map_err(|faults| {
                faults.into_iter().map(|f| fault(Some((f.line, f.column)), f.message)).collect::<Vec<_>>()
            })?,
        };
        if template.as_literal().is_some_and(|text| header_value(text).is_none()) {
            return Err(vec![fault(None, "its value holds a line break or another control character".to_owned())]);
        }
        Ok(HeaderTemplate { label: Arc::from(written), from: origin(&template), name, template })
    }

    /// What the templates read.
    pub fn reads(&self) -> impl Iterator<Item = (&str, &Read)> {
        self.0.iter().flat_map(|entry| entry.template.reads().iter().map(move |read| (&*entry.label, read)))
    }

    /// The names that are set, as they were written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|entry| &*entry.label)
    }

    /// Is nothing set?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where a template's value comes from, as a trail says it.
fn origin(template: &Template) -> Arc<str> {
    match template.reads() {
        [] => Arc::from("literal"),
        [one] => one.label(),
        several => several.iter().map(Read::label).collect::<Vec<_>>().join(", ").into(),
    }
}

/// A provider's own credential: the header it goes into, and its value.
#[derive(Clone, Debug)]
pub struct Credential {
    header: HeaderTemplate,
    prefix: &'static str,
}

impl Credential {
    /// A key that is sent as `Authorization: Bearer <key>`.
    pub fn bearer(key: Template) -> Self {
        Self::in_header(http::header::AUTHORIZATION, "Bearer ", key)
    }

    /// A key that is the whole value of a header such as `x-api-key`.
    pub fn header(name: HeaderName, key: Template) -> Self {
        Self::in_header(name, "", key)
    }

    fn in_header(name: HeaderName, prefix: &'static str, key: Template) -> Self {
        let from = if key.reads().is_empty() { Arc::from("api_key") } else { origin(&key) };
        Self { header: HeaderTemplate { label: Arc::from(name.as_str()), from, name, template: key }, prefix }
    }

    /// What the key's template reads.
    pub fn reads(&self) -> &[Read] {
        self.header.template.reads()
    }
}

/// How many headers a provider takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderBudget {
    /// The most header lines that we may add to a call.
    pub max_headers: Option<usize>,
    /// The most bytes of names and values together.
    pub max_bytes: Option<usize>,
}

/// What decides the headers of an LLM call.
#[derive(Clone, Copy, Debug)]
pub struct LlmDestination<'a> {
    /// As a trail names it: `providers.openai`.
    pub name: &'a Arc<str>,
    /// The provider's own credential.
    pub credential: Option<&'a Credential>,
    /// The provider's headers.
    pub provider: &'a HeaderTemplates,
    /// The agent's headers.
    pub agent: &'a HeaderTemplates,
    /// What the provider takes.
    pub budget: HeaderBudget,
}

/// The source of one offered value.
enum Value<'a> {
    Template(&'a HeaderTemplate, &'static str),
    Ready(&'a HeaderValue),
}

impl LlmDestination<'_> {
    /// The headers of one call: provider < agent < run, each name once, and never two credentials.
    ///
    /// What goes out, and what stays, is added to the trail. The error is told before any call is made.
    pub fn headers(&self, context: &RequestContext, view: &View, trail: &mut Vec<TrailEntry>) -> Result<HeaderMap, Problem> {
        let mut layers = Layers::new();
        if let Some(credential) = self.credential {
            let value = Value::Template(&credential.header, credential.prefix);
            layers.offer(Layer::Credential, credential.header.name.clone(), value);
        }
        for (layer, templates) in [(Layer::Provider, self.provider), (Layer::Agent, self.agent)] {
            for entry in &templates.0 {
                layers.offer(layer, entry.name.clone(), Value::Template(entry, ""));
            }
        }
        for (name, value) in context.runtime().iter() {
            layers.offer(Layer::Runtime, name.clone(), Value::Ready(value));
        }
        let resolved = layers.resolve(context.runtime().removed());

        let agent = context.shared_agent();
        let mut note = |name: &HeaderName, value: &Value<'_>, layer, reason: Option<Cow<'static, str>>| {
            let (header, from) = match value {
                Value::Template(entry, _) => (Arc::clone(&entry.label), Arc::clone(&entry.from)),
                Value::Ready(_) => (Arc::from(name.as_str()), Arc::from("runtime_headers")),
            };
            let (agent, destination, kind) = (Arc::clone(&agent), Arc::clone(self.name), DestinationKind::Llm);
            trail.push(TrailEntry { agent, destination, kind, header, from, layer, sent: reason.is_none(), reason });
        };
        let mut headers = HeaderMap::with_capacity(resolved.winners.len() + 4);
        for offer in &resolved.winners {
            let rendered = match &offer.value {
                Value::Ready(value) => Some((*value).clone()),
                Value::Template(entry, prefix) => self.render(entry, prefix, context, view)?,
            };
            let Some(value) = rendered else {
                note(&offer.name, &offer.value, offer.layer, Some(Cow::Borrowed("a value it names is missing")));
                continue;
            };
            note(&offer.name, &offer.value, offer.layer, None);
            add(&mut headers, &offer.name, value);
        }
        for (offer, reason) in &resolved.losers {
            note(&offer.name, &offer.value, offer.layer, Some(Cow::Borrowed(reason)));
        }
        self.check_budget(&headers)?;
        Ok(headers)
    }

    fn render(
        &self,
        entry: &HeaderTemplate,
        prefix: &str,
        context: &RequestContext,
        view: &View,
    ) -> Result<Option<HeaderValue>, Problem> {
        let secret = is_credential(&entry.name) || entry.template.reads().iter().any(Read::is_secret);
        let text = match entry.template.render(view) {
            Ok(Rendered::Text(text)) => text,
            Ok(Rendered::Missing) if secret => return Err(self.missing(entry, context)),
            Ok(Rendered::Missing) => return Ok(None),
            Err(error) => {
                let detail = format!("the header `{}` of `{}` could not be rendered: {error}", entry.label, self.name);
                return Err(Problem::new(Code::TemplateFailed, detail));
            }
        };
        let text = if prefix.is_empty() { text } else { format!("{prefix}{text}") };
        let Some(mut value) = header_value(&text) else {
            let detail = format!("the header `{}` of `{}` would hold a control character", entry.label, self.name);
            return Err(Problem::new(Code::InvalidHeaderValue, detail));
        };
        value.set_sensitive(secret);
        Ok(Some(value))
    }

    fn missing(&self, entry: &HeaderTemplate, context: &RequestContext) -> Problem {
        let absent = entry.template.reads().iter().find_map(|read| match read {
            Read::Header { name, .. } if !context.headers().has(name) => Some(name.to_string()),
            _ => None,
        });
        let detail = format!("`{}` needs it for its header `{}`, and it was not sent", self.name, entry.label);
        match absent {
            Some(name) => Problem::faults(vec![Fault::header(name, Code::MissingCredential, detail)]),
            None => Problem::new(Code::MissingCredential, format!("the credential `{}` of `{}` has no value", entry.label, self.name)),
        }
    }

    fn check_budget(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let over = |limit: Option<usize>, actual: usize| limit.is_some_and(|limit| actual > limit);
        if over(self.budget.max_headers, headers.len()) || over(self.budget.max_bytes, bytes) {
            let detail = format!("the call to `{}` would carry {} headers of {bytes} bytes, more than it takes", self.name, headers.len());
            return Err(Problem::new(Code::HeaderTooLarge, detail));
        }
        Ok(())
    }
}

fn add(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    let joined = match headers.get(name) {
        Some(earlier) if is_list_valued(name) => {
            let list = [earlier.as_bytes(), b",", value.as_bytes()].concat();
            HeaderValue::from_bytes(&list).unwrap_or(value)
        }
        _ => value,
    };
    headers.insert(name, joined);
}

/// Notes which context headers an agent's instructions read: they reach the model.
pub fn note_instructions(template: &Template, context: &RequestContext, trail: &mut Vec<TrailEntry>) {
    for read in template.reads() {
        let Read::Header { name, .. } = read else { continue };
        let sent = context.headers().has(name);
        trail.push(TrailEntry {
            agent: context.shared_agent(),
            destination: format!("agents.{}.instructions", context.agent()).into(),
            kind: DestinationKind::Instructions,
            header: Arc::clone(name),
            from: read.label(),
            layer: Layer::Destination,
            sent,
            reason: (!sent).then_some(Cow::Borrowed("neither sent nor stored")),
        });
    }
}

/// A view for the headers of calls out.
pub fn header_view(context: &RequestContext, state: Option<Arc<serde_json::Value>>) -> View {
    View::with(Sink::Header, context, state, None)
}

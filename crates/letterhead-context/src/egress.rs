//! What leaves: a destination's rules and a context make the headers of a call, and an entry of the trail for each.
//!
//! This is the only writer of outbound headers. A header reaches a destination because that destination's own
//! configuration names it.

mod destination;
mod headers;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::context::RequestContext;
use crate::name::looks_secret;
use crate::precedence::{Layers, is_list_valued};
use crate::problem::{Code, Fault, Problem};
use crate::template::{Read, Sink, Template, View};
use crate::trail::{DestinationKind, Layer, TrailEntry};

pub use destination::Destination;
use headers::{HeaderTemplate, NoValue, origin};
pub use headers::{HeaderTemplateFault, HeaderTemplates, TextSource};

/// A provider's own credential: the header it goes into, and its value.
#[derive(Clone, Debug)]
pub struct Credential(HeaderTemplate);

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
        let label = name.to_string();
        let mut header = HeaderTemplate::new(name, &label, from, prefix, key);
        // Whatever header the provider takes it in.
        header.secret = true;
        header.hidden = true;
        Self(header)
    }

    /// The header that it goes into.
    pub fn name(&self) -> &HeaderName {
        &self.0.name
    }

    /// What the key's template reads.
    pub fn reads(&self) -> &[Read] {
        self.0.template.reads()
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

/// Where the value of a runtime header comes from, as a trail says it.
static RUNTIME: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("runtime_headers"));

/// The source of one offered value.
enum Value<'a> {
    Template(&'a HeaderTemplate),
    Ready(&'a HeaderValue),
}

impl LlmDestination<'_> {
    /// The headers of one call: provider < agent < run, each name once, and never two credentials.
    ///
    /// What goes out, and what stays, is added to the trail. `view` is one of [`header_view`]. All values are marked
    /// sensitive: `Debug` does not show them.
    ///
    /// # Errors
    /// Told before any call is made, and then nothing was sent, as the trail says too:
    /// [`MissingCredential`](Code::MissingCredential) where a credential or a header made of a secret has no value (no
    /// lower layer fills in), [`InvalidHeaderValue`](Code::InvalidHeaderValue) where a value holds a control character,
    /// [`TemplateFailed`](Code::TemplateFailed), and [`HeaderTooLarge`](Code::HeaderTooLarge) over the provider's budget.
    pub fn headers(
        &self,
        context: &RequestContext,
        view: &View,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<HeaderMap, Problem> {
        let noted = trail.len();
        let built = self.build(context, view, trail);
        if built.is_err() {
            for entry in trail.iter_mut().skip(noted).filter(|entry| entry.sent) {
                entry.sent = false;
                entry.reason = Some(Cow::Borrowed("the call was not made"));
            }
        }
        built
    }

    /// Is a value under this name one that nobody may see, whichever layer it came from? So it is with credentials, with
    /// what is made of a secret or of the environment, and with names that secrets have.
    pub fn hides(&self, name: &HeaderName) -> bool {
        let configured = self.provider.entries().iter().chain(self.agent.entries());
        let mut entries = configured.chain(self.credential.map(|Credential(header)| header));
        looks_secret(name.as_str()) || entries.any(|entry| entry.hidden && entry.name == *name)
    }

    fn build(&self, context: &RequestContext, view: &View, trail: &mut Vec<TrailEntry>) -> Result<HeaderMap, Problem> {
        let (provider, agent) = (self.provider.entries(), self.agent.entries());
        let mut layers = Layers::with_capacity(1 + provider.len() + agent.len() + context.runtime().len());
        if let Some(Credential(header)) = self.credential {
            layers.offer(Layer::Credential, &header.name, Value::Template(header));
        }
        for (layer, entries) in [(Layer::Provider, provider), (Layer::Agent, agent)] {
            for entry in entries {
                layers.offer(layer, &entry.name, Value::Template(entry));
            }
        }
        for (name, value) in context.runtime().iter() {
            layers.offer(Layer::Runtime, name, Value::Ready(value));
        }
        let resolved = layers.resolve(context.runtime().removed());

        trail.reserve(resolved.winners.len() + resolved.losers.len());
        let mut note = |name: &HeaderName, value: &Value<'_>, layer, reason: Option<&'static str>| {
            let (header, from) = match value {
                Value::Template(entry) => (Arc::clone(&entry.label), Arc::clone(&entry.from)),
                Value::Ready(_) => (Arc::from(name.as_str()), Arc::clone(&RUNTIME)),
            };
            let (agent, destination) = (context.shared_agent(), Arc::clone(self.name));
            let (sent, reason) = (reason.is_none(), reason.map(Cow::Borrowed));
            trail.push(TrailEntry {
                agent,
                destination,
                kind: DestinationKind::Llm,
                header,
                from,
                part: None,
                layer,
                sent,
                reason,
            });
        };
        for (offer, reason) in &resolved.losers {
            note(offer.name, &offer.value, offer.layer, Some(reason));
        }
        let mut headers = HeaderMap::with_capacity(resolved.winners.len() + 4);
        for offer in &resolved.winners {
            let rendered = match &offer.value {
                Value::Ready(value) => Ok(Some((*value).clone())),
                Value::Template(entry) => self.render(entry, context, view),
            };
            match rendered {
                Ok(Some(value)) => {
                    note(offer.name, &offer.value, offer.layer, None);
                    add(&mut headers, offer.name, value);
                }
                Ok(None) => note(offer.name, &offer.value, offer.layer, Some("a value it names is missing")),
                Err(problem) => {
                    note(offer.name, &offer.value, offer.layer, Some("it has no value that can be sent"));
                    return Err(problem);
                }
            }
        }
        self.check_budget(&headers)?;
        Ok(headers)
    }

    fn render(
        &self,
        entry: &HeaderTemplate,
        context: &RequestContext,
        view: &View,
    ) -> Result<Option<HeaderValue>, Problem> {
        entry.value(view).map_err(|no| match no {
            NoValue::Missing => self.missing(entry, context),
            NoValue::Control => {
                let detail = format!("the header `{}` of `{}` would hold a control character", entry.label, self.name);
                Problem::new(Code::InvalidHeaderValue, detail)
            }
            NoValue::Failed(error) => {
                let detail = format!("the header `{}` of `{}` could not be rendered: {error}", entry.label, self.name);
                Problem::new(Code::TemplateFailed, detail)
            }
        })
    }

    fn missing(&self, entry: &HeaderTemplate, context: &RequestContext) -> Problem {
        let absent = entry.template.reads().iter().find_map(|read| match read {
            Read::Header { name, .. } if !context.headers().has(name) => Some(name.to_string()),
            _ => None,
        });
        let detail = format!("`{}` needs it for its header `{}`, and it was not sent", self.name, entry.label);
        match absent {
            Some(name) => Problem::faults(vec![Fault::header(name, Code::MissingCredential, detail)]),
            None => Problem::new(
                Code::MissingCredential,
                format!("the credential `{}` of `{}` has no value", entry.label, self.name),
            ),
        }
    }

    fn check_budget(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let over = |limit: Option<usize>, actual: usize| limit.is_some_and(|limit| actual > limit);
        if over(self.budget.max_headers, headers.len()) || over(self.budget.max_bytes, bytes) {
            let detail = format!(
                "the call to `{}` would carry {} headers of {bytes} bytes, more than it takes",
                self.name,
                headers.len()
            );
            return Err(Problem::new(Code::HeaderTooLarge, detail));
        }
        Ok(())
    }
}

fn add(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    let joined = match headers.get(name) {
        Some(earlier) if is_list_valued(name) => {
            let list = [earlier.as_bytes(), b",", value.as_bytes()].concat();
            let sensitive = earlier.is_sensitive() || value.is_sensitive();
            let mut joined = HeaderValue::from_bytes(&list).unwrap_or(value);
            joined.set_sensitive(sensitive);
            joined
        }
        _ => value,
    };
    headers.insert(name, joined);
}

/// An agent's instructions as a destination: the context headers that they read reach the model.
#[derive(Clone, Debug)]
pub struct InstructionsDestination {
    name: Arc<str>,
    /// Each header that is read, with how a trail names where it comes from.
    headers: Vec<(Arc<str>, Arc<str>)>,
}

impl InstructionsDestination {
    /// The instructions of an agent.
    pub fn new(agent: &str, template: &Template) -> Self {
        Self::named(format!("agents.{agent}.instructions"), template)
    }

    /// Another text that a model is told, by the name that a trail has for it.
    pub fn named(name: impl Into<Arc<str>>, template: &Template) -> Self {
        let header = |read: &Read| match read {
            Read::Header { name, .. } => Some((Arc::clone(name), read.label())),
            _ => None,
        };
        let headers = template.reads().iter().filter_map(header).collect();
        Self { name: name.into(), headers }
    }

    /// Notes which headers reach the model, and which would if they were there.
    pub fn note(&self, context: &RequestContext, trail: &mut Vec<TrailEntry>) {
        trail.extend(self.headers.iter().map(|(header, from)| {
            let sent = context.headers().has(header);
            TrailEntry {
                agent: context.shared_agent(),
                destination: Arc::clone(&self.name),
                kind: DestinationKind::Instructions,
                header: Arc::clone(header),
                from: Arc::clone(from),
                part: None,
                layer: Layer::Destination,
                sent,
                reason: (!sent).then_some(Cow::Borrowed("neither sent nor stored")),
            }
        }));
    }
}

/// A view for the headers of calls out.
pub fn header_view(context: &RequestContext, state: Option<Arc<serde_json::Value>>) -> View {
    View::with(Sink::Header, context, state, None)
}

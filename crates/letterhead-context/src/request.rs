//! An HTTP request made from templates: what fetchers and HTTP tools send.
//!
//! Each part has its own escaping, so that no value can leave its place: a value in a path is one segment or a part of one,
//! one in a query is one parameter, one in a body is one leaf.

mod body;
mod not_sent;
mod place;
mod requirement;
mod secrets;
mod segment;
mod url;

use std::fmt;
use std::sync::Arc;

use ::url::Url;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

use crate::context::RequestContext;
use crate::egress::{Destination, HeaderTemplates, TextSource};
use crate::percent::Pairs;
use crate::template::{Read, Rendered, Scope, Sink, Template, Use, Values, View};
use crate::trail::{RequestPart, TrailEntry};

use body::Body;
pub use body::BodySource;
pub use not_sent::{NotSent, NotSentReason};
pub use place::{RequestFault, RequestPlace};
pub use requirement::Requirement;
pub use secrets::{CarriedSecrets, SecretsInPieces};
use secrets::{Hiding, Written};
use url::UrlTemplate;

/// Bytes that a URL may have with its query: servers and proxies refuse longer ones anyway.
const MAX_URL: usize = 16 * 1024;

/// What a request is made from, as the configuration or a program says it.
#[derive(Clone, Debug)]
pub struct RequestSource<'a> {
    /// The method.
    pub method: Method,
    /// The URL. Scheme, host and port are literal, or `{{ env.NAME }}`; the query may be a part of it.
    pub url: TextSource<'a>,
    /// The headers.
    pub headers: Vec<(&'a str, TextSource<'a>)>,
    /// Parameters that are added to the URL's query.
    pub query: Vec<(&'a str, TextSource<'a>)>,
    /// The body.
    pub body: BodySource<'a>,
}

/// A checked request. Cheap to clone.
///
/// ```
/// use http::Method;
/// use letterhead_context::{
///     BodySource, Caller, Destination, DestinationKind, HeaderSchema, RequestContext, RequestSource, RequestTemplate,
///     Scope, Sent, TextSource, Values,
/// };
/// use serde_json::json;
///
/// let schema = HeaderSchema::compile(&json!({ "properties": { "user_id": {}, "auth_token": { "writeOnly": true } } })).unwrap();
/// let request = RequestTemplate::compile(
///     RequestSource {
///         method: Method::GET,
///         url: TextSource::Template("https://api.example.com/users/{{ headers.user_id }}/profile"),
///         headers: vec![("Authorization", TextSource::Template("Bearer {{ headers.auth_token }}"))],
///         query: vec![("fields", TextSource::Literal("name,plan"))],
///         body: BodySource::None,
///     },
///     Scope::of(&schema),
/// )
/// .unwrap();
///
/// let (user, token) = (json!("a/b?c"), json!("t_abc"));
/// let headers = schema.merge([("user_id", &user), ("auth_token", &token)], &Sent::nothing(), &[]).unwrap();
/// let context = RequestContext::builder(Caller::anonymous(), headers).build("assistant");
/// let destination = Destination::new("context.user", DestinationKind::Fetcher);
/// let mut trail = Vec::new();
/// let rendered = request.render(&destination, &context, &Values::default(), &mut trail).unwrap();
/// assert_eq!(rendered.url.as_str(), "https://api.example.com/users/a%2Fb%3Fc/profile?fields=name%2Cplan");
/// assert_eq!(rendered.headers["authorization"], "Bearer t_abc");
/// ```
#[derive(Clone)]
pub struct RequestTemplate(Arc<Parts>);

struct Parts {
    method: Method,
    url: UrlTemplate,
    headers: HeaderTemplates,
    query: Vec<Parameter>,
    body: Body,
    /// The context headers that go into the URL, the query and the body, with how a trail names them.
    carried: Vec<(RequestPart, Arc<str>, Arc<str>)>,
    written: Written,
    hiding: Hiding,
}

/// Which of a request's templates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All.
    All,
    /// Those without whose value the request is not sent.
    Needed,
}

/// A name, and the template of its value.
pub(super) struct Parameter {
    name: Box<str>,
    value: Template,
}

/// A request as it goes out. `Debug` shows its method and the names of its headers: a URL and a body may hold a secret.
#[derive(Clone)]
pub struct RenderedRequest {
    /// The method.
    pub method: Method,
    /// The URL, absolute, with the scheme `http` or `https`.
    pub url: Url,
    /// The headers, `Content-Type` of the body among them. All values but that are marked sensitive.
    pub headers: HeaderMap,
    /// The body, if it has one.
    pub body: Option<Bytes>,
}

impl fmt::Debug for RenderedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenderedRequest")
            .field("method", &self.method)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body", &self.body.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RequestTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestTemplate")
            .field("method", &self.0.method)
            .field("reads", &self.reads().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl RequestTemplate {
    /// Checks a request.
    ///
    /// # Errors
    /// Lists every fault of every part, each with its place: templates that do not compile, a URL whose address is not fixed,
    /// headers that cannot be sent.
    pub fn compile(source: RequestSource<'_>, scope: Scope<'_>) -> Result<Self, Vec<RequestFault>> {
        let mut faults = Vec::new();
        let written = Written::in_source(&source);
        let url = UrlTemplate::compile(source.url, scope).map_err(|found| faults.extend(found)).ok();
        let headers = HeaderTemplates::compile(source.headers, scope)
            .map_err(|found| faults.extend(found.into_iter().map(RequestFault::from)))
            .unwrap_or_default();
        let query = parameters(source.query, RequestPlace::Query, scope, &mut faults);
        let body = Body::compile(source.body, scope, &mut faults);
        let Some(url) = url.filter(|_| faults.is_empty()) else { return Err(faults) };
        let (carried, hiding) = (Vec::new(), Hiding::default());
        let mut parts = Parts { method: source.method, url, headers, query, body, carried, written, hiding };
        parts.carried = parts.carried();
        parts.hiding = Hiding::of(&parts);
        Ok(Self(Arc::new(parts)))
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// The scheme, host and port, if they are literal: `https://api.example.com`.
    pub fn address(&self) -> Option<&Url> {
        self.0.url.address()
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderTemplates {
        &self.0.headers
    }

    /// The template of every place but the headers. That of the URL has the whole URL.
    pub fn templates(&self) -> impl Iterator<Item = (RequestPlace, &Template)> {
        self.0.templates(Which::All).filter(|(place, _)| !matches!(place, RequestPlace::Header(_)))
    }

    /// What it reads, place by place.
    pub fn reads(&self) -> impl Iterator<Item = (RequestPlace, &Read)> {
        let templates = self.0.templates(Which::All);
        templates.flat_map(|(place, template)| template.reads().iter().map(move |read| (place.clone(), read)))
    }

    /// The paths without which the request is not sent, place by place: those that a template does not itself say what to do
    /// without. A header that would be left out, and a member of a body, need nothing.
    pub fn needs(&self) -> impl Iterator<Item = (RequestPlace, &Use)> {
        let mut needs = Vec::new();
        for (place, template) in self.0.templates(Which::Needed) {
            needs.extend(template.uses().iter().filter(|used| !used.guarded).map(|used| (place.clone(), used)));
        }
        needs.into_iter()
    }

    /// The request of one call. What goes out, and what stays, is added to the trail.
    ///
    /// A header that lacks a value is left out, unless it is a credential or names a secret. So is a member of a JSON body
    /// that is one expression without a value, unless it names a secret. Any other missing value stops the call.
    ///
    /// # Errors
    /// [`NotSent`] says why and where. Nothing was sent then, and the trail says so.
    pub fn render(
        &self,
        destination: &Destination,
        context: &RequestContext,
        values: &Values,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<RenderedRequest, NotSent> {
        let parts = &*self.0;
        let view = View::of(Sink::Header, context, values);
        destination.or_nothing(trail, |trail| {
            trail.extend(parts.carried.iter().map(|(part, header, from)| {
                let reason = (!context.headers().has(header)).then_some("neither sent nor stored");
                destination.entry(context, header, from, Some(*part), reason)
            }));
            let mut headers = destination.headers(&parts.headers, context, &view, trail)?;
            let url = parts.url.render(&view, &parts.query(&view)?)?;
            let body = parts.body.render(&view)?;
            if let (Some(_), Some(kind)) = (&body, parts.body.content_type()) {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            }
            Ok(RenderedRequest { method: parts.method.clone(), url, headers, body })
        })
    }
}

impl Parts {
    fn templates(&self, which: Which) -> impl Iterator<Item = (RequestPlace, &Template)> {
        let headers = self.headers.chosen(which).map(|(name, value)| (RequestPlace::Header(name.to_owned()), value));
        let url = std::iter::once((RequestPlace::Url, self.url.template()));
        let query = self.query.iter().map(|p| (RequestPlace::Query(p.name.to_string()), &p.value));
        headers.chain(url).chain(query).chain(self.body.templates(which))
    }

    fn carried(&self) -> Vec<(RequestPart, Arc<str>, Arc<str>)> {
        let mut carried = Vec::new();
        for (place, template) in self.templates(Which::All) {
            let part = match place {
                // The trail says what becomes of each header itself.
                RequestPlace::Header(_) | RequestPlace::TokenExchange(_) => continue,
                RequestPlace::Url => RequestPart::Url,
                RequestPlace::Query(_) => RequestPart::Query,
                RequestPlace::Body(_) | RequestPlace::Form(_) => RequestPart::Body,
            };
            for read in template.reads() {
                let Read::Header { name, .. } = read else { continue };
                let entry = (part, Arc::clone(name), read.label());
                if !carried.contains(&entry) {
                    carried.push(entry);
                }
            }
        }
        carried
    }

    fn query(&self, view: &View) -> Result<Pairs, NotSent> {
        pairs(&self.query, RequestPlace::Query, view)
    }
}

fn parameters(
    sources: Vec<(&str, TextSource<'_>)>,
    place: fn(String) -> RequestPlace,
    scope: Scope<'_>,
    faults: &mut Vec<RequestFault>,
) -> Vec<Parameter> {
    let mut compiled = Vec::with_capacity(sources.len());
    for (name, source) in sources {
        match text(source, scope) {
            Ok(value) => compiled.push(Parameter { name: name.into(), value }),
            Err(found) => {
                let place = place(name.to_owned());
                faults.extend(found.into_iter().map(|fault| RequestFault::template(&place, fault)));
            }
        }
    }
    compiled
}

/// A text that is encoded as a whole where it is put.
fn text(source: TextSource<'_>, scope: Scope<'_>) -> Result<Template, Vec<crate::template::TemplateFault>> {
    match source {
        TextSource::Literal(text) => Ok(Template::literal(text, Sink::Text)),
        TextSource::Template(text) => Template::compile(text, Sink::Text, scope),
    }
}

fn pairs(parameters: &[Parameter], place: fn(String) -> RequestPlace, view: &View) -> Result<Pairs, NotSent> {
    let mut pairs = Pairs::default();
    for Parameter { name, value } in parameters {
        let text = rendered(value, view, || place(name.to_string()))?;
        pairs.push(name, &text);
    }
    Ok(pairs)
}

/// The text of a template that needs every value.
fn rendered(template: &Template, view: &View, place: impl FnOnce() -> RequestPlace) -> Result<String, NotSent> {
    let view = view.for_sink(template.sink());
    match template.render_marked(&view) {
        Ok(Rendered::Text(text)) => Ok(text),
        Ok(Rendered::Missing) => Err(missing(template, &view, place())),
        Err(error) => Err(NotSent::failed(place(), &error)),
    }
}

fn missing(template: &Template, view: &View, place: RequestPlace) -> NotSent {
    let absent = template.missing(view);
    let is_secret = |path: &Arc<str>| template.reads().iter().any(|read| read.is_secret() && read.label() == *path);
    let reason =
        if absent.iter().any(is_secret) { NotSentReason::MissingCredential } else { NotSentReason::MissingValue };
    NotSent::missing(reason, place, absent)
}

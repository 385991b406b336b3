//! What fetchers and HTTP tools send: a request, made of templates.

use std::fmt;

use http::Method;
use serde_json::Value as Json;

use super::{
    outgoing::{OutgoingHeader, has_controls, read_headers},
    pointer::Pointer,
    section::Section,
    template::TemplateSource,
    token_exchange::TokenExchange,
};

/// The methods that a request may have.
const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// A request, made of templates.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpRequest {
    /// The method: without the key `GET`, and `POST` where there is a body.
    pub method: Method,
    /// The address. Its scheme, host and port are literal, or from the environment.
    pub url: TemplateSource,
    /// The headers, in the file's order.
    pub headers: Vec<OutgoingHeader>,
    /// What is added to the address's query, in the file's order.
    pub query: Vec<NamedText>,
    /// The body.
    pub body: RequestBody,
    /// How the token of the request is got.
    pub exchange: Option<TokenExchange>,
}

/// A name and the template of its value: in a query, or in a form.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NamedText {
    /// The name.
    pub name: String,
    /// The value.
    pub value: TemplateSource,
}

/// The body of a request. `Debug` shows no JSON: the environment may have a part in it.
#[derive(Clone)]
pub enum RequestBody {
    /// None.
    None,
    /// JSON. Its texts are templates.
    Json {
        /// The value. A text that must be taken as it is, because the environment has a part in it, is written as a template
        /// for itself.
        value: Json,
        /// Where it stands.
        pointer: Pointer,
    },
    /// A form, `application/x-www-form-urlencoded`.
    Form(Vec<NamedText>),
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Json { pointer, .. } => f.debug_struct("Json").field("at", &pointer.as_str()).finish_non_exhaustive(),
            Self::Form(fields) => f.debug_tuple("Form").field(fields).finish(),
        }
    }
}

/// The places that a request is read from. They are one place's children, or, where a definition is spelled otherwise, another's.
pub(super) struct Parts<'r> {
    pub(super) url: Section<'r>,
    pub(super) method: Section<'r>,
    pub(super) headers: Section<'r>,
    pub(super) query: Section<'r>,
    pub(super) body: Section<'r>,
    pub(super) form: Section<'r>,
    pub(super) auth: Section<'r>,
}

impl<'r> Parts<'r> {
    /// The parts below one place.
    pub(super) fn below(section: &Section<'r>) -> Self {
        Self {
            url: section.child("url"),
            method: section.child("method"),
            headers: section.child("headers"),
            query: section.child("query"),
            body: section.child("body"),
            form: section.child("form"),
            auth: section.child("auth"),
        }
    }

    /// The request. `owner` is what sends it.
    pub(super) fn read(&self, owner: &Section<'_>) -> HttpRequest {
        let body = self.read_body();
        let has_body = !matches!(body, RequestBody::None);
        let method = METHODS.into_iter().find(|method| self.method.text() == Some(method.as_str()));
        if method.as_ref().is_some_and(Method::is_safe) && has_body {
            let help = "many servers ignore it; write `method: POST`, or leave `method` out".to_owned();
            self.method.warn("a request with this method has no use for a body", help);
        }
        HttpRequest {
            method: method.unwrap_or(if has_body { Method::POST } else { Method::GET }),
            headers: read_headers(&self.headers),
            query: read_named(&self.query),
            body,
            exchange: TokenExchange::read(&self.auth),
            url: address(&self.url, owner, "https://api.example.com/users/{{ headers.user_id }}"),
        }
    }

    fn read_body(&self) -> RequestBody {
        match (self.body.exists(), self.form.exists()) {
            (true, true) => {
                let help = "keep `body` for JSON, or `form` for a form".to_owned();
                self.form.error_at_key("a request has one body: `body` and `form` cannot both be there", help);
                RequestBody::None
            }
            (true, false) => {
                let value = self.body.template_json().unwrap_or_default();
                RequestBody::Json { value, pointer: self.body.pointer().clone() }
            }
            (false, true) => RequestBody::Form(read_named(&self.form)),
            (false, false) => RequestBody::None,
        }
    }
}

/// The address that requests of `owner` go to, checked as far as its template does not. Where there is none, or a fault, another
/// stands in: what is wrong with the address is no fault of those who use its owner.
pub(super) fn address(section: &Section<'_>, owner: &Section<'_>, example: &str) -> TemplateSource {
    if !section.exists() {
        let help = format!("for example `url: {example}`");
        owner.error_at_key(format!("`url` is missing in `{}`", owner.pointer().dotted()), help);
    }
    let Some(url) = section.template() else {
        return TemplateSource::new("https://faulty.invalid/", false, section.pointer().clone());
    };
    if has_controls(url.text()) || (is_plain(&url) && url.text().contains(' ')) {
        let help = "after `|` or `>` a line break stays at the end: write `>-`, or use quotes".to_owned();
        section.error("the address has a blank, a line break or another control character in it", help);
    }
    url
}

/// Has an address no expression, in which blanks may stand?
fn is_plain(url: &TemplateSource) -> bool {
    url.is_literal() || !url.text().contains('{')
}

fn read_named(section: &Section<'_>) -> Vec<NamedText> {
    let named = |(name, entry): (&str, Section<'_>)| {
        if has_controls(name) {
            entry.error_at_key("this name has a control character in it", None);
            return None;
        }
        Some(NamedText { name: name.to_owned(), value: entry.template()? })
    };
    section.entries().into_iter().filter_map(named).collect()
}

//! The secrets in a request: what configuration wrote into it, and what it carried, which an API may send back.

mod pieces;

use std::fmt;

use ::url::Position;
use http::{HeaderName, HeaderValue};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{BodySource, Parts, RenderedRequest, RequestPlace, RequestSource, RequestTemplate, Which};
use crate::context::RequestContext;
use crate::egress::TextSource;
use crate::name::{is_credential, looks_secret};
use crate::percent;
use crate::template::{Read, Rendered, Sink, Template, Values, View};

pub use pieces::SecretsInPieces;

/// What stands in an answer for a secret that was in its request.
const REMOVED: &str = "\u{2039}removed\u{203a}";

/// Bytes of the shortest secret that is looked for. A shorter one is found in texts that have nothing to do with it.
const SHORTEST: usize = 8;

/// What of a request's secrets is known before any value is.
#[derive(Default)]
pub(super) struct Written {
    /// Texts that are secrets: so their name says, or they come from the environment.
    texts: Vec<Zeroizing<String>>,
    /// Does it have text that the environment has a part in?
    from_environment: bool,
}

impl Written {
    pub(super) fn in_source(source: &RequestSource<'_>) -> Self {
        let mut written = Self::default();
        let (TextSource::Template(url) | TextSource::Literal(url)) = source.url;
        written.from_environment |= matches!(source.url, TextSource::Literal(_));
        let query = url.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or(query));
        for (name, text) in ::url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            written.named(&name, TextSource::Template(&text));
        }
        source.query.iter().for_each(|(name, text)| written.named(name, *text));
        match &source.body {
            BodySource::None => {}
            BodySource::Json(json) => written.json("", json),
            BodySource::Form(fields) => fields.iter().for_each(|(name, text)| written.named(name, *text)),
        }
        written
    }

    fn named(&mut self, name: &str, text: TextSource<'_>) {
        match text {
            TextSource::Literal(text) => {
                self.from_environment = true;
                self.texts.push(Zeroizing::new(text.to_owned()));
            }
            TextSource::Template(text) if looks_secret(name) && !text.contains('{') => {
                self.texts.push(Zeroizing::new(text.to_owned()));
            }
            TextSource::Template(_) => {}
        }
    }

    fn json(&mut self, name: &str, json: &Value) {
        match json {
            Value::String(text) => self.named(name, TextSource::Template(text)),
            Value::Array(items) => items.iter().for_each(|item| self.json(name, item)),
            Value::Object(members) => members.iter().for_each(|(name, member)| self.json(name, member)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn is_there(&self) -> bool {
        self.from_environment || !self.texts.is_empty()
    }
}

/// Where in a request secrets may be: found once, looked at with every call.
#[derive(Default)]
pub(super) struct Hiding {
    /// What is read of secret headers, credentials and the environment.
    reads: Vec<Read>,
    headers: Vec<HidingHeader>,
    /// The templates in a JSON body that read nothing: they are written so because the environment has a part in the text.
    made_of_nothing: Vec<Template>,
}

struct HidingHeader {
    name: HeaderName,
    /// May a scheme such as `Bearer` stand before the secret?
    has_scheme: bool,
}

impl Hiding {
    pub(super) fn of(parts: &Parts) -> Self {
        let mut hiding = Self::default();
        for (place, template) in parts.templates(Which::All) {
            for read in template.reads() {
                let may_hide = match read {
                    Read::Header { secret, .. } => *secret,
                    Read::Root(path) => path.starts_with("credentials.") || path.starts_with("env."),
                    Read::Variable(_) => false,
                };
                if may_hide && !hiding.reads.contains(read) {
                    hiding.reads.push(read.clone());
                }
            }
            if matches!(place, RequestPlace::Body(_)) && template.reads().is_empty() && template.as_literal().is_none()
            {
                hiding.made_of_nothing.push(template.clone());
            }
        }
        for (label, reads, hidden) in parts.headers.iter() {
            let Ok(name) = HeaderName::from_bytes(label.as_bytes()) else { continue };
            let sets = is_credential(&name);
            // Where it only has a secret's name, what a caller or a model wrote is no secret: `Idempotency-Key`.
            if hidden && (sets || reads.is_empty() || reads.iter().any(Read::is_secret)) {
                hiding.headers.push(HidingHeader { has_scheme: sets || looks_secret(label), name });
            }
        }
        hiding
    }
}

/// The secrets that one request carried, to be taken out of its answer: an API may repeat what it was sent, and a model
/// reads answers. Wiped when dropped; `Debug` shows how many there are.
///
/// Those of 8 bytes and more are known again: secret headers, credentials, the environment's values, the credential
/// headers that were made of anything, and what configuration wrote down under a secret's name. They are found as they
/// are, percent-encoded, and as JSON writes them; another encoding is not seen through.
#[derive(Default)]
pub struct CarriedSecrets(Vec<Zeroizing<String>>);

impl fmt::Debug for CarriedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CarriedSecrets({})", self.0.len())
    }
}

impl RequestTemplate {
    /// Is any part of it made of a secret, a credential or the environment, or a credential itself?
    ///
    /// So it is for text that the environment has a part in, for credential headers, and for what has a secret's name.
    pub fn names_secret(&self) -> bool {
        self.reads().any(|(_, read)| read.is_secret())
            || self.headers().iter().any(|(_, _, hidden)| hidden)
            || self.0.written.is_there()
            || !self.0.hiding.made_of_nothing.is_empty()
    }

    /// The secrets that a request carries which was made from this one and this context.
    pub fn carried(&self, context: &RequestContext, request: &RenderedRequest) -> CarriedSecrets {
        let mut secrets = CarriedSecrets::default();
        let Hiding { reads, headers, made_of_nothing } = &self.0.hiding;
        reads.iter().for_each(|read| secrets.add_read(read, context, request));
        for HidingHeader { name, has_scheme } in headers {
            let value = request.headers.get(name).map(HeaderValue::as_bytes);
            let Some(text) = value.and_then(|value| std::str::from_utf8(value).ok()) else { continue };
            secrets.add(text);
            if *has_scheme {
                secrets.add(text.rsplit(' ').next().unwrap_or(text));
            }
        }
        self.0.written.texts.iter().for_each(|text| secrets.add(text));
        for template in made_of_nothing {
            match template.render(&View::of(template.sink(), context, &Values::default())) {
                Ok(Rendered::Text(json)) if template.sink() == Sink::Json => {
                    serde_json::from_str(&json).iter().for_each(|json| secrets.add_leaves(json));
                }
                Ok(Rendered::Text(text)) => secrets.add(&text),
                Ok(Rendered::Missing) | Err(_) => {}
            }
        }
        secrets.sort();
        secrets.0.dedup();
        secrets
    }
}

impl CarriedSecrets {
    /// Looks for one more: what was added to the request after it was made.
    pub fn insert(&mut self, secret: &str) {
        self.add(secret);
        self.sort();
    }

    /// The longest first: one may be a part of another.
    fn sort(&mut self) {
        self.0.sort_unstable_by_key(|text| std::cmp::Reverse(text.len()));
    }

    /// Takes them out of an answer: out of its texts, of the names of its members and, whole, of its numbers. Says whether
    /// there was one.
    pub fn remove_from(&self, answer: &mut Value) -> bool {
        if self.0.is_empty() {
            return false;
        }
        match answer {
            Value::String(text) => self.remove_from_text(text),
            Value::Number(number) => {
                let text = number.to_string();
                let is_one = self.0.iter().any(|secret| **secret == text);
                if is_one {
                    *answer = Value::from(REMOVED);
                }
                is_one
            }
            Value::Array(items) => items.iter_mut().fold(false, |found, item| self.remove_from(item) | found),
            Value::Object(members) => {
                let mut found = members.values_mut().fold(false, |found, member| self.remove_from(member) | found);
                if members.keys().any(|name| self.0.iter().any(|secret| name.contains(secret.as_str()))) {
                    found = true;
                    let renamed = std::mem::take(members).into_iter().map(|(mut name, member)| {
                        self.remove_from_text(&mut name);
                        (name, member)
                    });
                    *members = renamed.collect();
                }
                found
            }
            Value::Null | Value::Bool(_) => false,
        }
    }

    fn remove_from_text(&self, text: &mut String) -> bool {
        let mut found = false;
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), REMOVED);
                found = true;
            }
        }
        found
    }

    fn add_read(&mut self, read: &Read, context: &RequestContext, request: &RenderedRequest) {
        match read {
            Read::Header { name, secret: true } => {
                context.headers().secret(name).into_iter().for_each(|value| self.add_leaves(value.reveal()));
            }
            Read::Root(path) => {
                if let Some(name) = path.strip_prefix("credentials.") {
                    context.credentials().get(name).into_iter().for_each(|value| self.add_leaves(value.reveal()));
                } else if let Some(text) = path.strip_prefix("env.").and_then(|name| context.env().get(name)) {
                    // Of its own address an API tells in every link.
                    let origin = &request.url[..Position::BeforePath];
                    if !origin.contains(text) && !text.starts_with(origin) {
                        self.add(text);
                    }
                }
            }
            Read::Header { .. } | Read::Variable(_) => {}
        }
    }

    fn add_leaves(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(text),
            Value::Number(number) => self.add(&number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| self.add_leaves(item)),
            Value::Object(members) => members.values().for_each(|member| self.add_leaves(member)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn add(&mut self, text: &str) {
        let text = text.trim();
        if text.len() < SHORTEST {
            return;
        }
        self.form(text);
        if percent::encodes(text) {
            self.form(&Zeroizing::new(percent::encoded(text).collect::<String>()));
        }
        if text.contains(|c: char| matches!(c, '"' | '\\') || c.is_control()) {
            let json = Zeroizing::new(Value::from(text).to_string());
            self.form(json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default());
        }
    }

    fn form(&mut self, text: &str) {
        if !self.0.iter().any(|known| **known == text) {
            self.0.push(Zeroizing::new(text.to_owned()));
        }
    }
}

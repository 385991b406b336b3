//! Admission: takes the raw headers of a request, and yields what is declared. Nothing below can see the rest.

mod identity;
mod rejected;

use std::mem;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::headers::{Sent, SentValue};
use crate::name::is_identity;
use crate::problem::{Code, Fault};
use crate::runtime::{RuntimeHeaders, RuntimeNames};
use crate::schema::{Field, HeaderSchema};
use crate::value::{Kind, ValueError, coerce, is_plain, read_text};

pub use identity::IdentityClaims;
pub use rejected::Rejected;

/// How large headers may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderLimits {
    /// Bytes of one value, as it was sent.
    pub value: usize,
    /// Bytes of all admitted values together.
    pub total: usize,
}

impl Default for HeaderLimits {
    fn default() -> Self {
        Self { value: 4 * 1024, total: 16 * 1024 }
    }
}

/// The rules of admission.
#[derive(Clone, Debug, Default)]
pub struct Ingress {
    schema: HeaderSchema,
    runtime: RuntimeNames,
    limits: HeaderLimits,
}

/// What came in.
#[derive(Debug)]
#[non_exhaustive]
pub struct Admitted {
    /// The declared context headers that were sent.
    pub sent: Sent,
    /// What the request says of who is asking. A claim until an authenticator believes it.
    pub identity: IdentityClaims,
    /// The runtime headers that the configuration names.
    pub runtime: RuntimeHeaders,
}

impl Ingress {
    /// Rules from their parts.
    pub fn new(schema: HeaderSchema, runtime: RuntimeNames, limits: HeaderLimits) -> Self {
        Self { schema, runtime, limits }
    }

    /// The declaration of context headers.
    pub fn schema(&self) -> &HeaderSchema {
        &self.schema
    }

    /// The runtime headers that are let through.
    pub fn runtime_names(&self) -> &RuntimeNames {
        &self.runtime
    }

    /// Admits the headers of a request that starts a turn. What is not declared is dropped here.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue};
    /// use letterhead_context::{HeaderLimits, HeaderSchema, Ingress, RuntimeNames};
    /// use serde_json::json;
    ///
    /// let schema = HeaderSchema::compile(&json!({ "properties": { "user_id": { "type": "integer" } } })).unwrap();
    /// let ingress = Ingress::new(schema, RuntimeNames::default(), HeaderLimits::default());
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert("user-id", HeaderValue::from_static("42"));
    /// headers.insert("cookie", HeaderValue::from_static("a=b"));
    /// let admitted = ingress.admit(headers).unwrap();
    /// assert_eq!(admitted.sent.iter().count(), 1);
    /// ```
    ///
    /// # Errors
    /// Lists every fault of what was sent: see [`Rejected::problem`].
    #[expect(
        clippy::needless_pass_by_value,
        reason = "taking the map out of the request is the point: nothing else reads it"
    )]
    pub fn admit(&self, headers: HeaderMap) -> Result<Admitted, Box<Rejected>> {
        let mut faults = Vec::new();
        let identity = IdentityClaims::collect(&headers, &mut faults);
        let mut runtime = RuntimeHeaders::new();
        // Values of declared fields, with the field's position: sorted, the values of one field stand together.
        let mut arrived: Vec<(usize, &HeaderValue)> = Vec::with_capacity(headers.len());
        let mut size = Size { limits: self.limits, total: 0, largest: None };
        // The map yields the values of one name one after the other.
        let mut last: Option<&HeaderName> = None;
        for (name, value) in &headers {
            let Some(declared) = self.declared(name) else { continue };
            let field = declared.and_then(|at| self.schema.fields().get(at));
            let label = || field.map_or_else(|| name.to_string(), |field| field.name().to_owned());
            let fits = size.take(value, label, &mut faults);
            let again = last.replace(name) == Some(name);
            arrived.extend(declared.map(|at| (at, value)));
            if fits && self.runtime.admits(name, field) {
                match runtime_value(name, value, if again { runtime.get(name) } else { None }, field) {
                    Ok(value) => runtime.insert(name.clone(), value),
                    // What is wrong with a declared header is said once, below.
                    Err(_) if field.is_some() => {}
                    Err(fault) => faults.push(fault),
                }
            }
        }
        size.check_total(&mut faults);
        arrived.sort_by_key(|(at, _)| *at);
        let mut sent = Sent::with_capacity(arrived.len());
        let mut faulty = Vec::new();
        for values in arrived.chunk_by(|(one, _), (other, _)| one == other) {
            let Some((at, field)) = values.first().and_then(|(at, _)| Some((*at, self.schema.fields().get(*at)?)))
            else {
                continue;
            };
            if values.iter().any(|(_, value)| value.len() > self.limits.value) {
                faulty.push(at);
                continue;
            }
            match read_field(field, values) {
                Ok(value) => sent.push(at, value),
                Err(fault) => {
                    faulty.push(at);
                    faults.push(fault);
                }
            }
        }
        if faults.is_empty() {
            Ok(Admitted { sent, identity, runtime })
        } else {
            Err(Box::new(Rejected::new(faults, identity, sent, faulty)))
        }
    }

    /// Admits headers of a request that others will read, too: the declared ones are taken out of the map, and everything
    /// else stays in it. For applications that take agents into a server of their own.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue};
    /// use letterhead_context::{HeaderLimits, HeaderSchema, Ingress, RuntimeNames};
    /// use serde_json::json;
    ///
    /// let schema = HeaderSchema::compile(&json!({ "properties": { "token": { "writeOnly": true } } }))?;
    /// let ingress = Ingress::new(schema, RuntimeNames::default(), HeaderLimits::default());
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert("token", HeaderValue::from_static("t_abc"));
    /// headers.insert("cookie", HeaderValue::from_static("a=b"));
    /// let admitted = ingress.take(&mut headers).unwrap();
    /// assert_eq!(admitted.sent.iter().count(), 1);
    /// assert_eq!(headers.keys().collect::<Vec<_>>(), ["cookie"]);
    /// # Ok::<(), letterhead_context::SchemaFaults>(())
    /// ```
    ///
    /// # Errors
    /// As [`admit`](Self::admit). The declared headers are taken all the same.
    pub fn take(&self, headers: &mut HeaderMap) -> Result<Admitted, Box<Rejected>> {
        let mut ours = HeaderMap::new();
        let mut theirs = HeaderMap::with_capacity(headers.keys_len());
        let mut last = None;
        for (name, value) in mem::take(headers) {
            // Of a header that came several times only the first has its name.
            last = name.or(last);
            let Some(name) = &last else { continue };
            let is_declared = !is_identity(name) && self.schema.position(name.as_str()).is_some();
            if is_declared || is_identity(name) || self.runtime.allows(name) {
                ours.append(name, value.clone());
            }
            if !is_declared {
                theirs.append(name, value);
            }
        }
        *headers = theirs;
        self.admit(ours)
    }

    /// Is this header of any interest? If so, the position of the field that it fills, if it fills one.
    fn declared(&self, name: &HeaderName) -> Option<Option<usize>> {
        if is_identity(name) {
            return None;
        }
        let declared = self.schema.position(name.as_str());
        (declared.is_some() || self.runtime.allows(name)).then_some(declared)
    }
}

/// Counts bytes against the limits.
struct Size {
    limits: HeaderLimits,
    total: usize,
    largest: Option<(usize, String)>,
}

impl Size {
    /// Counts a value. Says whether it is within its own limit.
    fn take(&mut self, value: &HeaderValue, label: impl Fn() -> String, faults: &mut Vec<Fault>) -> bool {
        self.total = self.total.saturating_add(value.len());
        if self.total > self.limits.total && self.largest.as_ref().is_none_or(|(most, _)| value.len() > *most) {
            self.largest = Some((value.len(), label()));
        }
        let fits = value.len() <= self.limits.value;
        if !fits {
            let detail = format!("at most {} bytes are taken", self.limits.value);
            faults.push(Fault::header(label(), Code::HeaderTooLarge, detail));
        }
        fits
    }

    /// Too much in all is told of one field: the largest since the limit was passed, unless it has been told of already.
    fn check_total(self, faults: &mut Vec<Fault>) {
        let Some((_, largest)) = self.largest else { return };
        let detail = format!("the admitted headers take at most {} bytes together", self.limits.total);
        faults.push(Fault::header(largest, Code::HeaderTooLarge, detail));
    }
}

/// The value of a runtime header: one line, or a list if it is declared as one.
fn runtime_value(
    name: &HeaderName,
    value: &HeaderValue,
    earlier: Option<&HeaderValue>,
    field: Option<&Field>,
) -> Result<HeaderValue, Fault> {
    let fault = |code, detail: &str| Fault::header(name.to_string(), code, detail.to_owned());
    let unreadable = || fault(Code::InvalidHeaderValue, "expected UTF-8 text without control characters");
    if !is_plain(value.as_bytes()) {
        return Err(unreadable());
    }
    let mut value = match earlier {
        None => value.clone(),
        Some(earlier) if field.is_some_and(|field| field.kind() == Kind::Array) => {
            let joined = [earlier.as_bytes(), value.as_bytes()].join(&b", "[..]);
            HeaderValue::from_bytes(&joined).map_err(|_| unreadable())?
        }
        Some(_) => return Err(fault(Code::AmbiguousHeader, "sent more than once")),
    };
    value.set_sensitive(true);
    Ok(value)
}

/// Reads the lines of one declared field.
fn read_field(field: &Field, values: &[(usize, &HeaderValue)]) -> Result<SentValue, Fault> {
    let fault = |code, detail: String| Fault::header(field.name().to_owned(), code, detail);
    let unreadable = |error: ValueError| fault(Code::InvalidHeaderValue, error.to_string());
    let invalid = |expected| fault(Code::InvalidHeader, expected);
    if let [(_, value)] = values {
        let text = read_text(value.as_bytes()).map_err(unreadable)?;
        return match text.as_ref() {
            "" => Ok(SentValue::Cleared),
            text => field.read(text).map(SentValue::Value).map_err(invalid),
        };
    }
    if field.kind() != Kind::Array {
        return Err(fault(Code::AmbiguousHeader, "sent more than once (`-` and `_` make no difference)".to_owned()));
    }
    // A list that came in several lines is one list; the whole is checked once it is joined.
    let mut joined = Vec::new();
    for (_, value) in values {
        match coerce(&read_text(value.as_bytes()).map_err(unreadable)?, Kind::Array, field.item_kind()) {
            Some(Value::Array(items)) => joined.extend(items),
            _ => return Err(invalid(format!("expected {}", Kind::Array.expected()))),
        }
    }
    if joined.is_empty() {
        return Ok(SentValue::Cleared);
    }
    let joined = Value::Array(joined);
    field.check(&joined).map_err(invalid)?;
    Ok(SentValue::Value(joined))
}

//! Admission: takes the raw headers of a request, and yields what is declared. Nothing below can see the rest.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::caller::MAX_IDENTITY_BYTES;
use crate::context::{SessionId, SessionMode};
use crate::headers::{Sent, SentValue};
use crate::name::IDENTITY;
use crate::problem::{Code, Fault, Problem};
use crate::runtime::{RuntimeHeaders, RuntimeNames};
use crate::schema::HeaderSchema;
use crate::value::read_text;

/// How large headers may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderLimits {
    /// Bytes of one value.
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
pub struct Admitted {
    /// The declared context headers that were sent.
    pub sent: Sent,
    /// What the request says of who is asking. A claim until an authenticator believes it.
    pub identity: IdentityClaims,
    /// The runtime headers that the configuration names.
    pub runtime: RuntimeHeaders,
}

/// Headers that cannot be admitted: every fault, and what could be read in spite of them.
#[derive(Debug)]
pub struct Rejected {
    /// Every fault of what was sent.
    pub faults: Vec<Fault>,
    sent: Sent,
    faulty: Vec<String>,
}

impl Rejected {
    /// Adds the headers that are missing besides, so that one answer names everything.
    ///
    /// `stored` are the values that the session already has.
    pub fn problem<'a>(
        mut self,
        schema: &HeaderSchema,
        stored: impl IntoIterator<Item = (&'a str, &'a Value)>,
        requires: &[Arc<str>],
    ) -> Problem {
        if let Err(more) = schema.merge(stored, &self.sent, requires) {
            let named = |fault: &Fault| match &fault.place {
                crate::problem::Place::Header(name) => self.faulty.iter().any(|faulty| faulty == name),
                crate::problem::Place::Pointer(_) => false,
            };
            let missing: Vec<_> = more.into_iter().filter(|fault| !named(fault)).collect();
            self.faults.extend(missing);
        }
        Problem::faults(self.faults)
    }
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
    pub fn admit(&self, headers: HeaderMap) -> Result<Admitted, Rejected> {
        let mut faults = Vec::new();
        let identity = IdentityClaims::collect(&headers, &mut faults);
        let fields = self.schema.fields();
        let mut arrived: Vec<Vec<&HeaderValue>> = vec![Vec::new(); fields.len()];
        let mut runtime = RuntimeHeaders::new();
        let mut total = 0_usize;
        let mut too_large = Vec::new();
        for name in headers.keys() {
            let declared = if IDENTITY.contains(&name.as_str()) { None } else { self.schema.position(name.as_str()) };
            let allowed = !self.runtime.is_empty() && self.runtime.allows(name) && !IDENTITY.contains(&name.as_str());
            if declared.is_none() && !allowed {
                continue;
            }
            let label = declared.and_then(|at| fields.get(at)).map_or_else(|| name.to_string(), |f| f.name().to_owned());
            for value in headers.get_all(name) {
                total = total.saturating_add(value.len());
                if value.len() > self.limits.value {
                    let detail = format!("at most {} bytes are taken", self.limits.value);
                    too_large.push(label.clone());
                    faults.push(Fault::header(label.clone(), Code::HeaderTooLarge, detail));
                }
            }
            if let Some(slot) = declared.and_then(|at| arrived.get_mut(at)) {
                slot.extend(headers.get_all(name));
            }
            if allowed && !too_large.contains(&label) {
                self.admit_runtime(name, &headers, &mut runtime, &mut faults);
            }
        }
        if total > self.limits.total {
            let detail = format!("the declared headers together take at most {} bytes", self.limits.total);
            let largest = largest(&headers, |name| self.schema.position(name.as_str()).is_some() || self.runtime.allows(name));
            faults.push(Fault::header(largest, Code::HeaderTooLarge, detail));
        }
        let mut sent = Sent::nothing();
        let mut faulty = Vec::new();
        for (at, (field, values)) in fields.iter().zip(&arrived).enumerate() {
            if values.is_empty() || too_large.iter().any(|name| name == field.name()) {
                if !values.is_empty() {
                    faulty.push(field.name().to_owned());
                }
                continue;
            }
            match read_field(field, values) {
                Ok(value) => sent.push(at, value),
                Err(fault) => {
                    faulty.push(field.name().to_owned());
                    faults.push(fault);
                }
            }
        }
        if faults.is_empty() { Ok(Admitted { sent, identity, runtime }) } else { Err(Rejected { faults, sent, faulty }) }
    }

    fn admit_runtime(
        &self,
        name: &HeaderName,
        headers: &HeaderMap,
        runtime: &mut RuntimeHeaders,
        faults: &mut Vec<Fault>,
    ) {
        let mut values = headers.get_all(name).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            faults.push(Fault::header(name.to_string(), Code::AmbiguousHeader, "sent more than once"));
            return;
        };
        let readable = std::str::from_utf8(value.as_bytes()).is_ok_and(|text| !text.chars().any(char::is_control));
        if readable {
            runtime.insert(name.clone(), value.clone());
        } else {
            let detail = "expected UTF-8 text without control characters";
            faults.push(Fault::header(name.to_string(), Code::InvalidHeaderValue, detail));
        }
    }
}

fn largest(headers: &HeaderMap, counts: impl Fn(&HeaderName) -> bool) -> String {
    let admitted = headers.iter().filter(|(name, _)| counts(name));
    admitted.max_by_key(|(_, value)| value.len()).map(|(name, _)| name.to_string()).unwrap_or_default()
}

fn read_field(field: &crate::schema::Field, values: &[&HeaderValue]) -> Result<SentValue, Fault> {
    let fault = |code, detail: String| Fault::header(field.name().to_owned(), code, detail);
    if values.len() > 1 && field.kind() != crate::value::Kind::Array {
        return Err(fault(Code::AmbiguousHeader, "sent more than once (`-` and `_` make no difference)".to_owned()));
    }
    let mut texts = Vec::with_capacity(values.len());
    for value in values {
        let text = read_text(value.as_bytes()).map_err(|error| fault(Code::InvalidHeaderValue, error.to_string()))?;
        if !text.is_empty() {
            texts.push(text);
        }
    }
    let read = |text: &str| field.read(text).map_err(|expected| fault(Code::InvalidHeader, expected));
    match texts.as_slice() {
        [] => Ok(SentValue::Cleared),
        [one] => read(one).map(SentValue::Value),
        // A list that came in several lines is one list; the whole is checked again once it is joined.
        several => {
            let mut joined = Vec::new();
            for text in several {
                match crate::value::coerce(text, field.kind(), field.item_kind()) {
                    Some(Value::Array(items)) => joined.extend(items),
                    _ => return Err(fault(Code::InvalidHeader, format!("expected {}", field.kind().expected()))),
                }
            }
            let joined = Value::Array(joined);
            field.check(&joined).map_err(|expected| fault(Code::InvalidHeader, expected))?;
            Ok(SentValue::Value(joined))
        }
    }
}

/// What a request says of who is asking, and what for. Claims until somebody verifies them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityClaims {
    /// `X-User-Id`.
    pub user_id: Option<String>,
    /// `X-Tenant-Id`.
    pub tenant_id: Option<String>,
    /// `X-Session-Id`.
    pub session_id: Option<SessionId>,
    /// `X-Agent-Schema`: the agent that is asked.
    pub agent: Option<String>,
    /// `X-Model-Name`: the model of this run.
    pub model: Option<String>,
    /// `X-Is-Eval`.
    pub mode: SessionMode,
    /// `X-Client-Id`.
    pub client_id: Option<String>,
}

impl IdentityClaims {
    /// Reads the identity headers alone, as every request that starts no turn does. The error lists every fault.
    pub fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut faults = Vec::new();
        let claims = Self::collect(headers, &mut faults);
        if faults.is_empty() { Ok(claims) } else { Err(Problem::faults(faults)) }
    }

    fn collect(headers: &HeaderMap, faults: &mut Vec<Fault>) -> Self {
        let mut text = |header: &'static str| {
            one_text(headers, header).unwrap_or_else(|fault| {
                faults.push(fault);
                None
            })
        };
        let mut claims = Self {
            user_id: text("x-user-id"),
            tenant_id: text("x-tenant-id"),
            session_id: None,
            agent: text("x-agent-schema"),
            model: text("x-model-name"),
            mode: SessionMode::Normal,
            client_id: text("x-client-id"),
        };
        let session = text("x-session-id");
        let is_eval = text("x-is-eval");
        if let Some(id) = session {
            match SessionId::parse(&id) {
                Ok(id) => claims.session_id = Some(id),
                Err(problem) => {
                    faults.push(Fault::header("X-Session-Id", Code::InvalidSessionId, problem.detail().to_owned()));
                }
            }
        }
        match is_eval.map(|flag| flag.to_ascii_lowercase()).as_deref() {
            None | Some("false" | "0" | "no") => {}
            Some("true" | "1" | "yes") => claims.mode = SessionMode::Evaluation,
            Some(_) => {
                faults.push(Fault::header("X-Is-Eval", Code::InvalidHeader, "expected true, 1, yes, false, 0 or no"));
            }
        }
        claims
    }
}

/// The one value of an identity header; empty is absent.
fn one_text(headers: &HeaderMap, header: &'static str) -> Result<Option<String>, Fault> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let fault = |code, detail: &str| Fault::header(identity_label(header), code, detail);
    if values.next().is_some() {
        return Err(fault(Code::AmbiguousHeader, "sent more than once"));
    }
    if value.len() > MAX_IDENTITY_BYTES {
        return Err(fault(Code::InvalidHeader, "expected at most 256 bytes"));
    }
    let text = std::str::from_utf8(value.as_bytes()).map(str::trim);
    match text {
        Ok(text) if !text.chars().any(char::is_control) => Ok((!text.is_empty()).then(|| text.to_owned())),
        _ => Err(fault(Code::InvalidHeaderValue, "expected UTF-8 text without control characters")),
    }
}

/// An identity header as documentation writes it.
fn identity_label(header: &'static str) -> &'static str {
    match header {
        "x-user-id" => "X-User-Id",
        "x-tenant-id" => "X-Tenant-Id",
        "x-session-id" => "X-Session-Id",
        "x-agent-schema" => "X-Agent-Schema",
        "x-model-name" => "X-Model-Name",
        "x-is-eval" => "X-Is-Eval",
        "x-client-id" => "X-Client-Id",
        other => other,
    }
}

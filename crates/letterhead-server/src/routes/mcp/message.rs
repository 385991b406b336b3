//! A JSON-RPC message as a client sends it. Who sends several at once, or something else, is told so.

use std::borrow::Cow;

use letterhead_context::Problem;
use serde::Serialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::answer::Fault;
use crate::members::Members;

/// What a client sends.
pub(super) enum Message<'a> {
    /// It wants an answer.
    Request(Request<'a>),
    /// It wants none.
    Notification {
        /// What is notified.
        method: Cow<'a, str>,
    },
    /// It answers a request of ours.
    Response,
}

/// A request.
pub(super) struct Request<'a> {
    pub(super) id: Id,
    pub(super) method: Cow<'a, str>,
    pub(super) params: Members<'a>,
    pub(super) meta: Members<'a>,
}

/// The id that a client gave its request. It goes back as it came.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Id {
    Number(Number),
    Text(String),
}

impl Id {
    /// An id, or a token, which has the same form: a text or a whole number.
    pub(super) fn read(raw: &RawValue) -> Option<Self> {
        match serde_json::from_str(raw.get()).ok()? {
            serde_json::Value::String(text) => Some(Self::Text(text)),
            serde_json::Value::Number(number) if !number.is_f64() => Some(Self::Number(number)),
            _ => None,
        }
    }
}

impl<'a> Message<'a> {
    /// Reads a body.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Fault> {
        let raw: &RawValue = serde_json::from_slice(body).map_err(|error| {
            Fault::parse(format!("the body is not JSON (line {}, column {})", error.line(), error.column()))
        })?;
        if raw.get().starts_with('[') {
            return Err(Fault::request("send one message at a time: there are no batches"));
        }
        let members = Members::read(raw.get().as_bytes()).map_err(|problem| Fault::request(problem.detail()))?;
        let text = |name| -> Result<Option<Cow<'a, str>>, Fault> {
            let Some(raw) = member(&members, name) else { return Ok(None) };
            let text = serde_json::from_str::<String>(raw.get());
            text.map(|text| Some(text.into())).map_err(|_| Fault::request(format!("`{name}` must be a string")))
        };
        if text("jsonrpc")?.as_deref() != Some("2.0") {
            return Err(Fault::request("`jsonrpc` must be \"2.0\""));
        }
        let id = match member(&members, "id") {
            Some(raw) => Some(Id::read(raw).ok_or_else(|| Fault::request("`id` must be a string or a whole number"))?),
            None => None,
        };
        match (text("method")?, id) {
            (Some(method), Some(id)) => {
                let within = |fault: Fault| fault.of(&id);
                let params = object(&members, "params").map_err(within)?;
                let meta = object(&params, "_meta").map_err(within)?;
                Ok(Self::Request(Request { id, method, params, meta }))
            }
            (Some(method), None) => Ok(Self::Notification { method }),
            (None, Some(_)) if member(&members, "result").is_some() || member(&members, "error").is_some() => {
                Ok(Self::Response)
            }
            (None, id) => {
                let fault = Fault::request("`method` is missing");
                Err(if let Some(id) = id { fault.of(&id) } else { fault })
            }
        }
    }
}

impl Request<'_> {
    /// The token under which the client wants to hear of progress, if it does.
    pub(super) fn progress_token(&self) -> Option<Id> {
        self.meta.raw("progressToken").and_then(Id::read)
    }

    /// The arguments of a tool's call; none are as good as empty ones.
    pub(super) fn arguments(&self) -> Result<Members<'_>, Problem> {
        match self.params.raw("arguments") {
            Some(raw) => Members::read(raw.get().as_bytes())
                .map_err(|_| crate::members::wrong("/params/arguments", "an object, each member once")),
            None => Ok(Members::default()),
        }
    }
}

/// A member, even if it is null.
fn member<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members.iter().find(|(known, _)| *known == name).map(|(_, raw)| raw)
}

/// A member that is an object; none is as good as an empty one.
fn object<'a>(members: &Members<'a>, name: &str) -> Result<Members<'a>, Fault> {
    match members.raw(name) {
        Some(raw) => Members::read(raw.get().as_bytes())
            .map_err(|_| Fault::malformed_params(format!("`{name}` must be an object, each member once"))),
        None => Ok(Members::default()),
    }
}

//! Which revision of the protocol a request speaks, and whether its headers say the same as its body.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};
use serde_json::{Value, json};

use super::answer::Fault;
use super::message::Request;
use crate::error::shown;

/// Revisions that open with `initialize`, newest last.
const HANDSHAKE: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// The revision whose requests stand alone.
const STANDALONE: &str = "2026-07-28";

/// What a client may choose from.
pub(super) const SUPPORTED: [&str; 3] = ["2025-06-18", "2025-11-25", STANDALONE];

/// The members of `_meta` that a request of the newest revision has.
pub(super) const PER_REQUEST: MetaNames = MetaNames {
    version: "io.modelcontextprotocol/protocolVersion",
    capabilities: "io.modelcontextprotocol/clientCapabilities",
    server_info: "io.modelcontextprotocol/serverInfo",
};

/// Names in `_meta`.
pub(super) struct MetaNames {
    version: &'static str,
    pub(super) capabilities: &'static str,
    pub(super) server_info: &'static str,
}

/// A revision, as far as it makes a difference here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Revision {
    /// 2025-11-25 and before: opened by `initialize`.
    Handshake,
    /// 2026-07-28: every request says all about itself.
    PerRequest,
}

/// The headers that belong to the protocol. They are all that is read here of a request's headers.
#[derive(Debug)]
pub struct ProtocolHeaders {
    version: Sent,
    method: Sent,
    name: Sent,
    /// May the answer be a stream of events?
    pub(super) takes_events: bool,
}

/// A header that may be there once.
#[derive(Debug, PartialEq)]
enum Sent {
    No,
    Once(String),
    /// Several times, or not as text.
    Unclear,
}

impl Sent {
    fn read(headers: &HeaderMap, name: &'static str) -> Self {
        let mut values = headers.get_all(HeaderName::from_static(name)).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::No,
            (Some(value), None) => value.to_str().map_or(Self::Unclear, |text| Self::Once(text.to_owned())),
            _ => Self::Unclear,
        }
    }

    /// Is it there once, and is it this text?
    fn must_be(&self, name: &str, expected: &str, decode: impl Fn(&str) -> Option<String>) -> Result<(), Fault> {
        match self {
            Self::No => Err(Fault::mismatch(format!("the header `{name}` is missing"))),
            Self::Unclear => Err(Fault::mismatch(format!("the header `{name}` must be there once, as visible ASCII"))),
            Self::Once(text) if decode(text).is_some_and(|text| text == expected) => Ok(()),
            Self::Once(_) => Err(Fault::mismatch(format!("the header `{name}` does not say what the body says"))),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ProtocolHeaders {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let headers = &parts.headers;
        Ok(Self {
            version: Sent::read(headers, "mcp-protocol-version"),
            method: Sent::read(headers, "mcp-method"),
            name: Sent::read(headers, "mcp-name"),
            takes_events: takes_events(headers),
        })
    }
}

/// Clients have to accept both forms of an answer. Those that say they do not get the one they can have.
fn takes_events(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().peekable();
    accepted.peek().is_none()
        || accepted.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).any(|entry| {
            let media = entry.split(';').next().unwrap_or_default().trim();
            ["text/event-stream", "text/*", "*/*"].iter().any(|known| media.eq_ignore_ascii_case(known))
        })
}

/// The revision that `initialize` is answered with.
pub(super) fn negotiated(asked: Option<&str>) -> &'static str {
    let newest = HANDSHAKE.last().copied().unwrap_or_default();
    HANDSHAKE.into_iter().find(|known| asked == Some(*known)).unwrap_or(newest)
}

impl Revision {
    /// The revision that a request speaks.
    pub(super) fn of_request(request: &Request<'_>, sent: &ProtocolHeaders) -> Result<Self, Fault> {
        let named = request.meta.get::<String>(PER_REQUEST.version, "a string").map_err(|_| {
            Fault::malformed_params(format!("`_meta` member `{}` must be a string", PER_REQUEST.version))
        })?;
        let Some(named) = named else { return Self::without_meta(request, sent) };
        sent.version.must_be("MCP-Protocol-Version", &named, as_it_is)?;
        if HANDSHAKE.contains(&&*named) && request.method != "server/discover" {
            return Ok(Self::Handshake);
        }
        if named != STANDALONE {
            return Err(Fault::unsupported_version(unsupported(&named)));
        }
        let capabilities = request.meta.get::<serde_json::Map<String, Value>>(PER_REQUEST.capabilities, "an object");
        if !matches!(capabilities, Ok(Some(_))) {
            let detail = format!("`_meta` must have `{}`, an object", PER_REQUEST.capabilities);
            return Err(Fault::malformed_params(detail));
        }
        sent.method.must_be("Mcp-Method", &request.method, as_it_is)?;
        if let Some(name) = name_of(request) {
            sent.name.must_be("Mcp-Name", &name, decoded)?;
        }
        Ok(Self::PerRequest)
    }

    /// A request that does not say all about itself is one of the older revisions, or incomplete.
    fn without_meta(request: &Request<'_>, sent: &ProtocolHeaders) -> Result<Self, Fault> {
        let incomplete = || {
            let (version, capabilities) = (PER_REQUEST.version, PER_REQUEST.capabilities);
            Fault::malformed_params(format!("`_meta` must have `{version}` and `{capabilities}`"))
        };
        match &sent.version {
            _ if request.method == "initialize" => Ok(Self::Handshake),
            _ if request.method == "server/discover" => Err(incomplete()),
            Sent::No => Ok(Self::Handshake),
            Sent::Unclear => Err(Fault::mismatch("the header `MCP-Protocol-Version` must be there once")),
            Sent::Once(version) if version == STANDALONE => Err(incomplete()),
            Sent::Once(version) if HANDSHAKE.contains(&&**version) => Ok(Self::Handshake),
            Sent::Once(version) => Err(Fault::unsupported_version(unsupported(version))),
        }
    }

    /// A result as this revision wants it: the newest says that nothing more is to come.
    pub(super) fn complete(self, mut result: Value) -> Value {
        if let (Self::PerRequest, Value::Object(members)) = (self, &mut result) {
            members.insert("resultType".to_owned(), "complete".into());
        }
        result
    }
}

/// A notification says little about itself; what it says must be right.
pub(super) fn check_notification(method: &str, sent: &ProtocolHeaders) -> Result<(), Fault> {
    match &sent.version {
        Sent::Once(version) if version == STANDALONE => sent.method.must_be("Mcp-Method", method, as_it_is),
        Sent::Once(version) if !HANDSHAKE.contains(&&**version) => {
            Err(Fault::unsupported_version(unsupported(version)))
        }
        _ => Ok(()),
    }
}

/// What `Mcp-Name` repeats.
fn name_of(request: &Request<'_>) -> Option<String> {
    let member = match &*request.method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return None,
    };
    request.params.get(member, "a string").ok().flatten()
}

fn unsupported(requested: &str) -> Value {
    json!({ "supported": SUPPORTED, "requested": shown(requested) })
}

fn as_it_is(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A value that is no visible ASCII goes by a header as `=?base64?…?=`.
fn decoded(text: &str) -> Option<String> {
    match text.strip_prefix("=?base64?").and_then(|text| text.strip_suffix("?=")) {
        Some(encoded) => String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok(),
        None => Some(text.to_owned()),
    }
}

//! The identity headers of a request: claims, until somebody verifies them.

use std::fmt;

use http::{HeaderMap, HeaderName};

use crate::caller::MAX_IDENTITY_BYTES;
use crate::context::{SessionId, SessionMode};
use crate::problem::{Code, Fault, Problem};
use crate::value::is_plain;

static USER_ID: HeaderName = HeaderName::from_static("x-user-id");
static TENANT_ID: HeaderName = HeaderName::from_static("x-tenant-id");
static SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");
static AGENT_SCHEMA: HeaderName = HeaderName::from_static("x-agent-schema");
static MODEL_NAME: HeaderName = HeaderName::from_static("x-model-name");
static IS_EVAL: HeaderName = HeaderName::from_static("x-is-eval");
static CLIENT_ID: HeaderName = HeaderName::from_static("x-client-id");

/// What a request says of who is asking, and what for. Claims until somebody verifies them.
#[derive(Clone, Default, PartialEq, Eq)]
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

impl fmt::Debug for IdentityClaims {
    /// Which headers were sent, and not what they say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = [
            ("X-User-Id", self.user_id.is_some()),
            ("X-Tenant-Id", self.tenant_id.is_some()),
            ("X-Session-Id", self.session_id.is_some()),
            ("X-Agent-Schema", self.agent.is_some()),
            ("X-Model-Name", self.model.is_some()),
            ("X-Client-Id", self.client_id.is_some()),
        ];
        f.debug_list().entries(sent.into_iter().filter(|(_, sent)| *sent).map(|(name, _)| name)).finish()
    }
}

impl IdentityClaims {
    /// Reads the identity headers alone, as every request that starts no turn does. The error lists every fault.
    pub fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut faults = Vec::new();
        let claims = Self::collect(headers, &mut faults);
        if faults.is_empty() { Ok(claims) } else { Err(Problem::faults(faults)) }
    }

    pub(super) fn collect(headers: &HeaderMap, faults: &mut Vec<Fault>) -> Self {
        let mut text = |header: &HeaderName| {
            one_text(headers, header).unwrap_or_else(|fault| {
                faults.push(fault);
                None
            })
        };
        let mut claims = Self {
            user_id: text(&USER_ID),
            tenant_id: text(&TENANT_ID),
            session_id: None,
            agent: text(&AGENT_SCHEMA),
            model: text(&MODEL_NAME),
            mode: SessionMode::Normal,
            client_id: text(&CLIENT_ID),
        };
        let session = text(&SESSION_ID);
        let is_eval = text(&IS_EVAL);
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
fn one_text(headers: &HeaderMap, header: &HeaderName) -> Result<Option<String>, Fault> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let fault = |code, detail: &'static str| Fault::header(label(header), code, detail);
    if values.next().is_some() {
        return Err(fault(Code::AmbiguousHeader, "sent more than once"));
    }
    if value.len() > MAX_IDENTITY_BYTES {
        return Err(fault(Code::InvalidHeader, "expected at most 256 bytes"));
    }
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) if is_plain(value.as_bytes()) => {
            let text = text.trim();
            Ok((!text.is_empty()).then(|| text.to_owned()))
        }
        _ => Err(fault(Code::InvalidHeaderValue, "expected UTF-8 text without control characters")),
    }
}

/// An identity header as documentation writes it: `X-User-Id`.
fn label(header: &HeaderName) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    header.as_str().split('-').map(capital).collect::<Vec<_>>().join("-")
}

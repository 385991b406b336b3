//! The identity headers of a request: claims, until somebody verifies them.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::caller::MAX_IDENTITY_BYTES;
use crate::name::IDENTITY;
use crate::problem::{Code, Fault, Problem};
use crate::session::{SessionId, SessionMode};
use crate::value::is_plain;

/// What a request says of who is asking, and what for. Claims until somebody verifies them.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
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
        let mut read: [Option<Result<Option<String>, Fault>>; IDENTITY.len()] = Default::default();
        for (name, value) in headers {
            let Some(at) = IDENTITY.iter().position(|identity| *identity == name.as_str()) else { continue };
            if let Some(slot) = read.get_mut(at) {
                *slot = Some(match slot {
                    None => one_text(name, value),
                    Some(_) => Err(Fault::header(label(name), Code::AmbiguousHeader, "sent more than once")),
                });
            }
        }
        let [user_id, tenant_id, session_id, agent, model, is_eval, client_id] = read.map(|read| match read? {
            Ok(text) => text,
            Err(fault) => {
                faults.push(fault);
                None
            }
        });
        let session_id = session_id.and_then(|id| match SessionId::parse(&id) {
            Ok(id) => Some(id),
            Err(problem) => {
                faults.push(Fault::header("X-Session-Id", Code::InvalidSessionId, problem.detail()));
                None
            }
        });
        let mode = match is_eval.map(|flag| flag.to_ascii_lowercase()).as_deref() {
            None | Some("false" | "0" | "no") => SessionMode::Normal,
            Some("true" | "1" | "yes") => SessionMode::Evaluation,
            Some(_) => {
                faults.push(Fault::header("X-Is-Eval", Code::InvalidHeader, "expected true, 1, yes, false, 0 or no"));
                SessionMode::Normal
            }
        };
        Self { user_id, tenant_id, session_id, agent, model, mode, client_id }
    }
}

/// The text of an identity header; empty is absent.
fn one_text(name: &HeaderName, value: &HeaderValue) -> Result<Option<String>, Fault> {
    let fault = |code, detail: &'static str| Fault::header(label(name), code, detail);
    if value.len() > MAX_IDENTITY_BYTES {
        return Err(fault(Code::InvalidHeader, "expected at most 256 bytes"));
    }
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) if is_plain(value.as_bytes()) => {
            // HTTP's blanks and no others: `alice` and `alice` with a no-break space are two people.
            let text = text.trim_matches([' ', '\t']);
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

//! Why a server could not be used, or a call brought nothing.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use letterhead_context::{Code, NotSent, NotSentReason, Problem};
use serde_json::Value;

use super::message::HANDSHAKE;
use crate::outbound::OutboundFault;

/// The protocol's code for a revision that the server does not speak.
const UNSUPPORTED_VERSION: i64 = -32022;

/// Why a request brought no result. `Display` is for logs and problems: it says nothing that came from the server.
#[derive(Debug)]
pub(crate) enum AskFault {
    /// There was no whole answer.
    Outbound(OutboundFault),
    /// It took too long.
    Timeout(Duration),
    /// A status that is no success, without words of the protocol.
    Status(StatusCode),
    /// An error in the protocol's words. The message is the server's.
    Error { status: StatusCode, code: i64, message: String, data: Value },
    /// Something that is none of the protocol's answers.
    Malformed(&'static str),
}

impl fmt::Display for AskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outbound(fault) => f.write_str(&fault.reason()),
            Self::Timeout(limit) => write!(f, "no whole answer within {limit:?}"),
            Self::Status(status) => write!(f, "it answered with status {}", status.as_u16()),
            Self::Error { code, .. } => write!(f, "it answered with the JSON-RPC error {code}"),
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

impl AskFault {
    /// Does an answer to `server/discover` of this kind mean that the server may speak an older revision? Who is not let
    /// in, and whom nobody reaches, need not try another way.
    pub(super) fn may_be_older(&self) -> bool {
        match self {
            Self::Outbound(_) => false,
            Self::Timeout(_) | Self::Malformed(_) => true,
            Self::Status(status) => !matches!(status.as_u16(), 401 | 403 | 407 | 429),
            Self::Error { code: UNSUPPORTED_VERSION, data, .. } => {
                let supported = data.get("supported").and_then(Value::as_array);
                supported.is_none_or(|all| all.iter().any(|one| HANDSHAKE.iter().any(|known| one == known)))
            }
            Self::Error { status, .. } => !matches!(status.as_u16(), 401 | 403 | 407 | 429),
        }
    }

    /// Has the server forgotten the session, or how it was opened? Then nothing was done, and it can be opened anew.
    pub(super) fn is_stale(&self, has_session: bool) -> bool {
        match self {
            Self::Status(status) => has_session && *status == StatusCode::NOT_FOUND,
            Self::Error { code: UNSUPPORTED_VERSION, .. } => true,
            Self::Error { status, .. } => has_session && *status == StatusCode::NOT_FOUND,
            Self::Outbound(_) | Self::Timeout(_) | Self::Malformed(_) => false,
        }
    }
}

/// Why the tools of a server are not to be had.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// It was not asked.
    NotSent(NotSent),
    /// It was asked, or could not be.
    Asked(AskFault),
    /// For another reason, in words that hold nothing of the server's.
    Because(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(why) => write!(f, "it was not asked: {why}"),
            Self::Asked(fault) => fault.fmt(f),
            Self::Because(why) => f.write_str(why),
        }
    }
}

impl Unusable {
    /// The error for the caller, where the turn cannot go on without the server.
    pub(crate) fn problem(&self, destination: &str) -> Problem {
        let code = match self {
            Self::NotSent(why) if why.reason == NotSentReason::MissingCredential => Code::MissingCredential,
            _ => Code::ContextUnavailable,
        };
        Problem::new(code, format!("the tools of `{destination}` are not to be had: {self}")).with_should_retry(false)
    }
}

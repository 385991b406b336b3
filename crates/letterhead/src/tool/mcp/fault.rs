//! Why a server could not be used, or a call brought nothing.

use std::fmt;

use http::StatusCode;
use letterhead_context::{Code, NotSent, NotSentReason, Problem};
use serde_json::Value;

use super::message::HANDSHAKE;
use crate::tool::json_rpc::AskFault;

/// The protocol's code for a revision that the server does not speak.
const UNSUPPORTED_VERSION: i64 = -32022;

impl AskFault {
    /// Does an answer to `server/discover` of this kind mean that the server may speak an older revision? Who is not let
    /// in, and whom nobody reaches, need not try another way.
    pub(super) fn may_be_older(&self) -> bool {
        match self {
            Self::NoToken(_) | Self::Outbound(_) => false,
            Self::Timeout(_) | Self::Malformed(_) | Self::OtherOrigin(_) => true,
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
            Self::NoToken(_) | Self::Outbound(_) | Self::Timeout(_) | Self::Malformed(_) | Self::OtherOrigin(_) => {
                false
            }
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

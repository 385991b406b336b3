//! Why there is no token, in words that say nothing of what the endpoint or the caller sent.

use std::fmt;
use std::time::Duration;

use letterhead_context::{CallerSource, NotSent};

use crate::outbound::Fault;

/// Why there is no token for a destination. Nothing is sent there then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoToken {
    /// The client's own secret is not there, or cannot be sent.
    ClientSecret,
    /// The endpoint brought no answer.
    Unanswered(Fault),
    /// It took too long.
    Timeout(Duration),
    /// It says no, with one of the protocol's codes, if it used one.
    Denied { status: u16, code: Option<&'static str> },
    /// It sends somewhere else.
    Redirected,
    /// What it answered is not what the protocol says, or is not what was asked for.
    Unusable(&'static str),
}

/// The caller has no token that could be traded.
pub(super) fn nothing_to_trade(source: CallerSource) -> NotSent {
    let came = match source {
        CallerSource::ApiKey => "the caller came with an API key",
        CallerSource::TrustedHeader => "the caller was named by headers",
        CallerSource::Anonymous => "the caller is not known",
        _ => "the caller's is not there",
    };
    NotSent::no_token(format!("needs a token of the caller's own, and {came}"))
}

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientSecret => f.write_str("no token for it: the secret of the token exchange's client is missing"),
            Self::Unanswered(fault) => write!(f, "no token for it: the token endpoint could not be asked, {fault}"),
            Self::Timeout(limit) => {
                write!(f, "no token for it: the token endpoint gave no whole answer within {limit:?}")
            }
            Self::Denied { status, code: Some(code) } => {
                write!(f, "no token for it: the token endpoint refused, with {status} {code}")
            }
            Self::Denied { status, code: None } => {
                write!(f, "no token for it: the token endpoint answered with status {status}")
            }
            Self::Redirected => {
                f.write_str("no token for it: the token endpoint redirects, and a caller's token is not sent along")
            }
            Self::Unusable(what) => write!(f, "no token for it: {what}"),
        }
    }
}

impl std::error::Error for NoToken {}

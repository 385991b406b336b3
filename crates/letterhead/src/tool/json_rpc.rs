//! JSON-RPC 2.0, as a client reads it: the answer to one request, and what may come beside it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::outbound::OutboundFault;
use crate::token_exchange::{CallFault, NoToken};

/// Numbers requests. One row for all destinations: an id then is never met twice, wherever it comes from.
static IDS: AtomicU64 = AtomicU64::new(1);

/// The id of the next request.
pub(super) fn next_id() -> u64 {
    IDS.fetch_add(1, Ordering::Relaxed)
}

/// What the answer to a request is, to the protocol.
pub(super) enum Incoming {
    /// The result.
    Result(Value),
    /// A JSON-RPC error.
    Error {
        code: i64,
        message: String,
        data: Value,
    },
    /// Something that the server asks for meanwhile.
    Request {
        id: Value,
        method: String,
    },
    Notification {
        method: String,
    },
    /// The answer to another request, or no message of the protocol.
    Other,
}

impl Incoming {
    /// Reads one message. An error without an id is about the only request that there is.
    pub(super) fn read(message: Value, id: Option<u64>) -> Self {
        let Value::Object(mut message) = message else { return Self::Other };
        if message.get("jsonrpc").is_none_or(|version| version != "2.0") {
            return Self::Other;
        }
        let method = message.get("method").and_then(Value::as_str).map(str::to_owned);
        let of = message.remove("id").unwrap_or_default();
        if let Some(method) = method {
            return if of.is_null() { Self::Notification { method } } else { Self::Request { id: of, method } };
        }
        let is_ours = id.is_some_and(|id| of == id) || (of.is_null() && message.contains_key("error"));
        if !is_ours {
            return Self::Other;
        }
        if let Some(error) = message.remove("error") {
            let Some(code) = error.get("code").and_then(Value::as_i64) else { return Self::Other };
            let text = error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
            let data = error.get("data").cloned().unwrap_or_default();
            return Self::Error { code, message: text, data };
        }
        message.remove("result").map_or(Self::Other, Self::Result)
    }
}

/// Why a request brought no result. `Display` is for logs and problems: it says nothing that came from the server.
#[derive(Debug)]
pub(crate) enum AskFault {
    /// It was not made: there is no token for it.
    NoToken(NoToken),
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
    /// An agent's card that leads away from the configured origin, which is this one.
    OtherOrigin(String),
}

impl From<CallFault> for AskFault {
    fn from(fault: CallFault) -> Self {
        match fault {
            CallFault::NoToken(no) => Self::NoToken(no),
            CallFault::Outbound(fault) => Self::Outbound(fault),
        }
    }
}

impl fmt::Display for AskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken(no) => no.fmt(f),
            Self::Outbound(fault) => f.write_str(&fault.reason()),
            Self::Timeout(limit) => write!(f, "no whole answer within {limit:?}"),
            Self::Status(status) => write!(f, "it answered with status {}", status.as_u16()),
            Self::Error { code, .. } => write!(f, "it answered with the JSON-RPC error {code}"),
            Self::Malformed(what) => f.write_str(what),
            // Models are told this as well, and no addresses.
            Self::OtherOrigin(_) => f.write_str(
                "its card names an interface at another origin than the configured one, where calls do not go: configure \
                 the address that the card names, or have the card name the configured one",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_answer_to_the_request_is_its_answer() {
        let read = |text: &str| {
            let mut message: Value = serde_json::from_str(text).unwrap();
            if let Value::Object(message) = &mut message {
                message.insert("jsonrpc".to_owned(), "2.0".into());
            }
            Incoming::read(message, Some(7))
        };
        assert!(matches!(Incoming::read(json!({ "id": 7, "result": {} }), Some(7)), Incoming::Other));
        assert!(matches!(read(r#"{"id":7,"result":{}}"#), Incoming::Result(_)));
        for other in [
            r#"{"id":8,"result":{}}"#,
            r#"{"id":"7","result":{}}"#,
            r#"{"result":{}}"#,
            "[]",
            "1",
            r#"{"id":7}"#,
            r#"{"id":7,"error":"no"}"#,
        ] {
            assert!(matches!(read(other), Incoming::Other), "{other}");
        }
        assert!(matches!(read(r#"{"id":null,"error":{"code":-32700}}"#), Incoming::Error { code: -32700, .. }));
        assert!(matches!(read(r#"{"id":1,"method":"ping"}"#), Incoming::Request { .. }));
        assert!(matches!(read(r#"{"method":"notifications/progress"}"#), Incoming::Notification { .. }));
    }
}

//! JSON-RPC 2.0, as far as MCP and A2A have it in common: a message as a client sends it, and the form of what goes back. What
//! an error's code means, and which HTTP status goes with it, each protocol says itself.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use letterhead_context::{Code, Problem};
use serde::Serialize;
use serde_json::Number;
use serde_json::value::RawValue;

use crate::error::Failure;
use crate::members::Members;

/// The body is no JSON.
pub(crate) const PARSE: i32 = -32700;

/// The body is JSON, and no request.
pub(crate) const INVALID_REQUEST: i32 = -32600;

/// There is no such method.
pub(crate) const UNKNOWN_METHOD: i32 = -32601;

/// What a method is called with is wrong.
pub(crate) const INVALID_PARAMS: i32 = -32602;

/// Something went wrong here.
pub(crate) const INTERNAL: i32 = -32603;

/// It cannot be done now, or not by this caller: the first of the codes that are a server's own.
pub(crate) const REFUSED: i32 = -32000;

/// Bytes of an id or a token, as it is written. Each piece of a stream repeats it.
const MAX_ID_BYTES: usize = 256;

/// What a client sends. Who sends several at once, or something else, is told so.
pub(crate) enum Message<'a> {
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
pub(crate) struct Request<'a> {
    pub(crate) id: Id,
    pub(crate) method: Cow<'a, str>,
    pub(crate) params: Members<'a>,
}

/// The id that a client gave its request. It goes back as it came.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Id {
    /// A whole number.
    Number(Number),
    /// A text.
    Text(String),
}

/// Why a message cannot be understood.
#[derive(Debug, PartialEq)]
pub(crate) struct Malformed {
    /// One of [`PARSE`], [`INVALID_REQUEST`] and [`INVALID_PARAMS`].
    pub(crate) code: i32,
    /// What is wrong, in words.
    pub(crate) message: String,
    /// The request that it is, where that much could be read.
    pub(crate) id: Option<Id>,
}

impl Malformed {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), id: None }
    }

    fn request(message: impl Into<String>) -> Self {
        Self::new(INVALID_REQUEST, message)
    }

    /// The same, of this request.
    pub(crate) fn of(self, id: &Id) -> Self {
        Self { id: Some(id.clone()), ..self }
    }
}

impl Id {
    /// An id, or a token, which has the same form: a short text or a whole number.
    pub(crate) fn read(raw: &RawValue) -> Option<Self> {
        if raw.get().len() > MAX_ID_BYTES {
            return None;
        }
        match serde_json::from_str(raw.get()).ok()? {
            serde_json::Value::String(text) => Some(Self::Text(text)),
            serde_json::Value::Number(number) if !number.is_f64() => Some(Self::Number(number)),
            _ => None,
        }
    }
}

impl<'a> Message<'a> {
    /// Reads a body.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let raw: &RawValue = serde_json::from_slice(body).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Malformed::new(PARSE, format!("the body is not JSON ({place})"))
        })?;
        if raw.get().starts_with('[') {
            return Err(Malformed::request("send one message at a time: there are no batches"));
        }
        let members = Members::read(raw.get().as_bytes()).map_err(|problem| Malformed::request(problem.detail()))?;
        let id = match member(&members, "id") {
            Some(raw) => Some(Id::read(raw).ok_or_else(|| {
                let form =
                    format!("`id` must be a string or a whole number, of at most {MAX_ID_BYTES} bytes as written");
                Malformed::request(form)
            })?),
            None => None,
        };
        Self::of(&members, id.clone()).map_err(|malformed| Malformed { id, ..malformed })
    }

    fn of(members: &Members<'a>, id: Option<Id>) -> Result<Self, Malformed> {
        let text = |name| -> Result<Option<Cow<'a, str>>, Malformed> {
            let Some(raw) = member(members, name) else { return Ok(None) };
            let text = serde_json::from_str::<String>(raw.get());
            text.map(|text| Some(text.into())).map_err(|_| Malformed::request(format!("`{name}` must be a string")))
        };
        if text("jsonrpc")?.as_deref() != Some("2.0") {
            return Err(Malformed::request("`jsonrpc` must be \"2.0\""));
        }
        match (text("method")?, id) {
            (Some(method), Some(id)) => Ok(Self::Request(Request { id, method, params: object(members, "params")? })),
            (Some(method), None) => Ok(Self::Notification { method }),
            (None, Some(_)) if member(members, "result").is_some() || member(members, "error").is_some() => {
                Ok(Self::Response)
            }
            (None, _) => Err(Malformed::request("`method` is missing")),
        }
    }
}

/// A member, even if it is null.
fn member<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members.iter().find(|(known, _)| *known == name).map(|(_, raw)| raw)
}

/// A member that is an object; none is as good as an empty one.
pub(crate) fn object<'a>(members: &Members<'a>, name: &str) -> Result<Members<'a>, Malformed> {
    match members.raw(name) {
        Some(raw) => Members::read(raw.get().as_bytes())
            .map_err(|_| Malformed::new(INVALID_PARAMS, format!("`{name}` must be an object, each member once"))),
        None => Ok(Members::default()),
    }
}

/// A result as a message.
#[derive(Serialize)]
pub(crate) struct ResultMessage<'a, T> {
    jsonrpc: &'static str,
    id: &'a Id,
    result: &'a T,
}

impl<'a, T: Serialize> ResultMessage<'a, T> {
    /// The result of this request.
    pub(crate) fn new(id: &'a Id, result: &'a T) -> Self {
        Self { jsonrpc: "2.0", id, result }
    }
}

/// An error as a message.
#[derive(Serialize)]
pub(crate) struct ErrorMessage<'a, T> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Option<&'a Id>>,
    error: ErrorObject<'a, T>,
}

#[derive(Serialize)]
struct ErrorObject<'a, T> {
    code: i32,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a T>,
}

impl<'a, T: Serialize> ErrorMessage<'a, T> {
    /// The error of this request. `id` is left out where it is none; `Some(None)` is an explicit null, which the
    /// specification has for a request that could not be read.
    pub(crate) fn new(id: Option<Option<&'a Id>>, code: i32, message: &'a str, data: Option<&'a T>) -> Self {
        Self { jsonrpc: "2.0", id, error: ErrorObject { code, message, data } }
    }
}

/// The code of an error that tells a problem.
pub(crate) fn code(problem: &Problem) -> i32 {
    if is_invalid_params(problem.code()) {
        INVALID_PARAMS
    } else if problem.status().is_client_error() {
        REFUSED
    } else {
        INTERNAL
    }
}

/// Is it what the request brought, in its headers or its parameters? Then nothing was done, and the request has to change.
pub(crate) fn is_invalid_params(code: Code) -> bool {
    matches!(
        code,
        Code::MissingHeader
            | Code::InvalidHeader
            | Code::AmbiguousHeader
            | Code::InvalidHeaderValue
            | Code::HeaderTooLarge
            | Code::InvalidBody
            | Code::InvalidSessionId
            | Code::UnsupportedContent
            | Code::MissingCredential
            | Code::AgentNotFound
            | Code::ModelNotFound
    )
}

/// The answer to a request that was refused: a message that tells it, with the failure's headers. The status is the failure's
/// where it is about the caller or the connection, for whoever stands between; else it is 200.
pub(crate) fn failed(failure: Failure, error: &impl Serialize) -> Response {
    let kept = failure.problem().status();
    let mut response = failure.into_response();
    *response.status_mut() = match kept {
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::TOO_MANY_REQUESTS => kept,
        _ => StatusCode::OK,
    };
    *response.body_mut() = body(error);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A message as a whole answer.
pub(crate) fn response(status: StatusCode, message: &impl Serialize) -> Response {
    let mut response = Response::new(body(message));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A message as a body.
pub(crate) fn body(message: &impl Serialize) -> Body {
    // Nothing that is written here has keys that are no text.
    Body::from(serde_json::to_vec(message).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> i32 {
        match Message::read(body.as_bytes()) {
            Err(malformed) => malformed.code,
            Ok(_) => 0,
        }
    }

    #[test]
    fn what_is_no_request_is_told_why() {
        for (body, expected) in [
            ("", PARSE),
            ("{", PARSE),
            ("\u{fffd}", PARSE),
            ("[]", INVALID_REQUEST),
            ("1", INVALID_REQUEST),
            (r#"{"id":1,"method":"m"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":2.0,"id":1,"method":"m"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#, INVALID_PARAMS),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null}"#, 0),
            (r#"{"jsonrpc":"2.0","method":"m"}"#, 0),
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 0),
        ] {
            assert_eq!(code(body), expected, "{body}");
        }
    }

    #[test]
    fn a_long_id_is_no_id_and_is_not_told_back() {
        let read =
            |id: String| Message::read(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#).as_bytes()).err();
        let text = |bytes: usize| format!("\"{}\"", "i".repeat(bytes - 2));
        assert_eq!(read(text(MAX_ID_BYTES)), None);
        for id in [text(MAX_ID_BYTES + 1), text(4_000_000), "1".repeat(4_000_000)] {
            let refused = read(id).unwrap();
            assert_eq!((refused.code, &refused.id), (INVALID_REQUEST, &None));
            assert!(refused.message.contains("256") && refused.message.len() < 200, "{}", refused.message);
        }
        let token = RawValue::from_string(text(MAX_ID_BYTES + 1)).unwrap();
        assert_eq!(Id::read(&token), None, "a token neither");
    }

    #[test]
    fn an_error_says_whose_it_is_as_its_protocol_wants_it() {
        let written = |id| serde_json::to_string(&ErrorMessage::<()>::new(id, PARSE, "no", None)).unwrap();
        let id = Id::Text("7".to_owned());
        assert_eq!(written(Some(Some(&id))), r#"{"jsonrpc":"2.0","id":"7","error":{"code":-32700,"message":"no"}}"#);
        assert_eq!(written(Some(None)), r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}"#);
        assert_eq!(written(None), r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"no"}}"#);
    }
}

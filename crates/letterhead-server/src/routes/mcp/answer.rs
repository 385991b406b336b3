//! What goes back: JSON-RPC results and errors, as `application/json`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use letterhead_context::{Code, Problem};
use serde::Serialize;
use serde_json::{Value, json};

use super::message::Id;
use super::revision::Revision;
use crate::error::{Failure, shown};

/// A fault of the protocol: a message that cannot be understood, or asks for what there is not.
#[derive(Debug)]
pub(super) struct Fault(Box<Told>);

/// What is told of a fault.
#[derive(Debug)]
struct Told {
    code: i32,
    status: StatusCode,
    message: String,
    data: Option<Value>,
    id: Option<Id>,
}

impl Fault {
    fn new(code: i32, status: StatusCode, message: impl Into<String>) -> Self {
        Self(Box::new(Told { code, status, message: message.into(), data: None, id: None }))
    }

    /// The body is no JSON.
    pub(super) fn parse(message: impl Into<String>) -> Self {
        Self::new(-32700, StatusCode::BAD_REQUEST, message)
    }

    /// The body is no JSON-RPC request.
    pub(super) fn request(message: impl Into<String>) -> Self {
        Self::new(-32600, StatusCode::BAD_REQUEST, message)
    }

    /// What every request has to bring is not there.
    pub(super) fn malformed_params(message: impl Into<String>) -> Self {
        Self::new(-32602, StatusCode::BAD_REQUEST, message)
    }

    /// A parameter of a method is wrong.
    pub(super) fn invalid(problem: &Problem) -> Self {
        Self::new(-32602, StatusCode::OK, problem.detail())
    }

    /// There is no such method. The newest revision says so in the status, too.
    pub(super) fn unknown_method(method: &str, revision: Revision) -> Self {
        let status = match revision {
            Revision::Handshake => StatusCode::OK,
            Revision::PerRequest => StatusCode::NOT_FOUND,
        };
        Self::new(-32601, status, format!("there is no method `{}` here", shown(method)))
    }

    /// The headers say something else than the body.
    pub(super) fn mismatch(message: impl Into<String>) -> Self {
        Self::new(-32020, StatusCode::BAD_REQUEST, message)
    }

    /// A revision that is not spoken here.
    pub(super) fn unsupported_version(data: Value) -> Self {
        let mut fault = Self::new(-32022, StatusCode::BAD_REQUEST, "this revision of the protocol is not supported");
        fault.0.data = Some(data);
        fault
    }

    /// The same, of this request.
    pub(super) fn of(mut self, id: &Id) -> Self {
        self.0.id = Some(id.clone());
        self
    }

    /// The answer that tells it.
    pub(super) fn response(self, id: Option<&Id>) -> Response {
        let told = &self.0;
        let error = RpcError { code: told.code, message: &told.message, data: told.data.as_ref() };
        let id = id.or(told.id.as_ref());
        json_response(told.status, &ErrorAnswer { jsonrpc: "2.0", id, error })
    }
}

#[derive(Serialize)]
struct ErrorAnswer<'a> {
    jsonrpc: &'static str,
    /// Left out where the request could not be read: the protocol knows no null here.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id>,
    error: RpcError<'a>,
}

#[derive(Serialize)]
struct RpcError<'a> {
    code: i32,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
}

/// A result as a message.
#[derive(Serialize)]
pub(super) struct ResultAnswer<'a> {
    jsonrpc: &'static str,
    id: &'a Id,
    result: &'a Value,
}

impl<'a> ResultAnswer<'a> {
    pub(super) fn new(id: &'a Id, result: &'a Value) -> Self {
        Self { jsonrpc: "2.0", id, result }
    }
}

/// A result.
pub(super) fn respond(id: &Id, result: &Value) -> Response {
    json_response(StatusCode::OK, &ResultAnswer::new(id, result))
}

/// A request that was refused: the problem is in the error's `data`, and its headers are the response's.
pub(super) fn failed(id: &Id, failure: Failure) -> Response {
    let error = error_message(id, &failure);
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
    *response.body_mut() = body(&error);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The same as a message, for a stream that has begun.
pub(super) fn error_message(id: &Id, failure: &Failure) -> Value {
    let problem = failure.problem();
    let code = if is_invalid_params(problem.code()) {
        -32602
    } else if problem.status().is_client_error() {
        -32000
    } else {
        -32603
    };
    json!({
        "jsonrpc": "2.0", "id": id,
        "error": { "code": code, "message": problem.detail(), "data": failure.document() },
    })
}

/// Is it what the request brought, in its headers or its parameters? Then nothing was done, and the request has to change.
pub(super) fn is_invalid_params(code: Code) -> bool {
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

fn json_response(status: StatusCode, message: &impl Serialize) -> Response {
    let mut response = Response::new(body(message));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn body(message: &impl Serialize) -> Body {
    // Nothing that is written here has keys that are no text.
    Body::from(serde_json::to_vec(message).unwrap_or_default())
}

//! What goes back: JSON-RPC results and errors, as `application/json`.

use axum::response::Response;
use http::StatusCode;
use letterhead_context::Problem;
use serde_json::{Value, json};

use super::revision::Revision;
use crate::error::{Failure, shown};
use crate::json_rpc::{self, ErrorMessage, INVALID_PARAMS, Id, Malformed, ResultMessage, UNKNOWN_METHOD};

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

    /// What every request has to bring is not there.
    pub(super) fn malformed_params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, StatusCode::BAD_REQUEST, message)
    }

    /// A parameter of a method is wrong.
    pub(super) fn invalid(problem: &Problem) -> Self {
        Self::new(INVALID_PARAMS, StatusCode::OK, problem.detail())
    }

    /// There is no such method. The newest revision says so in the status, too.
    pub(super) fn unknown_method(method: &str, revision: Revision) -> Self {
        let status = match revision {
            Revision::Handshake => StatusCode::OK,
            Revision::PerRequest => StatusCode::NOT_FOUND,
        };
        Self::new(UNKNOWN_METHOD, status, format!("there is no method `{}` here", shown(method)))
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

    /// The answer that tells it.
    pub(super) fn response(self, id: Option<&Id>) -> Response {
        let told = &self.0;
        // Left out where the request could not be read: the protocol knows no null here.
        let id = id.or(told.id.as_ref()).map(Some);
        json_rpc::response(told.status, &ErrorMessage::new(id, told.code, &told.message, told.data.as_ref()))
    }
}

/// A message that is none is refused in the status, too.
impl From<Malformed> for Fault {
    fn from(Malformed { code, message, id }: Malformed) -> Self {
        let mut fault = Self::new(code, StatusCode::BAD_REQUEST, message);
        fault.0.id = id;
        fault
    }
}

/// A result.
pub(super) fn respond(id: &Id, result: &Value) -> Response {
    json_rpc::response(StatusCode::OK, &ResultMessage::new(id, result))
}

/// A request that was refused: the problem is in the error's `data`, and its headers are the response's.
pub(super) fn failed(id: &Id, failure: Failure) -> Response {
    let error = error_message(id, &failure);
    json_rpc::failed(failure, &error)
}

/// The same as a message, for a stream that has begun.
pub(super) fn error_message(id: &Id, failure: &Failure) -> Value {
    let problem = failure.problem();
    json!({
        "jsonrpc": "2.0", "id": id,
        "error": { "code": json_rpc::code(problem), "message": problem.detail(), "data": failure.document() },
    })
}

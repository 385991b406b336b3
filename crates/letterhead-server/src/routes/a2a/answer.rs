//! Errors, as this protocol tells them: JSON-RPC errors at HTTP status 200, with a list of typed details.

use axum::response::Response;
use http::StatusCode;
use letterhead_context::{Code, Place, Problem};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::{Failure, shown};
use crate::json_rpc::{self, ErrorMessage, Id, Malformed, ResultMessage, UNKNOWN_METHOD};

/// The errors that the protocol itself names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    TaskNotFound,
    TaskNotCancelable,
    PushNotificationNotSupported,
    UnsupportedOperation,
    ContentTypeNotSupported,
    VersionNotSupported,
}

impl Named {
    fn code(self) -> i32 {
        match self {
            Self::TaskNotFound => -32001,
            Self::TaskNotCancelable => -32002,
            Self::PushNotificationNotSupported => -32003,
            Self::UnsupportedOperation => -32004,
            Self::ContentTypeNotSupported => -32005,
            Self::VersionNotSupported => -32009,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::TaskNotFound => "TASK_NOT_FOUND",
            Self::TaskNotCancelable => "TASK_NOT_CANCELABLE",
            Self::PushNotificationNotSupported => "PUSH_NOTIFICATION_NOT_SUPPORTED",
            Self::UnsupportedOperation => "UNSUPPORTED_OPERATION",
            Self::ContentTypeNotSupported => "CONTENT_TYPE_NOT_SUPPORTED",
            Self::VersionNotSupported => "VERSION_NOT_SUPPORTED",
        }
    }
}

/// Who names the reason of an error: the protocol, or this server.
const PROTOCOL: &str = "a2a-protocol.org";
const SERVER: &str = "letterhead";

/// Why a request has no result.
pub(super) struct Fault(Box<Told>);

struct Told {
    code: i32,
    message: String,
    details: Vec<Value>,
    id: Option<Id>,
    /// What the response's headers say of it.
    failure: Option<Failure>,
}

impl Fault {
    fn new(code: i32, message: impl Into<String>, details: Vec<Value>) -> Self {
        Self(Box::new(Told { code, message: message.into(), details, id: None, failure: None }))
    }

    /// An error of the protocol's own.
    pub(super) fn named(named: Named, message: impl Into<String>) -> Self {
        Self::new(named.code(), message, vec![info(named.reason(), PROTOCOL, &Map::new())])
    }

    /// The task is not there, or not this caller's: nobody learns which.
    pub(super) fn no_task() -> Self {
        Self::named(Named::TaskNotFound, "there is no such task")
    }

    /// There is no such method.
    pub(super) fn unknown_method(method: &str) -> Self {
        Self::new(UNKNOWN_METHOD, format!("there is no method `{}` here", shown(method)), Vec::new())
    }

    /// A request without an id: what comes of it could not be told.
    pub(super) fn no_request() -> Self {
        Self::new(json_rpc::INVALID_REQUEST, "send a request: `id` is missing, or `method`", Vec::new())
    }

    /// What is wrong with a request, or with this server.
    pub(super) fn of(problem: Problem, request_id: &str) -> Self {
        Self::failed(Failure::new(problem, request_id))
    }

    /// The same, as it was found.
    pub(super) fn failed(failure: Failure) -> Self {
        let problem = failure.problem();
        let code = if problem.code() == Code::UnsupportedContent {
            Named::ContentTypeNotSupported.code()
        } else {
            json_rpc::code(problem)
        };
        let mut fault = Self::new(code, problem.detail(), details(problem, failure.request_id()));
        fault.0.failure = Some(failure);
        fault
    }

    /// The answer that tells it.
    pub(super) fn response(self, id: Option<&Id>) -> Response {
        let Told { code, message, details, id: own, failure } = *self.0;
        let details = (!details.is_empty()).then_some(details);
        // A request that could not be read has an explicit null for its id.
        let error = ErrorMessage::new(Some(id.or(own.as_ref())), code, &message, details.as_ref());
        match failure {
            Some(failure) => json_rpc::failed(failure, &error),
            None => json_rpc::response(StatusCode::OK, &error),
        }
    }

    /// The same as a message, for a stream that has begun.
    pub(super) fn message(&self, id: &Id) -> impl Serialize {
        let Told { code, message, details, .. } = &*self.0;
        json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message, "data": details } })
    }
}

impl From<Malformed> for Fault {
    fn from(Malformed { code, message, id }: Malformed) -> Self {
        let mut fault = Self::new(code, message, Vec::new());
        fault.0.id = id;
        fault
    }
}

/// A result.
pub(super) fn respond(id: &Id, result: &impl Serialize) -> Response {
    json_rpc::response(StatusCode::OK, &ResultMessage::new(id, result))
}

/// What is wrong, in the types that Google's error model has for it.
fn details(problem: &Problem, request_id: &str) -> Vec<Value> {
    let mut metadata = Map::new();
    metadata.insert("requestId".to_owned(), request_id.into());
    let reason = problem.code().as_str().to_ascii_uppercase();
    let mut details = vec![info(&reason, SERVER, &metadata)];
    if !problem.errors().is_empty() {
        let violations: Vec<Value> = problem
            .errors()
            .iter()
            .map(|fault| {
                let (field, reason) = (field(&fault.place), fault.code.as_str().to_ascii_uppercase());
                json!({ "field": field, "description": fault.detail, "reason": reason })
            })
            .collect();
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations }));
    }
    if let Some(wait) = problem.retry_after() {
        let delay = format!("{}s", (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1));
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }));
    }
    details
}

fn info(reason: &str, domain: &str, metadata: &Map<String, Value>) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain, "metadata": metadata,
    })
}

/// A place as this protocol writes it: `message.parts.0`, or `headers.user_id`.
fn field(place: &Place) -> String {
    match place {
        Place::Pointer(pointer) => {
            let inner = pointer.strip_prefix("/params").unwrap_or(pointer);
            inner.trim_start_matches('/').replace('/', ".")
        }
        Place::Header(name) => format!("headers.{name}"),
        _ => String::new(),
    }
}

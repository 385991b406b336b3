//! The one error that a caller sees: an RFC 9457 problem with every fault that was found.

mod document;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;

pub use document::{OpenAiError, ProblemDocument};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident => $status:ident, $code:literal, $title:literal;)*) => {
        /// What went wrong, as a stable name. Each code has one HTTP status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// The HTTP status of this code.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// The name in `error.code` and `errors[].code`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// A short sentence that is the same for every occurrence.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    /// A required header is neither sent nor stored.
    MissingHeader => BAD_REQUEST, "missing_header", "A required header is missing";
    /// A header does not meet its declaration.
    InvalidHeader => BAD_REQUEST, "invalid_header", "A header does not meet its declaration";
    /// One field arrived twice, or in two spellings.
    AmbiguousHeader => BAD_REQUEST, "ambiguous_header", "A header arrived more than once";
    /// A value is not UTF-8, holds control characters, or is badly encoded.
    InvalidHeaderValue => BAD_REQUEST, "invalid_header_value", "A header's value cannot be read";
    /// The body is not what the endpoint takes.
    InvalidBody => BAD_REQUEST, "invalid_body", "The request is not valid";
    /// The session id is not of the allowed form.
    InvalidSessionId => BAD_REQUEST, "invalid_session_id", "The session id is not valid";
    /// A document's key is not of the allowed form.
    InvalidDocumentKey => BAD_REQUEST, "invalid_document_key", "The document's key is not valid";
    /// A content part that the model cannot take.
    UnsupportedContent => BAD_REQUEST, "unsupported_content", "The content cannot be sent to this model";
    /// A credential that a call needs was not sent.
    MissingCredential => BAD_REQUEST, "missing_credential", "A credential that the call needs is missing";
    /// The model provider refused the request.
    UpstreamRejected => BAD_REQUEST, "upstream_rejected", "The model provider refused the request";
    /// Who is calling is not known, and must be.
    Unauthenticated => UNAUTHORIZED, "unauthenticated", "Authentication is required";
    /// The `Host` is not one of this server's.
    UnknownHost => FORBIDDEN, "unknown_host", "This server does not answer for that host";
    /// The `Origin` is not allowed.
    OriginNotAllowed => FORBIDDEN, "origin_not_allowed", "Requests from that origin are not allowed";
    /// A forwarded request reached a server that trusts loopback.
    ProxyWithoutAuth => FORBIDDEN, "proxy_without_auth", "A proxied request needs authentication";
    /// The caller is known, and has not been given this right.
    InsufficientScope => FORBIDDEN, "insufficient_scope", "The API key lacks a scope";
    /// No such agent.
    AgentNotFound => NOT_FOUND, "agent_not_found", "There is no such agent";
    /// No such model or agent.
    ModelNotFound => NOT_FOUND, "model_not_found", "There is no such model";
    /// No such session of this caller.
    SessionNotFound => NOT_FOUND, "session_not_found", "There is no such session";
    /// No such turn of this caller.
    TurnNotFound => NOT_FOUND, "turn_not_found", "There is no such turn";
    /// No such document that this caller may read, or write.
    DocumentNotFound => NOT_FOUND, "document_not_found", "There is no such document";
    /// No such path.
    NotFound => NOT_FOUND, "not_found", "There is nothing at this path";
    /// The path exists, the method does not.
    MethodNotAllowed => METHOD_NOT_ALLOWED, "method_not_allowed", "The method is not allowed here";
    /// Another turn of the session is running.
    SessionBusy => CONFLICT, "session_busy", "Another turn of this session is running";
    /// The caller has as many documents as it may have.
    DocumentsFull => CONFLICT, "documents_full", "There is no room for another document";
    /// The document is not, or no more, what the request takes it for.
    PreconditionFailed => PRECONDITION_FAILED, "precondition_failed", "The document was changed meanwhile";
    /// The same idempotency key is being worked on.
    IdempotencyRunning => CONFLICT, "idempotency_running", "A request with this idempotency key is running";
    /// The body is over the limit.
    BodyTooLarge => PAYLOAD_TOO_LARGE, "body_too_large", "The request body is too large";
    /// The body is not JSON by its content type.
    UnsupportedMediaType => UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The body must be application/json";
    /// The idempotency key was used with another body.
    IdempotencyMismatch => UNPROCESSABLE_ENTITY, "idempotency_mismatch", "The idempotency key belongs to another request";
    /// The run reached its limit of model calls.
    MaxTurnsExceeded => UNPROCESSABLE_ENTITY, "max_turns_exceeded", "The run reached its limit of model calls";
    /// A header is too large, or all together are.
    HeaderTooLarge => REQUEST_HEADER_FIELDS_TOO_LARGE, "header_too_large", "A header is too large";
    /// The caller's own limit.
    RateLimited => TOO_MANY_REQUESTS, "rate_limited", "Too many requests";
    /// The provider's limit.
    UpstreamRateLimited => TOO_MANY_REQUESTS, "upstream_rate_limited", "The model provider is limiting requests";
    /// A template could not be rendered.
    TemplateFailed => INTERNAL_SERVER_ERROR, "template_failed", "A template could not be rendered";
    /// A fault of this server.
    Internal => INTERNAL_SERVER_ERROR, "internal", "The server failed";
    /// A context variable could not be fetched.
    ContextUnavailable => BAD_GATEWAY, "context_unavailable", "A context variable could not be fetched";
    /// The provider failed.
    UpstreamFailed => BAD_GATEWAY, "upstream_failed", "The model provider failed";
    /// The provider did not accept this server's credential.
    UpstreamAuth => BAD_GATEWAY, "upstream_auth", "The model provider refused the credential";
    /// The store failed.
    StoreUnavailable => SERVICE_UNAVAILABLE, "store_unavailable", "The store is not available";
    /// The provider is overloaded or cannot be reached.
    UpstreamUnavailable => SERVICE_UNAVAILABLE, "upstream_unavailable", "The model provider is not available";
    /// What a caller shows cannot be verified now.
    AuthUnavailable => SERVICE_UNAVAILABLE, "auth_unavailable", "Callers cannot be verified now";
    /// The provider did not answer in time.
    UpstreamTimeout => GATEWAY_TIMEOUT, "upstream_timeout", "The model provider did not answer in time";
    /// The server is stopping.
    ShuttingDown => SERVICE_UNAVAILABLE, "shutting_down", "The server is shutting down";
}

impl Code {
    /// `error.type` of the OpenAI form.
    pub fn openai_type(self) -> &'static str {
        match self.status().as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a fault is: in a header, or at a place of the body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// A header, by its declared name.
    Header(Cow<'static, str>),
    /// A JSON pointer (RFC 6901) into the body.
    Pointer(String),
}

/// One fault of a request: where, which code, and what was expected. Never the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it is.
    pub place: Place,
    /// What kind of fault.
    pub code: Code,
    /// What was expected.
    pub detail: String,
}

impl Fault {
    /// A fault of a header.
    pub fn header(name: impl Into<Cow<'static, str>>, code: Code, detail: impl Into<String>) -> Self {
        Self { place: Place::Header(name.into()), code, detail: detail.into() }
    }

    /// A fault at a JSON pointer of the body.
    pub fn pointer(pointer: impl Into<String>, code: Code, detail: impl Into<String>) -> Self {
        Self { place: Place::Pointer(pointer.into()), code, detail: detail.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Header(name) => write!(f, "header `{name}`: {}", self.detail),
            Place::Pointer(pointer) if pointer.is_empty() => f.write_str(&self.detail),
            Place::Pointer(pointer) => write!(f, "`{pointer}`: {}", self.detail),
        }
    }
}

/// An error as the caller sees it.
///
/// ```
/// use letterhead_context::{Code, Fault, Problem};
///
/// let problem = Problem::faults(vec![
///     Fault::header("user_id", Code::MissingHeader, "required, and neither sent nor stored"),
///     Fault::header("age", Code::InvalidHeader, "expected an integer"),
/// ]);
/// assert_eq!(problem.status(), 400);
/// assert!(problem.detail().contains("`age`"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    code: Code,
    detail: String,
    faults: Vec<Fault>,
    param: Option<String>,
    retry_after: Option<Duration>,
    should_retry: Option<bool>,
}

impl Problem {
    /// A problem with one explanation.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            detail: detail.into(),
            faults: Vec::new(),
            param: None,
            retry_after: None,
            should_retry: None,
        }))
    }

    /// A problem that lists faults. A 431 among them makes the whole a 431; else the first fault gives the code.
    pub fn faults(faults: Vec<Fault>) -> Self {
        let decisive = faults.iter().find(|fault| fault.code == Code::HeaderTooLarge).or_else(|| faults.first());
        let code = decisive.map_or(Code::Internal, |fault| fault.code);
        let param = decisive.and_then(|fault| match &fault.place {
            Place::Header(name) => Some(name.to_string()),
            Place::Pointer(pointer) if pointer.is_empty() => None,
            Place::Pointer(pointer) => Some(pointer.trim_start_matches('/').replace('/', ".")),
        });
        let detail = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let mut problem = Self::new(code, detail);
        problem.0.param = param;
        problem.0.faults = faults;
        problem
    }

    /// Names the request parameter at fault, for OpenAI's `error.param`.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Says when to try again (`Retry-After`).
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Says whether a client should repeat the request by itself (`x-should-retry`).
    #[must_use]
    pub fn with_should_retry(mut self, should: bool) -> Self {
        self.0.should_retry = Some(should);
        self
    }

    /// What went wrong.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    /// What went wrong this time. Holds no value of a header.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The single faults, where there are several.
    pub fn errors(&self) -> &[Fault] {
        &self.0.faults
    }

    /// The request parameter at fault.
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// How long to wait before trying again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether a client should repeat the request by itself; none leaves it to the status.
    pub fn should_retry(&self) -> Option<bool> {
        self.0.should_retry
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.detail, self.0.code)
    }
}

impl std::error::Error for Problem {}

//! Every error becomes one response here: a problem document (RFC 9457) that also carries OpenAI's `error` object.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use letterhead_context::{Code, Problem, ProblemDocument, SessionId};
use letterhead_store::StoreError;
use serde_json::Value;
use std::time::Duration;

use crate::caller_limits::LimitReached;
use crate::session_header::say_session;

/// An error of a handler: a problem, and the request that it belongs to.
#[derive(Debug)]
pub struct Failure {
    problem: Problem,
    request_id: String,
    /// What was said before a run reached its limit.
    output: Option<String>,
    /// The limit that its caller has reached.
    limit: Option<Box<LimitReached>>,
    /// The session in which it happened.
    session: Option<SessionId>,
    /// What a caller who is refused is asked for.
    challenge: Option<HeaderValue>,
}

impl Failure {
    /// A failure of a request.
    pub fn new(problem: Problem, request_id: &str) -> Self {
        Self { problem, request_id: request_id.to_owned(), output: None, limit: None, session: None, challenge: None }
    }

    /// A request of a caller that has reached a limit.
    pub fn limited(reached: LimitReached, request_id: &str) -> Self {
        Self { limit: Some(Box::new(reached)), ..Self::new(reached.problem(), request_id) }
    }

    /// What went wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The request that it belongs to.
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Adds what was said before.
    #[must_use]
    pub fn with_output(mut self, output: String) -> Self {
        self.output = (!output.is_empty()).then_some(output);
        self
    }

    /// Says what a caller who is refused is asked for (`WWW-Authenticate`).
    #[must_use]
    pub fn with_challenge(mut self, challenge: Option<HeaderValue>) -> Self {
        self.challenge = challenge;
        self
    }

    /// Says in which session it happened: what the request brought is remembered there.
    #[must_use]
    pub fn in_session(mut self, session: Option<SessionId>) -> Self {
        self.session = session;
        self
    }
}

/// Why a turn did not begin.
#[derive(Debug)]
pub enum NotBegun {
    /// Something is wrong, or cannot be done now.
    Refused(Problem),
    /// Its caller has reached a limit.
    Limited(LimitReached),
}

impl NotBegun {
    /// The failure of the request that asked for the turn.
    pub fn of(self, request_id: &str) -> Failure {
        match self {
            Self::Refused(problem) => Failure::new(problem, request_id),
            Self::Limited(reached) => Failure::limited(reached, request_id),
        }
    }
}

impl From<Problem> for NotBegun {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<LimitReached> for NotBegun {
    fn from(reached: LimitReached) -> Self {
        Self::Limited(reached)
    }
}

impl Failure {
    /// The problem as JSON, for protocols that carry it inside a message of their own.
    pub(crate) fn document(&self) -> Value {
        // Nothing in it has keys that are no text.
        serde_json::to_value(self.as_document()).unwrap_or_default()
    }

    fn as_document(&self) -> ProblemDocument<'_> {
        ProblemDocument::new(&self.problem, &self.request_id).with_output(self.output.as_deref())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let problem = &self.problem;
        let body = serde_json::to_vec(&self.as_document()).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = problem.status();
        let headers = response.headers_mut();
        problem.write_headers(headers);
        let bearer = || (problem.code() == Code::Unauthenticated).then(|| HeaderValue::from_static("Bearer"));
        if let Some(challenge) = self.challenge.or_else(bearer) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(reached) = &self.limit {
            limit_headers(reached, headers);
        }
        say_session(self.session.as_ref(), headers);
        // For the log: why a request was refused.
        response.extensions_mut().insert(self.problem);
        response
    }
}

/// Which limit was reached, and when there is room again.
fn limit_headers(reached: &LimitReached, headers: &mut HeaderMap) {
    for (name, value) in [("ratelimit-policy", reached.policy()), ("ratelimit", reached.state())] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

/// A name that a request brought, as an error repeats it: not long, and with nothing odd in it.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 64;
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default().escape_debug()),
        None => name.escape_debug().to_string(),
    }
}

/// What a store's failure means for a caller.
pub(crate) fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Busy => Problem::new(Code::SessionBusy, "another turn of this session is running; try again soon")
            .with_retry_after(Duration::from_secs(1)),
        StoreError::Gone => Problem::new(Code::SessionNotFound, "the session was deleted while its turn ran"),
        StoreError::UnknownCursor => {
            Problem::new(Code::InvalidBody, "the query parameter `after` names nothing in this list")
                .with_param("after")
        }
        StoreError::Changed => Problem::new(Code::PreconditionFailed, error.to_string()),
        StoreError::Full { .. } => Problem::new(Code::DocumentsFull, error.to_string()),
        StoreError::Invalid { reason } => Problem::new(Code::InvalidBody, *reason),
        other => Problem::new(Code::StoreUnavailable, other.to_string()).with_retry_after(Duration::from_secs(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_says_to_the_log_why_it_was_refused() {
        let response = Failure::new(Problem::new(Code::StoreUnavailable, "the disk is full"), "r").into_response();
        let problem = response.extensions().get::<Problem>().unwrap();
        assert_eq!((problem.code(), problem.detail()), (Code::StoreUnavailable, "the disk is full"));
    }
}

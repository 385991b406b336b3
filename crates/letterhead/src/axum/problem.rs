//! Whatever goes wrong, as an answer.

use axum_core::response::IntoResponse;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use letterhead_context::{Code, Problem, ProblemDocument, RuntimeHeaderError};

use crate::run::RunError;

/// A problem as an answer: `application/problem+json`, with the status that belongs to it. It is what a handler returns with
/// `?` from a run, and holds no value of a header and nothing that a model's API said.
///
/// ```
/// use letterhead::axum::{Context, ProblemResponse};
/// use letterhead::Runner;
///
/// async fn answer(Context(context): Context, runner: &Runner, question: String) -> Result<String, ProblemResponse> {
///     let run = runner.run(question).request(context).header("X-Environment", "production")?;
///     Ok(run.await?.output)
/// }
/// ```
#[derive(Clone)]
pub struct ProblemResponse {
    problem: Problem,
    request_id: String,
    /// What was said before.
    output: Option<String>,
}

impl ProblemResponse {
    /// Names the request in which it came up: [`RequestContext::request_id`](crate::RequestContext::request_id).
    #[must_use]
    pub fn in_request(self, request_id: &str) -> Self {
        Self { request_id: request_id.to_owned(), ..self }
    }

    /// What went wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    pub(super) fn response(&self) -> Response<Bytes> {
        let document = ProblemDocument::new(&self.problem, &self.request_id).with_output(self.output.as_deref());
        let mut response = Response::new(serde_json::to_vec(&document).unwrap_or_default().into());
        *response.status_mut() = self.problem.status();
        self.problem.write_headers(response.headers_mut());
        if self.problem.code() == Code::Unauthenticated {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// What was said before is not shown.
impl std::fmt::Debug for ProblemResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProblemResponse").field("problem", &self.problem).finish_non_exhaustive()
    }
}

impl From<Problem> for ProblemResponse {
    fn from(problem: Problem) -> Self {
        Self { problem, request_id: String::new(), output: None }
    }
}

impl From<RunError> for ProblemResponse {
    fn from(error: RunError) -> Self {
        let RunError { problem, output, .. } = error;
        Self { output: (!output.is_empty()).then_some(output), ..problem.into() }
    }
}

impl From<RuntimeHeaderError> for ProblemResponse {
    fn from(error: RuntimeHeaderError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> axum_core::response::Response {
        self.response().map(axum_core::body::Body::from)
    }
}

//! A problem as the body of an HTTP response: RFC 9457, with OpenAI's `error` object beside it.

use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;

use super::{Place, Problem};

/// A problem as a JSON document: `type`, `title`, `status`, `detail`, `request_id`, `errors` with every fault, and `error` as
/// OpenAI's clients read it. Its media type is [`MEDIA_TYPE`](Self::MEDIA_TYPE).
///
/// ```
/// use letterhead_context::{Code, Fault, Problem, ProblemDocument};
///
/// let missing = Fault::header("user_id", Code::MissingHeader, "required, and neither sent nor stored");
/// let problem = Problem::faults(vec![missing]);
/// let document = serde_json::to_value(ProblemDocument::new(&problem, "req-1")).unwrap();
/// assert_eq!(document["status"], 400);
/// assert_eq!(document["errors"][0]["header"], "user_id");
/// assert_eq!(document["error"]["code"], "missing_header");
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct ProblemDocument<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
    errors: Vec<Entry<'a>>,
    error: OpenAiError<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
}

#[derive(Clone, Debug, Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    place: &'a Place,
    code: &'static str,
    detail: &'a str,
}

/// OpenAI's error object: what its SDKs turn into an exception.
#[derive(Clone, Debug, Serialize)]
pub struct OpenAiError<'a> {
    message: &'a str,
    r#type: &'static str,
    code: &'static str,
    param: Option<&'a str>,
}

impl<'a> From<&'a Problem> for OpenAiError<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self {
            message: problem.detail(),
            r#type: problem.code().openai_type(),
            code: problem.code().as_str(),
            param: problem.param(),
        }
    }
}

impl<'a> ProblemDocument<'a> {
    /// Its media type.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// The document of a problem, and of the request in which it came up.
    pub fn new(problem: &'a Problem, request_id: &'a str) -> Self {
        let errors = problem.errors().iter();
        Self {
            r#type: "about:blank",
            title: problem.code().title(),
            status: problem.status().as_u16(),
            detail: problem.detail(),
            request_id,
            errors: errors
                .map(|fault| Entry { place: &fault.place, code: fault.code.as_str(), detail: &fault.detail })
                .collect(),
            error: problem.into(),
            output: None,
        }
    }

    /// Adds what was said before, if anything was.
    #[must_use]
    pub fn with_output(self, output: Option<&'a str>) -> Self {
        Self { output, ..self }
    }
}

impl Problem {
    /// Sets the headers that an answer with this problem has: its media type, that it is not to be kept, and when
    /// (`Retry-After`) and whether at all (`x-should-retry`) a client should try again by itself.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(ProblemDocument::MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after() {
            // Whole seconds, rounded up: RFC 9110, 10.2.3.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if let Some(should) = self.should_retry() {
            headers.insert("x-should-retry", HeaderValue::from_static(if should { "true" } else { "false" }));
        }
    }
}

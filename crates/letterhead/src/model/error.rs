//! What can go wrong between this program and a provider, and how a caller is told.
//!
//! No text of a provider gets into an error: what it says may repeat the prompt or a part of the key. Its error codes
//! do, if they are on a list.

use std::time::Duration;

use letterhead_context::{Code, Problem};

use crate::outbound::{Fault, LONGEST_WAIT, SendError};

/// A failed call of a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ModelError {
    kind: ModelErrorKind,
    detail: String,
    retried: bool,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelErrorKind {
    /// No connection to the provider.
    Connect,
    /// The provider did not answer in time, or fell silent.
    Timeout,
    /// The provider refused the credential (401, 403).
    Auth,
    /// The provider refused the request (400, 413, 422).
    Rejected {
        /// The provider's own code for it, if it is one that we know.
        code: Option<&'static str>,
    },
    /// The provider limits requests (429).
    RateLimited {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The provider is overloaded or down (503, 529).
    Unavailable {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The provider failed (other statuses).
    Failed,
    /// The connection ended before the answer did.
    BrokeOff,
    /// The answer cannot be read.
    Malformed,
    /// The conversation holds something that this provider cannot take. Found before anything was sent.
    UnsupportedContent,
}

/// How long a caller is asked to wait when the provider names no time.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);

impl ModelError {
    /// A failure of a model, for those who write an adapter. Callers and logs see `detail`: it holds no key, and nothing
    /// that a provider wrote.
    pub fn new(kind: ModelErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), retried: false }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(ModelErrorKind::Malformed, format!("the model provider's answer cannot be read: {}", detail.into()))
    }

    pub(crate) fn broke_off() -> Self {
        Self::new(ModelErrorKind::BrokeOff, "the model provider broke its answer off")
    }

    pub(crate) fn unsupported(what: &str) -> Self {
        Self::new(ModelErrorKind::UnsupportedContent, format!("this model cannot take {what}"))
    }

    /// The error for an answer with `status`. `code` is the provider's own, as [`known_code`] gives it.
    pub(crate) fn from_status(status: u16, code: Option<&'static str>, retry_after: Option<Duration>) -> Self {
        let kind = match status {
            401 | 403 => ModelErrorKind::Auth,
            400 | 413 | 422 => ModelErrorKind::Rejected { code },
            // A wrong model name is the request's fault, a wrong URL is the configuration's.
            404 if code.is_some() => ModelErrorKind::Rejected { code },
            429 => ModelErrorKind::RateLimited { retry_after },
            503 | 529 => ModelErrorKind::Unavailable { retry_after },
            _ => ModelErrorKind::Failed,
        };
        let mut detail = format!("the model provider answered {status}");
        if let Some(code) = code {
            detail.push_str(" (");
            detail.push_str(code);
            detail.push(')');
        }
        match status {
            404 if code.is_none() => detail.push_str("; check its `base_url`"),
            300..=399 => detail.push_str("; redirects are not followed, check its `base_url`"),
            431 => detail.push_str("; it takes fewer or smaller headers than were sent"),
            _ => {}
        }
        Self::new(kind, detail)
    }

    /// The error for a code inside an answer that began with a good status.
    pub(crate) fn from_code(code: &'static str) -> Self {
        let kind = match code {
            "rate_limit_exceeded" | "rate_limit_error" | "insufficient_quota" => {
                ModelErrorKind::RateLimited { retry_after: None }
            }
            "overloaded_error" => ModelErrorKind::Unavailable { retry_after: None },
            "authentication_error" | "permission_error" | "invalid_api_key" => ModelErrorKind::Auth,
            "timeout_error" => ModelErrorKind::Timeout,
            "api_error" | "billing_error" | "billing_hard_limit_reached" => ModelErrorKind::Failed,
            _ => ModelErrorKind::Rejected { code: Some(code) },
        };
        Self::new(kind, format!("the model provider reported an error in its answer ({code})"))
    }

    /// An error inside an answer, of which nothing is known.
    pub(crate) fn failed_inside() -> Self {
        Self::new(ModelErrorKind::Failed, "the model provider reported an error in its answer")
    }

    /// Marks that this program has already repeated the request.
    pub(crate) fn with_retried(mut self, retried: bool) -> Self {
        self.retried = retried;
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ModelErrorKind {
        self.kind
    }

    /// The error as a caller of the server sees it.
    ///
    /// It tells clients not to repeat the request where this program has done so already, and where the provider asks
    /// for a wait of more than a minute.
    pub fn problem(&self) -> Problem {
        let (code, wait) = match self.kind {
            ModelErrorKind::Connect => (Code::UpstreamUnavailable, None),
            ModelErrorKind::Timeout => (Code::UpstreamTimeout, None),
            ModelErrorKind::Auth => (Code::UpstreamAuth, None),
            ModelErrorKind::Rejected { .. } => (Code::UpstreamRejected, None),
            ModelErrorKind::RateLimited { retry_after } => {
                (Code::UpstreamRateLimited, Some(retry_after.unwrap_or(DEFAULT_WAIT)))
            }
            ModelErrorKind::Unavailable { retry_after } => (Code::UpstreamUnavailable, retry_after),
            ModelErrorKind::Failed | ModelErrorKind::BrokeOff | ModelErrorKind::Malformed => {
                (Code::UpstreamFailed, None)
            }
            ModelErrorKind::UnsupportedContent => (Code::UnsupportedContent, None),
        };
        let mut problem = Problem::new(code, self.detail.clone());
        if let Some(wait) = wait {
            problem = problem.with_retry_after(wait);
        }
        if self.retried || wait.is_some_and(|wait| wait > LONGEST_WAIT) {
            problem = problem.with_should_retry(false);
        }
        problem
    }
}

impl From<Fault> for ModelError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Connect(reason) => {
                Self::new(ModelErrorKind::Connect, format!("the model provider cannot be reached: {reason}"))
            }
            Fault::ConnectTimeout => {
                Self::new(ModelErrorKind::Connect, "the model provider cannot be reached: no connection in time")
            }
            Fault::FirstByteTimeout => {
                Self::new(ModelErrorKind::Timeout, "the model provider did not begin to answer in time")
            }
            Fault::IdleTimeout => {
                Self::new(ModelErrorKind::Timeout, "the model provider fell silent in the middle of its answer")
            }
            Fault::BrokeOff => Self::broke_off(),
            Fault::TooLarge => Self::malformed("it is too large"),
            Fault::Malformed => Self::malformed("it is not HTTP, or has too many headers"),
            Fault::Address => {
                Self::new(ModelErrorKind::Connect, format!("the model provider cannot be reached: {fault}"))
            }
        }
    }
}

impl From<SendError> for ModelError {
    fn from(error: SendError) -> Self {
        Self::from(error.fault).with_retried(error.retried)
    }
}

/// A provider's error code, if it is one of those that say something and can hold nothing else.
pub(crate) fn known_code(code: &str) -> Option<&'static str> {
    KNOWN_CODES.iter().copied().find(|known| *known == code)
}

const KNOWN_CODES: &[&str] = &[
    // OpenAI, Azure and those that follow them
    "billing_hard_limit_reached",
    "content_filter",
    "content_policy_violation",
    "context_length_exceeded",
    "DeploymentNotFound",
    "empty_array",
    "image_parse_error",
    "insufficient_quota",
    "integer_above_max_value",
    "integer_below_min_value",
    "invalid_api_key",
    "invalid_base64_image",
    "invalid_function_parameters",
    "invalid_image",
    "invalid_image_format",
    "invalid_image_url",
    "invalid_json_schema",
    "invalid_type",
    "invalid_value",
    "missing_required_parameter",
    "model_not_found",
    "rate_limit_exceeded",
    "string_above_max_length",
    "unknown_parameter",
    "unsupported_country_region_territory",
    "unsupported_parameter",
    "unsupported_value",
    // Anthropic
    "api_error",
    "authentication_error",
    "billing_error",
    "invalid_request_error",
    "not_found_error",
    "overloaded_error",
    "permission_error",
    "rate_limit_error",
    "request_too_large",
    "timeout_error",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_the_problems_of_the_contract() {
        for (status, code) in [
            (400, "upstream_rejected"),
            (401, "upstream_auth"),
            (403, "upstream_auth"),
            (404, "upstream_failed"),
            (413, "upstream_rejected"),
            (422, "upstream_rejected"),
            (429, "upstream_rate_limited"),
            (500, "upstream_failed"),
            (502, "upstream_failed"),
            (503, "upstream_unavailable"),
            (529, "upstream_unavailable"),
            (302, "upstream_failed"),
        ] {
            let problem = ModelError::from_status(status, None, None).problem();
            assert_eq!(problem.code().as_str(), code, "{status}");
            assert_eq!(problem.should_retry(), None, "{status}");
        }
    }

    #[test]
    fn only_codes_on_the_list_are_shown() {
        assert_eq!(known_code("context_length_exceeded"), Some("context_length_exceeded"));
        assert_eq!(known_code("Incorrect API key provided: sk-1"), None);
        let error = ModelError::from_status(400, known_code("context_length_exceeded"), None);
        assert_eq!(error.to_string(), "the model provider answered 400 (context_length_exceeded)");
    }

    #[test]
    fn clients_are_told_not_to_repeat_what_was_repeated_or_must_wait_long() {
        let wait = |seconds| Some(Duration::from_secs(seconds));
        let limited = |seconds| ModelError::from_status(429, None, wait(seconds));
        assert_eq!(limited(60).problem().should_retry(), None);
        assert_eq!(limited(60).problem().retry_after(), wait(60));
        assert_eq!(limited(61).problem().should_retry(), Some(false));
        assert_eq!(limited(61).problem().retry_after(), wait(61));
        assert_eq!(limited(1).with_retried(true).problem().should_retry(), Some(false));
        assert_eq!(ModelError::from_status(429, None, None).problem().retry_after(), Some(DEFAULT_WAIT));
    }
}

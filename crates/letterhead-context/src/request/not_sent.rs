//! Why a request is not sent: places and names, never values.

use std::fmt;
use std::sync::Arc;

use super::place::RequestPlace;
use crate::template::RenderError;

/// Why a request could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotSentReason {
    /// A value that the URL, the query or the body needs is missing.
    MissingValue,
    /// A credential, or a header or member made of a secret, has no value.
    MissingCredential,
    /// A segment of the path would be empty, `.` or `..`, in some spelling.
    UnsafePath,
    /// A value cannot stand where it is put: a control character in a header.
    InvalidValue,
    /// The address that the environment gave is none.
    InvalidUrl,
    /// The URL or the body would be too large.
    TooLarge,
    /// A template failed.
    TemplateFailed,
}

impl NotSentReason {
    /// The name in results, logs and trails.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingValue => "missing_value",
            Self::MissingCredential => "missing_credential",
            Self::UnsafePath => "unsafe_path",
            Self::InvalidValue => "invalid_value",
            Self::InvalidUrl => "invalid_url",
            Self::TooLarge => "too_large",
            Self::TemplateFailed => "template_failed",
        }
    }
}

impl fmt::Display for NotSentReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request was not sent. It names places and fields, and says no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} {detail}")]
#[non_exhaustive]
pub struct NotSent {
    /// Why.
    pub reason: NotSentReason,
    /// Where in the request.
    pub place: RequestPlace,
    /// The paths that have no value, where that is why: `headers.user_id`, `user.id`.
    pub missing: Vec<Arc<str>>,
    detail: String,
}

impl NotSent {
    pub(crate) fn new(reason: NotSentReason, place: RequestPlace, detail: impl Into<String>) -> Self {
        Self { reason, place, missing: Vec::new(), detail: detail.into() }
    }

    /// There is no token for it, and none to be had: what is missing, as it goes on behind "the token exchange".
    pub fn no_token(detail: impl Into<String>) -> Self {
        Self::new(NotSentReason::MissingCredential, RequestPlace::TokenExchange(""), detail)
    }

    pub(crate) fn missing(reason: NotSentReason, place: RequestPlace, missing: Vec<Arc<str>>) -> Self {
        let names = missing.iter().map(|name| format!("`{}`", name.escape_debug())).collect::<Vec<_>>().join(", ");
        let detail = match missing.len() {
            0 => "needs a value that is missing".to_owned(),
            1 => format!("needs {names}, which is missing"),
            _ => format!("needs {names}, which are missing"),
        };
        Self { reason, place, missing, detail }
    }

    pub(crate) fn failed(place: RequestPlace, error: &RenderError) -> Self {
        Self::new(NotSentReason::TemplateFailed, place, format!("could not be rendered: {error}"))
    }

    /// The context headers that have no value, where that is why.
    pub fn missing_headers(&self) -> impl Iterator<Item = &str> {
        self.missing.iter().filter_map(|path| path.strip_prefix("headers."))
    }
}

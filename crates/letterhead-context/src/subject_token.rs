//! The token that a caller proved itself with, to be traded for others and for nothing else.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// The bearer token of a caller, verified. No template, log or store sees it: it is read where it is traded for a token
/// that is meant for a destination (token exchange, RFC 8693), and goes nowhere else.
///
/// Cheap to clone; `Debug` does not show it, and it is wiped from memory when nobody has it any more.
///
/// ```
/// use letterhead_context::SubjectToken;
///
/// let token = SubjectToken::new("eyJhbGciOi…", Some(1_900_000_000));
/// assert_eq!(format!("{token:?}"), "SubjectToken(…)");
/// assert_eq!(token.expires_at(), Some(1_900_000_000));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectToken {
    text: Arc<Zeroizing<String>>,
    expires_at: Option<i64>,
}

impl SubjectToken {
    /// Takes a verified token into custody, with the time of its `exp`, in seconds since 1970.
    pub fn new(text: impl Into<String>, expires_at: Option<i64>) -> Self {
        Self { text: Arc::new(Zeroizing::new(text.into())), expires_at }
    }

    /// The token. Every caller of this is a place where a secret leaves: keep them few.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// When it expires, in seconds since 1970; none where nobody said.
    pub fn expires_at(&self) -> Option<i64> {
        self.expires_at
    }
}

impl fmt::Debug for SubjectToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectToken(…)")
    }
}

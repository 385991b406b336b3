//! Why a caller does not get in, and what the response then asks for (`WWW-Authenticate`, RFC 6750, 3).

use std::time::Duration;

use http::HeaderValue;
use letterhead_context::{Code, Fault, Problem};
use letterhead_store::StoreError;

use super::api_key::KeyRefused;
use super::credential::CredentialFault;
use super::token::TokenFault;
use crate::error::store_problem;

/// Why a caller does not get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the caller is told.
    pub problem: Problem,
    /// What is wrong with what was shown, where something was: `error` and `error_description` of the challenge.
    fault: Option<(&'static str, String)>,
}

impl Refusal {
    /// Nobody said who is calling.
    pub(super) fn nobody(how: &str) -> Self {
        Self::because(Problem::new(Code::Unauthenticated, format!("nobody said who is calling: {how}")))
    }

    /// Refused for another reason than what was shown.
    pub(super) fn because(problem: Problem) -> Self {
        Self { problem, fault: None }
    }

    /// A user who is called as an API key is.
    pub(super) fn name_of_a_key() -> Self {
        let detail = "`key:` begins the names of API keys, and no user's";
        Self::because(Problem::faults(vec![Fault::header("X-User-Id", Code::InvalidHeader, detail)]))
    }

    fn bad(error: &'static str, detail: String) -> Self {
        Self { problem: Problem::new(Code::Unauthenticated, detail.clone()), fault: Some((error, detail)) }
    }

    /// What the response asks for. `metadata` is where a client finds who issues tokens.
    #[must_use]
    pub fn challenge(&self, metadata: Option<&str>) -> Option<HeaderValue> {
        if self.problem.code() != Code::Unauthenticated {
            return None;
        }
        let mut parts = Vec::new();
        if let Some((error, detail)) = &self.fault {
            parts.push(format!("error=\"{error}\""));
            parts.push(format!("error_description=\"{}\"", quotable(detail)));
        }
        parts.extend(metadata.map(|url| format!("resource_metadata=\"{}\"", quotable(url))));
        let text = if parts.is_empty() { "Bearer".to_owned() } else { format!("Bearer {}", parts.join(", ")) };
        HeaderValue::from_str(&text).ok()
    }
}

/// What may stand between the quotes (RFC 6750, 3): our own texts have `` ` `` around names, and no more than that.
fn quotable(text: &str) -> String {
    let plain = |c: char| (c.is_ascii_graphic() || c == ' ') && c != '"' && c != '\\';
    text.chars().map(|c| if plain(c) { c } else { '?' }).collect()
}

impl From<CredentialFault> for Refusal {
    fn from(fault: CredentialFault) -> Self {
        Self::bad("invalid_request", fault.to_string())
    }
}

impl From<TokenFault> for Refusal {
    fn from(fault: TokenFault) -> Self {
        if fault == TokenFault::NoKeys {
            let detail = "the issuer's keys cannot be fetched now, so that no token can be verified";
            let problem = Problem::new(Code::AuthUnavailable, detail).with_retry_after(Duration::from_secs(10));
            return Self::because(problem);
        }
        Self::bad("invalid_token", format!("the token is refused: {fault}"))
    }
}

impl From<KeyRefused> for Refusal {
    fn from(refused: KeyRefused) -> Self {
        match refused {
            KeyRefused::Store(error) => error.into(),
            KeyRefused::Name => Self::name_of_a_key(),
            KeyRefused::Fault(fault) => Self::bad("invalid_token", format!("the API key is refused: {fault}")),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::because(store_problem(&error))
    }
}

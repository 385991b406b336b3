//! Reads what a token endpoint answers (RFC 8693, 2.2; RFC 6749, 5). No error holds a part of the answer but the codes that
//! the standards have: a description is for people at the other side, and may say anything.

use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::fault::NoToken;
use super::jwt::{Claims, Garbled};

/// The longest token that is taken, in bytes: as long as what may be in a header.
const LONGEST: usize = 16 * 1024;

/// The codes of errors that are told: those of RFC 6749, 8693 and 8707, and of OpenID Connect.
const CODES: [&str; 14] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "access_denied",
    "interaction_required",
    "login_required",
    "consent_required",
    "server_error",
    "temporarily_unavailable",
];

/// A token, as it goes out.
pub(crate) struct Issued {
    /// `Bearer` and the token, marked sensitive.
    pub(crate) header: HeaderValue,
    /// The token alone.
    pub(crate) text: Zeroizing<String>,
    /// How long it is good for, in seconds from the time of the request, if anybody said.
    pub(super) lifetime: Option<i64>,
    /// When it expires by its own words, in seconds since 1970.
    pub(super) expires_at: Option<i64>,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issued(…)")
    }
}

/// An answer of success. A member that is there twice is a fault.
#[derive(Deserialize)]
struct Success {
    access_token: Option<String>,
    issued_token_type: Option<String>,
    token_type: Option<String>,
    expires_in: Option<Value>,
}

#[derive(Deserialize)]
struct Failure {
    error: String,
}

/// The token in an answer of this status.
pub(super) fn read(status: StatusCode, body: &[u8], audience: Option<&str>, own: &str) -> Result<Issued, NoToken> {
    if status.is_redirection() {
        return Err(NoToken::Redirected);
    }
    if status != StatusCode::OK {
        let failure: Option<Failure> = serde_json::from_slice(body).ok();
        let code = failure.and_then(|failure| CODES.into_iter().find(|code| *code == failure.error));
        return Err(NoToken::Denied { status: status.as_u16(), code });
    }
    let unusable = |what| Err(NoToken::Unusable(what));
    let Ok(answer) = serde_json::from_slice::<Success>(body) else {
        return unusable("the token endpoint's answer is not what RFC 8693 says");
    };
    let Some(text) = answer.access_token.map(Zeroizing::new).filter(|text| !text.is_empty()) else {
        return unusable("the token endpoint's answer has no `access_token`");
    };
    match answer.token_type.as_deref() {
        Some(kind) if kind.eq_ignore_ascii_case("bearer") => {}
        Some(kind) if kind.eq_ignore_ascii_case("n_a") => {
            return unusable("the token endpoint issued something that is no access token (`token_type` is `N_A`)");
        }
        _ => return unusable("the token endpoint's answer has another `token_type` than `Bearer`"),
    }
    // Required by RFC 8693, and left out by some. That it is a bearer token was said already.
    if let Some(kind) = answer.issued_token_type.as_deref()
        && !matches!(kind, "urn:ietf:params:oauth:token-type:access_token" | "urn:ietf:params:oauth:token-type:jwt")
    {
        return unusable("the token endpoint issued another type of token than an access token (`issued_token_type`)");
    }
    let Some(lifetime) = lifetime(answer.expires_in.as_ref()) else {
        return unusable("the token endpoint's answer has an `expires_in` that is no number of seconds");
    };
    if text.len() > LONGEST || !text.bytes().all(is_of_token) {
        return unusable("the token that was issued cannot be sent in a header");
    }
    if *text == *own {
        return unusable("the token endpoint gave the caller's own token back");
    }
    // Without an audience nothing is compared: the token is passed on as one that says nothing of itself.
    let claims = match Claims::of(&text) {
        Ok(claims) => claims,
        Err(Garbled) if audience.is_none() => None,
        Err(Garbled) => return unusable("the token that was issued is a JWT whose claims cannot be read"),
    };
    if let (Some(claims), Some(audience)) = (&claims, audience)
        && claims.is_for_another(audience)
    {
        return unusable("the token that was issued is for another audience than the one that was asked for");
    }
    let header = Zeroizing::new(format!("Bearer {}", *text));
    let Ok(mut header) = HeaderValue::from_str(&header) else {
        return unusable("the token that was issued cannot be sent in a header");
    };
    header.set_sensitive(true);
    Ok(Issued { header, text, lifetime, expires_at: claims.and_then(|claims| claims.expires_at()) })
}

/// The characters of a bearer token (RFC 6750, 2.1).
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// The lifetime, of which nobody need say anything. A number in quotes is one, too: some servers write it so.
#[expect(clippy::option_option, reason = "no lifetime at all, one that nobody said, and one")]
fn lifetime(expires_in: Option<&Value>) -> Option<Option<i64>> {
    let seconds = match expires_in {
        None | Some(Value::Null) => return Some(None),
        Some(Value::String(text)) => text.parse::<f64>().ok()?,
        Some(number) => number.as_f64()?,
    };
    #[expect(clippy::cast_possible_truncation, reason = "what does not fit is the end of time")]
    (seconds.is_finite() && seconds >= 0.0).then_some(Some(seconds as i64))
}

#[cfg(test)]
mod tests;

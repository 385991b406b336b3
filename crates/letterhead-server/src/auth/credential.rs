//! What a request shows to prove who is calling: a bearer token, or a key in `X-Api-Key`.

use http::{HeaderMap, HeaderValue, header};
use zeroize::Zeroizing;

/// The header that a key may come in, too.
const KEY_HEADER: &str = "x-api-key";

/// What a request shows. Nobody has looked at it yet.
pub enum Credential {
    /// Nothing, or nothing that this server reads.
    None,
    /// What stands behind `Bearer` in `Authorization`.
    Bearer(Zeroizing<String>),
    /// The value of `X-Api-Key`.
    Key(Zeroizing<String>),
    /// Something that is no such thing.
    Faulty(CredentialFault),
}

/// Why a request shows nothing that could be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialFault {
    /// The header came more than once.
    #[error("`{0}` was sent more than once")]
    Several(&'static str),
    /// Another scheme, such as `Basic`.
    #[error("`Authorization` has to be `Bearer` and {0}")]
    Scheme(&'static str),
    /// Characters that no token has.
    #[error("`{0}` holds characters that no token has")]
    Unreadable(&'static str),
}

/// Which credentials a server reads at all. What it could not verify, it does not look at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reads {
    /// `Authorization`.
    pub(super) authorization: bool,
    /// `X-Api-Key`.
    pub(super) key_header: bool,
    /// What a caller may show, in words; none where nothing is read.
    pub(super) shown: &'static str,
}

impl Credential {
    /// Reads the headers. `Authorization` decides where both are there.
    pub(super) fn read(headers: &HeaderMap, reads: Reads) -> Self {
        if reads.authorization && headers.contains_key(header::AUTHORIZATION) {
            return match only(headers, "authorization", "Authorization").and_then(|value| bearer(value, reads.shown)) {
                Ok(token) => Self::Bearer(token),
                Err(fault) => Self::Faulty(fault),
            };
        }
        if reads.key_header && headers.contains_key(KEY_HEADER) {
            return match only(headers, KEY_HEADER, "X-Api-Key")
                .and_then(|value| token(text(value, "X-Api-Key")?, "X-Api-Key"))
            {
                Ok(key) => Self::Key(key),
                Err(fault) => Self::Faulty(fault),
            };
        }
        Self::None
    }
}

/// Which kind, and no more.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bearer(_) => f.write_str("Bearer(…)"),
            Self::Key(_) => f.write_str("Key(…)"),
            Self::Faulty(fault) => f.debug_tuple("Faulty").field(fault).finish(),
        }
    }
}

fn only<'h>(headers: &'h HeaderMap, name: &str, label: &'static str) -> Result<&'h HeaderValue, CredentialFault> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(CredentialFault::Several(label)),
    }
}

fn text<'h>(value: &'h HeaderValue, label: &'static str) -> Result<&'h str, CredentialFault> {
    value.to_str().map_err(|_| CredentialFault::Unreadable(label))
}

/// `Bearer`, in any case of letters, and a token (RFC 6750, 2.1).
fn bearer(value: &HeaderValue, shown: &'static str) -> Result<Zeroizing<String>, CredentialFault> {
    let (scheme, rest) = text(value, "Authorization")?.split_once(' ').ok_or(CredentialFault::Scheme(shown))?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(CredentialFault::Scheme(shown));
    }
    token(rest.trim_start_matches(' '), "Authorization")
}

fn token(text: &str, label: &'static str) -> Result<Zeroizing<String>, CredentialFault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if text.is_empty() || !text.bytes().all(plain) {
        return Err(CredentialFault::Unreadable(label));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

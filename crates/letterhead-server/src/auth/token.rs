//! The first way of knowing: a bearer token that an issuer has signed (JWT, RFC 7519, by the rules of RFC 8725).
//!
//! The signature is AWS-LC's work; what is read before and after it is ours, because it has to be stricter than tokens
//! in general: no name twice, no `crit`, no key or address of one from the token, times by a clock that is passed in.

mod algorithm;
mod claims;
mod fault;
mod jwks;
mod jws;
mod key;
mod key_set;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use letterhead::outbound::Url;
use letterhead_context::Caller;
use letterhead_store::Clock;
use serde_json::Value;

pub use self::claims::Expected;
pub use self::fault::TokenFault;
use self::jwks::Jwks;
use self::jws::Jws;
pub(crate) use self::key::DEVELOPMENT;
pub use self::key::{KeyFault, VerificationKey};
use self::key_set::KeySet;
pub(crate) use self::key_set::TRIED;

/// Where the keys of the issuer come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The configuration has them.
    Fixed(Vec<VerificationKey>),
    /// The issuer serves them here, as a JWK Set.
    Url(Url),
}

/// Verifies tokens.
pub(crate) struct TokenVerifier {
    keys: Keys,
    expected: Expected,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
enum Keys {
    Fixed(KeySet),
    Fetched(Jwks),
}

/// Who a token names.
#[derive(Clone, PartialEq)]
pub(crate) struct VerifiedToken {
    pub(crate) caller: Caller,
    pub(crate) claims: Value,
}

impl TokenVerifier {
    pub(crate) fn new(keys: &KeySource, expected: Expected, clock: Arc<dyn Clock>) -> Self {
        let keys = match keys {
            KeySource::Fixed(keys) => Keys::Fixed(KeySet::new(keys.clone())),
            KeySource::Url(url) => Keys::Fetched(Jwks::new(url.clone())),
        };
        Self { keys, expected, clock }
    }

    /// Verifies a token, and says who its bearer is.
    pub(crate) async fn verify(&self, token: &str) -> Result<VerifiedToken, TokenFault> {
        let jws = Jws::read(token)?;
        self.check_signature(&jws).await?;
        let claims = jws.claims()?;
        let caller = self.expected.caller(&claims, self.clock.now_ms())?;
        Ok(VerifiedToken { caller, claims: Value::Object(claims) })
    }

    async fn check_signature(&self, jws: &Jws<'_>) -> Result<(), TokenFault> {
        let key_id = jws.key_id.as_deref();
        let by = |keys: &KeySet| keys.verify(jws.algorithm, key_id, jws.message, &jws.signature);
        let source = match &self.keys {
            Keys::Fixed(keys) => return by(keys),
            Keys::Fetched(source) => source,
        };
        let keys = source.keys().await.ok_or(TokenFault::NoKeys)?;
        match by(&keys) {
            Ok(()) => Ok(()),
            // Newer keys do not tell which one it is.
            Err(fault @ TokenFault::WhichKey) => Err(fault),
            // A token that names its key by an id which is known was not signed with a key that is not.
            Err(fault) if key_id.is_some() && fault != TokenFault::UnknownKey => Err(fault),
            Err(fault) => match source.fetched().await {
                Some(newer) if !Arc::ptr_eq(&newer, &keys) => by(&newer),
                _ => Err(fault),
            },
        }
    }
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenVerifier").field("keys", &self.keys).field("expected", &self.expected).finish()
    }
}

//! The keys of an issuer, and which of them a token is verified with.

use serde::Deserialize;
use serde_json::Value;

use super::algorithm::Algorithm;
use super::fault::TokenFault;
use super::key::VerificationKey;

/// The most keys that are taken from one issuer: a token without a key id is tried with each.
const MOST: usize = 64;

/// The keys of an issuer.
#[derive(Clone, Debug)]
pub(crate) struct KeySet(Vec<VerificationKey>);

/// What an issuer serves is no set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer has no key to verify tokens with")]
pub(super) struct NoKeys;

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    pub(crate) fn new(keys: Vec<VerificationKey>) -> Self {
        Self(keys)
    }

    /// Reads a JWK Set (RFC 7517, 5). Keys that are of no use here are passed over, as the RFC wants.
    pub(super) fn from_jwks(document: &[u8]) -> Result<Self, NoKeys> {
        let document: Document = serde_json::from_slice(document).map_err(|_| NoKeys)?;
        let usable = document.keys.iter().filter_map(|key| VerificationKey::from_jwk(key).ok());
        let keys: Vec<_> = usable.take(MOST).collect();
        if keys.is_empty() { Err(NoKeys) } else { Ok(Self(keys)) }
    }

    /// Whether one of the keys has signed a message.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), TokenFault> {
        let mut fault = TokenFault::UnknownKey;
        for key in self.0.iter().filter(|key| key.is_called(key_id)) {
            if !key.takes(algorithm) {
                if fault == TokenFault::UnknownKey {
                    fault = TokenFault::Algorithm;
                }
            } else if key.has_signed(algorithm, message, signature) {
                return Ok(());
            } else {
                fault = TokenFault::Signature;
            }
        }
        Err(fault)
    }
}

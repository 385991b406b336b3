//! The keys of an issuer, and which of them a token is verified with.

use serde::Deserialize;
use serde_json::Value;

use super::algorithm::Algorithm;
use super::fault::TokenFault;
use super::key::VerificationKey;

/// The most keys that are taken from one issuer.
const MOST: usize = 64;

/// The most keys that a token is tried with: whoever makes one up should not make the server work for all of them.
pub(crate) const TRIED: usize = 8;

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

    /// Whether one of the keys has signed a message. With an id it is that one, or one that has none; without, there must
    /// not be too many that it could be.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), TokenFault> {
        let called: Vec<_> = self.0.iter().filter(|key| key.is_called(key_id)).collect();
        let fitting: Vec<_> = called.iter().filter(|key| key.takes(algorithm)).collect();
        match fitting.len() {
            0 if called.is_empty() => Err(TokenFault::UnknownKey),
            0 => Err(TokenFault::Algorithm),
            1..=TRIED if fitting.iter().any(|key| key.has_signed(algorithm, message, signature)) => Ok(()),
            1..=TRIED => Err(TokenFault::Signature),
            _ => Err(TokenFault::WhichKey),
        }
    }
}

//! Why a token was refused. Plain values: they hold nothing of the token.

use std::sync::Arc;

/// Why a token was refused, as its caller is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFault {
    /// Not three parts of base64url, or no JSON in them.
    #[error("it is not a signed JWT")]
    Malformed,
    /// Larger than any token should be.
    #[error("it is larger than 16 KiB")]
    TooLarge,
    /// Five parts: a JWE.
    #[error("it is encrypted (JWE), which is not supported")]
    Encrypted,
    /// A member of the header or the claims stands there twice.
    #[error("a name in it is there twice")]
    Duplicate,
    /// An algorithm that the key is not for, `none`, or an unknown one.
    #[error("its algorithm is not one of the key's")]
    Algorithm,
    /// An extension that has to be understood.
    #[error("it has a critical extension (`crit`)")]
    Critical,
    /// Made for something else.
    #[error("its `typ` is not that of an access token")]
    Type,
    /// No key of the issuer has its key id.
    #[error("its key is not known")]
    UnknownKey,
    /// It could be any of too many keys.
    #[error("it does not say which of many keys it is signed with (`kid`)")]
    WhichKey,
    /// Not signed by the issuer.
    #[error("its signature is wrong")]
    Signature,
    /// A claim that has to be there is not, or is of another type.
    #[error("its claim `{0}` is missing or of the wrong type")]
    Claim(Arc<str>),
    /// Issued by somebody else.
    #[error("it is from another issuer")]
    Issuer,
    /// Issued for somebody else.
    #[error("it is for another audience")]
    Audience,
    /// No longer valid.
    #[error("it has expired")]
    Expired,
    /// Not yet valid.
    #[error("it is not valid yet")]
    NotYet,
    /// The issuer's keys were never fetched, and cannot be now: no fault of the caller's.
    #[error("the issuer's keys cannot be fetched")]
    NoKeys,
}

impl TokenFault {
    /// Whether another key would have been the right one.
    pub(crate) fn is_of_the_key(&self) -> bool {
        matches!(self, Self::UnknownKey | Self::WhichKey | Self::Signature | Self::Algorithm | Self::NoKeys)
    }
}

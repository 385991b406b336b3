//! One key that tokens are verified with: a public one as PEM or JWK, or a shared secret.
//!
//! The algorithms follow from the key and never from the token: a token that says `HS256` finds no such algorithm at a
//! public key, so nobody can sign with what everybody knows.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::{Algorithm, CURVES, ED, RSA, SECRET};

/// The smallest RSA modulus, in bytes: 2048 bits.
const RSA_BYTES: usize = 256;

/// With what the ids of keys begin that `letterhead token` makes.
pub(crate) const DEVELOPMENT: &str = "dev-";

/// A key that tokens are verified with.
#[derive(Clone)]
pub struct VerificationKey {
    id: Option<String>,
    uses: Vec<(Algorithm, Material)>,
}

#[derive(Clone)]
enum Material {
    Public(ParsedPublicKey),
    Secret(Box<hmac::Key>),
}

/// Why something is no key to verify tokens with. The text repeats nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// Neither PEM nor JWK, or a damaged one.
    #[error("this is no public key: a PEM block `PUBLIC KEY`, or a JWK (`{{ kty: …, … }}`)")]
    Unreadable,
    /// It could sign.
    #[error("this is a private key, which only the issuer may have: put the public one here, and replace this one")]
    Private,
    /// A certificate.
    #[error("this is a certificate: put its public key here (`openssl x509 -pubkey -noout`)")]
    Certificate,
    /// A kind, curve or size that is not taken.
    #[error("keys of this kind are not taken: RSA with 2048 bits or more, P-256, P-384, P-521 or Ed25519")]
    Unsupported,
    /// A shared secret where a public key belongs.
    #[error("this is a shared secret: it belongs into `auth.jwt.secret`")]
    Symmetric,
    /// It is for encryption, or signs only.
    #[error("this key is not for verifying signatures (`use`, `key_ops`)")]
    OtherUse,
    /// A secret that can be guessed.
    #[error("a shared secret has at least 32 bytes (RFC 7518, 3.2): `openssl rand -base64 48` makes one")]
    Short,
    /// A public key where a secret belongs.
    #[error("this is a key that others may know, and no secret: it belongs into `auth.jwt.keys`")]
    NoSecret,
}

/// A key as RFC 7517 writes it, as far as it is looked at.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    #[serde(default)]
    d: Value,
}

impl VerificationKey {
    /// Reads a public key from a PEM block: `PUBLIC KEY` (RFC 5280), or `RSA PUBLIC KEY` (RFC 8017). It has no id, so
    /// that it is tried for every token.
    ///
    /// # Errors
    ///
    /// If it is something else, or too weak.
    pub fn from_pem(text: &str) -> Result<Self, KeyFault> {
        let (label, body) = pem_block(text).ok_or(KeyFault::Unreadable)?;
        match label {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => {}
            "CERTIFICATE" => return Err(KeyFault::Certificate),
            label if label.ends_with("PRIVATE KEY") => return Err(KeyFault::Private),
            _ => return Err(KeyFault::Unreadable),
        }
        let body: String = body.split_whitespace().collect();
        let der = BASE64_STANDARD.decode(body).map_err(|_| KeyFault::Unreadable)?;
        let parse = |algorithm: &'static dyn VerificationAlgorithm| ParsedPublicKey::new(algorithm, &der).ok();
        let uses = if let Some(key) = parse(ED.1) {
            vec![(ED.0, Material::Public(key))]
        } else if let Some((algorithm, key)) = CURVES.iter().find_map(|(_, name, curve)| Some((*name, parse(*curve)?)))
        {
            vec![(algorithm, Material::Public(key))]
        } else {
            let key: Option<PublicKeyX509Der<'_>> = parse(RSA[0].1).and_then(|key| key.as_der().ok());
            let bits =
                key.and_then(|key| PublicEncryptingKey::from_der(key.as_ref()).ok()).map(|key| key.key_size_bits());
            if bits.is_none_or(|bits| bits < RSA_BYTES * 8) {
                return Err(KeyFault::Unsupported);
            }
            RSA.iter().filter_map(|(name, form)| Some((*name, Material::Public(parse(*form)?)))).collect()
        };
        Self::of(None, uses)
    }

    /// Reads a public key from a JWK (RFC 7517). Its `alg`, if it has one, is the only algorithm that is taken.
    ///
    /// # Errors
    ///
    /// If it is no public key for signatures, or too weak.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyFault> {
        let jwk = Jwk::deserialize(jwk).map_err(|_| KeyFault::Unreadable)?;
        if jwk.kty == "oct" {
            return Err(KeyFault::Symmetric);
        }
        if !jwk.d.is_null() {
            return Err(KeyFault::Private);
        }
        let verifies = jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|one| one == "verify"));
        if !verifies || jwk.r#use.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(KeyFault::OtherUse);
        }
        let mut uses = match jwk.kty.as_str() {
            "RSA" => {
                let n = trimmed(bytes(jwk.n.as_ref())?);
                if n.len() < RSA_BYTES {
                    return Err(KeyFault::Unsupported);
                }
                let components = RsaPublicKeyComponents { n, e: trimmed(bytes(jwk.e.as_ref())?) };
                let parsed = |form| components.to_parsed_public_key(form).ok();
                RSA.iter().filter_map(|(name, form)| Some((*name, Material::Public(parsed(*form)?)))).collect()
            }
            "EC" => {
                let curve = CURVES.iter().find(|(name, _, _)| Some(*name) == jwk.crv.as_deref());
                let (_, algorithm, curve) = *curve.ok_or(KeyFault::Unsupported)?;
                // The uncompressed form of a point (SEC 1, 2.3.3).
                let point = [vec![4], bytes(jwk.x.as_ref())?, bytes(jwk.y.as_ref())?].concat();
                vec![(algorithm, public(curve, &point)?)]
            }
            "OKP" if jwk.crv.as_deref() == Some("Ed25519") => vec![(ED.0, public(ED.1, &bytes(jwk.x.as_ref())?)?)],
            _ => return Err(KeyFault::Unsupported),
        };
        if let Some(only) = &jwk.alg {
            let only = Algorithm::named(only);
            uses.retain(|(algorithm, _)| Some(*algorithm) == only);
        }
        Self::of(jwk.kid, uses)
    }

    /// Takes a shared secret (HS256 from 32 bytes on, HS384 from 48, HS512 from 64).
    ///
    /// # Errors
    ///
    /// If it is too short, or a public key.
    pub fn from_secret(secret: &str) -> Result<Self, KeyFault> {
        if pem_block(secret).is_some() || secret.trim_start().starts_with('{') {
            return Err(KeyFault::NoSecret);
        }
        let secret = secret.as_bytes();
        let long_enough = SECRET.iter().filter(|(_, _, length)| secret.len() >= *length);
        let uses: Vec<_> = long_enough
            .map(|(name, hash, _)| (*name, Material::Secret(Box::new(hmac::Key::new(*hash, secret)))))
            .collect();
        if uses.is_empty() { Err(KeyFault::Short) } else { Ok(Self { id: None, uses }) }
    }

    fn of(id: Option<String>, uses: Vec<(Algorithm, Material)>) -> Result<Self, KeyFault> {
        if uses.is_empty() { Err(KeyFault::Unsupported) } else { Ok(Self { id, uses }) }
    }

    /// Whether `letterhead token` made it, by its id: whoever has its file can be anybody.
    pub(crate) fn is_for_development(&self) -> bool {
        self.id.as_deref().is_some_and(|id| id.starts_with(DEVELOPMENT))
    }

    /// Whether it has an id, so that a token can name it.
    pub(crate) fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// May a token with this key id be signed with this key? A key without an id may have signed any.
    pub(super) fn is_called(&self, id: Option<&str>) -> bool {
        match (&self.id, id) {
            (Some(own), Some(wanted)) => own == wanted,
            _ => true,
        }
    }

    /// Whether it is used with an algorithm at all.
    pub(super) fn takes(&self, algorithm: Algorithm) -> bool {
        self.uses.iter().any(|(known, _)| *known == algorithm)
    }

    /// Whether it has signed a message.
    pub(super) fn has_signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let of = self.uses.iter().find(|(known, _)| *known == algorithm);
        of.is_some_and(|(_, material)| match material {
            Material::Public(key) => key.verify_sig(message, signature).is_ok(),
            Material::Secret(key) => hmac::verify(key, message, signature).is_ok(),
        })
    }
}

/// Its id and algorithms alone.
impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<_> = self.uses.iter().map(|(algorithm, _)| algorithm).collect();
        f.debug_struct("VerificationKey").field("id", &self.id).field("algorithms", &algorithms).finish()
    }
}

fn public(algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]) -> Result<Material, KeyFault> {
    ParsedPublicKey::new(algorithm, bytes).map(Material::Public).map_err(|_| KeyFault::Unreadable)
}

/// A member of a JWK: base64url; some issuers pad it, although they should not.
fn bytes(text: Option<&String>) -> Result<Vec<u8>, KeyFault> {
    let text = text.ok_or(KeyFault::Unreadable)?.trim_end_matches('=');
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyFault::Unreadable)
}

/// A number without zeros before it, which some issuers write although they should not.
fn trimmed(number: Vec<u8>) -> Vec<u8> {
    number.into_iter().skip_while(|byte| *byte == 0).collect()
}

/// Label and body of the only PEM block in a text.
fn pem_block(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, end) = rest.split_once("-----END ")?;
    (end.starts_with(label) && !end.contains("-----BEGIN ")).then_some((label, body))
}

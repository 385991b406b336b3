//! Issuers of tokens, good and bad ones.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair,
};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use letterhead_server::app::App;
use letterhead_server::assembly;
use letterhead_store::{FixedClock, Store};
use serde_json::{Value, json};

/// When the tests of tokens take place, in seconds.
pub(crate) const NOW: i64 = 1_800_000_000;

/// A key pair that signs tokens.
#[derive(Clone)]
pub(crate) enum Signer {
    Rsa(Arc<RsaKeyPair>),
    Ec(Arc<EcdsaKeyPair>, &'static str, &'static str),
    Ed(Arc<Ed25519KeyPair>),
    /// What a shared secret, or somebody who takes something else for one, signs with.
    Secret(Vec<u8>),
}

/// base64url, as tokens have it.
pub(crate) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// The same one each time: making it is slow.
    pub(crate) fn rsa() -> Self {
        static KEY: OnceLock<Arc<RsaKeyPair>> = OnceLock::new();
        Self::Rsa(Arc::clone(KEY.get_or_init(|| Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))))
    }

    pub(crate) fn ed() -> Self {
        Self::Ed(Arc::new(Ed25519KeyPair::generate().unwrap()))
    }

    pub(crate) fn p256() -> Self {
        Self::ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", "ES256")
    }

    pub(crate) fn p384() -> Self {
        Self::ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", "ES384")
    }

    pub(crate) fn p521() -> Self {
        Self::ec(&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521", "ES512")
    }

    fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &'static str, name: &'static str) -> Self {
        Self::Ec(Arc::new(EcdsaKeyPair::generate(algorithm).unwrap()), curve, name)
    }

    /// The algorithm that it signs with, unless a header says another one.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_, _, name) => name,
            Self::Ed(_) => "EdDSA",
            Self::Secret(_) => "HS256",
        }
    }

    /// The public half.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                // RFC 8017: a sequence of modulus, which has a zero before it, and exponent.
                let der = pair.public_key().as_ref();
                let (n, e) = (encoded(&der[9..265]), encoded(&der[267..]));
                json!({ "kty": "RSA", "kid": id, "use": "sig", "n": n, "e": e })
            }
            Self::Ec(pair, curve, _) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({ "kty": "EC", "kid": id, "crv": curve, "x": encoded(x), "y": encoded(y) })
            }
            Self::Ed(pair) => json!({ "kty": "OKP", "kid": id, "crv": "Ed25519", "x": encoded(pair.public_key()) }),
            Self::Secret(secret) => json!({ "kty": "oct", "kid": id, "k": encoded(secret) }),
        }
    }

    /// The public half, as DER (RFC 5280).
    pub(crate) fn der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Self::Ec(pair, _, _) => pair.public_key().as_der().unwrap(),
            Self::Ed(pair) => pair.public_key().as_der().unwrap(),
            Self::Secret(_) => panic!("a secret has no public half"),
        };
        der.as_ref().to_vec()
    }

    /// The public half, as PEM.
    pub(crate) fn pem(&self) -> String {
        let text = BASE64_STANDARD.encode(self.der());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// A signature of a message, with one of the algorithms that the key is for.
    pub(crate) fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let form: &'static dyn aws_lc_rs::signature::RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                pair.sign(form, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair, _, _) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Secret(secret) => {
                let hash = match algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
        }
    }

    /// A token of this header and these claims, both as they are to be read.
    pub(crate) fn token_of(&self, algorithm: &str, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.signature(algorithm, message.as_bytes());
        format!("{message}.{}", encoded(signature))
    }

    /// A token with these claims.
    pub(crate) fn token(&self, id: &str, claims: &Value) -> String {
        let header = json!({ "alg": self.algorithm(), "typ": "JWT", "kid": id });
        self.token_of(self.algorithm(), &header.to_string(), &claims.to_string())
    }
}

/// What a good token says, and these claims besides or instead.
pub(crate) fn claims(more: &Value) -> Value {
    let mut claims = json!({ "iss": "https://id.example.com", "aud": "letterhead", "sub": "ada", "exp": NOW + 300 });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// A good token's claims without one of them.
pub(crate) fn claims_without(name: &str) -> Value {
    let mut all = claims(&json!({}));
    all.as_object_mut().unwrap().remove(name);
    all
}

/// An application at the time of the tests, and the clock to change that.
pub(crate) fn app_then(
    yaml: &str,
    store: impl FnOnce(Arc<FixedClock>) -> Arc<dyn Store>,
) -> (Arc<App>, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::at(NOW * 1000));
    let checked = assembly::check_text("letterhead.yaml", yaml, &|_| None).unwrap_or_else(|report| panic!("{report}"));
    (Arc::new(checked.into_app(store(Arc::clone(&clock)), Arc::clone(&clock) as _)), clock)
}

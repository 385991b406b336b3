//! Who is calling. Each way of knowing has a file: a signed token (`token`), an API key (`api_key`), trusted
//! identity headers. The first that is there decides; what is there and wrong is refused, and never passed over for the
//! next. Without any of them the caller is nobody in particular.

mod api_key;
mod credential;
mod metadata;
mod refusal;
mod scope;
mod token;
mod trusted;
mod way;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use letterhead_context::{Caller, IdentityClaims, SubjectToken, UserId};
use letterhead_store::{ApiKeys, Clock};
use serde_json::Value;

pub use self::api_key::{KeyFault as ApiKeyFault, KeyText};
pub use self::credential::{Credential, CredentialFault};
pub use self::metadata::{Metadata, Reached, WELL_KNOWN};
pub use self::refusal::Refusal;
pub use self::scope::{Scope, Scopes};
pub(crate) use self::token::{DEVELOPMENT, TRIED, TokenVerifier};
pub use self::token::{Expected, KeyFault, KeySource, TokenFault, VerificationKey};
pub use self::trusted::is_forwarded;
pub use self::way::Way;

use self::api_key::KeyVerifier;
use self::credential::Reads;
use self::trusted::Trusted;
use crate::config::auth::{Anonymous, Auth};
use crate::edge::Peer;

/// Says who is calling.
#[derive(Debug)]
pub struct Authenticator {
    tokens: Option<TokenVerifier>,
    keys: Option<KeyVerifier>,
    trust: Trusted,
    anonymous: bool,
    has_verifier: bool,
    reads: Reads,
    metadata: Metadata,
}

/// What an authenticator works with, besides its rules.
pub struct Means {
    /// Where API keys are kept.
    pub keys: Arc<dyn ApiKeys>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Whether `X-Api-Key` is declared as a context header: then it is no credential.
    pub key_header_is_declared: bool,
    /// The address that the operator has given the server, if any: scheme, host and port.
    pub public_url: Option<String>,
}

/// Who is calling, and what is known of them.
#[derive(Clone, PartialEq)]
pub struct Identity {
    /// Tenant and user, and how they are known.
    pub caller: Caller,
    /// What a verified token says.
    pub claims: Claims,
    /// What an API key may be used for beyond asking agents.
    pub scopes: Scopes,
    /// Nobody in particular, and one of many: callers without a name are told apart by nothing. Without a verifier the
    /// server is one person's own, so that who asks on this machine is that person, and no stranger.
    pub stranger: bool,
}

impl Identity {
    fn of(caller: Caller) -> Self {
        Self { caller, claims: Claims::default(), scopes: Scopes::default(), stranger: false }
    }
}

/// What a verified token says, and the token, to be traded for others; nothing without one.
#[derive(Clone, Default, PartialEq)]
pub struct Claims {
    json: Value,
    token: Option<SubjectToken>,
}

impl Claims {
    /// The claims as templates read them, or null; and the token, which no template reads.
    pub fn into_parts(self) -> (Value, Option<SubjectToken>) {
        (self.json, self.token)
    }

    fn of(json: Value, token: &str) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "what does not fit is the end of time, either way")]
        let expires_at = json.get("exp").and_then(Value::as_f64).map(|exp| exp as i64);
        Self { token: Some(SubjectToken::new(token, expires_at)), json }
    }
}

/// Claims are about people, and nobody's business in a log.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claims(…)")
    }
}

impl Authenticator {
    /// The rules of a configuration. Without a verifier, loopback is trusted and anonymous callers are served.
    pub fn new(auth: &Auth, means: Means) -> Self {
        let has_verifier = auth.has_verifier();
        let Means { keys, clock, key_header_is_declared, public_url } = means;
        let jwt = auth.jwt.as_ref();
        let tokens = jwt.map(|jwt| TokenVerifier::new(&jwt.keys, jwt.expected.clone(), Arc::clone(&clock)));
        let keys = auth.api_keys.then(|| KeyVerifier::new(keys, clock));
        let anonymous = match auth.anonymous {
            Some(Anonymous::Allow) => true,
            Some(Anonymous::Deny) => false,
            None => !has_verifier,
        };
        let reads = Reads {
            authorization: tokens.is_some() || keys.is_some(),
            key_header: keys.is_some() && !key_header_is_declared,
            shown: match (&tokens, &keys) {
                (Some(_), Some(_)) => "a token or an API key",
                (None, Some(_)) => "an API key",
                (_, None) => "a token",
            },
        };
        let metadata = Metadata::new(jwt.map(|jwt| &*jwt.expected.issuer), public_url.as_deref());
        let trust = Trusted::new(auth.trust_identity_headers.as_ref(), has_verifier);
        Self { tokens, keys, trust, anonymous, has_verifier, reads, metadata }
    }

    /// Is there anybody who verifies callers? Without, the server is one person's own, on this machine.
    pub fn has_verifier(&self) -> bool {
        self.has_verifier
    }

    /// Are callers served of whom nothing is known?
    pub fn serves_anonymous(&self) -> bool {
        self.anonymous
    }

    /// What a caller can show to be known.
    pub fn credentials_read(&self) -> Vec<Way> {
        way::ways(self.tokens.is_some(), self.keys.is_some(), self.reads.key_header)
    }

    /// Where clients find who issues tokens.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// An address that is trusted to say who is calling, if any is.
    pub fn trusted_address(&self) -> Option<IpAddr> {
        self.trust.address()
    }

    /// What a request shows to prove who is calling, as far as this server reads it.
    pub fn credential(&self, headers: &HeaderMap) -> Credential {
        Credential::read(headers, self.reads)
    }

    /// The caller of a request, by what it shows, by the socket's address and by the identity headers. `forwarded` is what
    /// [`is_forwarded`] says of the request.
    ///
    /// # Errors
    ///
    /// 401 for a credential that is refused, and if nobody is known and somebody must be; 403 for a forwarded request on a
    /// server that trusts loopback; 503 where credentials cannot be verified now.
    pub async fn identify(
        &self,
        credential: Credential,
        peer: Peer,
        forwarded: bool,
        claims: &IdentityClaims,
    ) -> Result<Identity, Refusal> {
        match credential {
            Credential::Faulty(fault) => return Err(fault.into()),
            Credential::Bearer(token) => match (&self.tokens, &self.keys) {
                (None, Some(keys)) => return by_key(keys, &token, claims).await,
                (Some(_), Some(keys)) if api_key::looks_like_one(&token) => {
                    return by_key(keys, &token, claims).await;
                }
                (Some(tokens), _) => {
                    let verified = tokens.verify(&token).await?;
                    return Ok(Identity {
                        claims: Claims::of(verified.claims, &token),
                        ..Identity::of(verified.caller)
                    });
                }
                (None, None) => {}
            },
            Credential::Key(key) => {
                if let Some(keys) = &self.keys {
                    return by_key(keys, &key, claims).await;
                }
            }
            Credential::None => {}
        }
        let trusted = self.trust.caller(peer.0.ip(), forwarded, claims).map_err(Refusal::because)?;
        let at_home = !self.has_verifier && !forwarded && peer.0.ip().to_canonical().is_loopback();
        let identity =
            |caller: Caller| Identity { stranger: caller.user().is_none() && !at_home, ..Identity::of(caller) };
        if let Some(caller) = trusted.filter(|caller| caller.user().is_some() || self.anonymous) {
            let named = caller.user().map(UserId::as_str);
            if self.keys.is_some() && named.is_some_and(api_key::is_name_of_one) {
                return Err(Refusal::name_of_a_key());
            }
            return Ok(identity(caller));
        }
        if self.anonymous { Ok(identity(Caller::anonymous())) } else { Err(Refusal::nobody(&self.ways())) }
    }

    /// What a caller can do to be known here.
    fn ways(&self) -> String {
        let ways = [
            self.tokens.is_some().then_some("send `Authorization: Bearer` and a token"),
            self.keys.is_some().then_some("send `Authorization: Bearer` and an API key"),
            self.trust.address().is_some().then_some("send `X-User-Id` from an address that is trusted to"),
        ];
        let ways: Vec<_> = ways.into_iter().flatten().collect();
        if ways.is_empty() { "this server has no way to know (`auth`)".to_owned() } else { ways.join(", or ") }
    }
}

async fn by_key(keys: &KeyVerifier, key: &str, claims: &IdentityClaims) -> Result<Identity, Refusal> {
    let verified = keys.verify(key, claims).await?;
    Ok(Identity { scopes: verified.scopes, ..Identity::of(verified.caller) })
}

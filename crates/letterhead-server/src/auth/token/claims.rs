//! What the claims of a verified token have to say (RFC 7519, 4.1), and who the caller is by them.

use std::sync::Arc;

use letterhead_context::{Caller, CallerSource, TenantId, UserId};
use serde_json::{Map, Value};

use super::fault::TokenFault;
use crate::auth::api_key;

/// How far the issuer's clock and ours may be apart, in seconds.
const LEEWAY: f64 = 60.0;

/// The longest tenant or user, in bytes: as long as the headers that can name them.
const LONGEST: usize = letterhead_context::MAX_IDENTITY_BYTES;

/// What the operator expects of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The only issuer.
    pub issuer: Arc<str>,
    /// Any of these has to be among the token's audiences.
    pub audience: Vec<String>,
    /// The claim with the user.
    pub user_claim: Arc<str>,
    /// The claim with the tenant; without it all are in the tenant `default`.
    pub tenant_claim: Option<Arc<str>>,
}

impl Expected {
    /// The caller that the claims name.
    pub(super) fn caller(&self, claims: &Map<String, Value>, now_ms: i64) -> Result<Caller, TokenFault> {
        if claims.get("iss").and_then(Value::as_str) != Some(&*self.issuer) {
            return Err(TokenFault::Issuer);
        }
        let is_ours = |one: &Value| one.as_str().is_some_and(|one| self.audience.iter().any(|known| known == one));
        let for_us = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => false,
        };
        if !for_us {
            return Err(TokenFault::Audience);
        }
        check_times(claims, now_ms)?;
        let user = identity(claims, &self.user_claim)?;
        if api_key::is_name_of_one(user) {
            return Err(TokenFault::Claim(Arc::clone(&self.user_claim)));
        }
        let tenant = match &self.tenant_claim {
            Some(claim) => TenantId::new(identity(claims, claim)?),
            None => TenantId::default(),
        };
        Ok(Caller::new(tenant, Some(UserId::new(user)), CallerSource::Token))
    }
}

fn check_times(claims: &Map<String, Value>, now_ms: i64) -> Result<(), TokenFault> {
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below what a float counts exactly")]
    let now = now_ms.div_euclid(1000) as f64;
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        // A number that is too large for JSON's readers is no date.
        Some(value) => match value.as_f64().filter(|time| time.is_finite()) {
            Some(time) => Ok(Some(time)),
            None => Err(TokenFault::Claim(Arc::from(name))),
        },
    };
    let expires = time("exp")?.ok_or_else(|| TokenFault::Claim(Arc::from("exp")))?;
    if now >= expires + LEEWAY {
        return Err(TokenFault::Expired);
    }
    if time("nbf")?.is_some_and(|begins| now + LEEWAY < begins) {
        return Err(TokenFault::NotYet);
    }
    Ok(())
}

/// A tenant or user: a text with something in it, and nothing that could not have come in a header.
fn identity<'c>(claims: &'c Map<String, Value>, name: &Arc<str>) -> Result<&'c str, TokenFault> {
    let text = claims.get(&**name).and_then(Value::as_str);
    let fits = |text: &&str| {
        !text.trim().is_empty()
            && text.trim_matches([' ', '\t']) == *text
            && text.len() <= LONGEST
            && !text.chars().any(char::is_control)
    };
    text.filter(fits).ok_or_else(|| TokenFault::Claim(Arc::clone(name)))
}

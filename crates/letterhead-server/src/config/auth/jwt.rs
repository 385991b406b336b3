//! `auth.jwt:` — whose tokens are believed.

use std::sync::Arc;

use letterhead::outbound::base_url;

use crate::auth::{Expected, KeySource, TRIED, VerificationKey};
use crate::config::section::Section;

/// Whose tokens are believed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Jwt {
    /// The keys of the issuer.
    pub keys: KeySource,
    /// What a token has to say.
    pub expected: Expected,
}

impl Jwt {
    /// Whether tokens are believed that `letterhead token` makes with the key beside the configuration.
    #[must_use]
    pub fn is_for_development(&self) -> bool {
        matches!(&self.keys, KeySource::Fixed(keys) if keys.iter().any(VerificationKey::is_for_development))
    }

    /// Reads the section; nothing where there is none, or one with faults.
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let expected = Expected {
            issuer: section.child("issuer").text().unwrap_or_default().into(),
            audience: audience(&section.child("audience")),
            user_claim: section.child("user_claim").text().unwrap_or("sub").into(),
            tenant_claim: section.child("tenant_claim").text().map(Arc::from),
        };
        let keys = keys(section)?;
        section.exists().then_some(Self { keys, expected })
    }
}

fn audience(section: &Section<'_>) -> Vec<String> {
    let one = section.text().map(str::to_owned);
    one.into_iter().chain(section.texts().into_iter().map(|(text, _)| text.to_owned())).collect()
}

/// The keys, from the one place that has them.
fn keys(section: &Section<'_>) -> Option<KeySource> {
    let places = ["jwks_url", "keys", "secret"].map(|name| section.child(name));
    let [url, listed, secret] = &places;
    match places.iter().filter(|place| place.exists()).count() {
        0 => {
            if section.exists() {
                let help = "name one of `jwks_url`, `keys` and `secret`".to_owned();
                section.error_at_key("`auth.jwt` has no key to verify tokens with", help);
            }
            return None;
        }
        1 => {}
        _ => {
            let help = "keep one of `jwks_url`, `keys` and `secret`".to_owned();
            section.error_at_key("`auth.jwt` has its keys from several places", help);
            return None;
        }
    }
    if url.exists() {
        return fetched(url);
    }
    if secret.exists() {
        let key = VerificationKey::from_secret(secret.text()?);
        return match key {
            Ok(key) => Some(KeySource::Fixed(vec![key])),
            Err(fault) => {
                secret.error_at_key(fault.to_string(), None);
                None
            }
        };
    }
    let read = |item: &Section<'_>| {
        let key = match item.text() {
            Some(pem) => VerificationKey::from_pem(pem),
            None => VerificationKey::from_jwk(&item.json()?),
        };
        key.map_err(|fault| item.error(fault.to_string(), None)).ok()
    };
    let items = listed.items();
    let keys: Vec<_> = items.iter().filter_map(read).collect();
    if keys.iter().filter(|key| !key.has_id()).count() > TRIED {
        let help = "no token can name such a key: write the keys as JWKs, each with a `kid`".to_owned();
        listed.error_at_key(format!("of the keys, at most {TRIED} may have no id"), help);
        return None;
    }
    (keys.len() == items.len()).then_some(KeySource::Fixed(keys))
}

fn fetched(section: &Section<'_>) -> Option<KeySource> {
    let url = match base_url(section.text()?) {
        Ok(url) => url,
        Err(fault) => {
            section.error(fault.to_string(), None);
            return None;
        }
    };
    if url.scheme() == "http" && !super::is_this_machine(&url) {
        let help = "whoever can change what is on the way can call itself anybody: use `https://`".to_owned();
        section.warn("the issuer's keys are fetched without TLS", help);
    }
    Some(KeySource::Url(url))
}

//! A token as it arrives: three parts, of which only the first is read before the signature is verified (RFC 7515).

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::fault::TokenFault;

/// The largest token.
const LARGEST: usize = 16 << 10;

/// What `typ` may say, besides nothing: a token for something else (`logout+jwt`, `secevent+jwt`, …) is none for us
/// (RFC 8725, 3.11).
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// A signed token, taken apart and not yet verified.
pub(super) struct Jws<'t> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// What is signed.
    pub(super) message: &'t [u8],
    pub(super) signature: Vec<u8>,
    payload: &'t str,
}

impl<'t> Jws<'t> {
    pub(super) fn read(token: &'t str) -> Result<Self, TokenFault> {
        if token.len() > LARGEST {
            return Err(TokenFault::TooLarge);
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts[..] else {
            return Err(if parts.len() == 5 { TokenFault::Encrypted } else { TokenFault::Malformed });
        };
        let Header { algorithm, key_id } = Header::read(header)?;
        let signature = decoded(signature)?;
        let message = token.as_bytes().get(..header.len() + 1 + payload.len()).ok_or(TokenFault::Malformed)?;
        Ok(Self { algorithm, key_id, message, signature, payload })
    }

    /// The claims. To be asked for once the signature is verified, and not before.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, TokenFault> {
        object(self.payload)
    }
}

struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
}

impl Header {
    /// Whatever else a header says is of no account: in particular no key, and no address of one, is taken from it.
    fn read(part: &str) -> Result<Self, TokenFault> {
        let members = object(part)?;
        if members.contains_key("crit") {
            return Err(TokenFault::Critical);
        }
        match members.get("typ") {
            None => {}
            Some(Value::String(written)) => {
                let name = written.to_ascii_lowercase();
                if !TYPES.contains(&name.strip_prefix("application/").unwrap_or(&name)) {
                    return Err(TokenFault::Type);
                }
            }
            Some(_) => return Err(TokenFault::Type),
        }
        let algorithm = members.get("alg").and_then(Value::as_str).and_then(Algorithm::named);
        let key_id = match members.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(TokenFault::Malformed),
        };
        Ok(Self { algorithm: algorithm.ok_or(TokenFault::Algorithm)?, key_id })
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenFault> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed)
}

/// A part that is a JSON object in which no name is there twice (RFC 7519, 4): two readers would read two things.
fn object(part: &str) -> Result<Map<String, Value>, TokenFault> {
    match serde_json::from_slice(&decoded(part)?) {
        Ok(Unique::Once(members)) => Ok(members),
        Ok(Unique::Twice) => Err(TokenFault::Duplicate),
        Err(_) => Err(TokenFault::Malformed),
    }
}

enum Unique {
    Once(Map<String, Value>),
    Twice,
}

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Unique, A::Error> {
                let (mut members, mut twice) = (Map::new(), false);
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    twice |= members.insert(name, value).is_some();
                }
                Ok(if twice { Unique::Twice } else { Unique::Once(members) })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

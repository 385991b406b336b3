//! What a token says of itself, if it is a JWT. Its signature is for the destination to verify: this only tells whether it
//! is what was asked for.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

/// Reads base64 as the most lenient do.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A JWT whose claims cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbled;

/// The two claims that matter here.
#[derive(Default, Deserialize)]
pub(super) struct Claims {
    aud: Option<Value>,
    exp: Option<Value>,
}

impl Claims {
    /// Those of a token; none if it is no JWT, or one that is encrypted.
    ///
    /// # Errors
    ///
    /// For a JWT whose claims cannot be read: somebody who is less strict may read them all the same.
    pub(super) fn of(token: &str) -> Result<Option<Self>, Garbled> {
        let mut parts = token.split('.');
        let (Some(head), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Ok(None);
        };
        if !is_head(head) {
            return Ok(None);
        }
        let payload = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(payload).map_err(|_| Garbled)?);
        // The braces of an object: a list of two would be taken for the two claims.
        if !payload.trim_ascii_start().starts_with(b"{") {
            return Err(Garbled);
        }
        serde_json::from_slice(&payload).map(Some).map_err(|_| Garbled)
    }

    /// Is it for somebody, and not for this one?
    pub(super) fn is_for_another(&self, audience: &str) -> bool {
        match &self.aud {
            None | Some(Value::Null) => false,
            Some(Value::Array(all)) => !all.iter().any(|one| one == audience),
            Some(one) => one != audience,
        }
    }

    /// When it expires, in seconds since 1970.
    pub(super) fn expires_at(&self) -> Option<i64> {
        let exp = self.exp.as_ref()?.as_f64()?;
        #[expect(clippy::cast_possible_truncation, reason = "what does not fit is the end of time, either way")]
        exp.is_finite().then_some(exp as i64)
    }
}

/// Is this the head of a JWT, for anybody at all?
fn is_head(part: &str) -> bool {
    let spelled = part.replace('+', "-").replace('/', "_");
    let decoded = LENIENT.decode(spelled).ok();
    let head: Option<Value> = decoded.and_then(|head| serde_json::from_slice(&head).ok());
    head.is_some_and(|head| head.get("alg").is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(claims: &Value) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn an_audience_is_the_one_or_among_several() {
        for (aud, is_for_another) in [
            (json!("orders"), false),
            (json!(["billing", "orders"]), false),
            (json!("billing"), true),
            (json!("orders2"), true),
            (json!(["billing"]), true),
            (json!([]), true),
            (json!(""), true),
            (json!(7), true),
            (json!({ "orders": true }), true),
            (json!(null), false),
        ] {
            let claims = Claims::of(&token(&json!({ "aud": aud }))).unwrap().unwrap();
            assert_eq!(claims.is_for_another("orders"), is_for_another, "{aud}");
        }
        assert!(
            !Claims::of(&token(&json!({}))).unwrap().unwrap().is_for_another("orders"),
            "it does not say for whom it is"
        );
    }

    #[test]
    fn what_is_no_jwt_says_nothing_of_itself() {
        for text in ["", "opaque", "a.b", "a.b.c", "a.e30.c.d", "a..c", "a.W10.c", "lh_0_x"] {
            assert!(Claims::of(text).unwrap().is_none(), "{text}");
        }
    }

    #[test]
    fn a_jwt_whose_claims_only_others_read_is_garbled() {
        let claims = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let heads =
            [claims(r#"{"alg":"RS256"}"#), format!("{}=", claims(r#"{"alg":"RS256","x":"??>"}"#)).replace('_', "/")];
        for head in heads {
            for payload in [
                claims(r#"{"aud":"billing","aud":"orders"}"#),
                format!("{}==", claims(r#"{"aud":"billing"}"#)),
                claims("{\"aud\":\"billing\""),
                claims(r#"["orders",1]"#),
                BASE64_URL_SAFE_NO_PAD.encode(b"{\"aud\":\"billing\xff\"}"),
                String::new(),
                "a".to_owned(),
            ] {
                assert_eq!(Claims::of(&format!("{head}.{payload}.c2ln")).err(), Some(Garbled), "{head}.{payload}");
            }
        }
    }

    #[test]
    fn a_time_may_have_a_fraction_and_is_a_number() {
        let exp = |exp: Value| Claims::of(&token(&json!({ "exp": exp }))).unwrap().unwrap().expires_at();
        assert_eq!(exp(json!(1_900_000_000)), Some(1_900_000_000));
        assert_eq!(exp(json!(1_900_000_000.7)), Some(1_900_000_000));
        assert_eq!(exp(json!("1900000000")), None);
        assert_eq!(exp(json!(null)), None);
    }
}

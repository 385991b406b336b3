//! What a token says of itself, if it is a JWT. Its signature is for the destination to verify: this only tells whether it
//! is what was asked for.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

/// The two claims that matter here.
#[derive(Default, Deserialize)]
pub(super) struct Claims {
    aud: Option<Value>,
    exp: Option<Value>,
}

impl Claims {
    /// Those of a token; none if it is no JWT, or one that is encrypted.
    pub(super) fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let payload = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?);
        serde_json::from_slice(&payload).ok()
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
            let claims = Claims::of(&token(&json!({ "aud": aud }))).unwrap();
            assert_eq!(claims.is_for_another("orders"), is_for_another, "{aud}");
        }
        assert!(!Claims::of(&token(&json!({}))).unwrap().is_for_another("orders"), "it does not say for whom it is");
    }

    #[test]
    fn what_is_no_jwt_says_nothing_of_itself() {
        for text in ["", "opaque", "a.b", "a.b.c", "a.e30.c.d", "a..c", "a.W10.c", "lh_0_x"] {
            assert!(Claims::of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_time_may_have_a_fraction_and_is_a_number() {
        let exp = |exp: Value| Claims::of(&token(&json!({ "exp": exp }))).unwrap().expires_at();
        assert_eq!(exp(json!(1_900_000_000)), Some(1_900_000_000));
        assert_eq!(exp(json!(1_900_000_000.7)), Some(1_900_000_000));
        assert_eq!(exp(json!("1900000000")), None);
        assert_eq!(exp(json!(null)), None);
    }
}

//! The standards' own examples, and which keys are taken.

use serde_json::{Value, json};

use super::algorithm::Algorithm;
use super::fault::TokenFault;
use super::key::{KeyFault, VerificationKey};
use super::key_set::KeySet;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// RFC 7515, A.2 and A.3; RFC 8037, A.4: key, algorithm, what is signed, signature.
fn examples() -> [(Value, Algorithm, String, &'static str); 3] {
    [
        (
            json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" }),
            Algorithm::Rs256,
            format!("eyJhbGciOiJSUzI1NiJ9.{JOE}"),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            json!({
                "kty": "EC", "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            }),
            Algorithm::Es256,
            format!("eyJhbGciOiJFUzI1NiJ9.{JOE}"),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
            Algorithm::EdDsa,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ]
}

fn decoded(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[test]
fn what_the_standards_sign_is_verified_and_nothing_else() {
    let keys = KeySet::new(examples().iter().map(|(jwk, ..)| VerificationKey::from_jwk(jwk).unwrap()).collect());
    for (_, algorithm, message, signature) in examples() {
        let signature = decoded(signature);
        assert_eq!(keys.verify(algorithm, None, message.as_bytes(), &signature), Ok(()), "{algorithm:?}");
        let other = format!("{message}x");
        assert_eq!(keys.verify(algorithm, None, other.as_bytes(), &signature), Err(TokenFault::Signature));
    }
    assert_eq!(keys.verify(Algorithm::Hs256, None, b"", &[]), Err(TokenFault::Algorithm));
}

#[test]
fn a_token_is_tried_with_a_few_keys_and_names_its_own_among_many() {
    let [_, _, (ed, algorithm, message, signature)] = examples();
    let signature = decoded(signature);
    let named = |id: usize| {
        let mut jwk = ed.clone();
        jwk["kid"] = json!(id.to_string());
        VerificationKey::from_jwk(&jwk).unwrap()
    };
    let [(rsa, ..), ..] = examples();
    // A key for another algorithm costs nothing.
    let others = || (0..20).map(|_| VerificationKey::from_jwk(&rsa).unwrap());
    let verify = |count: usize, id| {
        let keys = KeySet::new((0..count).map(named).chain(others()).collect());
        keys.verify(algorithm, id, message.as_bytes(), &signature)
    };
    assert_eq!(verify(8, None), Ok(()));
    assert_eq!(verify(9, None), Err(TokenFault::WhichKey));
    assert_eq!(verify(9, Some("8")), Ok(()));
    assert_eq!(verify(9, Some("9")), Err(TokenFault::Algorithm));
}

#[test]
fn a_key_that_is_none_is_refused_with_what_to_do_instead() {
    let [(rsa, ..), (ec, ..), (ed, ..)] = examples();
    let changed = |jwk: &Value, more: Value| {
        let mut jwk = jwk.clone();
        jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        VerificationKey::from_jwk(&jwk).map(drop)
    };
    for (jwk, more, expected) in [
        (&rsa, json!({ "d": "AQAB" }), Err(KeyFault::Private)),
        (&ed, json!({ "d": 1 }), Err(KeyFault::Private)),
        (&rsa, json!({ "kty": "oct", "k": "AQAB" }), Err(KeyFault::Symmetric)),
        (&rsa, json!({ "use": "enc" }), Err(KeyFault::OtherUse)),
        (&rsa, json!({ "key_ops": ["encrypt"] }), Err(KeyFault::OtherUse)),
        (&rsa, json!({ "n": RSA_N.get(..170).unwrap() }), Err(KeyFault::Unreadable)),
        (&rsa, json!({ "n": RSA_N.get(..172).unwrap() }), Err(KeyFault::Unsupported)),
        (&rsa, json!({ "alg": "ES256" }), Err(KeyFault::Unsupported)),
        (&rsa, json!({ "alg": "none" }), Err(KeyFault::Unsupported)),
        (&rsa, json!({ "alg": "HS256" }), Err(KeyFault::Unsupported)),
        (&ec, json!({ "crv": "secp256k1" }), Err(KeyFault::Unsupported)),
        (&ec, json!({ "crv": "P-384" }), Err(KeyFault::Unreadable)),
        (&ec, json!({ "x": ec["y"] }), Err(KeyFault::Unreadable)),
        (&ec, json!({ "kty": "RSA" }), Err(KeyFault::Unreadable)),
        (&ed, json!({ "crv": "Ed448" }), Err(KeyFault::Unsupported)),
        (&ed, json!({ "crv": "X25519" }), Err(KeyFault::Unsupported)),
        (&ed, json!({ "x": "AQAB" }), Err(KeyFault::Unreadable)),
        (&ed, json!({ "kid": 1 }), Err(KeyFault::Unreadable)),
        (&rsa, json!({ "use": "sig", "key_ops": ["verify"], "alg": "PS256", "kid": "1", "x5t": "…" }), Ok(())),
        (&ed, json!({ "alg": "Ed25519" }), Ok(())),
    ] {
        assert_eq!(changed(jwk, more.clone()), expected, "{more}");
    }
}

#[test]
fn a_key_with_an_algorithm_takes_no_other() {
    let [(mut rsa, ..), ..] = examples();
    rsa["alg"] = json!("PS512");
    let key = VerificationKey::from_jwk(&rsa).unwrap();
    assert!(key.takes(Algorithm::Ps512) && !key.takes(Algorithm::Rs256) && !key.takes(Algorithm::Ps256));
}

#[test]
fn a_pem_is_a_public_key_or_a_fault() {
    let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAA\n-----END PRIVATE KEY-----";
    for (pem, fault) in [
        (private, KeyFault::Private),
        (&private.replace("PRIVATE", "EC PRIVATE"), KeyFault::Private),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", KeyFault::Certificate),
        ("-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----", KeyFault::Unreadable),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", KeyFault::Unsupported),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PRIVATE KEY-----", KeyFault::Unreadable),
        ("secret", KeyFault::Unreadable),
        ("", KeyFault::Unreadable),
    ] {
        assert_eq!(VerificationKey::from_pem(pem).map(drop), Err(fault), "{pem}");
    }
}

#[test]
fn a_secret_is_long_and_no_key_that_others_may_know() {
    let of = |secret: &str| VerificationKey::from_secret(secret);
    assert_eq!(of(&"x".repeat(31)).map(drop), Err(KeyFault::Short));
    assert_eq!(of("").map(drop), Err(KeyFault::Short));
    let public = "-----BEGIN PUBLIC KEY-----\nAAAAAAAAAAAAAAAAAAAA\n-----END PUBLIC KEY-----";
    assert_eq!(of(public).map(drop), Err(KeyFault::NoSecret));
    assert_eq!(of(&json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" }).to_string()).map(drop), Err(KeyFault::NoSecret));
    let key = of(&"x".repeat(48)).unwrap();
    assert!(key.takes(Algorithm::Hs256) && key.takes(Algorithm::Hs384) && !key.takes(Algorithm::Hs512));
    assert!(!key.takes(Algorithm::Rs256));
}

#[test]
fn of_a_served_set_only_public_keys_are_taken() {
    let [(rsa, ..), (ec, ..), (ed, ..)] = examples();
    let mut private = ed.clone();
    private["d"] = json!("AQAB");
    let keys = json!({ "keys": [rsa, { "kty": "oct", "k": "c2VjcmV0" }, private, { "kty": "new" }, 7, ec] });
    let keys = KeySet::from_jwks(keys.to_string().as_bytes()).unwrap();
    let taken = |algorithm| keys.verify(algorithm, None, b"", &[]) == Err(TokenFault::Signature);
    assert!(taken(Algorithm::Rs256) && taken(Algorithm::Es256));
    assert!(!taken(Algorithm::Hs256) && !taken(Algorithm::EdDsa));
    for nothing in ["", "{}", "[]", "null", r#"{"keys":[]}"#, r#"{"keys":{}}"#, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#]
    {
        assert!(KeySet::from_jwks(nothing.as_bytes()).is_err(), "{nothing}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_no_token_is_read_as_one(text in "[A-Za-z0-9._=+/ -]{0,200}|\\PC{0,60}|(ey[A-Za-z0-9_-]{0,40}\\.){0,4}[A-Za-z0-9_-]{0,40}") {
        let read = super::jws::Jws::read(&text);
        // What is read has three parts, and an algorithm that there is.
        proptest::prop_assert!(read.is_err() || text.matches('.').count() == 2);
    }

    #[test]
    fn no_document_makes_reading_keys_fail_otherwise_than_by_saying_so(document in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        proptest::prop_assert!(KeySet::from_jwks(&document).is_err());
    }
}

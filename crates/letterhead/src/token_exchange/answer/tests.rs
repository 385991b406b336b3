use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

fn good() -> Value {
    json!({ "access_token": "t-1", "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 300 })
}

/// A good answer in which this is otherwise. Null takes a member away.
fn with(member: &str, value: Value) -> Result<Issued, NoToken> {
    let mut answer = good();
    match value {
        Value::Null => drop(answer.as_object_mut().unwrap().remove(member)),
        value => answer[member] = value,
    }
    of(&answer)
}

fn of(answer: &Value) -> Result<Issued, NoToken> {
    read(StatusCode::OK, answer.to_string().as_bytes(), Some("orders"), "the-caller's-own")
}

fn jwt(claims: &Value) -> Value {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    Value::from(format!("{}.{}.c2ln", part(&json!({ "alg": "RS256" })), part(claims)))
}

#[test]
fn an_answer_of_the_standard_gives_a_token_that_no_debug_shows() {
    let issued = of(&good()).unwrap();
    assert_eq!(issued.header, "Bearer t-1");
    assert_eq!((&**issued.text, issued.lifetime, issued.expires_at), ("t-1", Some(300), None));
    assert!(issued.header.is_sensitive());
    assert_eq!(format!("{issued:?} {:?}", issued.header), "Issued(…) Sensitive");
}

#[test]
fn what_servers_write_otherwise_is_understood() {
    for (member, value) in [
        ("token_type", json!("bearer")),
        ("token_type", json!("BEARER")),
        ("issued_token_type", json!("urn:ietf:params:oauth:token-type:jwt")),
        ("issued_token_type", Value::Null),
        ("expires_in", json!("300")),
        ("expires_in", json!(300.5)),
        ("expires_in", json!(0)),
        ("expires_in", Value::Null),
        ("refresh_token", json!("canary")),
        ("scope", json!("orders:read")),
        ("access_token", jwt(&json!({ "aud": ["account", "orders"] }))),
        ("access_token", jwt(&json!({ "sub": "u_1" }))),
    ] {
        assert!(with(member, value.clone()).is_ok(), "{member}: {value}");
    }
}

#[test]
fn a_jwt_that_only_others_can_read_is_refused_where_an_audience_was_asked() {
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let twice = format!("{}.{}.c2ln", part(r#"{"alg":"RS256"}"#), part(r#"{"aud":"billing","aud":"orders"}"#));
    let answer = with("access_token", Value::from(twice.clone()));
    assert!(matches!(answer, Err(NoToken::Unusable(_))), "{answer:?}");
    let mut answer = good();
    answer["access_token"] = Value::from(twice);
    assert!(
        read(StatusCode::OK, answer.to_string().as_bytes(), None, "the-caller's-own").is_ok(),
        "nothing to compare"
    );
}

#[test]
fn what_is_not_what_was_asked_for_is_no_token() {
    for (member, value) in [
        ("token_type", json!("N_A")),
        ("token_type", json!("DPoP")),
        ("token_type", json!("mac")),
        ("token_type", json!("")),
        ("token_type", json!(7)),
        ("token_type", Value::Null),
        ("issued_token_type", json!("urn:ietf:params:oauth:token-type:refresh_token")),
        ("issued_token_type", json!("urn:ietf:params:oauth:token-type:id_token")),
        ("issued_token_type", json!("urn:ietf:params:oauth:token-type:saml2")),
        ("issued_token_type", json!("canary")),
        ("issued_token_type", json!([ACCESS_TOKEN])),
        ("access_token", Value::Null),
        ("access_token", json!("")),
        ("access_token", json!({})),
        ("access_token", json!("canary with blanks")),
        ("access_token", json!("canary\r\nX-Injected: 1")),
        ("access_token", json!("canary\u{e9}")),
        ("access_token", json!("c".repeat(LONGEST + 1))),
        ("access_token", json!("the-caller's-own")),
        ("access_token", jwt(&json!({ "aud": "billing" }))),
        ("access_token", jwt(&json!({ "aud": [] }))),
        ("expires_in", json!(-1)),
        ("expires_in", json!("soon")),
        ("expires_in", json!("NaN")),
        ("expires_in", json!([300])),
    ] {
        let no = with(member, value.clone()).unwrap_err();
        assert!(matches!(no, NoToken::Unusable(_)), "{member}: {value}: {no}");
        assert!(!no.to_string().contains("canary"), "{no}");
    }
}

#[test]
fn a_body_that_is_no_object_or_says_a_thing_twice_is_no_answer() {
    let twice = br#"{"access_token":"one","access_token":"two","token_type":"Bearer"}"#;
    for body in [&b""[..], b"canary", b"[]", b"\"t\"", b"null", b"\xff\xfe", b"{", b"<html>canary</html>", twice] {
        let no = read(StatusCode::OK, body, None, "own").unwrap_err();
        assert!(matches!(no, NoToken::Unusable(_)), "{no}");
        assert!(!no.to_string().contains("canary"), "{no}");
    }
}

#[test]
fn of_an_error_its_code_is_told_and_nothing_else() {
    let error = |status: u16, body: &Value| {
        read(StatusCode::from_u16(status).unwrap(), body.to_string().as_bytes(), None, "own").unwrap_err()
    };
    let described = json!({ "error": "invalid_target", "error_description": "canary", "error_uri": "https://canary" });
    let told = error(400, &described).to_string();
    assert_eq!(told, "no token for it: the token endpoint refused, with 400 invalid_target");
    assert_eq!(
        error(401, &json!({ "error": "invalid_client" })),
        NoToken::Denied { status: 401, code: Some("invalid_client") }
    );
    for body in [json!({ "error": "canary" }), json!({ "error": ["invalid_grant"] }), json!("canary"), json!({})] {
        assert_eq!(error(400, &body), NoToken::Denied { status: 400, code: None }, "{body}");
    }
    assert_eq!(error(503, &good()), NoToken::Denied { status: 503, code: None }, "a token of a failure is none");
    assert_eq!(error(201, &good()), NoToken::Denied { status: 201, code: None });
    assert_eq!(error(302, &good()), NoToken::Redirected);
    assert_eq!(error(307, &good()), NoToken::Redirected);
}

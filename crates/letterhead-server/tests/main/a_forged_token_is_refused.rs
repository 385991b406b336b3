//! CONTRACT 6: a token that is forged, damaged or meant for something else is 401, and nobody is asked instead.

use std::sync::Arc;

use letterhead_server::app::App;
use serde_json::{Value, json};

use crate::support::{Answered, NOW, Signer, app_then, built, call, claims, claims_without, encoded, memory, said};

/// Whoever is refused here would get in by the next rule: the peer is a trusted gateway, and strangers are served.
const PEER: &str = "10.0.0.1";

/// Issuers that the server believes, and its application.
struct Stage {
    ed: Signer,
    rsa: Signer,
    ec: Signer,
    app: Arc<App>,
}

impl Stage {
    fn new() -> Self {
        let (ed, rsa, ec) = (Signer::ed(), Signer::rsa(), Signer::p256());
        let keys = json!([ed.jwk("ed-1"), rsa.jwk("rsa-1"), ec.jwk("ec-1")]);
        let yaml = format!(
            "auth:\n  jwt: {{ issuer: 'https://id.example.com', audience: [letterhead, other], keys: {keys} }}\n  \
             trust_identity_headers: [10.0.0.0/8]\n  anonymous: allow\n\
             agents: {{ a: {{ instructions: 'For {{{{ caller.user_id }}}} by {{{{ caller.source }}}}.' }} }}"
        );
        let (app, _) = app_then(&yaml, |_| memory());
        Self { ed, rsa, ec, app }
    }

    async fn shows(&self, authorization: &[&str]) -> Answered {
        let mut headers = vec![("x-user-id", "mallory")];
        headers.extend(authorization.iter().map(|value| ("authorization", *value)));
        call(&self.app, PEER, built("POST", "/v1/chat/completions", &headers, said("Hi").to_string())).await
    }

    #[track_caller]
    fn is_refused(&self, what: &str, answered: &Answered) {
        assert_eq!(answered.status, 401, "{what}: {}", answered.text);
        answered.problem(401, "unauthenticated");
        let challenge = answered.header("www-authenticate").unwrap();
        let error = challenge.starts_with("Bearer error=\"invalid_token\"")
            || challenge.starts_with("Bearer error=\"invalid_request\"");
        assert!(error && challenge.contains("resource_metadata="), "{what}: {challenge}");
    }
}

#[tokio::test]
async fn a_good_token_gets_in_so_that_the_rest_is_refused_for_what_is_wrong_with_it() {
    let stage = Stage::new();
    for (signer, id) in [(&stage.ed, "ed-1"), (&stage.rsa, "rsa-1"), (&stage.ec, "ec-1")] {
        let token = signer.token(id, &claims(&json!({})));
        for scheme in ["Bearer", "bearer", "BEARER", "Bearer "] {
            let answered = stage.shows(&[&format!("{scheme} {token}")]).await;
            assert!(answered.content().contains("For ada by token."), "{id}: {}", answered.text);
        }
    }
    // Without a token the rules below decide.
    assert!(stage.shows(&[]).await.content().contains("For mallory by trusted_header."));
}

#[tokio::test]
async fn whatever_is_wrong_with_its_form() {
    let stage = Stage::new();
    let good = stage.ed.token("ed-1", &claims(&json!({})));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("a token has three parts")
    };
    let padded = format!("{header}=.{payload}.{signature}");
    let standard = {
        // The other alphabet of base64, which ends in the same bytes.
        let odd = encoded([0xfb, 0xff, 0xfe]);
        format!("{header}.{payload}.{}", odd.replace('-', "+").replace('_', "/"))
    };
    let loose = {
        // The last character has bits that no byte takes: two texts would be one token.
        let (begin, last) = signature.split_at(signature.len() - 1);
        let next = char::from(last.as_bytes()[0] + 1);
        format!("{header}.{payload}.{begin}{next}")
    };
    let none = |name: &str| format!("{}.{payload}.", encoded(json!({ "alg": name, "typ": "JWT" }).to_string()));
    let signed = |header: Value| stage.ed.token_of("EdDSA", &header.to_string(), &claims(&json!({})).to_string());
    let of = |claims: &str| stage.ed.token_of("EdDSA", r#"{"alg":"EdDSA","kid":"ed-1"}"#, claims);
    let huge = claims(&json!({ "padding": "x".repeat(17 << 10) }));
    let table = [
        ("alg none", none("none")),
        ("alg None", none("None")),
        ("alg NONE", none("NONE")),
        ("alg nOnE", none("nOnE")),
        ("alg none, and a good signature", signed(json!({ "alg": "none", "kid": "ed-1" }))),
        ("no alg", signed(json!({ "kid": "ed-1" }))),
        ("alg of another case", signed(json!({ "alg": "eddsa", "kid": "ed-1" }))),
        ("alg is a number", signed(json!({ "alg": 256, "kid": "ed-1" }))),
        ("alg is a list", signed(json!({ "alg": ["EdDSA"], "kid": "ed-1" }))),
        ("kid is a number", signed(json!({ "alg": "EdDSA", "kid": 1 }))),
        ("crit", signed(json!({ "alg": "EdDSA", "kid": "ed-1", "crit": ["exp"] }))),
        ("crit, empty", signed(json!({ "alg": "EdDSA", "kid": "ed-1", "crit": [] }))),
        ("crit and b64", signed(json!({ "alg": "EdDSA", "kid": "ed-1", "crit": ["b64"], "b64": false }))),
        ("a logout token", signed(json!({ "alg": "EdDSA", "kid": "ed-1", "typ": "logout+jwt" }))),
        ("an event", signed(json!({ "alg": "EdDSA", "kid": "ed-1", "typ": "secevent+jwt" }))),
        ("typ is a number", signed(json!({ "alg": "EdDSA", "kid": "ed-1", "typ": 1 }))),
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("two parts and a dot", format!("{header}.{payload}.")),
        ("four parts", format!("{good}.{signature}")),
        ("encrypted", format!("{header}.{payload}.{signature}.{payload}.{signature}")),
        ("two dots", "..".to_owned()),
        ("a dot before", format!(".{good}")),
        ("padded", padded),
        ("another alphabet", standard),
        ("bits too many", loose),
        ("a header that is no JSON", format!("{}.{payload}.{signature}", encoded("nonsense"))),
        ("a header that is a list", stage.ed.token_of("EdDSA", r#"["EdDSA"]"#, &claims(&json!({})).to_string())),
        ("a header that is null", stage.ed.token_of("EdDSA", "null", &claims(&json!({})).to_string())),
        ("claims that are no JSON", of("nonsense")),
        ("claims that are a list", of("[]")),
        ("claims that are a token", of(&good)),
        ("claims and something behind", of(&format!("{}x", claims(&json!({}))))),
        (
            "a name twice in the claims",
            of(&claims(&json!({})).to_string().replace(r#""sub":"ada""#, r#""sub":"ada","sub":"root""#)),
        ),
        ("exp twice", of(&claims(&json!({})).to_string().replace(r#""sub""#, &format!(r#""exp":{},"sub""#, NOW + 1)))),
        (
            "alg twice",
            stage.ed.token_of("EdDSA", r#"{"alg":"none","alg":"EdDSA","kid":"ed-1"}"#, &claims(&json!({})).to_string()),
        ),
        ("larger than 16 KiB", stage.ed.token("ed-1", &huge)),
        ("nothing", String::new()),
        ("a dummy", "sk-dummy".to_owned()),
        ("an API key, where none are taken", format!("lh_0123456789abcdef_{}", encoded([7; 32]))),
    ];
    for (what, token) in &table {
        stage.is_refused(what, &stage.shows(&[&format!("Bearer {token}")]).await);
    }
    for (what, authorization) in [
        ("Basic", vec!["Basic YWRhOnB3".to_owned()]),
        ("Digest", vec![format!("Digest {good}")]),
        ("no scheme", vec![good.clone()]),
        ("the scheme alone", vec!["Bearer".to_owned()]),
        ("empty", vec![String::new()]),
        ("a tab", vec![format!("Bearer\t{good}")]),
        ("a blank inside", vec![format!("Bearer {header}. {payload}.{signature}")]),
        ("something behind", vec![format!("Bearer {good} x")]),
        ("two in one", vec![format!("Bearer {good}, Bearer {good}")]),
        ("quotes", vec![format!("Bearer \"{good}\"")]),
        ("not ASCII", vec![format!("Bearer {good}\u{e9}")]),
        ("two headers", vec![format!("Bearer {good}"), format!("Bearer {good}")]),
        ("two headers, one bad", vec![format!("Bearer {good}"), "Bearer x".to_owned()]),
        ("two headers, one Basic", vec![format!("Bearer {good}"), "Basic YWRhOnB3".to_owned()]),
    ] {
        let authorization: Vec<&str> = authorization.iter().map(String::as_str).collect();
        stage.is_refused(what, &stage.shows(&authorization).await);
    }
}

#[tokio::test]
async fn whoever_has_not_the_key_signs_in_vain() {
    let stage = Stage::new();
    let good = claims(&json!({})).to_string();
    let as_secret = |secret: Vec<u8>, id: &str| {
        let header = json!({ "alg": "HS256", "typ": "JWT", "kid": id });
        Signer::Secret(secret).token_of("HS256", &header.to_string(), &good)
    };
    let modulus = stage.rsa.jwk("")["n"].as_str().unwrap().to_owned();
    let other = Signer::ed();
    let embedded = json!({ "alg": "EdDSA", "kid": "ed-1", "jwk": other.jwk("ed-1") });
    let address =
        json!({ "alg": "EdDSA", "kid": "ed-1", "jku": "http://127.0.0.1:9/jwks.json", "x5u": "http://127.0.0.1:9/" });
    let chain = json!({ "alg": "EdDSA", "kid": "ed-1", "x5c": ["MAo="] });
    let signed =
        |signer: &Signer, algorithm: &str, header: &Value| signer.token_of(algorithm, &header.to_string(), &good);
    let token = stage.ed.token("ed-1", &claims(&json!({})));
    let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("a token has three parts") };
    let raised = encoded(claims(&json!({ "sub": "root" })).to_string());
    let short = signature.get(..signature.len() - 4).unwrap();
    let zeros = |length: usize| encoded(vec![0; length]);
    let payload = encoded(&good);
    let es = encoded(json!({ "alg": "ES256", "kid": "ec-1" }).to_string());
    let table = [
        ("HS256 with the public key's PEM", as_secret(stage.rsa.pem().into_bytes(), "rsa-1")),
        ("HS256 with the PEM, trimmed", as_secret(stage.rsa.pem().trim().as_bytes().to_vec(), "rsa-1")),
        ("HS256 with the public key's DER", as_secret(stage.rsa.der(), "rsa-1")),
        ("HS256 with the modulus", as_secret(modulus.into_bytes(), "rsa-1")),
        ("HS256 with the JWK", as_secret(stage.ed.jwk("ed-1").to_string().into_bytes(), "ed-1")),
        ("HS256 with nothing", as_secret(Vec::new(), "ed-1")),
        ("another key of the same id", other.token("ed-1", &claims(&json!({})))),
        ("another key, no id", signed(&other, "EdDSA", &json!({ "alg": "EdDSA" }))),
        ("another key, which the token brings", signed(&other, "EdDSA", &embedded)),
        ("another key, and its address", signed(&other, "EdDSA", &address)),
        ("another key, and a certificate", signed(&other, "EdDSA", &chain)),
        ("the id of another key", stage.ed.token("rsa-1", &claims(&json!({})))),
        ("the id of no key", stage.ed.token("ed-2", &claims(&json!({})))),
        ("an id that is a path", stage.ed.token("../../dev/null", &claims(&json!({})))),
        ("an id that is SQL", stage.ed.token("' OR 1=1 --", &claims(&json!({})))),
        ("PS256 by name, RS256 by signature", signed(&stage.rsa, "RS256", &json!({ "alg": "PS256", "kid": "rsa-1" }))),
        ("RS512 by name, RS256 by signature", signed(&stage.rsa, "RS256", &json!({ "alg": "RS512", "kid": "rsa-1" }))),
        ("ES384 with a P-256 key", signed(&stage.ec, "ES256", &json!({ "alg": "ES384", "kid": "ec-1" }))),
        ("RS256 with an EC key", signed(&stage.ec, "ES256", &json!({ "alg": "RS256", "kid": "ec-1" }))),
        ("other claims under the signature", format!("{header}.{raised}.{signature}")),
        ("another header over the signature", format!("{}.{payload}.{signature}", encoded(r#"{"alg":"EdDSA"}"#))),
        ("a shorter signature", format!("{header}.{payload}.{short}")),
        ("a longer signature", format!("{header}.{payload}.{signature}AAAA")),
        ("a signature of zeros", format!("{header}.{payload}.{}", zeros(64))),
        // CVE-2022-21449: r = s = 0 fits every message, for who does not look.
        ("an EC signature of zeros", format!("{es}.{payload}.{}", zeros(64))),
        ("an EC signature of nothing", format!("{es}.{payload}.")),
    ];
    for (what, token) in &table {
        stage.is_refused(what, &stage.shows(&[&format!("Bearer {token}")]).await);
    }
}

#[tokio::test]
async fn whatever_its_claims_say_amiss() {
    let stage = Stage::new();
    let without = |name: &str| claims_without(name);
    let with = |name: &str, value: Value| claims(&json!({ name: value }));
    let table = [
        ("no issuer", without("iss")),
        ("another issuer", with("iss", json!("https://evil.example"))),
        ("an issuer and a slash", with("iss", json!("https://id.example.com/"))),
        ("an issuer in capitals", with("iss", json!("HTTPS://ID.EXAMPLE.COM"))),
        ("an issuer in a list", with("iss", json!(["https://id.example.com"]))),
        ("no audience", without("aud")),
        ("another audience", with("aud", json!("billing"))),
        ("no audience in the list", with("aud", json!([]))),
        ("other audiences", with("aud", json!(["billing", "Letterhead"]))),
        ("a part of the audience", with("aud", json!("letter"))),
        ("an audience that is a number", with("aud", json!(1))),
        ("an audience that is an object", with("aud", json!({ "letterhead": true }))),
        ("no end", without("exp")),
        ("past", with("exp", json!(NOW - 60))),
        ("past by a fraction", with("exp", json!((NOW as f64) - 60.5))),
        ("long past", with("exp", json!(0))),
        ("an end before 1970", with("exp", json!(-1))),
        ("an end that is a text", with("exp", json!((NOW + 300).to_string()))),
        ("an end that is null", with("exp", Value::Null)),
        ("an end that is true", with("exp", json!(true))),
        ("not yet", with("nbf", json!(NOW + 61))),
        ("a beginning that is a text", with("nbf", json!("0"))),
        ("no user", without("sub")),
        ("an empty user", with("sub", json!(""))),
        ("a blank user", with("sub", json!("  "))),
        ("a user with blanks around", with("sub", json!(" ada"))),
        ("a user that is null", with("sub", Value::Null)),
        ("a user that is a number", with("sub", json!(7))),
        ("a user that is a list", with("sub", json!(["ada"]))),
        ("a user with a line break", with("sub", json!("ada\nroot"))),
        ("a user with a NUL", with("sub", json!("ada\u{0}"))),
        ("a user of 257 bytes", with("sub", json!("x".repeat(257)))),
        ("the user of an API key", with("sub", json!("key:reports"))),
    ];
    for (what, claims) in &table {
        let token = stage.ed.token("ed-1", claims);
        stage.is_refused(what, &stage.shows(&[&format!("Bearer {token}")]).await);
    }
    // An end beyond all numbers is no JSON that a reader takes.
    let beyond = claims(&json!({})).to_string().replace(&(NOW + 300).to_string(), "1e999");
    let token = stage.ed.token_of("EdDSA", r#"{"alg":"EdDSA","kid":"ed-1"}"#, &beyond);
    stage.is_refused("an end beyond all numbers", &stage.shows(&[&format!("Bearer {token}")]).await);
}

#[tokio::test]
async fn no_character_of_a_good_token_can_be_another() {
    let stage = Stage::new();
    for (signer, id) in [(&stage.ed, "ed-1"), (&stage.ec, "ec-1")] {
        let token = signer.token(id, &claims(&json!({})));
        for at in 0..token.len() {
            let (before, rest) = token.split_at(at);
            let other = if rest.starts_with('A') { "B" } else { "A" };
            let changed = format!("{before}{other}{}", &rest[1..]);
            stage.is_refused(&changed, &stage.shows(&[&format!("Bearer {changed}")]).await);
            let shorter = format!("{before}{}", &rest[1..]);
            stage.is_refused(&shorter, &stage.shows(&[&format!("Bearer {shorter}")]).await);
        }
    }
}

#[tokio::test]
async fn clocks_may_be_a_minute_apart() {
    let stage = Stage::new();
    for (name, value) in
        [("exp", json!(NOW - 59)), ("nbf", json!(NOW + 60)), ("nbf", json!(NOW - 1)), ("iat", json!(NOW + 5))]
    {
        let token = stage.ed.token("ed-1", &claims(&json!({ name: value })));
        assert_eq!(stage.shows(&[&format!("Bearer {token}")]).await.status, 200, "{name}");
    }
    for audience in [json!("other"), json!(["billing", "letterhead"])] {
        let token = stage.ed.token("ed-1", &claims(&json!({ "aud": audience })));
        assert_eq!(stage.shows(&[&format!("Bearer {token}")]).await.status, 200);
    }
}

//! `auth:` says whom to believe, so that what is wrong with it is told before anybody is believed.
#![expect(clippy::panic, reason = "the functions that tests share fail by panicking, as tests do")]

use letterhead_server::auth::KeySource;
use letterhead_server::config::{self, Loaded};

const KEY: &str = "{ kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo, kid: a }";

fn read(auth: &str) -> Result<Loaded, String> {
    let text = format!("auth: {auth}\nagents: {{ a: {{}} }}");
    let env =
        |name: &str| (name == "JWT_SECRET").then(|| "a secret of at least 32 bytes from the environment".to_owned());
    config::read_text("letterhead.yaml", &text, &env).map_err(|report| report.to_string())
}

#[track_caller]
fn fails(auth: &str, expected: &str) {
    let report = read(auth).err().unwrap_or_else(|| panic!("{auth} has no fault"));
    assert!(report.contains(expected), "{auth}:\n{report}");
}

#[track_caller]
fn loads(auth: &str) -> Loaded {
    read(auth).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn issuer_audience_and_one_source_of_keys_are_needed() {
    let both = "issuer: 'https://id.example.com', audience: letterhead";
    fails("{ jwt: {} }", "`issuer`");
    fails("{ jwt: {} }", "`audience`");
    fails("{ jwt: { issuer: '', audience: a, secret: x } }", "issuer");
    fails("{ jwt: { issuer: a, audience: [], secret: x } }", "audience");
    fails(&format!("{{ jwt: {{ {both} }} }}"), "`auth.jwt` has no key to verify tokens with");
    fails(&format!("{{ jwt: {{ {both}, jwks_url: 'https://a', keys: [{KEY}] }} }}"), "several places");
    fails(&format!("{{ jwt: {{ {both}, keys: [{KEY}], secret: '${{JWT_SECRET}}' }} }}"), "several places");
    fails(&format!("{{ jwt: {{ {both}, jwks-url: 'https://a' }} }}"), "did you mean `jwks_url`");
    fails("{ api_keys: yes please }", "api_keys");
}

#[test]
fn a_key_that_cannot_verify_is_told_with_what_belongs_there() {
    let of = |what: &str| format!("{{ jwt: {{ issuer: a, audience: b, {what} }} }}");
    for (what, expected) in [
        ("secret: short", "at least 32 bytes"),
        ("secret: '-----BEGIN PUBLIC KEY----- AAAAAAAAAAAA -----END PUBLIC KEY-----'", "belongs into `auth.jwt.keys`"),
        ("keys: []", "keys"),
        ("keys: [nonsense]", "this is no public key"),
        ("keys: [{ kty: oct, k: c2VjcmV0 }]", "belongs into `auth.jwt.secret`"),
        ("keys: [{ kty: OKP, crv: Ed25519, x: AAAA, d: AAAA }]", "only the issuer may have"),
        ("keys: ['-----BEGIN PRIVATE KEY----- AAAA -----END PRIVATE KEY-----']", "only the issuer may have"),
        ("keys: ['-----BEGIN CERTIFICATE----- AAAA -----END CERTIFICATE-----']", "openssl x509"),
        ("keys: [{ kty: RSA, n: AQAB, e: AQAB }]", "2048 bits"),
        ("keys: [{ kty: EC, crv: secp256k1, x: AA, y: AA }]", "keys of this kind are not taken"),
        ("jwks_url: id.example.com/keys", "jwks_url"),
        ("jwks_url: 'ftp://id.example.com/keys'", "jwks_url"),
        ("jwks_url: 'https://user:password@id.example.com/keys'", "no user name or password"),
    ] {
        fails(&of(what), expected);
    }
    // Keys that no token can name are tried in turn, and that must not be many.
    let nameless = |count| format!("keys: [{}]", vec![KEY.replace(", kid: a", ""); count].join(", "));
    loads(&of(&nameless(8)));
    fails(&of(&nameless(9)), "at most 8 may have no id");
    loads(&of(&format!("keys: [{}]", [KEY; 9].join(", "))));
    // Each of several is told.
    let report = read(&of(&format!("keys: [nonsense, {KEY}, {{ kty: oct }}]"))).err().unwrap_or_default();
    assert!(report.contains("no public key") && report.contains("shared secret"), "{report}");
}

#[test]
fn what_is_right_is_taken_and_what_is_risky_is_warned_of() {
    let loaded = loads(&format!(
        "{{ jwt: {{ issuer: a, audience: [b, c], keys: [{KEY}], user_claim: email, tenant_claim: org }} }}"
    ));
    let jwt = loaded.config.auth.jwt.as_ref();
    let expected = jwt.map(|jwt| jwt.expected.clone());
    assert!(expected.as_ref().is_some_and(|e| e.audience == ["b", "c"] && &*e.user_claim == "email"));
    assert!(expected.is_some_and(|e| e.tenant_claim.as_deref() == Some("org")));
    assert!(jwt.is_some_and(|jwt| matches!(&jwt.keys, KeySource::Fixed(keys) if keys.len() == 1)));
    assert!(loaded.config.auth.has_verifier() && loaded.warnings.is_empty());

    assert!(loads("{ jwt: { issuer: a, audience: b, secret: '${JWT_SECRET}' } }").warnings.is_empty());
    for (url, warned) in [
        ("https://id.example.com/keys", false),
        ("http://127.0.0.1:9/keys", false),
        ("http://localhost/keys", false),
        ("http://[::1]:9/keys", false),
        ("http://id.example.com/keys", true),
        ("http://127.0.0.1.example.com/keys", true),
    ] {
        let loaded = loads(&format!("{{ jwt: {{ issuer: a, audience: b, jwks_url: '{url}' }} }}"));
        assert_eq!(loaded.warnings.to_string().contains("without TLS"), warned, "{url}");
    }
    let text = "store: memory\nauth: { api_keys: true }\nagents: { a: {} }";
    let memory = config::read_text("letterhead.yaml", text, &|_| None).unwrap_or_else(|report| panic!("{report}"));
    assert!(memory.warnings.to_string().contains("there can be no API keys"));
    assert!(loads("{ api_keys: true }").config.auth.has_verifier());
    assert!(!loads("{ api_keys: false }").config.auth.has_verifier());
}

#[test]
fn a_verifier_of_any_kind_opens_what_needs_one() {
    for auth in [
        "{ api_keys: true }".to_owned(),
        "{ trust_identity_headers: [10.0.0.0/8] }".to_owned(),
        format!("{{ jwt: {{ issuer: a, audience: b, keys: [{KEY}] }} }}"),
    ] {
        let text = format!("server: {{ listen: '0.0.0.0:80', cors: ['*'] }}\nauth: {auth}\nagents: {{ a: {{}} }}");
        let checked = letterhead_server::assembly::check_text("letterhead.yaml", &text, &|_| None);
        assert!(checked.is_ok_and(|checked| checked.loaded.warnings.is_empty()), "{auth}");
    }
    for auth in ["{ api_keys: false }", "{ trust_identity_headers: loopback }", "{ anonymous: deny }"] {
        let text = format!("server: {{ cors: ['*'] }}\nauth: {auth}\nagents: {{ a: {{}} }}");
        assert!(config::read_text("letterhead.yaml", &text, &|_| None).is_err(), "{auth}");
    }
}

//! CONTRACT 6, second row: API keys, whom they stand for, and when they open nothing.

use std::sync::Arc;
use std::time::Duration;

use letterhead_context::TenantId;
use letterhead_server::app::App;
use letterhead_server::auth::KeyText;
use letterhead_store::sqlite::{SqliteOptions, SqliteTool};
use letterhead_store::{ApiKey, ApiKeys, FixedClock, Lifetimes, MemoryStore, SqliteStore, Store};
use serde_json::json;

use crate::support::{Answered, NOW, Signer, app_then, built, call, claims, encoded, said};

const AGENTS: &str =
    "agents: { a: { instructions: '{{ caller.tenant_id }}/{{ caller.user_id }} by {{ caller.source }}.' } }";

/// What a key of the tests is, unless they say otherwise.
fn stored(text: &KeyText) -> ApiKey {
    ApiKey {
        id: Arc::clone(text.id()),
        name: "reports".into(),
        tenant: TenantId::new("acme"),
        scopes: Vec::new(),
        on_behalf: false,
        created_at_ms: NOW * 1000,
        expires_at_ms: None,
        revoked_at_ms: None,
        secret_sha256: text.secret_sha256(),
    }
}

struct Stage {
    app: Arc<App>,
    clock: Arc<FixedClock>,
    store: Arc<MemoryStore>,
}

impl Stage {
    fn new(auth: &str, more: &str) -> Self {
        let mut kept = None;
        let (app, clock) = app_then(&format!("auth: {{ api_keys: true{auth} }}\n{more}\n{AGENTS}"), |clock| {
            let store = Arc::new(MemoryStore::new(Lifetimes::default(), clock));
            kept = Some(Arc::clone(&store));
            store
        });
        Self { app, clock, store: kept.unwrap() }
    }

    async fn key(&self, change: impl FnOnce(&mut ApiKey)) -> String {
        let text = KeyText::generate().unwrap();
        let mut key = stored(&text);
        change(&mut key);
        self.store.create_api_key(key).await.unwrap();
        text.reveal().to_string()
    }

    async fn shows(&self, headers: &[(&str, &str)]) -> Answered {
        call(&self.app, "192.0.2.1", built("POST", "/v1/chat/completions", headers, said("Hi").to_string())).await
    }

    async fn bears(&self, key: &str) -> Answered {
        self.shows(&[("authorization", &format!("Bearer {key}"))]).await
    }
}

#[track_caller]
fn is_refused(answered: &Answered, why: &str) {
    answered.problem(401, "unauthenticated");
    let challenge = answered.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer error=\"invalid_") && challenge.contains(why), "{challenge}");
}

#[tokio::test]
async fn it_stands_for_its_tenant_and_for_a_user_of_its_name() {
    let stage = Stage::new("", "");
    let key = stage.key(|_| {}).await;
    let bearer = format!("Bearer {key}");
    let other = ("x-user-id", "ada");
    for headers in [
        vec![("authorization", bearer.as_str())],
        vec![("x-api-key", key.as_str())],
        vec![("x-api-key", key.as_str()), other, ("x-tenant-id", "evil")],
    ] {
        let answered = stage.shows(&headers).await;
        assert!(answered.content().contains("acme/key:reports by api_key."), "{}", answered.text);
    }
    // Without one, nobody gets in.
    for headers in [vec![], vec![other]] {
        let answered = stage.shows(&headers).await;
        answered.problem(401, "unauthenticated");
        assert_eq!(answered.header("www-authenticate"), Some("Bearer"));
    }
}

#[tokio::test]
async fn on_behalf_it_stands_for_the_user_that_is_named() {
    let stage = Stage::new("", "");
    let key = stage.key(|key| key.on_behalf = true).await;
    let as_user = |user: &'static str| {
        let headers = [("x-api-key".to_owned(), key.clone()), ("x-user-id".to_owned(), user.to_owned())];
        let stage = &stage;
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
            stage.shows(&headers).await
        }
    };
    assert!(as_user("ada").await.content().contains("acme/ada by api_key."));
    assert!(as_user("").await.content().contains("acme/key:reports by api_key."));
    let answered = as_user("key:billing").await;
    answered.problem(400, "invalid_header");
    assert_eq!(answered.faults(), [("X-User-Id".to_owned(), "invalid_header".to_owned())]);
}

#[tokio::test]
async fn one_that_is_not_known_opens_nothing_and_is_never_passed_over() {
    let stage = Stage::new(", trust_identity_headers: [192.0.2.0/24], anonymous: allow", "");
    let key = stage.key(|_| {}).await;
    let (begin, secret) = key.split_at(key.len() - 43);
    let id = begin.trim_start_matches("lh_").trim_end_matches('_');
    let other = KeyText::generate().unwrap().reveal().to_string();
    let wrong = |secret: &str| format!("lh_{id}_{secret}");
    let mut loose = secret.to_owned();
    let last = loose.pop().unwrap();
    loose.push(char::from(last as u8 + 1));
    for (text, why) in [
        (wrong(&encoded([0; 32])), "not known"),
        (wrong(&encoded([255; 32])), "not known"),
        (other.clone(), "not known"),
        (format!("lh_{}_{secret}", "0".repeat(16)), "not known"),
        (wrong(&encoded([0; 31])), "form"),
        (wrong(&encoded([0; 33])), "form"),
        (wrong(""), "form"),
        (wrong(&format!("{secret}=")), "form"),
        (wrong(&loose), "form"),
        (format!("lh_{}_{secret}", id.to_ascii_uppercase() + "A"), "form"),
        (format!("LH_{id}_{secret}"), "form"),
        (format!("lh_{id}"), "form"),
        (id.to_owned(), "form"),
        ("sk-dummy".to_owned(), "form"),
    ] {
        is_refused(&stage.bears(&text).await, why);
        is_refused(&stage.shows(&[("x-api-key", &text), ("x-user-id", "ada")]).await, why);
    }
    is_refused(&stage.shows(&[("x-api-key", &key), ("x-api-key", &other)]).await, "more than once");
    is_refused(&stage.shows(&[("x-api-key", "a b")]).await, "characters");
    is_refused(&stage.shows(&[("x-api-key", "")]).await, "characters");
    is_refused(&stage.shows(&[("authorization", "Basic YTpi"), ("x-api-key", &key)]).await, "`Bearer` and an API key");
    // The right one still opens, and without one the rules below decide.
    assert_eq!(stage.bears(&key).await.status, 200);
    assert!(stage.shows(&[("x-user-id", "ada")]).await.content().contains("default/ada by trusted_header."));
}

#[tokio::test]
async fn one_that_has_expired_opens_nothing() {
    let stage = Stage::new("", "");
    let key = stage.key(|key| key.expires_at_ms = Some((NOW + 60) * 1000)).await;
    assert_eq!(stage.bears(&key).await.status, 200);
    stage.clock.advance(Duration::from_millis(59_999));
    assert_eq!(stage.bears(&key).await.status, 200);
    stage.clock.advance(Duration::from_millis(1));
    is_refused(&stage.bears(&key).await, "expired");
}

#[tokio::test(start_paused = true)]
async fn one_that_was_revoked_opens_nothing_ten_seconds_later() {
    let stage = Stage::new("", "");
    let (key, untouched) = (stage.key(|_| {}).await, stage.key(|_| {}).await);
    assert_eq!(stage.bears(&key).await.status, 200);
    let id = key.split('_').nth(1).unwrap();
    assert!(stage.store.revoke_api_key(id).await.unwrap());
    tokio::time::advance(Duration::from_secs(10)).await;
    is_refused(&stage.bears(&key).await, "revoked");
    assert_eq!(stage.bears(&untouched).await.status, 200);
    // Whoever does not know the secret is not told that either.
    is_refused(&stage.bears(&format!("lh_{id}_{}", encoded([1; 32]))).await, "not known");
}

#[tokio::test(start_paused = true)]
async fn the_store_is_not_asked_for_every_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letterhead.db");
    let mut opened = None;
    let (app, clock) = app_then(&format!("auth: {{ api_keys: true }}\n{AGENTS}"), |clock| {
        let store = Arc::new(SqliteStore::open(&file, SqliteOptions::default(), clock).unwrap());
        opened = Some(Arc::clone(&store));
        store as Arc<dyn Store>
    });
    let store = opened.unwrap();
    // As the command line does, beside the server.
    let tool = SqliteTool::open(&file, SqliteOptions::default(), clock).unwrap();
    let text = KeyText::generate().unwrap();
    let (bearer, path) = (format!("Bearer {}", *text.reveal()), "/v1/models");
    let shown = || call(&app, "192.0.2.1", built("GET", path, &[("authorization", &bearer)], ""));
    is_refused(&shown().await, "not known");
    tool.create_api_key(stored(&text)).await.unwrap();
    tokio::time::advance(Duration::from_secs(5)).await;
    let before = store.stats().reads;
    for _ in 0..10 {
        assert_eq!(shown().await.status, 200);
    }
    assert_eq!(store.stats().reads - before, 1);
    assert!(tool.revoke_api_key(text.id()).await.unwrap());
    tokio::time::advance(Duration::from_secs(10)).await;
    is_refused(&shown().await, "revoked");
}

#[tokio::test]
async fn tokens_and_keys_are_told_apart_by_their_form() {
    let signer = Signer::ed();
    let jwt = format!(
        ", jwt: {{ issuer: 'https://id.example.com', audience: letterhead, keys: {} }}",
        json!([signer.jwk("k")])
    );
    let stage = Stage::new(&jwt, "");
    let key = stage.key(|_| {}).await;
    let token = signer.token("k", &claims(&json!({})));
    assert!(stage.bears(&key).await.content().contains("acme/key:reports by api_key."));
    assert!(stage.bears(&token).await.content().contains("default/ada by token."));
    // Authorization decides where both are there, and what it says amiss is not mended by the other.
    let bearer = format!("Bearer {token}");
    let both = stage.shows(&[("authorization", &bearer), ("x-api-key", &key)]).await;
    assert!(both.content().contains("default/ada by token."));
    is_refused(&stage.shows(&[("authorization", "Bearer sk-dummy"), ("x-api-key", &key)]).await, "signed JWT");
    is_refused(&stage.shows(&[("x-api-key", &token)]).await, "form");
    is_refused(&stage.shows(&[("authorization", "Basic YTpi")]).await, "`Bearer` and a token or an API key");
}

#[tokio::test]
async fn a_declared_x_api_key_is_a_header_like_any_other() {
    let stage = Stage::new("", "headers: { properties: { x-api-key: { type: string } } }");
    let key = stage.key(|_| {}).await;
    stage.shows(&[("x-api-key", &key)]).await.problem(401, "unauthenticated");
    let bearer = format!("Bearer {key}");
    assert_eq!(stage.shows(&[("authorization", &bearer), ("x-api-key", "anything")]).await.status, 200);
}

#[tokio::test]
async fn where_keys_are_not_taken_they_are_not_looked_at() {
    let (app, _) = app_then(AGENTS, |clock| Arc::new(MemoryStore::new(Lifetimes::default(), clock)));
    let key = KeyText::generate().unwrap().reveal().to_string();
    let request = built("POST", "/v1/chat/completions", &[("x-api-key", &key)], said("Hi").to_string());
    assert!(call(&app, "127.0.0.1", request).await.content().contains("by anonymous."));
}

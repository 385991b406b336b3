//! CONTRACT 6: the keys of an issuer are fetched when they are needed, and not more often; what was known stays good.

use std::sync::Arc;
use std::time::Duration;

use letterhead_server::app::App;
use letterhead_testkit::{Answer, ScriptedApi};
use serde_json::json;

use crate::support::{Answered, Signer, app_then, built, call, claims, memory};

const JWKS: &str = "/jwks.json";

fn server(address: &str) -> Arc<App> {
    let jwt = format!("issuer: 'https://id.example.com', audience: letterhead, jwks_url: '{address}'");
    app_then(&format!("auth: {{ jwt: {{ {jwt} }}, anonymous: allow }}\nagents: {{ a: {{}} }}"), |_| memory()).0
}

async fn shows(app: &Arc<App>, token: &str) -> Answered {
    let authorization = format!("Bearer {token}");
    call(app, "192.0.2.1", built("GET", "/v1/models", &[("authorization", &authorization)], "")).await
}

/// Lets time pass, for what counts it, and then run on.
async fn later(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

fn set(keys: &[(&Signer, &str)]) -> serde_json::Value {
    json!({ "keys": keys.iter().map(|(signer, id)| signer.jwk(id)).collect::<Vec<_>>() })
}

#[tokio::test]
async fn they_are_fetched_once_for_all_who_wait() {
    let (api, signer) = (ScriptedApi::start().await, Signer::ed());
    let (answer, gate) = Answer::json(&set(&[(&signer, "k")])).held();
    api.on(JWKS).then(answer);
    let app = server(&api.url(JWKS));
    let token = signer.token("k", &claims(&json!({})));
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let (app, token) = (Arc::clone(&app), token.clone());
            tokio::spawn(async move { shows(&app, &token).await.status })
        })
        .collect();
    api.received(1).await;
    // One of them does not wait for the end.
    waiting[0].abort();
    gate.open();
    for one in waiting.into_iter().skip(1) {
        assert_eq!(one.await.unwrap(), 200);
    }
    assert_eq!(shows(&app, &token).await.status, 200);
    let requests = api.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].header("authorization").is_empty() && requests[0].header("accept").concat().contains("json"));
}

#[tokio::test]
async fn a_new_key_is_found_and_nobody_makes_the_server_ask_more_often_than_it_wants() {
    let (api, old, new) = (ScriptedApi::start().await, Signer::ed(), Signer::p256());
    api.on(JWKS).json(&set(&[(&old, "1")]));
    let app = server(&api.url(JWKS));
    let (by_old, by_new) = (old.token("1", &claims(&json!({}))), new.token("2", &claims(&json!({}))));
    assert_eq!(shows(&app, &by_old).await.status, 200);
    api.on(JWKS).json(&set(&[(&new, "2")]));
    // Within the pause even a good token has to wait; forged ids cost the issuer nothing.
    for id in ["2", "3", "../x", ""] {
        shows(&app, &new.token(id, &claims(&json!({})))).await.problem(401, "unauthenticated");
    }
    assert_eq!(api.requests().len(), 1);
    later(Duration::from_secs(10)).await;
    assert_eq!(shows(&app, &by_new).await.status, 200);
    assert_eq!(api.requests().len(), 2);
    shows(&app, &by_old).await.problem(401, "unauthenticated");
    for id in ["3", "4", "5"] {
        shows(&app, &new.token(id, &claims(&json!({})))).await.problem(401, "unauthenticated");
    }
    assert_eq!(api.requests().len(), 2);
    // A wrong signature under a known id is no reason to ask, whenever.
    later(Duration::from_secs(60)).await;
    shows(&app, &Signer::p256().token("2", &claims(&json!({})))).await.problem(401, "unauthenticated");
    assert_eq!(api.requests().len(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_is_forgotten_when_the_keys_are_old() {
    let (api, kept, withdrawn) = (ScriptedApi::start().await, Signer::ed(), Signer::p256());
    api.on(JWKS).json(&set(&[(&kept, "1"), (&withdrawn, "2")]));
    let app = server(&api.url(JWKS));
    let token = withdrawn.token("2", &claims(&json!({})));
    assert_eq!(shows(&app, &token).await.status, 200);
    api.on(JWKS).json(&set(&[(&kept, "1")]));
    later(Duration::from_secs(9 * 60)).await;
    assert_eq!(shows(&app, &token).await.status, 200);
    assert_eq!(api.requests().len(), 1);
    later(Duration::from_secs(60)).await;
    // Whoever comes first makes the server ask, and does not wait for it.
    assert_eq!(shows(&app, &token).await.status, 200);
    api.received(2).await;
    for _ in 0..1000 {
        if shows(&app, &token).await.status == 401 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the withdrawn key is still believed");
}

#[tokio::test]
async fn what_was_known_stays_good_while_the_issuer_is_down_or_talks_nonsense() {
    let (api, signer) = (ScriptedApi::start().await, Signer::ed());
    api.on(JWKS).json(&set(&[(&signer, "k")]));
    let app = server(&api.url(JWKS));
    let (token, unknown) = (signer.token("k", &claims(&json!({}))), signer.token("new", &claims(&json!({}))));
    assert_eq!(shows(&app, &token).await.status, 200);
    let private = json!({ "keys": [{ "kty": "oct", "k": "AAAA", "kid": "new" }] });
    for answer in [
        Answer::status(500),
        Answer::status(404),
        Answer::redirect(302, "/elsewhere"),
        Answer::text("<html>Sign in</html>"),
        Answer::json(&json!({ "keys": [] })),
        Answer::json(&json!([signer.jwk("new")])),
        Answer::json(&private),
        Answer::json(&set(&[(&signer, "new")])).with_status(203),
        Answer::large(300 << 10),
        Answer::endless(),
        Answer::cut("application/json", r#"{"keys":["#),
        Answer::close(),
        Answer::gzip_bomb(64 << 20),
    ] {
        later(Duration::from_secs(11 * 60)).await;
        let (seen, what) = (api.requests().len(), format!("{answer:?}"));
        api.on(JWKS).then(answer);
        // This one waits for the answer.
        shows(&app, &unknown).await.problem(401, "unauthenticated");
        assert_eq!(api.requests().len(), seen + 1, "{what}");
        assert_eq!(shows(&app, &token).await.status, 200, "{what}");
    }
    assert!(api.requests_to("/elsewhere").is_empty());
    later(Duration::from_secs(10)).await;
    api.on(JWKS).json(&set(&[(&signer, "new")]));
    assert_eq!(shows(&app, &unknown).await.status, 200);
}

#[tokio::test]
async fn without_any_keys_nobody_can_be_verified_and_nobody_is_let_in() {
    let signer = Signer::ed();
    let app = server(&format!("{}{JWKS}", ScriptedApi::nowhere().await));
    let token = signer.token("k", &claims(&json!({})));
    let answered = shows(&app, &token).await;
    answered.problem(503, "auth_unavailable");
    assert_eq!(answered.header("retry-after"), Some("10"));
    assert_eq!(answered.header("www-authenticate"), None);
    // What is no token at all needs no keys to be refused.
    shows(&app, "nonsense").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_slow_issuer_is_waited_for_a_while() {
    let (api, signer) = (ScriptedApi::start().await, Signer::ed());
    api.on(JWKS).then(Answer::hang());
    let app = server(&api.url(JWKS));
    let token = signer.token("k", &claims(&json!({})));
    let waiting = tokio::spawn({
        let (app, token) = (Arc::clone(&app), token.clone());
        async move { shows(&app, &token).await }
    });
    api.received(1).await;
    later(Duration::from_secs(5)).await;
    waiting.await.unwrap().problem(503, "auth_unavailable");
    api.on(JWKS).json(&set(&[(&signer, "k")]));
    later(Duration::from_secs(5)).await;
    assert_eq!(shows(&app, &token).await.status, 200);
}

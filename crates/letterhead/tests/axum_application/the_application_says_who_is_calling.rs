//! Who is calling is for the application to say, and no header of the request says it.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use http::HeaderMap;
use letterhead::axum::{ContextLayer, Identity};
use letterhead::{Caller, CallerSource, Code, Problem, TenantId, UserId};
use serde_json::json;
use tower::ServiceExt;

use crate::support::{answer, application, body, request, told};

fn caller(user: &str) -> Caller {
    Caller::new(TenantId::new("acme"), Some(UserId::new(user)), CallerSource::Token)
}

const SENT: &[(&str, &[u8])] =
    &[("user_no", b"7"), ("x-user-id", b"eve"), ("x-tenant-id", b"victim"), ("authorization", b"Bearer good")];

#[tokio::test]
async fn without_a_word_of_the_application_the_caller_is_anonymous() {
    let answer = answer(application(|layer| layer), request(SENT)).await;
    assert_eq!(told(&answer), "default/////assistant/7/", "the headers are no more than claims");
}

#[tokio::test]
async fn a_middleware_outside_of_the_layer_says_it_by_an_extension() {
    let by = |identity: fn() -> Identity, application: Router| {
        application.layer(from_fn(move |mut request: Request, next: Next| async move {
            request.extensions_mut().insert(identity());
            next.run(request).await
        }))
    };
    let identified = by(
        || Identity::from(caller("u1")).with_claims(json!({ "email": "a@example.com" })),
        application(|layer| layer),
    );
    assert_eq!(told(&answer(identified, request(SENT)).await), "acme/u1/a@example.com///assistant/7/");

    let mut known = request(SENT);
    known.extensions_mut().insert(caller("u2"));
    assert_eq!(told(&answer(application(|layer| layer), known).await), "acme/u2////assistant/7/");
}

#[tokio::test]
async fn or_a_function_which_may_refuse() {
    let layer = |layer: ContextLayer| {
        layer.identified_by(|parts| {
            let sent = |headers: &HeaderMap| headers.get("authorization").map(|value| value.as_bytes().to_vec());
            match sent(&parts.headers).as_deref() {
                Some(b"Bearer good") => Ok(caller("u3")),
                _ => Err(Problem::new(Code::Unauthenticated, "log in first")),
            }
        })
    };
    assert_eq!(told(&answer(application(layer), request(SENT)).await), "acme/u3////assistant/7/");
    // Who is not let in is told that, and nothing of what else is wrong.
    let response = application(layer).oneshot(request(&[("user_no", b"seven")])).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["www-authenticate"]),
        (401, &"Bearer".parse().unwrap())
    );
    let document = body(response).await;
    assert_eq!((&document["error"]["code"], &document["errors"]), (&json!("unauthenticated"), &json!([])));
}

#[test]
fn an_identity_shows_no_claim() {
    let shown = format!("{:?}", Identity::from(caller("u1")).with_claims(json!({ "email": "canary" })));
    assert!(!shown.contains("canary"), "{shown}");
}

//! A request whose headers have faults reaches no handler: one 400 lists them all, and none with its value.

use http::StatusCode;
use letterhead::axum::ContextLayer;
use letterhead::context::HeaderLimits;
use serde_json::Value;
use tower::ServiceExt;

use crate::support::{application, body, request};

const SECRET: &str = "t0p-secret";

async fn refused(layer: impl FnOnce(ContextLayer) -> ContextLayer, sent: &[(&str, &[u8])]) -> (StatusCode, Value) {
    let response = application(layer).oneshot(request(sent)).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    (response.status(), body(response).await)
}

fn codes(document: &Value) -> Vec<(String, String)> {
    let errors = document["errors"].as_array().unwrap();
    let pair =
        |error: &Value| (error["header"].as_str().unwrap().to_owned(), error["code"].as_str().unwrap().to_owned());
    errors.iter().map(pair).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(header, code)| ((*header).to_owned(), (*code).to_owned())).collect()
}

#[tokio::test]
async fn wrong_doubled_unreadable_and_missing() {
    let sent: &[(&str, &[u8])] = &[
        ("org_name", b"Acme"),
        ("org-name", b"Other"),
        ("auth_token", b"t0p-secret\xff"),
        ("x-session-id", b"../etc"),
        ("x-request-id", b"req-9"),
    ];
    let (status, document) = refused(|layer| layer, sent).await;
    assert_eq!(status, 400);
    let mut found = codes(&document);
    found.sort();
    let expected = pairs(&[
        ("X-Session-Id", "invalid_session_id"),
        ("auth_token", "invalid_header_value"),
        ("org_name", "ambiguous_header"),
        ("user_no", "missing_header"),
    ]);
    assert_eq!(found, expected);
    assert_eq!(document["request_id"], "req-9");
    assert_eq!(document["error"]["type"], "invalid_request_error", "as OpenAI's clients read it");
    let text = document.to_string();
    assert!(!text.contains(SECRET) && !text.contains("Acme") && !text.contains("etc"), "{text}");
}

#[tokio::test]
async fn huge_ones_are_431() {
    let huge = "x".repeat(5_000);
    let (status, document) = refused(|layer| layer, &[("user_no", b"x"), ("auth_token", huge.as_bytes())]).await;
    assert_eq!(status, 431);
    let mut found = codes(&document);
    found.sort();
    assert_eq!(found, pairs(&[("auth_token", "header_too_large"), ("user_no", "invalid_header")]));
    let small = |layer: ContextLayer| layer.limits(HeaderLimits { value: 3, total: 100 });
    let (status, _) = refused(small, &[("user_no", b"12345")]).await;
    assert_eq!(status, 431, "the limits are the application's");
}

#[tokio::test]
async fn what_the_agent_needs_is_needed() {
    let billing = |layer: ContextLayer| layer.agent("billing").unwrap();
    let (status, document) = refused(billing, &[("user_no", b"7")]).await;
    assert_eq!((status.as_u16(), codes(&document)), (400, pairs(&[("org_name", "missing_header")])));
    let (status, document) =
        refused(ContextLayer::choosing_agents, &[("user_no", b"7"), ("x-agent-schema", b"nobody")]).await;
    assert_eq!((status.as_u16(), document["error"]["code"].as_str()), (404, Some("agent_not_found")));
}

#[tokio::test]
async fn a_list_may_come_in_several_lines() {
    let sent: &[(&str, &[u8])] = &[("user_no", b"7"), ("tags", b"a, b"), ("tags", b"c")];
    let response = application(|layer| layer).oneshot(request(sent)).await.unwrap();
    assert_eq!(response.status(), 200);
}

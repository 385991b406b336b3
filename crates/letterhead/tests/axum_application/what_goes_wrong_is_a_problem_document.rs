//! Whatever goes wrong in a handler becomes a problem document, with the status that belongs to it.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::post;
use http::Request;
use letterhead::axum::{Context, ContextLayer, ProblemResponse};
use letterhead::{Code, Problem};
use tower::ServiceExt;

use crate::support::{body, request, runner};

async fn called(handler: axum::routing::MethodRouter) -> (u16, serde_json::Value) {
    let application = Router::new().route("/chat", handler).route_layer(ContextLayer::new(&runner()));
    let response = application.oneshot(request(&[("user_no", b"7")])).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    (response.status().as_u16(), body(response).await)
}

#[tokio::test]
async fn a_run_that_fails() {
    async fn chat(Context(context): Context) -> Result<String, ProblemResponse> {
        let id = context.request_id().to_owned();
        let run = runner().run("/handoff nobody").request(context).max_turns(0);
        run.await.map(|result| result.output).map_err(|error| ProblemResponse::from(error).in_request(&id))
    }
    let (status, document) = called(post(chat)).await;
    assert_eq!((status, document["error"]["code"].as_str()), (422, Some("max_turns_exceeded")));
    assert!(document["request_id"].as_str().unwrap().starts_with("req_"));
}

#[tokio::test]
async fn a_header_that_cannot_be_sent() {
    async fn chat(Context(context): Context) -> Result<String, ProblemResponse> {
        let run = runner().run("Hello").request(context).header("X-Team", "canary\r\nX-Other: b")?;
        Ok(run.await?.output)
    }
    let (status, document) = called(post(chat)).await;
    assert_eq!((status, document["error"]["code"].as_str()), (400, Some("invalid_header_value")));
    assert!(!document.to_string().contains("canary") && document.get("request_id").is_none(), "{document}");
}

#[tokio::test]
async fn a_handler_without_the_layer() {
    async fn chat(_: Context) -> &'static str {
        "not reached"
    }
    let application: Router = Router::new().route("/chat", post(chat));
    let response = application.oneshot(Request::post("/chat").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 500);
    let document = body(response).await;
    assert_eq!(document["error"]["code"], "internal");
    assert!(!document.to_string().contains("ContextLayer"), "that is for the log: {document}");
}

#[test]
fn when_to_try_again_is_in_the_headers() {
    let problem = Problem::new(Code::UpstreamRateLimited, "later").with_retry_after(Duration::from_millis(1500));
    let response = ProblemResponse::from(problem.with_should_retry(false)).into_response();
    assert_eq!(
        (&response.headers()["retry-after"], &response.headers()["x-should-retry"]),
        (&"2".parse().unwrap(), &"false".parse().unwrap())
    );
    assert_eq!(response.status(), 429);
}

//! An application with one route that starts turns.

use axum::body::{Body, to_bytes};
use axum::routing::post;
use axum::{Extension, Json, Router};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use letterhead::axum::{Context, ContextLayer, ProblemResponse};
use letterhead::{Agent, HeaderSchema, Runner, Secret};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "what matters is what it declares")]
pub(crate) struct AppHeaders {
    user_no: u32,
    org_name: Option<String>,
    tags: Option<Vec<String>>,
    auth_token: Option<Secret>,
}

pub(crate) fn runner() -> Runner {
    let told = "{{ caller.tenant_id }}/{{ caller.user_id }}/{{ claims.email }}/{{ session.id }}/{{ request.client_id }}/\
                {{ agent.name }}/{{ headers.user_no }}/{{ headers.org_name }}";
    Runner::with_agents([
        Agent::new("assistant").with_instructions(told),
        Agent::new("billing").with_instructions(told).with_required_header("org_name"),
    ])
    .headers(HeaderSchema::of::<AppHeaders>().unwrap())
    .build()
    .unwrap()
}

/// Answers with what the agent was told, and with the names of the raw headers that the handler can see.
async fn chat(
    headers: HeaderMap,
    Context(context): Context,
    Extension(runner): Extension<Runner>,
) -> Result<Json<Value>, ProblemResponse> {
    let raw: Vec<_> = headers.keys().map(ToString::to_string).collect();
    let runtime: Vec<_> = context.runtime().iter().map(|(name, _)| name.to_string()).collect();
    let sent =
        context.runtime().iter().map(|(name, value)| (name.to_string(), Value::from(value.to_str().unwrap_or("?"))));
    let sent: Value = sent.collect::<serde_json::Map<_, _>>().into();
    let about = json!({
        "raw": raw, "runtime": runtime, "sent": sent, "request_id": context.request_id(), "model": context.model(),
        "token": context.headers().secret("auth_token").map(Secret::reveal_text), "trace": context.trace().is_some(),
    });
    let result = runner.run("Hello").request(context).await?;
    Ok(Json(json!({ "told": result.output, "about": about })))
}

pub(crate) fn application(change: impl FnOnce(ContextLayer) -> ContextLayer) -> Router {
    let runner = runner();
    Router::new()
        .route("/chat", post(chat))
        .route_layer(change(ContextLayer::new(&runner)))
        .route("/health", axum::routing::get(|| async { "alive" }))
        .layer(Extension(runner))
}

pub(crate) fn request(headers: &[(&str, &[u8])]) -> Request<Body> {
    let mut request = Request::post("/chat").body(Body::empty()).unwrap();
    for (name, value) in headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
    }
    request
}

pub(crate) async fn body(response: Response<Body>) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

pub(crate) async fn answer(application: Router, request: Request<Body>) -> Value {
    let response = application.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    body(response).await
}

/// The instructions, of what the demo model says.
pub(crate) fn told(answer: &Value) -> &str {
    let said = answer["told"].as_str().unwrap();
    said.split('"').nth(1).unwrap()
}

//! The floor: what any server between a client and a model has to pay, and nothing more.
//!
//! axum in front, reqwest behind, bodies passed through unread. Same versions, features, allocator and connection
//! settings as Letterhead, so that the difference is Letterhead's own work. It reads no header, checks no body,
//! stores nothing and logs nothing.

use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use hyper_util::service::TowerToHyperService;
use reqwest::{Client, Url};
use tokio::net::TcpListener;

use crate::serve;

#[derive(Clone)]
struct Floor {
    client: Client,
    upstream: Url,
}

/// Serves `POST /v1/chat/completions` until the process is ended.
///
/// # Errors
/// When the upstream's address is no URL, or connections can no longer be accepted.
pub(crate) async fn run(listener: TcpListener, upstream: &str) -> Result<()> {
    let upstream = Url::parse(upstream).context("the upstream's address")?.join("/v1/chat/completions")?;
    // As the `outbound` module of the `letterhead` crate builds its own.
    let client = Client::builder()
        .user_agent(concat!("letterhead-bench/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(10))
        .build()?;
    let routes = Router::new().route("/v1/chat/completions", post(forward)).with_state(Floor { client, upstream });
    serve::serve(listener, TowerToHyperService::new(routes)).await
}

async fn forward(State(floor): State<Floor>, body: Bytes) -> Result<Response, StatusCode> {
    let call = floor
        .client
        .post(floor.upstream)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .bearer_auth("bench-key")
        .body(body);
    let answer = call.send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let status = answer.status();
    let content_type = answer.headers().get(CONTENT_TYPE).cloned();
    let streamed = content_type.as_ref().is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
    let body = if streamed {
        Body::from_stream(answer.bytes_stream())
    } else {
        Body::from(answer.bytes().await.map_err(|_| StatusCode::BAD_GATEWAY)?)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Some(value) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    Ok(response)
}

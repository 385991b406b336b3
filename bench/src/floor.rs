//! The floor: what any server between a client and a model has to pay, and nothing more.
//!
//! axum in front, reqwest behind, as one would write it, bodies passed through unread. Same versions of axum and hyper,
//! allocator and connection settings as Letterhead, so that the difference is Letterhead's own work (less what reqwest
//! costs, which Letterhead does without). It reads no header, checks no body, stores nothing and logs nothing. With a
//! ledger it also waits for the disk before an answer ends.

use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use hyper_util::service::TowerToHyperService;
use reqwest::{Client, Url};
use tokio::net::TcpListener;

use crate::ledger::Ledger;
use crate::serve;

#[derive(Clone)]
struct Floor {
    client: Client,
    upstream: Url,
    ledger: Option<Ledger>,
}

/// Serves `POST /v1/chat/completions` until the process is ended. With a ledger every answer is noted there first.
///
/// # Errors
/// When the upstream's address is no URL, or nothing can be said on stderr.
pub(crate) async fn run(listener: TcpListener, upstream: &str, ledger: Option<Ledger>) -> Result<()> {
    let upstream = Url::parse(upstream).context("the upstream's address")?.join("/v1/chat/completions")?;
    // With the settings of the `outbound` module of the `letterhead` crate.
    let client = Client::builder()
        .user_agent(concat!("letterhead-bench/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(10))
        .build()?;
    let routes =
        Router::new().route("/v1/chat/completions", post(forward)).with_state(Floor { client, upstream, ledger });
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
    let body = match (streamed, floor.ledger) {
        (true, None) => Body::from_stream(answer.bytes_stream()),
        (true, Some(ledger)) => {
            // Nothing comes of it but the wait before the body's end.
            let noted = stream::once(async move { ledger.note().await });
            let noted = noted.map_err(axum::Error::new).try_filter_map(|()| future::ok(None::<Bytes>));
            Body::from_stream(answer.bytes_stream().map_err(axum::Error::new).chain(noted))
        }
        (false, ledger) => {
            let whole = answer.bytes().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
            if let Some(ledger) = ledger {
                ledger.note().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
            }
            Body::from(whole)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Some(value) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    Ok(response)
}

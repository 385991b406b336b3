//! Calling a Letterhead server over HTTP, as the commands do that talk to one.

mod failure;
mod frames;

use std::time::Duration;

use anyhow::Context;
use http::{HeaderMap, HeaderValue, header};
use letterhead::outbound::{Url, endpoint};
use serde_json::Value;

use crate::config::auth::is_this_machine;

pub(super) use failure::Failure;
pub(super) use frames::{Frame, Frames};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server may be silent. It sends a comment line every 15 s.
const SILENCE: Duration = Duration::from_secs(60);

/// A client of one server.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    /// The server is in this process: its log is not shown unless somebody asks for it.
    in_process: bool,
}

/// An answer that has begun.
#[derive(Debug)]
pub(super) struct Answer {
    /// The session it belongs to (`X-Session-Id`).
    pub(super) session: Option<String>,
    /// What comes.
    pub(super) frames: Frames,
}

impl Client {
    /// A client of the server at a base URL.
    pub(super) fn new(base: Url) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE)
            // Headers with secrets go where they were meant to go, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("letterhead/", env!("CARGO_PKG_VERSION")));
        if is_this_machine(&base) {
            builder = builder.no_proxy();
        }
        Ok(Self { http: builder.build().context("the HTTP client could not be set up")?, base, in_process: false })
    }

    /// The same, of a server in this process.
    pub(super) fn in_process(self) -> Self {
        Self { in_process: true, ..self }
    }

    /// Sends a message, and takes the stream that answers it.
    pub(super) async fn post(&self, path: &str, headers: &HeaderMap, body: String) -> Result<Answer, Failure> {
        let mut headers = headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        let request = self.http.post(endpoint(self.base.clone(), path)).headers(headers).body(body);
        let response = request.send().await.map_err(|error| Failure::of_call(&self.base, &error))?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let is_stream = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("text/event-stream")));
        if !is_stream {
            return Err(Failure::not_letterhead(&self.base, response.status()));
        }
        let session = response.headers().get("x-session-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        Ok(Answer { session, frames: Frames::of(response) })
    }

    /// Reads what is there.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)], headers: &HeaderMap) -> Result<Value, Failure> {
        let mut url = endpoint(self.base.clone(), path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.get(url).headers(headers.clone());
        let response = request.send().await.map_err(|error| Failure::of_call(&self.base, &error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refused(response).await);
        }
        response.json().await.map_err(|_| Failure::not_letterhead(&self.base, status))
    }

    async fn refused(&self, response: reqwest::Response) -> Failure {
        let status = response.status();
        match response.bytes().await {
            Ok(body) => Failure::of_problem(&self.base, status, &body, self.in_process),
            Err(error) => Failure::of_call(&self.base, &error),
        }
    }
}

//! One request to an agent, and what comes back: JSON, or a stream of events.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method as HttpMethod, StatusCode, header};
use serde_json::{Map, Value, json};

use super::card::Interface;
use super::dialect::{Method, VERSION_HEADER, Version};
use crate::model::sse::{Parser, TooLarge};
use crate::outbound::{Answer, AnswerBody, Fault, OutboundFault, Outgoing, Url};
use crate::tool::endpoint::Line;
use crate::tool::json_rpc::{AskFault, Incoming, next_id};

/// The most bytes of one answer, or of one event of a stream.
const MAX_MESSAGE: usize = 1024 * 1024;

/// The most bytes of one stream.
const MAX_STREAM: usize = 8 * MAX_MESSAGE;

impl Line {
    /// Asks for the card.
    pub(super) async fn card(&self, url: Url, limit: Duration) -> Result<(Value, HeaderMap), AskFault> {
        let headers = self.headers(Version::One, "application/json");
        let request = Outgoing { method: HttpMethod::GET, url: url.clone(), headers, body: Bytes::new() };
        let Answer { status, headers, body, .. } = self.open(request, limit).await?;
        if !status.is_success() {
            return Err(AskFault::Status(status));
        }
        let body = body.read(MAX_MESSAGE).await.map_err(|fault| broken(&url, fault, MAX_MESSAGE))?;
        let card = serde_json::from_slice(&body).map_err(|_| AskFault::Malformed("its card is no JSON"))?;
        Ok((card, headers))
    }

    /// Sends a request of the protocol, and returns with the head of the answer.
    pub(super) async fn call(
        &self,
        to: &Interface,
        method: Method,
        mut params: Map<String, Value>,
        limit: Duration,
    ) -> Result<Replies, AskFault> {
        if let Some(tenant) = &to.tenant {
            params.insert("tenant".to_owned(), tenant.as_str().into());
        }
        let id = next_id();
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": to.version.method(method), "params": params });
        // One that streams may answer an error as JSON.
        let accept = if method == Method::Stream { "text/event-stream, application/json" } else { "application/json" };
        let mut headers = self.headers(to.version, accept);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request =
            Outgoing { method: HttpMethod::POST, url: to.url.clone(), headers, body: message.to_string().into() };
        let Answer { status, headers, body, .. } = self.open(request, limit).await?;
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let streams = status.is_success() && kind.eq_ignore_ascii_case("text/event-stream");
        Ok(Replies {
            url: to.url.clone(),
            id,
            status,
            body: Some(body),
            parser: streams.then(Parser::default),
            room: MAX_STREAM,
            waiting: VecDeque::new(),
        })
    }

    /// The headers of the configuration, which names none of the protocol's own, and those.
    fn headers(&self, version: Version, accept: &'static str) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        headers.insert(VERSION_HEADER, version.header());
        headers
    }
}

/// The results of one request: one, or as many as a stream has.
pub(super) struct Replies {
    url: Url,
    id: u64,
    status: StatusCode,
    /// None once it has been read to its end.
    body: Option<AnswerBody>,
    /// There for a stream of events.
    parser: Option<Parser>,
    room: usize,
    /// Events that have come and have not been given out. None for one that is no JSON.
    waiting: VecDeque<Option<Value>>,
}

impl Replies {
    /// The next result. None at the end.
    ///
    /// # Errors
    ///
    /// For an error in the protocol's words, for what is none of its answers to this request, and if the answer breaks off
    /// or is too large.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, AskFault> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return self.result(message).map(Some);
            }
            let Some(mut body) = self.body.take() else { return Ok(None) };
            let Some(parser) = &mut self.parser else {
                let message = match body.read(MAX_MESSAGE).await {
                    // What counts is that it is no success.
                    Err(_) if !self.status.is_success() => return Err(AskFault::Status(self.status)),
                    read => read.map_err(|fault| broken(&self.url, fault, MAX_MESSAGE))?,
                };
                self.waiting.push_back(serde_json::from_slice(&message).ok());
                continue;
            };
            let waiting = &mut self.waiting;
            let mut keep = |data: &str| {
                if !data.trim().is_empty() {
                    waiting.push_back(serde_json::from_str(data).ok());
                }
            };
            match body.next().await.transpose().map_err(|fault| broken(&self.url, fault, MAX_STREAM))? {
                Some(bytes) => {
                    let room = self.room.checked_sub(bytes.len());
                    self.room = room.ok_or_else(|| broken(&self.url, Fault::TooLarge, MAX_STREAM))?;
                    let fed = parser.feed(&bytes, |event| keep(event.data));
                    fed.map_err(|TooLarge| broken(&self.url, Fault::TooLarge, MAX_MESSAGE))?;
                    self.body = Some(body);
                }
                None => parser.finish(|event| keep(event.data)),
            }
        }
    }

    /// Everything that matters has come.
    pub(super) fn release(self) {
        if let Some(body) = self.body {
            body.release();
        }
    }

    fn result(&self, message: Option<Value>) -> Result<Value, AskFault> {
        match message.map(|message| Incoming::read(message, Some(self.id))) {
            Some(Incoming::Error { code, message, data }) => {
                Err(AskFault::Error { status: self.status, code, message, data })
            }
            _ if !self.status.is_success() => Err(AskFault::Status(self.status)),
            Some(Incoming::Result(result)) => Ok(result),
            _ => Err(AskFault::Malformed("its answer is no message of the protocol that answers the request")),
        }
    }
}

fn broken(url: &Url, fault: Fault, limit: usize) -> AskFault {
    let host = url.host_str().unwrap_or_default().into();
    AskFault::Outbound(match fault {
        Fault::TooLarge => OutboundFault::TooLarge { host, limit },
        fault => OutboundFault::Failed { host, fault },
    })
}

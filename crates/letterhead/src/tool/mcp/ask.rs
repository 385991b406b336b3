//! One request to a server, and its answer: JSON, or a stream of events in which it comes.

use std::time::Duration;

use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::time;

use super::message::{Manner, Message, SESSION_HEADER};
use crate::model::sse::{Parser, TooLarge};
use crate::outbound::{Answer, AnswerBody, Fault, OutboundFault, Outgoing};
use crate::tool::endpoint::Line;
use crate::tool::json_rpc::{AskFault, Incoming};

/// The most bytes of one message.
const MAX_MESSAGE: usize = 1024 * 1024;

/// The most bytes of one stream: its answer, and what a server tells meanwhile.
const MAX_STREAM: usize = 8 * MAX_MESSAGE;

/// How many questions of the server are answered during one request.
const MOST_QUESTIONS: usize = 16;

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) result: Value,
    /// The session that `initialize` opened.
    pub(super) session: Option<HeaderValue>,
    /// The server said meanwhile that it has other tools.
    pub(super) tools_changed: bool,
}

impl Line {
    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, manner: &Manner, message: &Message<'_>, limit: Duration) -> Result<Reply, AskFault> {
        let work = async {
            let answer = self.send(manner, message, limit).await?;
            self.read(answer, manner, message.id).await
        };
        time::timeout(limit, work).await.unwrap_or(Err(AskFault::Timeout(limit)))
    }

    /// Tells something that has no answer. Whether it is heard does not matter.
    pub(super) async fn tell(&self, manner: &Manner, message: &Message<'_>, limit: Duration) {
        if let Ok(Ok(answer)) = time::timeout(limit, self.send(manner, message, limit)).await {
            answer.body.release();
        }
    }

    async fn send(&self, manner: &Manner, message: &Message<'_>, limit: Duration) -> Result<Answer, AskFault> {
        let mut headers = self.headers.clone();
        message.add_headers(manner, &mut headers);
        self.post(headers, message.body(manner), limit).await
    }

    async fn post(&self, headers: HeaderMap, body: String, limit: Duration) -> Result<Answer, AskFault> {
        let request = Outgoing { method: Method::POST, url: self.url.clone(), headers, body: body.into() };
        self.open(request, limit).await
    }

    async fn read(&self, answer: Answer, manner: &Manner, id: Option<u64>) -> Result<Reply, AskFault> {
        let Answer { status, headers, body, .. } = answer;
        let session = headers.get(SESSION_HEADER).cloned();
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if status.is_success() && kind.eq_ignore_ascii_case("text/event-stream") {
            let (result, tools_changed) = self.events(body, status, manner, id).await?;
            return Ok(Reply { result, session, tools_changed });
        }
        let body = match body.read(MAX_MESSAGE).await {
            // What counts is that it is no success.
            Err(_) if !status.is_success() => return Err(AskFault::Status(status)),
            read => read.map_err(|fault| self.broken(fault))?,
        };
        match serde_json::from_slice(&body).map(|message| Incoming::read(self.concealed(message), id)) {
            Ok(Incoming::Error { code, message, data }) => Err(AskFault::Error { status, code, message, data }),
            _ if !status.is_success() => Err(AskFault::Status(status)),
            Ok(Incoming::Result(result)) => Ok(Reply { result, session, tools_changed: false }),
            Ok(_) | Err(_) => Err(AskFault::Malformed("its answer is no message of the protocol")),
        }
    }

    /// Reads a stream as far as the answer. The rest of it is given up.
    async fn events(
        &self,
        mut body: AnswerBody,
        status: StatusCode,
        manner: &Manner,
        id: Option<u64>,
    ) -> Result<(Value, bool), AskFault> {
        let (mut parser, mut room) = (Parser::default(), MAX_STREAM);
        let (mut tools_changed, mut questions) = (false, 0);
        loop {
            let mut messages: Vec<Option<Value>> = Vec::new();
            let keep = |messages: &mut Vec<Option<Value>>, data: &str| {
                // An event without data only says that the stream has begun.
                if !data.trim().is_empty() {
                    messages.push(serde_json::from_str(data).ok());
                }
            };
            let piece = body.next().await.transpose().map_err(|fault| self.broken(fault))?;
            match &piece {
                Some(bytes) => {
                    room = room.checked_sub(bytes.len()).ok_or_else(|| self.broken(Fault::TooLarge))?;
                    let fed = parser.feed(bytes, |event| keep(&mut messages, event.data));
                    fed.map_err(|TooLarge| self.broken(Fault::TooLarge))?;
                }
                None => std::mem::take(&mut parser).finish(|event| keep(&mut messages, event.data)),
            }
            for message in messages {
                let message = message.ok_or(AskFault::Malformed("its stream has an event that is no JSON"))?;
                match Incoming::read(self.concealed(message), id) {
                    Incoming::Result(result) => {
                        body.release();
                        return Ok((result, tools_changed));
                    }
                    Incoming::Error { code, message, data } => {
                        body.release();
                        return Err(AskFault::Error { status, code, message, data });
                    }
                    Incoming::Notification { method } => {
                        tools_changed |= method == "notifications/tools/list_changed";
                    }
                    Incoming::Request { id, method } if questions < MOST_QUESTIONS => {
                        questions += 1;
                        self.reply(manner, &id, &method).await;
                    }
                    Incoming::Request { .. } | Incoming::Other => {}
                }
            }
            if piece.is_none() {
                return Err(AskFault::Malformed("its stream ended before the answer"));
            }
        }
    }

    /// Answers what a server asks of its clients: whether they are there. They were said to be able to do nothing else.
    async fn reply(&self, manner: &Manner, id: &Value, method: &str) {
        const PATIENCE: Duration = Duration::from_secs(5);
        let mut headers = self.headers.clone();
        let empty = Message { id: None, method: "", params: Map::new(), name: None };
        empty.add_headers(manner, &mut headers);
        let body = if method == "ping" {
            json!({ "jsonrpc": "2.0", "id": id, "result": {} })
        } else {
            let error = json!({ "code": -32601, "message": "this client has no such method" });
            json!({ "jsonrpc": "2.0", "id": id, "error": error })
        };
        if let Ok(Ok(answer)) = time::timeout(PATIENCE, self.post(headers, body.to_string(), PATIENCE)).await {
            answer.body.release();
        }
    }

    /// A message of the server without the tokens that it was sent.
    fn concealed(&self, mut message: Value) -> Value {
        if let Some(pass) = &self.pass {
            pass.conceal(&mut message);
        }
        message
    }

    fn broken(&self, fault: Fault) -> AskFault {
        let host = self.url.host_str().unwrap_or_default().into();
        AskFault::Outbound(match fault {
            Fault::TooLarge => OutboundFault::TooLarge { host, limit: MAX_MESSAGE },
            fault => OutboundFault::Failed { host, fault },
        })
    }
}

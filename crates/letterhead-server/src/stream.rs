//! Streams: the same run events, encoded for each wire protocol.
//!
//! Frames are written by hand into one buffer; whatever is ready goes out as one piece.

mod chunks;
pub(crate) mod ui;

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, header};
use letterhead::run::{RunEnd, RunEvent};
use letterhead_context::{Code, Problem, SessionId};
use tokio::sync::mpsc;

use crate::session_header::say_session;
use crate::turn::{Ended, Running};

pub use chunks::{ChunkEncoder, Dialect, Head, OpenAiUsage, RequiresAction, ToolCall};
pub use ui::UiEncoder;

/// A comment line, which every client passes over.
pub(crate) const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// How many bytes are gathered before they are sent: who reads slowly, or what is told fast, leaves many pieces ready.
pub(crate) const ENOUGH: usize = 64 * 1024;

/// Writes a run's events in one wire protocol.
pub trait Encoder: Send + 'static {
    /// Headers that the protocol wants beside the usual ones.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The beginning, before any event.
    fn begin(&mut self, out: &mut Vec<u8>);

    /// One event; perhaps nothing is written for it.
    fn event(&mut self, event: &RunEvent, out: &mut Vec<u8>);

    /// Nothing has happened for as long as a comment line is due.
    fn silence(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(KEEP_ALIVE);
    }

    /// The end. It is durable when this is called.
    fn end(&mut self, ended: &Ended, out: &mut Vec<u8>);
}

/// Answers with a stream, or with the problem of a run that failed before it said anything.
///
/// The head waits for the first event that the client can see, for as long as a comment line would be due: a provider
/// that refuses becomes a status, not a broken stream.
pub async fn respond(
    mut running: Running,
    mut encoder: impl Encoder,
    keep_alive: Duration,
) -> Result<Response, Problem> {
    let mut buffer = Vec::with_capacity(1024);
    encoder.begin(&mut buffer);
    let silent = tokio::time::timeout(keep_alive, async {
        while let Some(event) = next_event(&mut running.events).await {
            encoder.event(&event, &mut buffer);
            if !matches!(event, RunEvent::RunStarted { .. } | RunEvent::ModelCallStarted { .. }) {
                return None;
            }
        }
        Some(ended(&mut running).await)
    })
    .await;
    let session = running.session.clone();
    let headers = encoder.headers();
    let stage = match silent {
        Ok(None) | Err(_) => Stage::Running,
        Ok(Some(ended)) => {
            if let Some(problem) = ended.problem {
                return Err(problem);
            }
            encoder.end(&ended, &mut buffer);
            Stage::Over
        }
    };
    let state = State { running, encoder, first: Some(buffer), stage, keep_alive };
    let mut response = event_stream(Body::from_stream(stream::unfold(state, next)), session.as_ref());
    for (name, value) in headers {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Ok(response)
}

/// A stream of events, with what keeps it from being held back on its way.
pub(crate) fn event_stream(body: Body, session: Option<&SessionId>) -> Response {
    let mut response = Response::new(body);
    let into = response.headers_mut();
    into.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    into.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    into.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    say_session(session, into);
    response
}

/// The next event; none where nobody asked for any.
pub(crate) async fn next_event(events: &mut Option<mpsc::Receiver<RunEvent>>) -> Option<RunEvent> {
    match events {
        Some(events) => events.recv().await,
        None => None,
    }
}

/// Waits for the end of a turn. A turn whose task is gone has failed.
pub async fn ended(running: &mut Running) -> Ended {
    match (&mut running.end).await {
        Ok(ended) => ended,
        Err(_) => Ended::lost(&running.agent, Problem::new(Code::Internal, "the turn was aborted")),
    }
}

struct State<E> {
    running: Running,
    encoder: E,
    first: Option<Vec<u8>>,
    stage: Stage,
    keep_alive: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Over,
}

async fn next<E: Encoder>(mut state: State<E>) -> Option<(Result<Bytes, Infallible>, State<E>)> {
    if let Some(first) = state.first.take() {
        return Some((Ok(first.into()), state));
    }
    if state.stage == Stage::Over {
        return None;
    }
    let mut buffer = Vec::new();
    while buffer.is_empty() && state.stage == Stage::Running {
        match tokio::time::timeout(state.keep_alive, next_event(&mut state.running.events)).await {
            Err(_) => state.encoder.silence(&mut buffer),
            Ok(Some(event)) => state.encoder.event(&event, &mut buffer),
            Ok(None) => finish(&mut state, &mut buffer).await,
        }
        // What is ready goes with it.
        while buffer.len() < ENOUGH
            && let Some(Ok(event)) = state.running.events.as_mut().map(mpsc::Receiver::try_recv)
        {
            state.encoder.event(&event, &mut buffer);
        }
    }
    Some((Ok(buffer.into()), state))
}

/// Waits until the end is durable, and writes it. A store that is slow, or away, is waited for no more silently than a model.
async fn finish<E: Encoder>(state: &mut State<E>, buffer: &mut Vec<u8>) {
    let Ok(mut ended) = tokio::time::timeout(state.keep_alive, ended(&mut state.running)).await else {
        return state.encoder.silence(buffer);
    };
    if ended.problem.is_none() && matches!(ended.outcome.end, RunEnd::Cancelled) {
        // Its client is still here: it did not read for so long that it counted as gone, and pieces may be missing.
        let detail = "the client did not read the answer for too long, and it was broken off; send the next message, or \
                      ask again";
        ended.problem = Some(Problem::new(Code::Internal, detail).with_should_retry(false));
    }
    state.encoder.end(&ended, buffer);
    state.stage = Stage::Over;
}

/// One `data:` frame of a value that always serialises.
pub(crate) fn data_frame(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    // Writing to memory cannot fail, and nothing that is written has keys that are no text.
    let _ = serde_json::to_writer(&mut *out, value);
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
pub(crate) mod tests;

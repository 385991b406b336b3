//! One line a request, formatted and written off the request's task.
//!
//! A request only hands its line over. A thread of its own takes the lines that came together, and writes them at once:
//! text on a terminal, JSON otherwise, in the form of the other log lines.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use http::{HeaderValue, Method};
use serde::Serialize;

/// Lines that may wait. More are dropped and counted: a log that cannot keep up must not stop requests.
const WAITING: usize = 16 * 1024;

/// How long lines are gathered before they are written.
const GATHER: Duration = Duration::from_millis(20);

/// Where requests leave their lines. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct AccessLog(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    lines: Option<SyncSender<Line>>,
    writer: Option<JoinHandle<()>>,
}

/// What is told of a request: names and numbers, and no value of a header.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at_ms: i64,
    pub(crate) method: Method,
    pub(crate) route: Arc<str>,
    pub(crate) status: u16,
    pub(crate) micros: u64,
    pub(crate) request_id: Arc<str>,
    pub(crate) session_id: Option<HeaderValue>,
}

impl AccessLog {
    /// Writes to the standard error from now on, if the filter lets this program's requests through.
    pub(crate) fn start() -> Self {
        if !tracing::enabled!(target: "letterhead::request", tracing::Level::INFO) {
            return Self(None);
        }
        let (lines, waiting) = sync_channel(WAITING);
        let text = std::io::stderr().is_terminal();
        let writer = Builder::new().name("access-log".to_owned()).spawn(move || write_lines(&waiting, text)).ok();
        Self(Some(Arc::new(Inner { lines: Some(lines), writer })))
    }

    /// Hands a line over, unless nobody writes or too many wait.
    pub(crate) fn tell(&self, line: impl FnOnce() -> Line) {
        if let Some(lines) = self.0.as_ref().and_then(|inner| inner.lines.as_ref()) {
            let _ = lines.try_send(line());
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer ends when there is nobody left to hand lines over, and has written all by then.
        self.lines = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn write_lines(waiting: &Receiver<Line>, text: bool) {
    let mut out = String::with_capacity(4096);
    let mut open = true;
    while open {
        let Ok(first) = waiting.recv() else { return };
        put(&first, text, &mut out);
        let until = Instant::now() + GATHER;
        loop {
            match waiting.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => put(&line, text, &mut out),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    open = false;
                    break;
                }
            }
        }
        // A closed standard error is no reason to stop serving.
        let _ = std::io::stderr().lock().write_all(out.as_bytes());
        out.clear();
    }
}

/// A line as JSON.
#[derive(Serialize)]
struct Json<'a> {
    timestamp: &'a str,
    level: &'static str,
    target: &'static str,
    method: &'a str,
    route: &'a str,
    status: u16,
    micros: u64,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
}

fn put(line: &Line, text: bool, out: &mut String) {
    let timestamp = jiff::Timestamp::from_millisecond(line.at_ms).unwrap_or_default().to_string();
    let session_id = line.session_id.as_ref().and_then(|id| id.to_str().ok());
    if text {
        let session = session_id.map_or_else(String::new, |id| format!(" session_id={id}"));
        let Line { method, route, status, micros, request_id, .. } = line;
        let _ =
            writeln!(out, "{timestamp}  INFO {method} {route} {status} {micros}µs request_id={request_id}{session}");
        return;
    }
    let line = Json {
        timestamp: &timestamp,
        level: "INFO",
        target: "letterhead::request",
        method: line.method.as_str(),
        route: &line.route,
        status: line.status,
        micros: line.micros,
        request_id: &line.request_id,
        session_id,
    };
    out.push_str(&serde_json::to_string(&line).unwrap_or_default());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line {
            at_ms: 1_795_344_734_127,
            method: Method::POST,
            route: "/v1/chat/completions".into(),
            status: 200,
            micros: 1254,
            request_id: "req_1".into(),
            session_id: Some(HeaderValue::from_static("sess-456")),
        }
    }

    #[test]
    fn a_line_is_json_for_programs_and_text_for_people() {
        let (mut json, mut text) = (String::new(), String::new());
        put(&line(), false, &mut json);
        put(&line(), true, &mut text);
        assert_eq!(
            json,
            "{\"timestamp\":\"2026-11-22T10:52:14.127Z\",\"level\":\"INFO\",\"target\":\"letterhead::request\",\
             \"method\":\"POST\",\"route\":\"/v1/chat/completions\",\"status\":200,\"micros\":1254,\
             \"request_id\":\"req_1\",\"session_id\":\"sess-456\"}\n"
        );
        assert_eq!(
            text,
            "2026-11-22T10:52:14.127Z  INFO POST /v1/chat/completions 200 1254µs request_id=req_1 session_id=sess-456\n"
        );
    }

    #[test]
    fn where_nobody_writes_no_line_is_made() {
        AccessLog::default().tell(|| unreachable!("nobody wants it"));
    }
}

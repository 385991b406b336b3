//! One line a request, formatted and written off the request's task.
//!
//! A request only hands its line over. A thread of its own takes the lines that came together, and writes them at once:
//! text on a terminal, JSON otherwise, in the form of the other log lines.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use axum::extract::MatchedPath;
use http::{HeaderValue, Method};
use letterhead_context::Code;
use serde::Serialize;

/// Lines that may wait. More are dropped: a log that cannot keep up must not stop requests.
const WAITING: usize = 16 * 1024;

/// How long lines are gathered before they are written.
const GATHER: Duration = Duration::from_millis(20);

/// Where requests leave their lines. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct AccessLog(Option<Arc<Log>>);

#[derive(Debug)]
struct Log {
    desk: Arc<Desk>,
    writer: Option<JoinHandle<()>>,
}

/// Where lines wait.
#[derive(Debug, Default)]
struct Desk {
    waiting: Mutex<Waiting>,
    /// Rung for the first line of a heap, and at the end.
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<Line>,
    closed: bool,
}

/// What is told of a request: names and numbers, and no value of a header.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at_ms: i64,
    pub(crate) method: Method,
    pub(crate) route: Option<MatchedPath>,
    pub(crate) status: u16,
    pub(crate) micros: u64,
    pub(crate) request_id: Arc<str>,
    pub(crate) session_id: Option<HeaderValue>,
    /// Why it was refused, or failed.
    pub(crate) code: Option<Code>,
}

impl AccessLog {
    /// Writes to the standard error from now on, if the filter lets this program's requests through.
    pub(crate) fn start() -> Self {
        if !tracing::enabled!(target: "letterhead::request", tracing::Level::INFO) {
            return Self(None);
        }
        let desk = Arc::new(Desk::default());
        let text = std::io::stderr().is_terminal();
        let at_desk = Arc::clone(&desk);
        let writer = Builder::new().name("access-log".to_owned()).spawn(move || at_desk.write(text)).ok();
        Self(Some(Arc::new(Log { desk, writer })))
    }

    /// Hands a line over, unless nobody writes or too many wait.
    pub(crate) fn tell(&self, line: impl FnOnce() -> Line) {
        let Some(log) = &self.0 else { return };
        let line = line();
        let mut waiting = log.desk.lock();
        if waiting.lines.len() < WAITING {
            waiting.lines.push(line);
        }
        if waiting.lines.len() == 1 {
            log.desk.bell.notify_one();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.desk.lock().closed = true;
        self.desk.bell.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what comes until the end, a heap at a time.
    fn write(&self, text: bool) {
        let mut out = String::with_capacity(4096);
        let mut heap = Vec::new();
        loop {
            let idle = |waiting: &mut Waiting| waiting.lines.is_empty() && !waiting.closed;
            let waiting = self.bell.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            // The bell rings for the first line alone: the others of the heap come without waking anybody.
            let gathered = self.bell.wait_timeout_while(waiting, GATHER, |waiting| !waiting.closed);
            let mut waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
            mem::swap(&mut heap, &mut waiting.lines);
            let closed = waiting.closed;
            drop(waiting);
            heap.drain(..).for_each(|line| put(&line, text, &mut out));
            // A closed standard error is no reason to stop serving.
            let _ = std::io::stderr().lock().write_all(out.as_bytes());
            out.clear();
            if closed {
                return;
            }
        }
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
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

fn put(line: &Line, text: bool, out: &mut String) {
    let timestamp = super::timestamp(line.at_ms);
    let route = line.route.as_ref().map_or("-", MatchedPath::as_str);
    let session_id = line.session_id.as_ref().and_then(|id| id.to_str().ok());
    let code = line.code.map(Code::as_str);
    if text {
        let code = code.map_or_else(String::new, |code| format!(" code={code}"));
        let session = session_id.map_or_else(String::new, |id| format!(" session_id={id}"));
        let Line { method, status, micros, request_id, .. } = line;
        let _ = writeln!(
            out,
            "{timestamp}  INFO {method} {route} {status} {micros}µs request_id={request_id}{session}{code}"
        );
        return;
    }
    let line = Json {
        timestamp: &timestamp,
        level: "INFO",
        target: "letterhead::request",
        method: line.method.as_str(),
        route,
        status: line.status,
        micros: line.micros,
        request_id: &line.request_id,
        session_id,
        code,
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
            route: None,
            status: 200,
            micros: 1254,
            request_id: "req_1".into(),
            session_id: Some(HeaderValue::from_static("sess-456")),
            code: None,
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
             \"method\":\"POST\",\"route\":\"-\",\"status\":200,\"micros\":1254,\
             \"request_id\":\"req_1\",\"session_id\":\"sess-456\"}\n"
        );
        assert_eq!(text, "2026-11-22T10:52:14.127Z  INFO POST - 200 1254µs request_id=req_1 session_id=sess-456\n");
    }

    #[test]
    fn a_line_says_why_a_request_was_refused() {
        let line = Line { code: Some(Code::InvalidHeader), status: 400, ..line() };
        let (mut json, mut text) = (String::new(), String::new());
        put(&line, false, &mut json);
        put(&line, true, &mut text);
        assert!(json.ends_with(",\"session_id\":\"sess-456\",\"code\":\"invalid_header\"}\n"), "{json}");
        assert!(text.ends_with(" session_id=sess-456 code=invalid_header\n"), "{text}");
    }

    #[test]
    fn where_nobody_writes_no_line_is_made() {
        AccessLog::default().tell(|| unreachable!("nobody wants it"));
    }
}

//! What went wrong with a call, in plain words, with what to do about it.

use std::error::Error;
use std::fmt;

use http::StatusCode;
use letterhead::outbound::Url;
use serde::Deserialize;

use crate::cli::paint::printable;

/// A call that failed: what happened, and what to do. Holds no value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Failure {
    what: String,
    /// Single faults, and what to do.
    notes: Vec<String>,
    /// The server's code of it; empty where the server did not say it.
    code: String,
}

/// A problem document, as Letterhead writes it. Members that are missing are empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Document {
    detail: String,
    request_id: String,
    errors: Vec<Fault>,
    error: OpenAiError,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fault {
    header: Option<String>,
    pointer: Option<String>,
    code: String,
    detail: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OpenAiError {
    message: String,
    code: String,
}

impl Failure {
    /// A failure that one sentence explains.
    pub(in crate::cli) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), notes: Vec::new(), code: String::new() }
    }

    /// Adds what to do.
    #[must_use]
    pub(in crate::cli) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Is it what the server calls so?
    pub(in crate::cli) fn is(&self, code: &str) -> bool {
        self.code == code
    }

    /// The failure that an `error` event tells of.
    pub(in crate::cli) fn of_event(code: &str, message: &str) -> Self {
        let what = if message.is_empty() { "the turn failed".to_owned() } else { printable(message) };
        let failure = Self::new(what);
        match advice(code, None) {
            Some(advice) => failure.with_note(advice),
            None => failure,
        }
    }

    /// The stream ended, and the answer had not.
    pub(in crate::cli) fn cut_short() -> Self {
        Self::new("the answer broke off: the connection ended before the answer did")
            .with_note("what was shown is incomplete; `/trail` and the session's messages tell what was kept")
    }

    pub(super) fn broken_off(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::new("the answer broke off: the server has been silent for a minute");
        }
        Self::cut_short()
    }

    /// A call that brought no answer.
    pub(super) fn of_call(base: &Url, error: &reqwest::Error) -> Self {
        if !error.is_connect() {
            return Self::new(format!("the call to {} failed: {}", shown(base), reason(error)));
        }
        Self::new(format!("there is no server at {}: {}", shown(base), reason(error)))
            .with_note("start one with `letterhead serve`, or name another with `--url`")
    }

    /// An answer that is not as Letterhead answers.
    pub(super) fn not_letterhead(base: &Url, status: StatusCode) -> Self {
        Self::new(format!("what answers at {} (status {}) is no Letterhead server", shown(base), status.as_u16()))
            .with_note("name another with `--url`, or start one with `letterhead serve`")
    }

    /// A refusal: the problem's detail, each of its faults, and what to do about them.
    pub(super) fn of_problem(base: &Url, status: StatusCode, body: &[u8], in_process: bool) -> Self {
        let Ok(document) = serde_json::from_slice::<Document>(body) else {
            return Self::not_letterhead(base, status);
        };
        let said = [&document.detail, &document.error.message].into_iter().find(|said| !said.is_empty());
        let Some(said) = said else { return Self::not_letterhead(base, status) };
        let code = &document.error.code;
        let mut failure = if document.errors.is_empty() {
            Self::new(format!("{} ({code})", printable(said)))
        } else {
            Self::new(format!("the server refused the request ({code})"))
        };
        for fault in &document.errors {
            let place = fault.header.as_deref().map(|name| format!("header `{name}`"));
            let place = place.or_else(|| fault.pointer.as_ref().map(|pointer| format!("body `{pointer}`")));
            let text = match (place, advice(&fault.code, fault.header.as_deref())) {
                (Some(place), Some(advice)) => format!("{place}: {} → {advice}", fault.detail),
                (Some(place), None) => format!("{place}: {}", fault.detail),
                (None, _) => fault.detail.clone(),
            };
            failure.notes.push(printable(&text));
        }
        if document.errors.is_empty() {
            failure.notes.extend(advice(code, None));
        }
        if status.is_server_error() && in_process {
            failure.notes.push("`RUST_LOG=letterhead=info` shows what the server's log has of it".to_owned());
        } else if status.is_server_error() && !document.request_id.is_empty() {
            failure.notes.push(format!("the server's log has it under request id {}", printable(&document.request_id)));
        }
        Self { code: document.error.code, ..failure }
    }
}

/// What to do about a code, where there is something to do at this end.
fn advice(code: &str, header: Option<&str>) -> Option<String> {
    let name = header.unwrap_or("name");
    Some(match code {
        "missing_header" | "missing_credential" => format!("send it with -H '{name}: …'"),
        "invalid_header" | "invalid_header_value" | "header_too_large" => format!("send another -H '{name}: …'"),
        "ambiguous_header" => "give it once".to_owned(),
        "agent_not_found" => "pick one with --agent".to_owned(),
        "model_not_found" => "pick one with --model".to_owned(),
        "session_busy" | "rate_limited" | "upstream_rate_limited" | "shutting_down" => {
            "try again in a moment".to_owned()
        }
        "unauthenticated" => "send what the server asks for with -H, such as -H 'Authorization: Bearer …'".to_owned(),
        "upstream_auth" => "the server's own key for the model is refused: see `api_key` of the provider".to_owned(),
        _ => return None,
    })
}

/// A base URL as people write it. A query is left out: it may hold a key.
fn shown(base: &Url) -> String {
    let mut base = base.clone();
    base.set_query(None);
    base.as_str().trim_end_matches('/').to_owned()
}

/// The innermost reason of an error, which alone says what happened.
fn reason(error: &reqwest::Error) -> String {
    let mut inner: &dyn Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    if error.is_timeout() { "it did not answer in time".to_owned() } else { inner.to_string() }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.notes.iter().try_for_each(|note| write!(f, "\n  {note}"))
    }
}

impl Error for Failure {}

#[cfg(test)]
mod tests {
    use letterhead::outbound::base_url;

    use super::*;

    fn refused(status: u16, body: &str) -> String {
        let base = base_url("http://127.0.0.1:8080").unwrap();
        Failure::of_problem(&base, StatusCode::from_u16(status).unwrap(), body.as_bytes(), false).to_string()
    }

    #[test]
    fn every_fault_is_told_with_what_to_do() {
        let body = r#"{"detail": "header `user_id`: required; …", "request_id": "r1", "error": {"code": "missing_header"}, "errors": [
            {"header": "user_id", "code": "missing_header", "detail": "required, and neither sent nor stored"},
            {"header": "age", "code": "invalid_header", "detail": "expected an integer"},
            {"pointer": "/messages/0/role", "code": "invalid_body", "detail": "expected a role"}]}"#;
        insta::assert_snapshot!(refused(400, body), @r"
        the server refused the request (missing_header)
          header `user_id`: required, and neither sent nor stored → send it with -H 'user_id: …'
          header `age`: expected an integer → send another -H 'age: …'
          body `/messages/0/role`: expected a role
        ");
    }

    #[test]
    fn a_problem_without_faults_is_its_detail_and_a_server_s_fault_names_the_request() {
        let busy = r#"{"detail": "another turn is running", "request_id": "r1", "error": {"code": "session_busy"}}"#;
        assert_eq!(refused(409, busy), "another turn is running (session_busy)\n  try again in a moment");
        let failed = r#"{"detail": "the store is gone", "request_id": "r1", "error": {"code": "store_unavailable"}}"#;
        assert_eq!(
            refused(503, failed),
            "the store is gone (store_unavailable)\n  the server's log has it under request id r1"
        );
    }

    #[test]
    fn what_is_no_problem_document_is_no_letterhead() {
        for body in ["<html>", "", "{}", "[]", "null"] {
            assert!(refused(502, body).contains("(status 502) is no Letterhead server"), "{body}");
        }
    }

    #[test]
    fn a_problem_cannot_repaint_the_terminal() {
        let told = refused(400, "{\"detail\": \"a\\u001b[2Jb\", \"error\": {\"code\": \"invalid_body\"}}");
        assert_eq!(told, "a\u{fffd}[2Jb (invalid_body)");
    }
}

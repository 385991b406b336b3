//! What came back.

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: Option<String>,
    pub(crate) data: String,
}

impl Event {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|_| panic!("no JSON: {}", self.data))
    }
}

impl Answered {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self::from_parts(status, headers, response.text().await.unwrap())
    }

    pub(super) async fn of_response(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Self::from_parts(parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub(crate) fn from_parts(status: StatusCode, headers: HeaderMap, text: String) -> Self {
        Self { status: status.as_u16(), headers, text }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The answer's text in OpenAI's form.
    #[track_caller]
    pub(crate) fn content(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    }

    /// Checks that this is an error in the one form that all have, and gives its body.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text);
        let body = self.json();
        assert_eq!(body["error"]["code"], code, "{body:#}");
        assert_eq!(body["status"], status);
        assert_eq!(body["detail"], body["error"]["message"]);
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        assert!(body["type"].is_string() && body["title"].is_string() && body["errors"].is_array(), "{body:#}");
        assert!(body["error"]["type"].is_string(), "{body:#}");
        assert!(body["error"]["param"].is_string() || body["error"]["param"].is_null(), "{body:#}");
        body
    }

    /// The faults of an error as `(place, code)`, in order.
    #[track_caller]
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let body = self.json();
        let faults = body["errors"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let place = |fault: &Value| fault.get("header").or_else(|| fault.get("pointer")).map(text).unwrap();
        faults.map(|fault| (place(fault), text(&fault["code"]))).collect()
    }

    /// The events of a stream. What is no event, a comment or an empty line is a fault of the server.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Event> {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("text/event-stream"));
        assert_eq!(self.header("cache-control"), Some("no-cache"));
        assert_eq!(self.header("x-accel-buffering"), Some("no"));
        events(&self.text)
    }
}

#[track_caller]
fn events(text: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let whole = text.strip_suffix("\n\n").unwrap_or_else(|| panic!("a frame is not complete: {text}"));
    for frame in whole.split("\n\n").filter(|frame| !frame.starts_with(':')) {
        let (name, data) = match frame.split_once('\n') {
            Some((name, data)) => (Some(name.strip_prefix("event: ").unwrap_or_else(|| panic!("{frame}"))), data),
            None => (None, frame),
        };
        let data = data.strip_prefix("data: ").unwrap_or_else(|| panic!("{frame}"));
        assert!(!data.contains('\n'), "{frame}");
        events.push(Event { name: name.map(str::to_owned), data: data.to_owned() });
    }
    events
}

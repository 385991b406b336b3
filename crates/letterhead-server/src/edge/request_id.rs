//! The id of a request: taken from `X-Request-Id` if it is harmless, else made.

use std::sync::Arc;

use http::HeaderMap;

/// The id of a request. Every response and every log line has it.
#[derive(Clone, Debug)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id that the request brings, or a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get("x-request-id").and_then(|value| value.to_str().ok()).filter(|id| is_harmless(id));
        match sent {
            Some(id) => Self(id.into()),
            None => Self(format!("req_{}", uuid::Uuid::new_v4().simple()).into()),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id, to keep.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

fn is_harmless(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

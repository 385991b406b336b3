//! `X-Session-Id` of an answer: which conversation it belongs to, in every protocol.

use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::SessionId;

/// Its name.
pub(crate) const SESSION: HeaderName = HeaderName::from_static("x-session-id");

/// Says it, where there is one.
pub(crate) fn say_session(session: Option<&SessionId>, headers: &mut HeaderMap) {
    if let Some(value) = session.and_then(|id| HeaderValue::from_str(id.as_str()).ok()) {
        headers.insert(SESSION, value);
    }
}

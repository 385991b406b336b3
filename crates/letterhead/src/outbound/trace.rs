//! The trace that a call out is a part of.

use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::TraceContext;

/// Makes a call a span of a trace, unless a configured header has said something else.
pub(crate) fn continue_in(headers: &mut HeaderMap, trace: &TraceContext) {
    const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
    let (span, _) = uuid::Uuid::new_v4().as_u64_pair();
    if let Ok(value) = HeaderValue::try_from(trace.next_hop(span.to_be_bytes())) {
        headers.entry(TRACEPARENT).or_insert(value);
    }
}

//! Trace context (W3C Trace Context, level 1): continued or started where a request comes in, and sent on every call out.

use std::fmt;

use http::HeaderValue;

/// A trace that the request belongs to.
///
/// ```
/// use letterhead_context::TraceContext;
///
/// let trace = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
/// assert_eq!(trace.next_hop([7; 8]), "00-0af7651916cd43dd8448eb211c80319c-0707070707070707-01");
/// assert!(TraceContext::parse("00-00000000000000000000000000000000-b7ad6b7169203331-01").is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    sampled: bool,
}

impl TraceContext {
    /// Starts a trace of this id. Whether it is recorded is for those who come later to decide.
    pub fn start(trace_id: [u8; 16]) -> Self {
        Self { trace_id: u128::from_be_bytes(trace_id), sampled: false }
    }

    /// Reads a `traceparent`. None for what is none; of a later version the known beginning is read.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
        };
        let ends = version != "00" || parts.next().is_none();
        let is_whole = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
        if !ends || !is_whole || version == "ff" || parent.bytes().all(|b| b == b'0') {
            return None;
        }
        let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { trace_id, sampled: flags & 1 == 1 })
    }

    /// Reads the header's value.
    pub fn from_header(value: &HeaderValue) -> Option<Self> {
        value.to_str().ok().and_then(Self::parse)
    }

    /// The `traceparent` of a call out, which is a span of its own.
    pub fn next_hop(&self, span_id: [u8; 8]) -> String {
        // A span id of nothing but zeros means none.
        let span = u64::from_be_bytes(span_id).max(1).to_be_bytes();
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        push_hex(&mut text, &self.trace_id.to_be_bytes());
        text.push('-');
        push_hex(&mut text, &span);
        text.push_str(if self.sampled { "-01" } else { "-00" });
        text
    }
}

/// Writes bytes as lower-case hex digits: every call out needs it, and formatting is slow.
fn push_hex(text: &mut String, bytes: &[u8]) {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.trace_id)
    }
}

#[cfg(test)]
mod tests {
    use super::TraceContext;

    #[test]
    fn what_is_no_traceparent_is_none() {
        for text in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
        // A later version may say more.
        assert!(TraceContext::parse("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more").is_some());
    }

    #[test]
    fn a_trace_that_starts_here_is_not_marked_as_recorded() {
        let hop = TraceContext::start([1; 16]).next_hop([0; 8]);
        assert_eq!(hop, "00-01010101010101010101010101010101-0000000000000001-00");
    }
}

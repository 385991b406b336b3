//! What the names of headers mean to the configuration, by the rules of [`letterhead_context::name`].
//!
//! Names are texts here, and may be none that HTTP takes: [`is_name`] says that first.

use http::HeaderName;
use letterhead_context::name;

/// A field name as RFC 9110 (section 5.1) has it.
pub(super) fn is_name(name: &str) -> bool {
    parse(name).is_some()
}

/// Why a configuration may not set a header, if it may not.
pub(super) fn reserved(name: &str) -> Option<&'static str> {
    parse(name).and_then(|name| name::reserved_outbound(&name))
}

/// Why callers may not set a header, if they may not.
pub(super) fn not_runtime(name: &str) -> Option<&'static str> {
    parse(name).and_then(|name| name::not_runtime(&name))
}

/// Whether a header carries the provider's credential.
pub(super) fn is_credential(name: &str) -> bool {
    parse(name).is_some_and(|name| name::is_credential(&name))
}

/// Whether all names that begin so are ones that a pattern never matches.
pub(super) fn is_never_by_pattern(prefix: &str) -> bool {
    parse(&format!("{prefix}x")).is_some_and(|name| !name::matched_by_pattern(&name))
}

fn parse(name: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(name.as_bytes()).ok()
}

//! What the names of headers mean to the configuration: the one place that knows them.

/// Set by the HTTP client itself, or belonging to one connection. Nobody may configure them.
const RESERVED: &[&str] = &[
    "host",
    "connection",
    "cookie",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that carry a provider's credential.
const CREDENTIALS: &[&str] = &["authorization", "x-api-key", "api-key"];

/// Beginnings of names that a pattern of `runtime_headers` never matches.
const NEVER_BY_PATTERN: &[&str] = &["accept", "content-", "forwarded", "mcp-", "sec-", "x-forwarded-", "x-stainless-"];

/// A field name as RFC 9110 (section 5.1) has it.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether a header is none that a configuration may set.
pub(super) fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    RESERVED.contains(&name.as_str()) || name.starts_with("content-")
}

/// Whether a header carries the provider's credential.
pub(super) fn is_credential(name: &str) -> bool {
    CREDENTIALS.contains(&name.to_ascii_lowercase().as_str())
}

/// Whether all names that begin so are ones that a pattern never matches.
pub(super) fn is_never_by_pattern(prefix: &str) -> bool {
    let prefix = prefix.to_ascii_lowercase();
    NEVER_BY_PATTERN.iter().any(|never| prefix.starts_with(never))
}

/// A declared name, in which case and `-` or `_` make no difference.
pub(super) fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

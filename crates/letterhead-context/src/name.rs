//! Field names: which are one, which are reserved, and for what.
//!
//! For declared context headers `-` and `_` are one character, because proxies such as nginx drop names with `_`.
//! Everywhere else names are compared as HTTP compares them: without regard to case (RFC 9110, 5.1).

use http::{HeaderName, header};

/// The form in which declared names are compared: lower case, `-` written as `_`.
///
/// ```
/// use letterhead_context::name::folded;
///
/// assert_eq!(folded("User-Id"), "user_id");
/// ```
pub fn folded(name: &str) -> String {
    name.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Is a name this field's, given as [`folded`] writes it? The same as folding and comparing, without a copy.
pub(crate) fn is_spelling_of(folded: &str, name: &str) -> bool {
    let fold = |b: u8| if b == b'-' { b'_' } else { b.to_ascii_lowercase() };
    folded.len() == name.len() && folded.bytes().zip(name.bytes()).all(|(known, b)| known == fold(b))
}

/// The seven headers that say who is asking, for which session and agent. Ingress reads them in this order.
pub const IDENTITY: [&str; 7] =
    ["x-user-id", "x-tenant-id", "x-session-id", "x-agent-schema", "x-model-name", "x-is-eval", "x-client-id"];

/// Headers that carry the credential of a call. A call has at most one.
pub const CREDENTIALS: [&str; 3] = ["authorization", "x-api-key", "api-key"];

/// Headers of one connection, which no one passes on (RFC 9110, 7.6.1).
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Is it one of the identity headers?
pub fn is_identity(name: &HeaderName) -> bool {
    IDENTITY.contains(&name.as_str())
}

/// Does it carry a credential?
pub fn is_credential(name: &HeaderName) -> bool {
    CREDENTIALS.contains(&name.as_str())
}

/// Is it called as secrets are? What has such a name is not shown, whatever it is declared to be.
///
/// ```
/// use letterhead_context::name::looks_secret;
///
/// assert!(looks_secret("X-Gateway-Key") && looks_secret("auth_token"));
/// assert!(!looks_secret("max_tokens"));
/// ```
pub fn looks_secret(name: &str) -> bool {
    const ENDINGS: [&str; 10] = [
        "key",
        "token",
        "secret",
        "password",
        "passwd",
        "passphrase",
        "authorization",
        "cookie",
        "credential",
        "credentials",
    ];
    let name = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Why a name cannot be declared as a context header, and what to use instead.
///
/// ```
/// use letterhead_context::name::not_declarable;
///
/// assert!(not_declarable("X-User-Id").unwrap().contains("caller.user_id"));
/// assert!(not_declarable("x-api-key").is_none());
/// ```
pub fn not_declarable(name: &str) -> Option<&'static str> {
    let name = folded(name).replace('_', "-");
    let starts = |prefix: &str| name.starts_with(prefix);
    match name.as_str() {
        "x-user-id" => Some("it is an identity header: templates read it, verified, as `caller.user_id`"),
        "x-tenant-id" => Some("it is an identity header: templates read it, verified, as `caller.tenant_id`"),
        "x-session-id" => Some("it is an identity header: templates read it as `session.id`"),
        "x-is-eval" => Some("it is an identity header: templates read it as `session.mode`"),
        "x-client-id" => Some("it is an identity header: templates read it as `request.client_id`"),
        "x-agent-schema" => Some("it is an identity header: it picks the agent, which templates read as `agent.name`"),
        "x-model-name" => Some("it is an identity header: it picks the model of the run"),
        "authorization" => Some("it says who is calling: configure `auth`, and read `claims` or `caller` in templates"),
        "cookie" | "set-cookie" => Some("cookies are never passed on: declare a header of your own"),
        "host" => Some("it names this server: declare a header of your own"),
        "forwarded" | "via" | "x-real-ip" => Some("it belongs to the proxies on the way: declare a header of your own"),
        _ if starts("x-forwarded-") => Some("it belongs to the proxies on the way: declare a header of your own"),
        _ if starts("content-") => Some("it describes the request's body: declare a header of your own"),
        other if HOP_BY_HOP.contains(&other) => {
            Some("it belongs to one connection and is never passed on: declare a header of your own")
        }
        _ => None,
    }
}

/// Why no configuration and no program may set this header on a call out.
///
/// ```
/// use http::HeaderName;
/// use letterhead_context::name::reserved_outbound;
///
/// assert!(reserved_outbound(&HeaderName::from_static("content-length")).is_some());
/// assert!(reserved_outbound(&HeaderName::from_static("authorization")).is_none());
/// ```
pub fn reserved_outbound(name: &HeaderName) -> Option<&'static str> {
    let text = name.as_str();
    if *name == header::HOST {
        Some("`Host` follows from the URL")
    } else if text.starts_with("content-") {
        Some("`Content-*` headers follow from the body")
    } else if *name == header::COOKIE {
        Some("`Cookie` is never sent")
    } else if HOP_BY_HOP.contains(&text) {
        Some("it belongs to the connection, which the client manages")
    } else {
        None
    }
}

/// Why a name cannot stand in `runtime_headers`.
pub fn not_runtime(name: &HeaderName) -> Option<&'static str> {
    if is_credential(name) {
        Some("a caller cannot set a provider's credential; `api_key` may be a template that reads a context header")
    } else {
        reserved_outbound(name)
    }
}

/// May a pattern such as `x-*` in `runtime_headers` match this name? What has a meaning of its own must be named whole.
pub fn matched_by_pattern(name: &HeaderName) -> bool {
    const PREFIXES: [&str; 8] =
        ["accept", "sec-", "mcp-", "x-stainless-", "x-forwarded", "x-original-", "x-b3-", "a2a-"];
    const NAMES: [&str; 17] = [
        "user-agent",
        "idempotency-key",
        "traceparent",
        "tracestate",
        "baggage",
        "b3",
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "last-event-id",
        "expect",
        // Credentials of providers that also take one of the usual three.
        "x-goog-api-key",
        "x-amz-security-token",
        "ocp-apim-subscription-key",
    ];
    // Some upstreams take `_` for `-`: what is kept back under one spelling is kept back under the other.
    let spelled = name.as_str().replace('_', "-");
    let Ok(name) = HeaderName::from_bytes(spelled.as_bytes()) else { return false };
    let text = name.as_str();
    !(is_identity(&name)
        || is_credential(&name)
        || reserved_outbound(&name).is_some()
        || NAMES.contains(&text)
        || PREFIXES.iter().any(|prefix| text.starts_with(prefix)))
}

/// The known name that is nearest to a mistyped one, if any is near enough to suggest.
///
/// ```
/// use letterhead_context::name::nearest;
///
/// assert_eq!(nearest("user_di", ["user_id", "org_name"]), Some("user_id"));
/// assert_eq!(nearest("zzz", ["user_id", "org_name"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    likest(name, known, 0.6)
}

/// The known name of which a mistyped one is a slip: [`nearest`], for places where other names may rightly stand.
///
/// ```
/// use letterhead_context::name::slip_of;
///
/// assert_eq!(slip_of("titel", ["title", "tags"]), Some("title"));
/// assert_eq!(slip_of("subtitle", ["title", "tags"]), None);
/// ```
pub fn slip_of<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    likest(name, known, 0.75)
}

fn likest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, least: f64) -> Option<&'a str> {
    let wanted = folded(name);
    known
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&wanted, &folded(candidate)), candidate))
        .filter(|(likeness, _)| *likeness >= least)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

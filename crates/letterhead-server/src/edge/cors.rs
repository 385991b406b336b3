//! `Origin`: pages of other origins may call only if they are named, and browsers are told so (CORS).

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use letterhead_context::{Code, Ingress, Problem, name};

/// The pages that may call.
#[derive(Clone, Debug)]
pub enum Origins {
    /// Pages of these origins, and our own.
    Listed(Vec<String>),
    /// All pages.
    Any,
}

impl Default for Origins {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

/// Response headers that scripts may read.
const EXPOSED: &str = "x-session-id, x-request-id, etag, retry-after, retry-after-ms, x-should-retry, www-authenticate, \
                       mcp-session-id, mcp-protocol-version";

impl Origins {
    fn lists(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(origins) => {
                origin.to_str().is_ok_and(|origin| origins.iter().any(|known| known.eq_ignore_ascii_case(origin)))
            }
        }
    }

    /// Refuses a page that may not call.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let origin = headers.get(header::ORIGIN);
        let several = headers.get_all(header::ORIGIN).iter().count() > 1;
        let cross_site =
            headers.get_all("sec-fetch-site").iter().any(|site| site.as_bytes().eq_ignore_ascii_case(b"cross-site"));
        let allowed = match origin {
            Some(origin) => !several && (self.lists(origin) || (!cross_site && is_own(origin, headers))),
            None => !cross_site,
        };
        if allowed {
            return Ok(());
        }
        let detail = "pages of this origin may not call; list it in `server.cors`";
        Err(Problem::new(Code::OriginNotAllowed, detail))
    }

    /// Answers a preflight of an origin that has been checked.
    pub(super) fn preflight(&self, headers: &HeaderMap, ingress: &Ingress) -> Response {
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok());
        let allowed: Vec<&str> = asked
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|name| HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| may_send(&name, ingress)))
            .collect();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        if let Ok(list) = HeaderValue::from_str(&allowed.join(", ")) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, list);
        }
        response
    }

    /// Tells a browser that its page may read the response.
    pub(super) fn mark(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        let is_closed = matches!(self, Self::Listed(origins) if origins.is_empty());
        // Whoever keeps an answer must not give it to a page that it says nothing of: the card of an agent may be kept.
        if origin.is_some() || !is_closed {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Some(origin) = origin.filter(|origin| self.lists(origin)) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}

/// A page that this server itself could have served: the same host and port.
fn is_own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let (Ok(origin), Some(Ok(host))) = (origin.to_str(), headers.get(header::HOST).map(|host| host.to_str())) else {
        return false;
    };
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// The request headers that a page may send: those that mean something here.
fn may_send(name: &HeaderName, ingress: &Ingress) -> bool {
    const NAMES: [&str; 11] = [
        "content-type",
        "if-match",
        "if-none-match",
        "authorization",
        "x-api-key",
        "idempotency-key",
        "last-event-id",
        "x-request-id",
        "accept",
        "traceparent",
        "tracestate",
    ];
    const PREFIXES: [&str; 3] = ["x-stainless-", "mcp-", "a2a-"];
    let text = name.as_str();
    NAMES.contains(&text)
        || PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        || name::is_identity(name)
        || ingress.schema().field(text).is_some()
        || ingress.runtime_names().allows(name)
}

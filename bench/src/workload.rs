//! What the load driver asks: one chat request, with the headers that `letterhead.yaml` declares.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;

use crate::answers::Kind;

/// Who is calling. Trusted on loopback by a server without a verifier.
pub(crate) const IDENTITY: [(&str, &str); 2] = [("x-user-id", "u_4711"), ("x-tenant-id", "acme")];

/// The six declared headers, and one that is allowed through to the model call.
const HEADERS: [(&str, &str); 7] = [
    ("user-id", "u_4711"),
    ("org-id", "org_acme01"),
    ("org-name", "Acme Industrial Fittings"),
    ("plan", "enterprise"),
    ("seats", "250"),
    ("auth-token", "tok_0123456789abcdef0123456789abcdef"),
    ("x-environment", "production"),
];

/// Whose conversation a request belongs to.
#[derive(Clone, Debug)]
pub(crate) enum Sessions {
    /// No session id: nothing is stored.
    None,
    /// Each request opens a session of its own, called by the prefix and the request's number.
    Fresh(String),
    /// Requests visit `count` sessions in turn.
    Cycle {
        /// What the sessions' ids begin with.
        prefix: String,
        /// How many there are; more than there are connections, or turns wait for each other.
        count: usize,
    },
}

impl Sessions {
    fn id(&self, n: usize) -> Option<String> {
        match self {
            Self::None => None,
            Self::Fresh(prefix) => Some(format!("{prefix}-{n}")),
            Self::Cycle { prefix, count } => Some(format!("{prefix}-{}", n % (*count).max(1))),
        }
    }
}

/// A kind of answer and a choice of sessions, from which request number `n` follows.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) kind: Kind,
    pub(crate) sessions: Sessions,
    agent: Option<&'static str>,
}

impl Workload {
    pub(crate) fn new(kind: Kind, sessions: Sessions) -> Self {
        Self { kind, sessions, agent: None }
    }

    /// The same, for an agent by its name.
    pub(crate) fn answered_by(self, agent: &'static str) -> Self {
        Self { agent: Some(agent), ..self }
    }

    /// Request number `n`, for the server called `host`.
    ///
    /// # Errors
    /// When a session id is not a header value; ids made here always are.
    pub(crate) fn request(&self, host: &HeaderValue, n: usize) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri("/v1/chat/completions")
            .header(HOST, host)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            // Official SDKs always send a key; without a verifier it is ignored.
            .header(AUTHORIZATION, HeaderValue::from_static("Bearer sk-of-the-sdk"));
        for (name, value) in HEADERS.into_iter().chain(IDENTITY) {
            request = request.header(name, HeaderValue::from_static(value));
        }
        if let Some(agent) = self.agent {
            request = request.header("x-agent-schema", HeaderValue::from_static(agent));
        }
        if let Some(id) = self.sessions.id(n) {
            request = request.header("x-session-id", id);
        }
        request.body(Full::new(Bytes::from_static(self.body())))
    }

    fn body(&self) -> &'static [u8] {
        match self.kind {
            Kind::Json => {
                br#"{"model":"assistant","messages":[{"role":"user","content":"How many seats do we have left?"}],"stream":false}"#
            }
            Kind::Stream => {
                br#"{"model":"assistant","messages":[{"role":"user","content":"How many seats do we have left?"}],"stream":true}"#
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_named_as_asked() {
        let host = HeaderValue::from_static("127.0.0.1");
        let id = |sessions: Sessions, n| {
            let request = Workload::new(Kind::Json, sessions).request(&host, n).unwrap();
            request.headers().get("x-session-id").map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(id(Sessions::None, 7), None);
        assert_eq!(id(Sessions::Fresh("f".into()), 7).as_deref(), Some("f-7"));
        assert_eq!(id(Sessions::Cycle { prefix: "c".into(), count: 5 }, 7).as_deref(), Some("c-2"));
    }
}

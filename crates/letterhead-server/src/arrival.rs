//! What arrives with a request: who asks, and what the headers carry. The raw headers end here.

use std::convert::Infallible;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use letterhead_context::{Admitted, Caller, Code, IdentityClaims, Problem, Rejected, TraceContext};
use uuid::Uuid;

use crate::app::App;
use crate::auth::is_forwarded;
use crate::edge::{Peer, RequestId};
use crate::error::Failure;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// What is read, and thrown away, of a body that is not wanted: a client that still writes does not read the answer.
const DISCARDED: usize = 64 << 20;

/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// A request that reads what is there, and starts no turn: identity alone.
#[derive(Debug)]
pub struct Reading {
    /// Who asks.
    pub caller: Caller,
    /// The request's id.
    pub request_id: RequestId,
}

/// A request that starts a turn: identity, the admitted headers and the body.
#[derive(Debug)]
pub struct Arrival {
    /// Who asks.
    pub caller: Caller,
    /// What the identity headers say besides.
    pub identity: IdentityClaims,
    /// The declared headers and the runtime headers, or every fault of them.
    pub admission: Result<Admitted, Box<Rejected>>,
    /// The request's id.
    pub request_id: RequestId,
    /// The trace that the request brings, or a new one.
    pub trace: TraceContext,
    /// The body, not yet read as anything.
    pub body: Bytes,
}

/// A name in the path. What is not UTF-8 is a text that names nothing.
#[derive(Clone, Debug)]
pub struct InPath(pub String);

impl<S: Send + Sync> FromRequestParts<S> for InPath {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        Ok(path.map_or_else(|_| Self("\u{fffd}".to_owned()), |Path(name)| Self(name)))
    }
}

impl Reading {
    /// A failure of this request.
    pub fn failure(&self, problem: Problem) -> Failure {
        Failure::new(problem, self.request_id.as_str())
    }
}

impl Arrival {
    /// A failure of this request.
    pub fn failure(&self, problem: Problem) -> Failure {
        Failure::new(problem, self.request_id.as_str())
    }
}

fn request_id(parts: &Parts) -> RequestId {
    parts.extensions.get::<RequestId>().cloned().unwrap_or_else(|| RequestId::of(&parts.headers))
}

/// The socket's address. A request without one comes from a test, and from nowhere that is trusted.
fn peer(parts: &Parts) -> Peer {
    parts.extensions.get::<Peer>().copied().unwrap_or(Peer(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))))
}

impl FromRequestParts<Arc<App>> for Reading {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let request_id = request_id(parts);
        let headers = mem::take(&mut parts.headers);
        let caller = IdentityClaims::read(&headers)
            .and_then(|claims| app.auth.caller(peer(parts), is_forwarded(&headers), &claims));
        match caller {
            Ok(caller) => Ok(Self { caller, request_id }),
            Err(problem) => Err(Failure::new(problem, request_id.as_str())),
        }
    }
}

impl FromRequest<Arc<App>> for Arrival {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let request_id = request_id(&parts);
        let failure = |problem| Failure::new(problem, request_id.as_str());
        let headers = mem::take(&mut parts.headers);
        let (peer, forwarded, trace) = (peer(&parts), is_forwarded(&headers), trace(&headers));
        let unsent = is_unsent(&headers);
        let mut admission = app.ingress.admit(headers);
        // What is wrong with the headers is told later, with everything else: first, who must not get in at all.
        let identity = match &mut admission {
            Ok(admitted) => mem::take(&mut admitted.identity),
            Err(rejected) => mem::take(&mut rejected.identity),
        };
        let caller = match app.auth.caller(peer, forwarded, &identity) {
            Ok(caller) => caller,
            Err(problem) => {
                leave(body, unsent).await;
                return Err(failure(problem));
            }
        };
        let body = read(body, app.max_body, unsent).await.map_err(failure)?;
        Ok(Self { caller, identity, admission, request_id, trace, body })
    }
}

/// The trace that `traceparent` continues, or a new one.
fn trace(headers: &HeaderMap) -> TraceContext {
    let sent = headers.get("traceparent").and_then(TraceContext::from_header);
    sent.unwrap_or_else(|| TraceContext::start(Uuid::new_v4().into_bytes()))
}

async fn read(mut body: Body, limit: usize, unsent: bool) -> Result<Bytes, Problem> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        leave(body, unsent).await;
        return Err(too_large(limit));
    }
    let Ok(collected) = tokio::time::timeout(BODY_TIMEOUT, Limited::new(&mut body, limit).collect()).await else {
        return Err(Problem::new(Code::InvalidBody, "the body did not arrive in time"));
    };
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            leave(body, false).await;
            Err(too_large(limit))
        }
        Err(_) => Err(Problem::new(Code::InvalidBody, "the body broke off")),
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("the body may have at most {limit} bytes (`server.max_body`)"))
}

/// Does the client ask before it sends the body (`Expect: 100-continue`)? Who is refused then needs not send it at all.
pub(crate) fn is_unsent(headers: &HeaderMap) -> bool {
    headers.contains_key(header::EXPECT)
}

/// Takes what a client is about to send although its request is refused: closing the connection on it would lose the
/// answer.
pub(crate) async fn leave(mut body: Body, unsent: bool) {
    if unsent || body.is_end_stream() {
        return;
    }
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DISCARDED {
                return;
            }
        }
    })
    .await;
}

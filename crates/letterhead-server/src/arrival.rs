//! What arrives with a request: who asks, and what the headers carry. The raw headers end here.

use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use letterhead_context::{Admitted, Caller, Code, IdentityClaims, Problem, Rejected, TraceContext};
use uuid::Uuid;

use crate::app::App;
use crate::edge::{Peer, RequestId};
use crate::error::Failure;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

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
    pub admission: Result<Admitted, Rejected>,
    /// The request's id.
    pub request_id: RequestId,
    /// The trace that the request brings, or a new one.
    pub trace: TraceContext,
    /// The body, not yet read as anything.
    pub body: Bytes,
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
        let caller = IdentityClaims::read(&headers).and_then(|claims| app.auth.caller(peer(parts), &headers, &claims));
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
        // Claims with faults are told with the other headers' faults; until then nobody is believed.
        let claims = IdentityClaims::read(&headers);
        let nobody = IdentityClaims::default();
        let caller = app.auth.caller(peer(&parts), &headers, claims.as_ref().unwrap_or(&nobody)).map_err(failure)?;
        let body = read(body, app.max_body).await.map_err(failure)?;
        let trace = trace(&headers);
        let admission = app.ingress.admit(headers);
        let identity = claims.unwrap_or_default();
        Ok(Self { caller, identity, admission, request_id, trace, body })
    }
}

/// The trace that `traceparent` continues, or a new one.
fn trace(headers: &HeaderMap) -> TraceContext {
    let sent = headers.get("traceparent").and_then(TraceContext::from_header);
    sent.unwrap_or_else(|| TraceContext::start(Uuid::new_v4().into_bytes()))
}

async fn read(body: axum::body::Body, limit: usize) -> Result<Bytes, Problem> {
    let Ok(collected) = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await else {
        return Err(Problem::new(Code::InvalidBody, "the body did not arrive in time"));
    };
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Problem::new(Code::BodyTooLarge, format!("the body may have at most {limit} bytes (`server.max_body`)")))
        }
        Err(_) => Err(Problem::new(Code::InvalidBody, "the body broke off")),
    }
}

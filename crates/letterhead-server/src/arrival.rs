//! What arrives with a request: who asks, and what the headers carry. The raw headers end here.

use std::convert::Infallible;
use std::fmt;
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
use letterhead_context::{Admitted, Caller, Code, Fault, IdentityClaims, Problem, Rejected, TraceContext};
use uuid::Uuid;

use crate::app::App;
use crate::auth::{Claims, Identity, Reached, Refusal, Scope, Scopes, is_forwarded};
use crate::edge::{Peer, RequestId};
use crate::error::Failure;
use crate::idempotency::KeyHeader;

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
    /// What the caller's API key may be used for beyond asking agents.
    pub scopes: Scopes,
    /// Whether the caller is one of many without a name: see [`Identity::stranger`].
    pub stranger: bool,
    /// The request's id.
    pub request_id: RequestId,
}

/// A request that starts a turn: identity, the admitted headers and the body.
pub struct Arrival {
    /// Who asks.
    pub caller: Caller,
    /// Whether the caller is one of many without a name: see [`Identity::stranger`].
    pub stranger: bool,
    /// What the caller's verified token says.
    pub claims: Claims,
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
    /// `Idempotency-Key`: the request may be sent again.
    pub idempotency: Option<KeyHeader>,
}

/// A request of which the body alone says whether it starts a turn: who asks is known, and what it carries waits for that.
pub struct Undecided {
    known: Known,
    /// What is wrong with the identity headers.
    faults: Option<Problem>,
    /// The body, not yet read as anything.
    pub body: Bytes,
}

/// What a caller sends in a body is nobody's business in a log: how much it is, and no more.
impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival")
            .field("caller", &self.caller)
            .field("identity", &self.identity)
            .field("admission", &self.admission)
            .field("request_id", &self.request_id)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The same.
impl fmt::Debug for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undecided")
            .field("caller", &self.known.arrival.caller)
            .field("identity", &self.known.arrival.identity)
            .field("request_id", &self.known.arrival.request_id)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What is known of a request before its body is read.
struct Known {
    /// Without its body and `Idempotency-Key`.
    arrival: Box<Arrival>,
    scopes: Scopes,
    key: Result<Option<KeyHeader>, Fault>,
    /// The client asks before it sends the body.
    unsent: bool,
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

    /// Lets on who shows an API key with this scope.
    ///
    /// # Errors
    ///
    /// 403 `insufficient_scope` for everybody else.
    pub fn needs(&self, scope: Scope) -> Result<(), Failure> {
        if self.scopes.has(scope) {
            return Ok(());
        }
        Err(self.failure(scope.missing()).with_challenge(scope.challenge()))
    }
}

impl Arrival {
    /// A failure of this request.
    pub fn failure(&self, problem: Problem) -> Failure {
        Failure::new(problem, self.request_id.as_str())
    }
}

impl Undecided {
    /// The request's id.
    pub fn request_id(&self) -> &RequestId {
        &self.known.arrival.request_id
    }

    /// It starts no turn: identity alone is read.
    ///
    /// # Errors
    ///
    /// What is wrong with the identity headers.
    pub fn reading(self) -> Result<Reading, Failure> {
        let Known { arrival, scopes, .. } = self.known;
        let Arrival { caller, stranger, request_id, .. } = *arrival;
        match self.faults {
            None => Ok(Reading { caller, scopes, stranger, request_id }),
            Some(problem) => Err(Failure::new(problem, request_id.as_str())),
        }
    }

    /// It starts a turn: what it carries is admitted.
    ///
    /// # Errors
    ///
    /// A faulty `Idempotency-Key`, where nothing else is wrong with the headers: other faults are told with it, later.
    pub fn starts_turn(self) -> Result<Box<Arrival>, Failure> {
        self.known.arrive(self.body)
    }
}

impl FromRequest<Arc<App>> for Undecided {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let faults = IdentityClaims::read(request.headers()).err();
        let (known, body) = identified(request, app).await?;
        let body = read(body, app.max_body, known.unsent).await;
        let body = body.map_err(|problem| known.arrival.failure(problem))?;
        Ok(Self { known, faults, body })
    }
}

impl Known {
    fn arrive(self, body: Bytes) -> Result<Box<Arrival>, Failure> {
        let Self { mut arrival, key, .. } = self;
        match (key, &mut arrival.admission) {
            (Ok(key), _) => arrival.idempotency = key,
            (Err(fault), Err(rejected)) => rejected.faults.push(fault),
            (Err(fault), Ok(_)) => return Err(arrival.failure(Problem::faults(vec![fault]))),
        }
        arrival.body = body;
        Ok(arrival)
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
        let (reached, peer, forwarded) = (Reached::by(&headers), peer(parts), is_forwarded(&headers));
        let (claims, fallback) = (IdentityClaims::read(&headers), IdentityClaims::default());
        let credential = app.auth.credential(&headers);
        drop(headers);
        // Who must not get in at all is told first, and nothing of the rest.
        let named = claims.as_ref().unwrap_or(&fallback);
        match (app.auth.identify(credential, peer, forwarded, named).await, claims) {
            (Ok(Identity { caller, scopes, stranger, .. }), Ok(_)) => Ok(Self { caller, scopes, stranger, request_id }),
            (Ok(_), Err(problem)) => Err(Failure::new(problem, request_id.as_str())),
            (Err(refusal), _) => Err(refused(&refusal, app, parts, &reached, &request_id)),
        }
    }
}

/// Boxed: an arrival goes through many hands, and would be copied with each.
impl FromRequest<Arc<App>> for Box<Arrival> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (known, body) = identified(request, app).await?;
        let body = read(body, app.max_body, known.unsent).await;
        let body = body.map_err(|problem| known.arrival.failure(problem))?;
        known.arrive(body)
    }
}

/// Takes the headers out of a request, and says who asks.
async fn identified(request: Request, app: &App) -> Result<(Known, Body), Failure> {
    let (mut parts, body) = request.into_parts();
    let request_id = request_id(&parts);
    let headers = mem::take(&mut parts.headers);
    let (peer, forwarded, trace) = (peer(&parts), is_forwarded(&headers), trace(&headers));
    let (reached, unsent) = (Reached::by(&headers), is_unsent(&headers));
    let credential = app.auth.credential(&headers);
    let key = KeyHeader::read(&headers, parts.uri.path());
    let mut admission = app.ingress.admit(headers);
    // What is wrong with the headers is told later, with everything else: first, who must not get in at all.
    let identity = match &mut admission {
        Ok(admitted) => mem::take(&mut admitted.identity),
        Err(rejected) => mem::take(&mut rejected.identity),
    };
    match app.auth.identify(credential, peer, forwarded, &identity).await {
        Ok(Identity { caller, claims, scopes, stranger }) => {
            let (bytes, idempotency) = (Bytes::new(), None);
            let arrival =
                Arrival { caller, stranger, claims, identity, admission, request_id, trace, body: bytes, idempotency };
            Ok((Known { arrival: Box::new(arrival), scopes, key, unsent }, body))
        }
        Err(refusal) => {
            leave(body, unsent).await;
            Err(refused(&refusal, app, &parts, &reached, &request_id))
        }
    }
}

/// What a caller who does not get in is told.
fn refused(refusal: &Refusal, app: &App, parts: &Parts, reached: &Reached, request_id: &RequestId) -> Failure {
    tracing::debug!(
        request_id = request_id.as_str(),
        code = refusal.problem.code().as_str(),
        "refused: {}",
        refusal.problem.detail()
    );
    let metadata = app.auth.metadata().address(parts.uri.path(), reached);
    let challenge = refusal.challenge(metadata.as_deref());
    Failure::new(refusal.problem.clone(), request_id.as_str()).with_challenge(challenge)
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

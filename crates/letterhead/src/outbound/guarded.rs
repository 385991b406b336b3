//! The client for addresses that a template made or a stranger may have chosen: fetchers, tools, MCP servers, external
//! agents.
//!
//! It goes to the public internet and to what `egress.allow` lists, and to no other place, however that place is written
//! ([`AddressKind`]) and whatever a name leads to ([`Resolver`]). It takes no proxy, keeps no cookies, and follows a
//! redirect within its origin alone ([`RedirectFault`]). Every answer is bounded in size and time.
//!
//! # Why a connection can be used again
//!
//! An address is checked when a connection to it is made, and the connection goes to the very address that was checked.
//! Connections are pooled by scheme, host and port. The allow-list, and with it the answer to whether a host and port are
//! listed by name, does not change as long as a client lives, and connections to listed hosts are in a pool of their
//! own. So a connection that is found again is one that would be made again. What a connection may carry is the
//! caller's matter: HTTP has no memory of an earlier request on it.

mod address;
mod allow;
mod fault;
mod redirect;
mod refused;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use letterhead_context::TraceContext;
use tokio::time;

use super::resolver::{CheckedResolver, Resolver, SystemResolver};
use super::transport::{self, Transport};
use super::{Answer, ClientError, Fault, Outgoing, Url, retry};
pub use address::AddressKind;
use allow::Route;
pub use allow::{EgressAllow, EgressAllowFault, EgressAllowFaults};
pub use fault::OutboundFault;
pub use redirect::{MOST_REDIRECTS, RedirectFault};
pub use refused::Refused;
use refused::shown;

/// What holds for all calls of a [`GuardedClient`].
#[derive(Clone, Debug)]
pub struct GuardOptions {
    /// Where calls may go beyond the public internet: nowhere.
    pub allow: EgressAllow,
    /// How long a connection may take, name resolution and TLS included: 5 s.
    pub connect: Duration,
}

impl Default for GuardOptions {
    fn default() -> Self {
        Self { allow: EgressAllow::default(), connect: Duration::from_secs(5) }
    }
}

/// The bounds of one call that is answered as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// From the beginning to the last byte, redirects included: 10 s.
    pub timeout: Duration,
    /// The most bytes of the answer's body, after decompression: 1 MiB.
    pub max_body: usize,
    /// The trace that the call is a part of. None sends no `traceparent`.
    pub trace: Option<TraceContext>,
}

impl Default for Guard {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), max_body: 1024 * 1024, trace: None }
    }
}

/// The bounds of one call whose answer streams.
#[derive(Clone, Copy, Debug)]
pub struct StreamGuard {
    /// From the beginning to the head of the answer, redirects included: 30 s.
    pub head: Duration,
    /// Between two pieces of the answer's body: 60 s.
    pub idle: Duration,
    /// The trace that the call is a part of. None sends no `traceparent`.
    pub trace: Option<TraceContext>,
}

impl Default for StreamGuard {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), idle: Duration::from_secs(60), trace: None }
    }
}

/// A whole answer, whatever its status.
#[derive(Clone)]
#[non_exhaustive]
pub struct WholeAnswer {
    /// Its status: never a redirect.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed. Empty where the answer is no success and its body too large.
    pub body: Bytes,
}

impl WholeAnswer {
    /// May the same call be answered otherwise a little later? So it is with 408, 409, 429 and most of 5xx.
    pub fn may_pass(&self) -> bool {
        retry::may_pass(self.status, &self.headers)
    }

    /// How long the other side asks to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        retry::retry_after(&self.headers)
    }
}

/// Shows how much there is, and nothing of it.
impl fmt::Debug for WholeAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WholeAnswer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The client for calls to wherever a configuration's templates lead. Built once; cloning shares its connections.
///
/// ```
/// use letterhead::outbound::{GuardOptions, Guard, GuardedClient, Outgoing, Url};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let client = GuardedClient::new(GuardOptions::default())?;
/// let request = Outgoing {
///     method: http::Method::GET,
///     url: Url::parse("http://169.254.169.254/latest/meta-data/").unwrap(),
///     headers: http::HeaderMap::new(),
///     body: bytes::Bytes::new(),
/// };
/// let fault = client.send(&request, Guard::default()).await.unwrap_err();
/// assert!(fault.to_string().starts_with("`169.254.169.254` is a cloud's metadata address"));
/// # Ok::<(), letterhead::outbound::ClientError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct GuardedClient(Arc<Inner>);

struct Inner {
    allow: Arc<EgressAllow>,
    /// Connects to addresses that are allowed.
    checked: Transport,
    /// Connects to any address. For hosts that are listed by name, if there are any: kept apart because a resolver is
    /// not told the port, by which `host:port` is allowed and another port of the same host is not.
    listed: Option<Transport>,
}

impl GuardedClient {
    /// Sets a client up that asks the operating system for addresses.
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up.
    pub fn new(options: GuardOptions) -> Result<Self, ClientError> {
        Self::with_resolver(options, SystemResolver)
    }

    /// Sets a client up with a resolver of choice. What it says is checked like what the operating system says.
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up.
    pub fn with_resolver(options: GuardOptions, resolver: impl Resolver) -> Result<Self, ClientError> {
        let GuardOptions { allow, connect } = options;
        let (allow, resolver): (_, Arc<dyn Resolver>) = (Arc::new(allow), Arc::new(resolver));
        let transport = |allow: Option<Arc<EgressAllow>>| {
            Transport::new(connect, CheckedResolver { resolver: Arc::clone(&resolver), allow })
        };
        let listed = allow.lists_hosts().then(|| transport(None)).transpose()?;
        Ok(Self(Arc::new(Inner { checked: transport(Some(Arc::clone(&allow)))?, listed, allow })))
    }

    /// Checks all of a destination that can be known without asking for its addresses. Every call does.
    ///
    /// # Errors
    ///
    /// If calls there are refused.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        self.0.allow.check(url)
    }

    /// Makes a call and reads its whole answer, whatever the status. It is made once: what to repeat is for the caller to
    /// say ([`RetryPolicy::wait_after`](super::RetryPolicy::wait_after) knows what may pass and when).
    ///
    /// Dropping the future closes the connection, or resets its stream where that is HTTP/2.
    ///
    /// # Errors
    ///
    /// If there is no whole answer within the bounds.
    pub async fn send(&self, request: &Outgoing, guard: Guard) -> Result<WholeAnswer, OutboundFault> {
        let call = pin!(async {
            // The whole is bounded: silence needs no bound of its own.
            let Answer { status, headers, body, .. } = self.follow(request, guard.trace, guard.timeout).await?;
            let body = match body.read(guard.max_body).await {
                // What counts is that it is no success: nobody needs all of its words.
                Err(Fault::TooLarge) if !status.is_success() => Bytes::new(),
                read => read.map_err(|fault| OutboundFault::of_body(&shown(&request.url), fault, guard.max_body))?,
            };
            Ok(WholeAnswer { status, headers, body })
        });
        match time::timeout(guard.timeout, call).await {
            Ok(outcome) => outcome,
            Err(_) => Err(OutboundFault::Timeout { host: shown(&request.url), limit: guard.timeout }),
        }
    }

    /// Makes a call and returns with the head of its answer, whatever the status. The body follows piece by piece, and
    /// fails when it falls silent; how much of it may come is for its reader to say.
    ///
    /// # Errors
    ///
    /// If no answer began within the bounds.
    pub async fn open(&self, request: &Outgoing, guard: StreamGuard) -> Result<Answer, OutboundFault> {
        let call = pin!(self.follow(request, guard.trace, guard.idle));
        match time::timeout(guard.head, call).await {
            Ok(outcome) => outcome,
            Err(_) => Err(OutboundFault::Failed { host: shown(&request.url), fault: Fault::FirstByteTimeout }),
        }
    }

    /// Makes a call, and those that redirects ask for.
    async fn follow(
        &self,
        request: &Outgoing,
        trace: Option<TraceContext>,
        idle: Duration,
    ) -> Result<Answer, OutboundFault> {
        let Outgoing { mut method, mut url, mut headers, mut body } = request.clone();
        // Any of them may hold a secret: none is shown by a `Debug` or indexed by HTTP/2.
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        let mut redirects = 0;
        loop {
            let hop = self.hop((&method, &url), &headers, &body, trace, idle).await;
            let answer = hop.map_err(|fault| if redirects == 0 { fault } else { fault.after_redirect(&url) })?;
            if !answer.status.is_redirection() {
                return Ok(answer);
            }
            let next = match redirect::next(&method, &url, answer.status, &answer.headers) {
                Ok(_) if redirects == MOST_REDIRECTS => Err(RedirectFault::TooMany),
                next => next,
            };
            let next = next.map_err(|fault| OutboundFault::Redirect { host: shown(&url), fault })?;
            answer.body.release();
            redirects += 1;
            url = next.url;
            if !next.same {
                method = Method::GET;
                body = Bytes::new();
                for name in [http::header::CONTENT_TYPE, http::header::CONTENT_ENCODING, http::header::CONTENT_LANGUAGE]
                {
                    headers.remove(name);
                }
            }
        }
    }

    async fn hop(
        &self,
        (method, url): (&Method, &Url),
        headers: &HeaderMap,
        body: &Bytes,
        trace: Option<TraceContext>,
        idle: Duration,
    ) -> Result<Answer, OutboundFault> {
        let transport = match self.0.allow.route(url)? {
            Route::Listed => self.0.listed.as_ref().unwrap_or(&self.0.checked),
            Route::Checked => &self.0.checked,
        };
        let uri = transport::uri(url).map_err(|fault| OutboundFault::Failed { host: shown(url), fault })?;
        match transport.send(method, &uri, headers, body, trace).await {
            Ok(response) => Ok(Answer::new(response, idle)),
            Err(error) => Err(OutboundFault::before_answer(&shown(url), &error)),
        }
    }
}

impl fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedClient").field("allow", &self.0.allow).finish_non_exhaustive()
    }
}

//! The clients for calls out. Nothing else in this program sends.
//!
//! [`TrustedClient`] is for the addresses that the operator wrote down, providers and identity providers: it goes to
//! the configured host and port, follows no redirect and takes no proxy from the environment (a proxy would see every
//! credential, and an environment variable is too quiet a way to say so). It repeats what failed before the first byte
//! of an answer, and bounds the silence before and inside one.
//!
//! [`GuardedClient`] is for everything else: fetchers, tools, MCP servers, external agents. It looks at where a call goes.

mod answer;
mod base_url;
mod fault;
mod guarded;
mod resolver;
mod retry;
pub(crate) mod trace;
mod transport;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Uri};
use letterhead_context::RenderedRequest;
use tokio::time;
pub use url::Url;

pub use answer::{Answer, AnswerBody};
pub use base_url::{BaseUrlError, base_url, endpoint};
pub use fault::{ConnectReason, Fault, SendError};
pub use guarded::{
    AddressKind, EgressAllow, EgressAllowFault, EgressAllowFaults, Guard, GuardOptions, GuardedClient, MOST_REDIRECTS,
    OutboundFault, RedirectFault, Refused, StreamGuard, WholeAnswer,
};
use resolver::CheckedResolver;
pub use resolver::{Resolver, SystemResolver};
pub use retry::{LONGEST_WAIT, RetryPolicy};
use transport::Transport;

/// How long a call out may take before each of its steps is given up. There is no limit for the whole: answers stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included: 10 s.
    pub connect: Duration,
    /// From sending the request to the head of the answer: 120 s.
    pub first_byte: Duration,
    /// Between two pieces of the answer's body: 60 s.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), first_byte: Duration::from_secs(120), idle: Duration::from_secs(60) }
    }
}

/// Headers that are credentials whoever set them. Marked, they are shown by no `Debug` and indexed by no HTTP/2.
const CREDENTIALS: [&str; 5] = ["authorization", "x-api-key", "api-key", "cookie", "proxy-authorization"];

/// One request.
#[derive(Clone)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Every header. Nothing is added but what the transport needs (`host`, `content-length`, `accept-encoding`), and an
    /// `accept` and a `user-agent` if there are none.
    pub headers: HeaderMap,
    /// The body; shared by all attempts.
    pub body: Bytes,
}

/// The host and the names of the headers: an address and a body may hold what is nobody's business.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .field("headers", &self.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl From<RenderedRequest> for Outgoing {
    fn from(request: RenderedRequest) -> Self {
        let RenderedRequest { method, url, headers, body } = request;
        Self { method, url, headers, body: body.unwrap_or_default() }
    }
}

/// The client for addresses that the operator wrote down. Built once; cloning shares its connections.
#[derive(Clone, Debug)]
pub struct TrustedClient {
    http: Transport,
    timeouts: Timeouts,
    retry: RetryPolicy,
}

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be set up: {0}")]
pub struct ClientError(#[source] rustls::Error);

impl TrustedClient {
    /// Sets a client up.
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up.
    pub fn new(timeouts: Timeouts, retry: RetryPolicy) -> Result<Self, ClientError> {
        let resolver = CheckedResolver { resolver: Arc::new(SystemResolver), allow: None };
        Ok(Self { http: Transport::new(timeouts.connect, resolver)?, timeouts, retry })
    }

    /// The same client, and the same connections, with other retries.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sends a request and waits for the head of its answer, whatever the status.
    ///
    /// Connections that fail, 408, 409, 429 and most of 5xx are repeated as the [`RetryPolicy`] says. An answer that
    /// did not begin in time is not: the other side may be working on it.
    ///
    /// Dropping the future closes the connection, or resets its stream where that is HTTP/2.
    ///
    /// # Errors
    ///
    /// If no answer came.
    pub async fn send(&self, request: Outgoing) -> Result<Answer, SendError> {
        let Outgoing { method, url, mut headers, body } = request;
        for name in CREDENTIALS {
            if let Some(value) = headers.get_mut(name) {
                value.set_sensitive(true);
            }
        }
        let uri = transport::uri(&url).map_err(|fault| SendError { fault, retried: false })?;
        let mut attempt = 0;
        loop {
            let outcome = self.attempt(&method, &uri, &headers, &body).await;
            let wait = match &outcome {
                Ok(answer) => self.retry.wait_after_status(attempt, answer.status, &answer.headers),
                Err(fault) => self.retry.wait_after_fault(attempt, *fault),
            };
            let retried = attempt > 0;
            let Some(wait) = wait else {
                return outcome
                    .map(|mut answer| {
                        answer.retried = retried;
                        answer
                    })
                    .map_err(|fault| SendError { fault, retried });
            };
            tracing::info!(
                host = url.host_str(),
                status = outcome.as_ref().ok().map(|answer| answer.status.as_u16()),
                fault = outcome.as_ref().err().map(tracing::field::display),
                wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                "a call out failed and will be repeated"
            );
            drop(outcome);
            time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Result<Answer, Fault> {
        match time::timeout(self.timeouts.first_byte, self.http.send(method, uri, headers, body, None)).await {
            Ok(Ok(response)) => Ok(Answer::new(response, self.timeouts.idle)),
            Ok(Err(error)) => Err(Fault::before_answer(&error)),
            Err(_) => Err(Fault::FirstByteTimeout),
        }
    }
}

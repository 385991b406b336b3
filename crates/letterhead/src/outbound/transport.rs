//! One request and its answer: hyper's client over rustls.
//!
//! It does what it is asked and nothing of its own accord: it follows no redirect, takes no proxy, keeps no cookie. What
//! it adds is what the transport needs, `accept: */*` and a `user-agent` where there is none, and gzip.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use letterhead_context::TraceContext;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tower_http::decompression::{Decompression, DecompressionBody};
use tower_service::Service;

use super::resolver::CheckedResolver;
use super::{ClientError, Fault, Url, trace};

/// A connection on which nothing was heard for so long is probed, so often, before it counts as lost. Idle ones are
/// closed after 90 s, and at the latest after twice that: the pool looks so often.
const KEEPALIVE: Duration = Duration::from_secs(15);
const PROBES: u32 = 3;

/// How long what was sent may stay unacknowledged, or what is to be sent find no room at the other side: it is gone then.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// How often a request is sent anew that the other side has refused to look at, as HTTP/2 can say.
const MOST_REFUSALS: u32 = 2;

/// The body of an answer: decoded.
pub(super) type Body = DecompressionBody<Incoming>;

type AnyError = Box<dyn Error + Send + Sync>;

/// A pool of connections. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: Client<Connector, Full<Bytes>>,
}

impl Transport {
    /// Sets one up: HTTP/1.1, and HTTP/2 where TLS agrees on it; certificates as the machine trusts them. A connection may
    /// take so long, name resolution and TLS included.
    pub(super) fn new(connect: Duration, resolver: CheckedResolver) -> Result<Self, ClientError> {
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(ClientError)?
            .with_no_client_auth();
        Ok(Self::with_tls(connect, resolver, tls))
    }

    fn with_tls(connect: Duration, resolver: CheckedResolver, tls: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(PROBES));
        #[cfg(any(target_os = "android", target_os = "linux"))]
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        // Shared by the addresses of a name: one that is silent leaves time for the others.
        tcp.set_connect_timeout(Some(connect));
        let https =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions().wrap_connector(tcp);
        let http = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .build(Connector { https, limit: connect });
        Self { http }
    }

    /// Sends a request, as a part of a trace, and waits for the head of its answer. Dropping the future closes the
    /// connection; of one with HTTP/2, which others use too, it resets the stream.
    pub(super) async fn send(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &Bytes,
        trace: Option<TraceContext>,
    ) -> Result<Response<Body>, legacy::Error> {
        let mut refusals = 0;
        loop {
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = method.clone();
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = headers.clone();
            if let Some(trace) = &trace {
                trace::continue_in(request.headers_mut(), trace);
            }
            request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
            let program = HeaderValue::from_static(concat!("letterhead/", env!("CARGO_PKG_VERSION")));
            request.headers_mut().entry(USER_AGENT).or_insert(program);
            match Decompression::new(&self.http).call(request).await {
                Err(error) if refusals < MOST_REFUSALS && is_untouched(&error) => refusals += 1,
                done => return done,
            }
        }
    }
}

/// The address as it is sent. URLs can be longer, and have stranger hosts, than HTTP takes.
pub(super) fn uri(url: &Url) -> Result<Uri, Fault> {
    Uri::try_from(url.as_str()).map_err(|_| Fault::Address)
}

/// Has the other side said that it did nothing with the request (RFC 9113, 8.7)? Then even one with effects may be sent
/// again: over a connection that was being closed, or one that had too many requests.
fn is_untouched(error: &legacy::Error) -> bool {
    let http2 = error.source().and_then(Error::source).and_then(|cause| cause.downcast_ref::<h2::Error>());
    http2.is_some_and(|error| {
        let was_closing = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        let was_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (was_closing || was_refused)
    })
}

/// Makes connections, and gives them up after a while.
#[derive(Clone)]
struct Connector {
    https: HttpsConnector<HttpConnector<CheckedResolver>>,
    limit: Duration,
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = AnyError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, AnyError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), AnyError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connecting, limit) = (self.https.call(to), self.limit);
        Box::pin(async move { tokio::time::timeout(limit, connecting).await? })
    }
}

#[cfg(test)]
mod tests;

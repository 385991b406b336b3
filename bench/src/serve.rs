//! The connection loop of the two servers in this crate, the same that Letterhead uses: hyper's HTTP/1 connections
//! with a header timeout and without Nagle's algorithm.

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

type Fault = Box<dyn Error + Send + Sync>;

/// How long to wait after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// Listens on a free loopback port.
///
/// # Errors
/// When no port can be bound.
pub(crate) async fn listen() -> Result<TcpListener> {
    Ok(TcpListener::bind("127.0.0.1:0").await?)
}

/// Says on stderr where it listens, and serves until the process is ended.
///
/// # Errors
/// When nothing can be said on stderr.
pub(crate) async fn serve<S, B>(listener: TcpListener, service: S) -> Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Fault>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Fault>,
{
    writeln!(std::io::stderr(), "listening on http://{}", listener.local_addr()?)?;
    loop {
        let accepted = listener.accept().await.and_then(|(stream, _)| stream.set_nodelay(true).map(|()| stream));
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                // Of one connection, or of too many; those that there are go on.
                writeln!(std::io::stderr(), "a connection could not be accepted: {error}")?;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(75)).max_header_size(64 * 1024);
        let connection = http.serve_connection(TokioIo::new(stream), service.clone());
        // A connection that fails belongs to a client that left; the load driver reports its own side of it.
        tokio::spawn(async move { drop(connection.await) });
    }
}

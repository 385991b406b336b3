//! The connection loop, and stopping in named phases.
//!
//! hyper's HTTP/1 builder rather than a ready-made loop: it bounds the size of headers and the time they may take, and
//! it can be told to finish.

mod asked;
pub(crate) mod open_files;
mod seats;
mod unread;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::app::App;
use crate::edge::Peer;
use crate::routes::router;

use asked::Asked;
use seats::{Seat, Seats};
use unread::Unread;

/// Header lines of a request. More are an empty 431.
const MAX_HEADER_LINES: usize = 100;

/// Bytes of a request's head. More are an empty 431.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How long turns that were cut off have to store what they have, and to tell their clients.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long after one warning of connections that are not accepted the next is news again.
const NEWS_AFTER: Duration = Duration::from_secs(60);

/// How long a client may read nothing of what waits for it: see [`Patience::write_timeout`].
pub const STALLED: Duration = Duration::from_secs(60);

/// How a server waits, and for how many.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long a client may take to send its headers, and how long a kept connection may be silent.
    pub header_timeout: Duration,
    /// How long a client may read nothing of what waits for it, before its connection ends.
    pub write_timeout: Duration,
    /// How long a stopping server lets running turns finish.
    pub drain: Duration,
    /// How many connections there may be at a time. Who comes then waits until one ends.
    pub max_connections: u32,
}

/// Serves until `stop` fires, and then until everything that ran is stored.
///
/// The phases of stopping: accept no more, let turns finish, cut off those that do not, close the store.
pub async fn serve(listener: TcpListener, app: Arc<App>, patience: Patience, stop: CancellationToken) {
    let router = router(Arc::clone(&app));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(patience.header_timeout)
        .max_headers(MAX_HEADER_LINES)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_header_size(MAX_HEAD_BYTES);
    let seats = Seats::new(patience.max_connections);
    let leaving = CancellationToken::new();
    let (mut crowded, mut refused) = (News::default(), News::default());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Without it the small pieces of a stream wait for each other's acknowledgements.
                let _ = stream.set_nodelay(true);
                let seat = match seats.take() {
                    Some(seat) => seat,
                    None => {
                        if crowded.is_news() {
                            tracing::warn!(
                                "{} connections are open, and no more are taken at a time (`server.max_connections`, and half \
                                 of the files that the process may open: `ulimit -Hn`): who comes now waits until one ends; \
                                 this is said once a minute",
                                patience.max_connections
                            );
                        }
                        tokio::select! {
                            biased;
                            () = stop.cancelled() => break,
                            seat = seats.wait() => seat,
                        }
                    }
                };
                let stream = Unread::new(stream, patience.write_timeout);
                tokio::spawn(connect(stream, peer, http.clone(), router.clone(), seat, leaving.clone()));
            }
            Err(error) => {
                // Out of file descriptors, mostly: connections that end will free some.
                if refused.is_news() {
                    tracing::warn!(
                        "a connection could not be accepted: {error}; where too many files are open, allow more (`ulimit -n`); \
                         this is said once a minute"
                    );
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    tracing::info!(
        phase = "drain",
        turns = app.turns.tasks.len(),
        seconds = patience.drain.as_secs(),
        "stopping: no new turns, running ones may finish; a second signal ends at once, and loses them"
    );
    app.turns.closing.cancel();
    app.turns.tasks.close();
    leaving.cancel();
    let drained = tokio::time::timeout(patience.drain, async {
        seats.empty().await;
        app.turns.tasks.wait().await;
    });
    if drained.await.is_err() {
        tracing::warn!(
            phase = "cut_off",
            turns = app.turns.tasks.len(),
            "stopping: the turns that still run are cut off"
        );
        app.turns.cut_off.cancel();
        let _ = tokio::time::timeout(LAST_WORDS, async {
            app.turns.tasks.wait().await;
            // Clients are told that their answers are not complete.
            seats.empty().await;
        })
        .await;
    }
    match app.store.close().await {
        Ok(()) => tracing::info!(phase = "closed", "stopped: everything is stored"),
        Err(error) => tracing::error!(phase = "closed", "stopped, but the store could not be closed: {error}"),
    }
}

/// Answers what comes on a connection, until it ends, or is to end.
async fn connect(
    stream: Unread<TcpStream>,
    peer: SocketAddr,
    http: http1::Builder,
    router: Router,
    seat: Seat,
    leaving: CancellationToken,
) {
    let asked = Asked::default();
    let service = service_fn(|request: Request<Incoming>| {
        let mut request = request.map(|body| asked.watch(body));
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request)
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        // Who is in the middle of a request when the server stops has the time that it leaves everybody.
        () = leaving.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = seat.is_wanted() => {
            if !asked.is_whole() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}

/// Something that is told once a minute, however often it happens.
#[derive(Default)]
struct News(Option<Instant>);

impl News {
    fn is_news(&mut self) -> bool {
        let is_news = self.0.is_none_or(|at| at.elapsed() >= NEWS_AFTER);
        if is_news {
            self.0 = Some(Instant::now());
        }
        is_news
    }
}

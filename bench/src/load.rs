//! The load driver: keep-alive connections, every answer checked to its last byte.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::answers::Kind;
use crate::workload::{Sessions, Workload};

/// The longest that one answer may take before the run is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) type Connection = SendRequest<Full<Bytes>>;

/// Connections to one server, and the means to use them.
pub(crate) struct Driver {
    address: SocketAddr,
    host: HeaderValue,
    connections: Vec<Connection>,
}

impl Driver {
    /// Opens `connections` connections and sends two requests on each that store nothing, so that what is measured
    /// afterwards is neither a first request nor a connection being made.
    ///
    /// # Errors
    /// When the server cannot be reached or answers wrongly.
    pub(crate) async fn connect(address: SocketAddr, connections: usize) -> Result<Self> {
        let mut driver = Self::unused(address, connections).await?;
        let idle = Workload::new(Kind::Json, Sessions::None);
        driver.closed(&idle, 0, 2 * connections).await.context("warming up")?;
        Ok(driver)
    }

    /// Opens connections without using them.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub(crate) async fn unused(address: SocketAddr, connections: usize) -> Result<Self> {
        let host = HeaderValue::from_str(&address.to_string())?;
        let mut driver = Self { address, host, connections: Vec::with_capacity(connections) };
        for _ in 0..connections {
            driver.connections.push(open(address).await?);
        }
        Ok(driver)
    }

    /// One request of any sort, given the server's name for its `Host`.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub(crate) async fn ask(
        &mut self,
        request: impl FnOnce(&HeaderValue) -> Result<Request<Full<Bytes>>, http::Error>,
    ) -> Result<(StatusCode, Bytes)> {
        let request = request(&self.host)?;
        let connection = self.connections.first_mut().context("no connection")?;
        whole(connection, request).await
    }

    /// Closed loop: requests `first .. first + count`, each connection sending its next one when its last is answered.
    /// Returns how long each took.
    ///
    /// # Errors
    /// With the first answer that is wrong, incomplete or missing.
    pub(crate) async fn closed(&mut self, workload: &Workload, first: usize, count: usize) -> Result<Vec<Duration>> {
        let workload = Arc::new(workload.clone());
        let next = Arc::new(AtomicUsize::new(first));
        let mut workers = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let (workload, next, host) = (Arc::clone(&workload), Arc::clone(&next), self.host.clone());
            workers.spawn(async move {
                let mut times = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= first + count {
                        return anyhow::Ok((connection, times));
                    }
                    times.push(exchange(&mut connection, &workload, &host, n, Instant::now()).await?);
                }
            });
        }
        let mut all = Vec::with_capacity(count);
        while let Some(worker) = workers.join_next().await {
            let (connection, times) = worker??;
            self.connections.push(connection);
            all.extend(times);
        }
        Ok(all)
    }

    /// Open loop: requests `first .. first + count` leave at `rate` a second, whether or not earlier ones are
    /// answered; more connections are opened where all are busy. Returns how long each took from the moment it left.
    ///
    /// # Errors
    /// With the first answer that is wrong, incomplete or missing.
    pub(crate) async fn open(
        &mut self,
        workload: &Workload,
        first: usize,
        count: usize,
        rate: f64,
    ) -> Result<Vec<Duration>> {
        let workload = Arc::new(workload.clone());
        let idle = Arc::new(Mutex::new(std::mem::take(&mut self.connections)));
        let mut clock = interval(Duration::from_secs_f64(1.0 / rate));
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut requests = JoinSet::new();
        for n in first..first + count {
            clock.tick().await;
            let left = Instant::now();
            let (workload, idle, host, address) =
                (Arc::clone(&workload), Arc::clone(&idle), self.host.clone(), self.address);
            requests.spawn(async move {
                let free = lock(&idle).pop();
                let mut connection = match free {
                    Some(connection) => connection,
                    None => open(address).await?,
                };
                let time = exchange(&mut connection, &workload, &host, n, left).await?;
                lock(&idle).push(connection);
                anyhow::Ok(time)
            });
        }
        let mut all = Vec::with_capacity(count);
        while let Some(request) = requests.join_next().await {
            all.push(request??);
        }
        self.connections = std::mem::take(&mut lock(&idle));
        Ok(all)
    }
}

/// A poisoned lock means that a request task panicked, which its join handle reports.
fn lock(idle: &Mutex<Vec<Connection>>) -> MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a connection.
///
/// # Errors
/// When the server cannot be reached.
pub(crate) async fn open(address: SocketAddr) -> Result<Connection> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // What goes wrong on the connection is returned to the sender's next use.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// One request and its whole answer; the time since `begun`, without the time to check the answer.
async fn exchange(
    connection: &mut Connection,
    workload: &Workload,
    host: &HeaderValue,
    n: usize,
    begun: Instant,
) -> Result<Duration> {
    let request = workload.request(host, n)?;
    let (status, body) = whole(connection, request).await.with_context(|| format!("request {n}"))?;
    let time = begun.elapsed();
    workload.kind.check(status, &body).with_context(|| format!("request {n}"))?;
    Ok(time)
}

async fn whole(connection: &mut Connection, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)> {
    let answer = async {
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        anyhow::Ok((status, response.into_body().collect().await?.to_bytes()))
    };
    timeout(PATIENCE, answer).await.with_context(|| format!("no whole answer within {PATIENCE:?}"))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{floor, serve, upstream};

    async fn upstream() -> SocketAddr {
        let listener = serve::listen().await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(upstream::run(listener, Duration::ZERO));
        address
    }

    async fn floor() -> SocketAddr {
        let listener = serve::listen().await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = format!("http://{}", upstream().await);
        tokio::spawn(async move { floor::run(listener, &upstream, None).await });
        address
    }

    #[tokio::test]
    async fn both_loops_get_every_answer_through_the_floor() {
        let mut driver = Driver::connect(floor().await, 4).await.unwrap();
        for kind in [Kind::Json, Kind::Stream] {
            let workload = Workload::new(kind, Sessions::None);
            assert_eq!(driver.closed(&workload, 0, 50).await.unwrap().len(), 50);
            assert_eq!(driver.open(&workload, 0, 20, 2_000.0).await.unwrap().len(), 20);
        }
        assert!(driver.connections.len() >= 4, "connections are kept");
    }

    #[tokio::test]
    async fn a_failing_server_fails_the_run() {
        // A port that was free a moment ago: the floor's upstream refuses, and it answers 502.
        let gone = serve::listen().await.unwrap().local_addr().unwrap();
        let listener = serve::listen().await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { floor::run(listener, &format!("http://{gone}"), None).await });
        let Err(fault) = Driver::connect(address, 1).await else { panic!("an error was taken for an answer") };
        assert!(format!("{fault:#}").contains("502"), "{fault:#}");
    }
}

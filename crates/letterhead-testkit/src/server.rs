//! A server on loopback: its connections, and all that came.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::Answer;
use crate::answer::Went;
use crate::wire::{self, Recorded};

/// Who says what is answered. Asked while the log is locked, so that requests are answered in the order of the log.
pub(crate) trait Scripted: Send + Sync + 'static {
    /// The answer to this request, which is the `number`th, from 0.
    fn answer(&self, request: &Recorded, number: usize) -> Answer;
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    log: Arc<Log>,
    accepting: JoinHandle<()>,
}

/// What has come, and who has left.
#[derive(Debug, Default)]
struct Log {
    came: Mutex<Came>,
    received: watch::Sender<usize>,
    left: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Came {
    requests: Vec<Recorded>,
    connections: usize,
}

impl Server {
    pub(crate) async fn start(ip: IpAddr, script: Arc<impl Scripted>) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("the port's address");
        let log = Arc::new(Log::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&log), script));
        Self { address, log, accepting }
    }

    /// An address at which nothing listens.
    pub(crate) async fn nowhere() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        listener.local_addr().expect("the port's address")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.log.came().requests.clone()
    }

    pub(crate) fn last(&self) -> Recorded {
        self.log.came().requests.last().cloned().expect("a request")
    }

    pub(crate) fn connections(&self) -> usize {
        self.log.came().connections
    }

    pub(crate) async fn received(&self, count: usize) -> Vec<Recorded> {
        let _ = self.log.received.subscribe().wait_for(|received| *received >= count).await;
        self.requests()
    }

    pub(crate) async fn left(&self, count: usize) {
        let _ = self.log.left.subscribe().wait_for(|left| *left >= count).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Log {
    fn came(&self) -> MutexGuard<'_, Came> {
        self.came.lock().expect("no test panics while it holds the lock")
    }

    /// Keeps a request and says what to do with it.
    fn keep(&self, request: Recorded, script: &impl Scripted) -> Answer {
        let mut came = self.came();
        let answer = script.answer(&request, came.requests.len());
        came.requests.push(request);
        drop(came);
        self.received.send_modify(|received| *received += 1);
        answer
    }
}

async fn accept(listener: TcpListener, log: Arc<Log>, script: Arc<impl Scripted>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        log.came().connections += 1;
        connections.spawn(serve(socket, Arc::clone(&log), Arc::clone(&script)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut socket: TcpStream, log: Arc<Log>, script: Arc<impl Scripted>) {
    let _ = socket.set_nodelay(true);
    let mut buffer = BytesMut::new();
    while let Ok(Some(request)) = wire::read_request(&mut socket, &mut buffer).await {
        match log.keep(request, &*script).write(&mut socket).await {
            Went::Well => {}
            Went::Closed => return,
            Went::Left => {
                log.left.send_modify(|left| *left += 1);
                return;
            }
        }
    }
}

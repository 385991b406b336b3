//! The server.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::answer::Went;
use crate::reply::Script;
use crate::wire::{self, Recorded};
use crate::{Answer, Reply};

/// A language model's API that answers as it was told. Gone when dropped.
#[derive(Debug)]
pub struct ScriptedLlm {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    received: watch::Sender<usize>,
    left: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Script>,
    otherwise: Option<Reply>,
    requests: Vec<Recorded>,
    connections: usize,
}

impl ScriptedLlm {
    /// Starts a server on a free port of loopback.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("the port's address");
        let shared = Arc::new(Shared::default());
        let server = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, server }
    }

    /// An address at which nothing listens.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn nowhere() -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        format!("http://{}", listener.local_addr().expect("the port's address"))
    }

    /// `http://127.0.0.1:PORT`: what an Anthropic client takes as base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same with `/v1`: what an OpenAI client takes as base URL.
    pub fn openai_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Answers the next request for which nothing is scripted yet: with a [`Reply`] in whatever protocol the request
    /// speaks, or with an [`Answer`] to the byte.
    pub fn then(&self, answer: impl Into<Script>) -> &Self {
        self.shared.state().script.push_back(answer.into());
        self
    }

    /// Answers all requests for which nothing is scripted.
    pub fn always(&self, reply: Reply) -> &Self {
        self.shared.state().otherwise = Some(reply);
        self
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.clone()
    }

    /// The latest request.
    ///
    /// # Panics
    ///
    /// If there was none.
    pub fn last(&self) -> Recorded {
        self.shared.state().requests.last().cloned().expect("a request")
    }

    /// Waits until `count` requests have come.
    pub async fn received(&self, count: usize) -> Vec<Recorded> {
        let _ = self.shared.received.subscribe().wait_for(|received| *received >= count).await;
        self.requests()
    }

    /// Waits until `count` clients have closed their connection in the middle of an answer.
    pub async fn left(&self, count: usize) {
        let _ = self.shared.left.subscribe().wait_for(|left| *left >= count).await;
    }

    /// How many connections have been opened.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }
}

impl Drop for ScriptedLlm {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the lock")
    }

    /// Keeps a request and says what to do with it.
    fn answer(&self, request: Recorded) -> Answer {
        let mut state = self.state();
        let number = state.requests.len();
        let answer = match state.script.pop_front() {
            Some(Script::Answer(answer)) => answer,
            Some(Script::Reply(reply)) => reply.answer(&request, number),
            None => match &state.otherwise {
                Some(reply) => reply.answer(&request, number),
                // A status that nobody repeats.
                None => Answer::status(501),
            },
        };
        state.requests.push(request);
        drop(state);
        self.received.send_modify(|received| *received += 1);
        answer
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        shared.state().connections += 1;
        connections.spawn(serve(socket, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut socket: TcpStream, shared: Arc<Shared>) {
    let _ = socket.set_nodelay(true);
    let mut buffer = BytesMut::new();
    while let Ok(Some(request)) = wire::read_request(&mut socket, &mut buffer).await {
        match shared.answer(request).write(&mut socket).await {
            Went::Well => {}
            Went::Closed => return,
            Went::Left => {
                shared.left.send_modify(|left| *left += 1);
                return;
            }
        }
    }
}

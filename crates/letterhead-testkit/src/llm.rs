//! The scripted model.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::reply::Script;
use crate::server::{Scripted, Server};
use crate::wire::Recorded;
use crate::{Answer, Reply};

/// A language model's API that answers as it was told. Gone when dropped.
#[derive(Debug)]
pub struct ScriptedLlm {
    server: Server,
    script: Arc<LlmScript>,
}

#[derive(Debug, Default)]
struct LlmScript {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: VecDeque<Script>,
    otherwise: Option<Reply>,
}

impl ScriptedLlm {
    /// Starts a server on a free port of loopback.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub async fn start() -> Self {
        let script = Arc::new(LlmScript::default());
        Self { server: Server::start(Ipv4Addr::LOCALHOST.into(), Arc::clone(&script)).await, script }
    }

    /// An address at which nothing listens.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn nowhere() -> String {
        format!("http://{}", Server::nowhere().await)
    }

    /// `http://127.0.0.1:PORT`: what an Anthropic client takes as base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The same with `/v1`: what an OpenAI client takes as base URL.
    pub fn openai_url(&self) -> String {
        format!("http://{}/v1", self.server.address())
    }

    /// Answers the next request for which nothing is scripted yet: with a [`Reply`] in whatever protocol the request
    /// speaks, or with an [`Answer`] to the byte.
    pub fn then(&self, answer: impl Into<Script>) -> &Self {
        self.script.state().next.push_back(answer.into());
        self
    }

    /// Answers all requests for which nothing is scripted.
    pub fn always(&self, reply: Reply) -> &Self {
        self.script.state().otherwise = Some(reply);
        self
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.server.requests()
    }

    /// The latest request.
    ///
    /// # Panics
    ///
    /// If there was none.
    pub fn last(&self) -> Recorded {
        self.server.last()
    }

    /// Waits until `count` requests have come.
    pub async fn received(&self, count: usize) -> Vec<Recorded> {
        self.server.received(count).await
    }

    /// Waits until `count` clients have closed their connection in the middle of an answer.
    pub async fn left(&self, count: usize) {
        self.server.left(count).await;
    }

    /// How many connections have been opened.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }
}

impl LlmScript {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the lock")
    }
}

impl Scripted for LlmScript {
    fn answer(&self, request: &Recorded, number: usize) -> Answer {
        let mut state = self.state();
        match state.next.pop_front() {
            Some(Script::Answer(answer)) => answer,
            Some(Script::Reply(reply)) => reply.answer(request, number),
            None => match &state.otherwise {
                Some(reply) => reply.answer(request, number),
                // A status that nobody repeats.
                None => Answer::status(501),
            },
        }
    }
}

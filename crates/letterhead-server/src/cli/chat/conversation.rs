//! A conversation with a server: one message at a time, and what comes back.

use std::collections::HashSet;
use std::io::{IsTerminal, stderr, stdout};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::approval;
use super::event::{Event, Waiting};
use super::show::Show;
use crate::cli::client::{Client, Failure};
use crate::cli::paint::Paint;
use crate::cli::trail::{self, Row};

/// Where a conversation is remembered.
const SESSION: HeaderName = HeaderName::from_static("x-session-id");

/// Who asks, of whom, and in which session.
#[derive(Debug)]
pub(super) struct Conversation {
    client: Client,
    headers: HeaderMap,
    /// The calls that the person was asked about: who has left them waiting is not asked again.
    asked: HashSet<String>,
}

impl Conversation {
    /// A conversation whose requests carry these headers.
    pub(super) fn new(client: Client, headers: HeaderMap) -> Self {
        Self { client, headers, asked: HashSet::new() }
    }

    /// The session, once there is one.
    pub(super) fn session(&self) -> Option<&str> {
        self.headers.get(SESSION)?.to_str().ok()
    }

    /// Leaves the session: the next message opens another.
    pub(super) fn leave(&mut self) {
        self.headers.remove(SESSION);
    }

    /// Is there a server that answers?
    pub(super) async fn greet(&self) -> Result<(), Failure> {
        self.client.get("/health", &[], &HeaderMap::new()).await.map(|_| ())
    }

    /// The trail of the session.
    pub(super) async fn trail(&self) -> Result<Vec<Row>, Failure> {
        match self.session() {
            Some(session) => trail::read(&self.client, session, &self.headers).await,
            None => Err(Failure::new("there is no session yet: say something first")),
        }
    }

    /// Says something, and shows the answer as it comes. Calls that need approval are asked of the person, until there is an
    /// answer. Dropping the future breaks the turn off.
    pub(super) async fn say(&mut self, message: &str) -> anyhow::Result<()> {
        let body = json!({ "messages": [{ "role": "user", "content": message }], "stream": true });
        let waiting = self.exchange(body.to_string()).await?;
        self.go_on(waiting).await
    }

    /// The calls that the session waits for and that nobody here was asked about: of an earlier conversation, or of another
    /// client's turn.
    pub(super) async fn waiting(&self) -> Result<Vec<Waiting>, Failure> {
        let Some(session) = self.session() else { return Ok(Vec::new()) };
        let turns = format!("/api/v1/sessions/{session}/turns");
        let paused = self.client.get(&turns, &[("status", "paused"), ("limit", "1")], &self.headers).await;
        let paused = match paused {
            // It begins with the first message.
            Err(failure) if failure.is("session_not_found") => return Ok(Vec::new()),
            paused => paused?,
        };
        let Some(turn) = paused.pointer("/data/0/id").and_then(Value::as_str) else { return Ok(Vec::new()) };
        let mut turn = self.client.get(&format!("{turns}/{turn}"), &[], &self.headers).await?;
        let Some(approvals) = turn.get_mut("approvals").map(Value::take) else { return Ok(Vec::new()) };
        let waiting: Vec<Waiting> = serde_json::from_value(approvals)
            .map_err(|_| Failure::new("the server's turn is not as this version reads it"))?;
        Ok(waiting.into_iter().filter(|call| !self.asked.contains(&call.id)).collect())
    }

    /// Asks the person for calls that wait, and shows what comes of them, until nothing waits any more.
    pub(super) async fn go_on(&mut self, mut waiting: Vec<Waiting>) -> anyhow::Result<()> {
        while !waiting.is_empty() {
            self.asked.extend(waiting.iter().map(|call| call.id.clone()));
            let approvals = approval::ask(self.session().unwrap_or_default(), &waiting).await?;
            let body = json!({ "messages": [], "approvals": approvals, "stream": true });
            waiting = self.exchange(body.to_string()).await?;
        }
        Ok(())
    }

    /// One request and its answer. Gives the calls that wait for approval.
    async fn exchange(&mut self, body: String) -> anyhow::Result<Vec<Waiting>> {
        let mut answer = self.client.post("/api/v1/chat/completions", &self.headers, body).await?;
        if let Some(session) = answer.session.and_then(|id| HeaderValue::try_from(id).ok()) {
            self.headers.insert(SESSION, session);
        }
        let paint = Paint::of(stderr().is_terminal());
        let mut show = Show::new(stdout(), stderr(), stdout().is_terminal(), paint);
        let (mut failed, mut waiting) = (None, Vec::new());
        let ended = loop {
            let frame = match answer.frames.next().await {
                Ok(Some(frame)) => frame,
                Ok(None) => break Err(failed.unwrap_or_else(Failure::cut_short)),
                Err(broken) => break Err(failed.unwrap_or(broken)),
            };
            let Some(events) = Event::read(&frame) else {
                break Err(Failure::new("the stream is not as Letterhead writes it"));
            };
            for event in &events {
                show.event(event)?;
                if let Event::Waits(call) = event {
                    waiting.push(call.clone());
                }
            }
            match events.into_iter().next_back() {
                Some(Event::Done) => break failed.map_or(Ok(()), Err),
                Some(Event::Failed { code, message }) => failed = Some(Failure::of_event(&code, &message)),
                _ => {}
            }
        };
        show.end_line()?;
        ended?;
        Ok(waiting)
    }
}

//! One question and its answer, through whatever a task goes on the way.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time;

use super::ask::Replies;
use super::cancel::Running;
use super::card::Interface;
use super::dialect::Method;
use super::heard::Heard;
use super::reading::{self, Stage, Status, Update};
use super::result::Unanswered;
use crate::outbound::OutboundFault;
use crate::tool::endpoint::Line;
use crate::tool::json_rpc::AskFault;

/// The first wait before a task is asked for, and the longest.
const POLL: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// How often in a row asking for a task may fail.
const MOST_FAILURES: u32 = 3;

const NO_RESULT: AskFault = AskFault::Malformed("its answer is no result of the protocol");

/// How a question ended: the agent's last word on it.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) stage: Stage,
    /// The answer, or what the agent says to not giving one.
    pub(super) text: String,
}

/// A question that an agent is asked.
pub(super) struct Conversation<'a, 'h> {
    line: &'a Line,
    to: &'a Arc<Interface>,
    limit: Duration,
    heard: &'a mut Heard<'h>,
    /// The task that the agent has made of it. Dropped before its end, it is cancelled.
    task: Option<(String, Running)>,
}

impl<'a, 'h> Conversation<'a, 'h> {
    pub(super) fn new(line: &'a Line, to: &'a Arc<Interface>, limit: Duration, heard: &'a mut Heard<'h>) -> Self {
        Self { line, to, limit, heard, task: None }
    }

    /// Asks, and waits for the end: by the stream or the answer itself, and where that ends before the task does, by asking
    /// for the task.
    pub(super) async fn ask(self, question: &str) -> Result<Ended, Unanswered> {
        let method = if self.to.streams { Method::Stream } else { Method::Send };
        let params = self.to.version.question(question);
        let mut replies = self.line.call(self.to, method, params, self.limit).await.map_err(Unanswered::Refused)?;
        self.heard.also_carried(self.line);
        let first = replies.next().await.map_err(Unanswered::Refused)?;
        self.go_on(first, replies).await.map_err(Unanswered::Asked)
    }

    async fn go_on(mut self, first: Option<Value>, mut replies: Replies) -> Result<Ended, AskFault> {
        let mut next = Ok(first);
        loop {
            match next {
                Ok(Some(result)) => {
                    let update = reading::read(&result).ok_or(NO_RESULT)?;
                    if let Some(ended) = self.take(update).await? {
                        replies.release();
                        return Ok(ended);
                    }
                }
                Ok(None) if self.task.is_none() => return Err(AskFault::Malformed("its answer ended before its end")),
                Err(fault) if self.task.is_none() || !is_passing(&fault) => return Err(fault),
                Ok(None) | Err(_) => return self.poll().await,
            }
            next = replies.next().await;
        }
    }

    /// Asks for the task until it has an end. What bounds it is the time that the whole may take.
    async fn poll(mut self) -> Result<Ended, AskFault> {
        let (mut wait, longest) = POLL;
        let mut failures = 0;
        loop {
            time::sleep(wait).await;
            wait = (wait * 2).min(longest);
            match self.task_now().await {
                Ok(update) => {
                    failures = 0;
                    if let Some(ended) = self.take(update).await? {
                        return Ok(ended);
                    }
                }
                Err(fault) => {
                    failures += 1;
                    if failures == MOST_FAILURES || !is_passing(&fault) {
                        return Err(fault);
                    }
                }
            }
        }
    }

    async fn task_now(&mut self) -> Result<Update, AskFault> {
        let mut params = Map::new();
        if let Some((id, _)) = &self.task {
            params.insert("id".to_owned(), Value::from(id.as_str()));
        }
        let mut replies = self.line.call(self.to, Method::Get, params, self.limit).await?;
        self.heard.also_carried(self.line);
        let result = replies.next().await?.ok_or(NO_RESULT)?;
        replies.release();
        match reading::read(&result) {
            Some(update @ Update::Task { .. }) => Ok(update),
            _ => Err(NO_RESULT),
        }
    }

    /// Takes what the agent says. Gives the end, if this was it.
    async fn take(&mut self, update: Update) -> Result<Option<Ended>, AskFault> {
        match update {
            Update::Message(text) => {
                self.heard.words(&text).await?;
                Ok(Some(self.end(Stage::Completed).await))
            }
            Update::Artifact { task, artifact } => {
                self.is_of(task)?;
                self.heard.artifact(&artifact).await?;
                Ok(None)
            }
            Update::Status { task, status } => {
                self.is_of(task)?;
                self.status(status, "").await
            }
            Update::Task { id, status, artifacts, last } => {
                self.is_of(id)?;
                for artifact in &artifacts {
                    self.heard.artifact(artifact).await?;
                }
                self.status(status, &last).await
            }
        }
    }

    /// The first task that is named is the question's; there is no other.
    fn is_of(&mut self, id: String) -> Result<(), AskFault> {
        match &self.task {
            Some((known, _)) if *known != id => Err(AskFault::Malformed("its answer is of another task")),
            Some(_) => Ok(()),
            None => {
                let running = Running::new(self.line, self.to, &id);
                self.task = Some((id, running));
                Ok(())
            }
        }
    }

    async fn status(&mut self, status: Status, last: &str) -> Result<Option<Ended>, AskFault> {
        let Status { stage, said } = status;
        if !stage.is_end() {
            self.heard.progress(&said).await;
            return Ok(None);
        }
        if stage.is_over()
            && let Some((_, running)) = self.task.take()
        {
            running.over();
        }
        if stage == Stage::Completed {
            self.heard.words(&said).await?;
            // Some put their answer nowhere else.
            if self.heard.is_silent() {
                self.heard.words(last).await?;
            }
            return Ok(Some(self.end(stage).await));
        }
        let ended = self.end(stage).await;
        Ok(Some(Ended { text: self.heard.without_secrets(said.trim()), ..ended }))
    }

    async fn end(&mut self, stage: Stage) -> Ended {
        Ended { stage, text: self.heard.finish().await }
    }
}

/// May the task be going on, whatever became of one connection?
fn is_passing(fault: &AskFault) -> bool {
    match fault {
        AskFault::Outbound(fault @ OutboundFault::Failed { .. }) => fault.may_pass(),
        AskFault::Status(status) => matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504),
        _ => false,
    }
}

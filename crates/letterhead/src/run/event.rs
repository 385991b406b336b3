//! What happens in a run, as one stream that every wire protocol encodes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use letterhead_context::{Problem, RequestContext};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;

use super::hook::Hooks;
use crate::model::{FinishReason, Usage};

/// Something that happened in a run. `Debug` shows names and lengths, and not what was said.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum RunEvent {
    /// The run began.
    RunStarted {
        /// The agent that starts.
        agent: Arc<str>,
    },
    /// The run has come to its end: the last event of a run that neither failed nor was cancelled.
    RunCompleted {
        /// The agent that has the conversation now.
        agent: Arc<str>,
        /// What all model calls cost together.
        usage: Usage,
    },
    /// The run has failed. A library's [`Run`](super::Run) tells it last; who calls
    /// [`Registry::run`](crate::Registry::run) has it from the outcome alone.
    RunFailed {
        /// What went wrong.
        problem: Problem,
    },
    /// The run was cancelled, and has ended. Told as [`RunFailed`](Self::RunFailed) is; of a run whose future was dropped,
    /// to [hooks](crate::RunnerBuilder::hook) alone.
    RunCancelled {
        /// The agent that has the conversation now; of a run whose future was dropped, the one that it began with.
        agent: Arc<str>,
    },
    /// An agent's model is called: the agent is thinking.
    ModelCallStarted {
        /// The agent.
        agent: Arc<str>,
        /// The model, as `provider:model`.
        model: Arc<str>,
        /// Which call of the run, from 1.
        step: u32,
    },
    /// A piece of the answer's text.
    Text(String),
    /// A piece of what the model thought before answering.
    Reasoning(String),
    /// A piece of a refusal.
    Refusal(String),
    /// A call of the model is complete.
    ModelCallCompleted {
        /// The agent.
        agent: Arc<str>,
        /// What it cost.
        usage: Usage,
        /// Why it ended.
        finish: FinishReason,
    },
    /// One of the agent's own tools is called.
    ToolStarted {
        /// The call's id.
        id: Arc<str>,
        /// The tool.
        name: Arc<str>,
        /// The arguments' JSON text, as the model wrote it.
        arguments: Arc<str>,
    },
    /// One of the agent's own tools has answered, or failed.
    ToolCompleted {
        /// The call's id.
        id: Arc<str>,
        /// The tool.
        name: Arc<str>,
        /// The result, as the model is told of it.
        result: Arc<str>,
        /// Did it fail?
        is_error: bool,
    },
    /// The model calls a tool of the client's. The client runs it, and brings the result with its next request.
    ClientToolCall {
        /// Which of the client's calls in this answer: 0, 1, ….
        index: usize,
        /// The call's id.
        id: Arc<str>,
        /// The tool.
        name: Arc<str>,
        /// The arguments' JSON text.
        arguments: Arc<str>,
    },
    /// The model calls one of the agent's own tools that needs a person's approval. The call is not made; the run ends, and
    /// waits for the [answer](super::ApprovalAnswer).
    ApprovalRequested {
        /// What the approval is known by.
        id: Arc<str>,
        /// The call's id.
        call_id: Arc<str>,
        /// The tool.
        name: Arc<str>,
        /// The arguments' JSON text, as the model wrote it.
        arguments: Arc<str>,
    },
    /// A call that waited is decided. One that was approved is made now: [`ToolStarted`](Self::ToolStarted) and
    /// [`ToolCompleted`](Self::ToolCompleted) follow.
    ApprovalAnswered {
        /// What the approval is known by.
        id: Arc<str>,
        /// The call's id.
        call_id: Arc<str>,
        /// The tool.
        name: Arc<str>,
        /// Was it approved?
        approved: bool,
    },
    /// An agent has done its part: it has answered, hands the conversation over, or waits for a person's approval.
    AgentCompleted {
        /// The agent.
        agent: Arc<str>,
    },
    /// Another agent has taken the conversation over.
    HandedOver {
        /// Who had it.
        from: Arc<str>,
        /// Who has it now.
        to: Arc<str>,
    },
    /// Something happened in the run of a child that was asked with `ask_agent`.
    Child {
        /// The child.
        agent: Arc<str>,
        /// The call of `ask_agent`.
        call_id: Arc<str>,
        /// What happened.
        event: Box<RunEvent>,
    },
}

/// Where a run's events go.
///
/// A slow reader slows the run down, and loses nothing; a reader that has left does not stop it. Once the run is
/// cancelled it waits for no reader: events for which there is no room are dropped. A reader may be given a time after
/// which it counts as stalled: see [`Events::with_patience`].
#[derive(Clone, Debug, Default)]
pub struct Events {
    to: Option<mpsc::Sender<RunEvent>>,
    /// How long the run waits for room before it is cancelled; none is for ever.
    patience: Option<Duration>,
    /// Ends the waiting for a slow reader.
    cancelled: Option<CancellationToken>,
    /// Who else is told, and of whose run.
    hooks: Option<(Hooks, RequestContext)>,
    /// Where the text of this run is gathered, for who has nothing else of it.
    said: Option<Arc<Said>>,
    /// The children on the way from the turn's own run to this one, outermost first.
    path: Vec<(Arc<str>, Arc<str>)>,
}

/// What was said in a run, as far as it came.
#[derive(Default)]
pub(super) struct Said(Mutex<String>);

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Said(…)")
    }
}

impl Said {
    pub(super) fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, text: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
    }
}

impl Events {
    /// Nobody listens.
    pub fn none() -> Self {
        Self::default()
    }

    /// Sends events to a channel.
    pub fn to(sender: mpsc::Sender<RunEvent>) -> Self {
        Self { to: Some(sender), ..Self::default() }
    }

    /// The same, for a reader that may stall: when an event has waited this long for room, the run is cancelled, through the
    /// token that it was started with. Without it a run waits for its reader for ever, with all that it holds.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// The same, waiting for the reader no longer than until the run is cancelled.
    pub(super) fn until(self, cancelled: CancellationToken) -> Self {
        Self { cancelled: Some(cancelled), ..self }
    }

    /// The same, told to hooks too: they are waited for by nobody.
    pub(super) fn with_hooks(self, hooks: &Hooks, context: &RequestContext) -> Self {
        let hooks = (!hooks.is_empty()).then(|| (hooks.clone(), context.clone()));
        Self { hooks, ..self }
    }

    /// The same reader, told what happens in a child.
    pub(super) fn of_child(&self, agent: &Arc<str>, call_id: &Arc<str>) -> Self {
        let mut child = self.clone();
        child.path.push((Arc::clone(agent), Arc::clone(call_id)));
        child
    }

    /// The same, gathering what is said.
    pub(super) fn gathered(self, said: &Arc<Said>) -> Self {
        Self { said: Some(Arc::clone(said)), ..self }
    }

    pub(super) fn has_hooks(&self) -> bool {
        self.hooks.is_some()
    }

    /// Tells hooks alone, who are waited for by nobody.
    pub(super) fn tell_hooks(&self, event: &RunEvent) {
        if let Some((hooks, context)) = &self.hooks {
            hooks.tell(context, event);
        }
    }

    /// Does anybody listen?
    pub(super) fn is_listening(&self) -> bool {
        self.to.is_some()
    }

    /// Tells what happened. Events nobody wants are not made.
    pub(crate) async fn emit(&self, event: impl FnOnce() -> RunEvent) {
        if self.to.is_none() && self.hooks.is_none() && self.said.is_none() {
            return;
        }
        let mut event = event();
        if let (Some(said), RunEvent::Text(text)) = (&self.said, &event) {
            said.add(text);
        }
        for (agent, call_id) in self.path.iter().rev() {
            event = RunEvent::Child { agent: Arc::clone(agent), call_id: Arc::clone(call_id), event: Box::new(event) };
        }
        self.tell_hooks(&event);
        let Some(to) = &self.to else { return };
        // If the reader has left, whether the run goes on is not decided here.
        let Err(TrySendError::Full(event)) = to.try_send(event) else { return };
        let sent = async {
            let _ = to.send(event).await;
        };
        let cancelled = async {
            match &self.cancelled {
                Some(cancelled) => cancelled.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let stalled = async {
            match self.patience {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = sent => {}
            () = cancelled => {}
            () = stalled => {
                if let Some(cancelled) = &self.cancelled {
                    cancelled.cancel();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn piece() -> RunEvent {
        RunEvent::Text("piece".to_owned())
    }

    #[tokio::test]
    async fn what_was_said_is_not_shown() {
        let said = Arc::default();
        let events = Events::none().gathered(&said);
        events.emit(piece).await;
        assert!(!format!("{events:?}").contains("piece"), "{events:?}");
        assert_eq!(said.take(), "piece");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stalls_cancels_the_run() {
        let (sender, mut reader) = mpsc::channel(1);
        let run = CancellationToken::new();
        let events = Events::to(sender).with_patience(Duration::from_secs(60)).until(run.clone());
        events.emit(piece).await;
        // Slow is not stalled.
        let slow = async {
            tokio::time::sleep(Duration::from_secs(59)).await;
            reader.recv().await
        };
        tokio::join!(events.emit(piece), slow);
        assert!(!run.is_cancelled());

        let since = Instant::now();
        events.emit(piece).await;
        assert_eq!(since.elapsed(), Duration::from_secs(60));
        assert!(run.is_cancelled());
        // Nobody is waited for any more.
        events.emit(piece).await;
        assert_eq!(since.elapsed(), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_of_unlimited_patience_loses_nothing() {
        let (sender, mut reader) = mpsc::channel(1);
        let run = CancellationToken::new();
        let events = Events::to(sender).until(run.clone());
        events.emit(piece).await;
        let late = async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            (reader.recv().await, reader.recv().await)
        };
        let ((), read) = tokio::join!(events.emit(piece), late);
        assert_eq!(read, (Some(piece()), Some(piece())));
        assert!(!run.is_cancelled());
    }
}

//! The events of a run of the library.

use std::pin::Pin;
use std::task;

use futures_core::Stream;
use letterhead_context::{Code, Problem};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::event::RunEvent;
use super::result::{RunError, RunResult};

/// The events of a run, as they happen. Dropping it cancels the run.
#[derive(Debug)]
#[must_use = "dropping it cancels the run"]
pub struct RunStream {
    events: mpsc::Receiver<RunEvent>,
    task: JoinHandle<Result<RunResult, RunError>>,
    guard: DropGuard,
}

impl RunStream {
    pub(super) fn new(
        events: mpsc::Receiver<RunEvent>,
        task: JoinHandle<Result<RunResult, RunError>>,
        cancelled: CancellationToken,
    ) -> Self {
        Self { events, task, guard: cancelled.drop_guard() }
    }

    /// The result, once the events are over. Events that were not read are passed over.
    ///
    /// # Errors
    ///
    /// If the run failed.
    pub async fn result(self) -> Result<RunResult, RunError> {
        let Self { mut events, task, guard: _guard } = self;
        ended(&mut events, task).await
    }

    /// Ends the run now.
    ///
    /// # Errors
    ///
    /// If it had failed already. Else the result is what came until now.
    pub async fn cancel(self) -> Result<RunResult, RunError> {
        let Self { mut events, task, guard } = self;
        guard.disarm().cancel();
        ended(&mut events, task).await
    }
}

async fn ended(
    events: &mut mpsc::Receiver<RunEvent>,
    task: JoinHandle<Result<RunResult, RunError>>,
) -> Result<RunResult, RunError> {
    while events.recv().await.is_some() {}
    task.await.unwrap_or_else(|_| Err(RunError::before(Problem::new(Code::Internal, "the run was aborted"))))
}

impl Stream for RunStream {
    type Item = RunEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> task::Poll<Option<RunEvent>> {
        self.events.poll_recv(context)
    }
}

//! Telling what became of the turns of one transaction.

use std::sync::Arc;

use tokio::runtime::{Handle, RuntimeFlavor};

use super::job::Reply;
use crate::{Session, StoreError};

/// What became of a turn: its session as it stands now.
type Answer = Result<Arc<Session>, StoreError>;

/// Answers that are told together: each that this thread told by itself would wake the server up, be handled, and let it
/// sleep again.
///
/// Whatever becomes of them, they are told when they are dropped.
#[derive(Default)]
pub(super) struct Told {
    runtime: Option<Handle>,
    answers: Vec<(Reply<Arc<Session>>, Answer)>,
}

impl Told {
    /// Where those who wait are, if it is a runtime that goes on by itself: another one might never be looked after again.
    pub(super) fn runtime() -> Option<Handle> {
        Handle::try_current().ok().filter(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
    }

    pub(super) fn add(&mut self, runtime: Option<Handle>, reply: Reply<Arc<Session>>, answer: Answer) {
        self.runtime = self.runtime.take().or(runtime);
        self.answers.push((reply, answer));
    }

    /// Has the runtime tell them, which is woken up once.
    pub(super) fn tell(mut self) {
        if let Some(runtime) = self.runtime.take()
            && self.answers.len() > 1
        {
            runtime.spawn(async move { drop(self) });
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        for (reply, answer) in self.answers.drain(..) {
            // Nobody may be waiting for it any more.
            let _ = reply.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;
    use tokio::sync::oneshot;

    use super::*;

    fn told(runtime: &Handle) -> [oneshot::Receiver<Answer>; 2] {
        let mut told = Told::default();
        let waiting = [(); 2].map(|()| {
            let (reply, answer) = oneshot::channel();
            told.add(Some(runtime.clone()), reply, Err(StoreError::Busy));
            answer
        });
        told.tell();
        waiting
    }

    #[test]
    fn a_runtime_that_has_ended_keeps_no_answer_back() {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let handle = runtime.handle().clone();
        for answer in told(&handle) {
            assert_eq!(runtime.block_on(answer).unwrap(), Err(StoreError::Busy));
        }
        drop(runtime);
        for mut answer in told(&handle) {
            assert_eq!(answer.try_recv().unwrap(), Err(StoreError::Busy));
        }
    }

    #[tokio::test]
    async fn a_runtime_that_somebody_has_to_drive_is_not_relied_on() {
        assert!(Told::runtime().is_none());
    }
}

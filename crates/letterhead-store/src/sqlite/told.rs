//! Telling what became of the turns of one transaction.

use std::sync::Arc;

use tokio::runtime::{Handle, RuntimeFlavor};

use super::job::Reply;
use crate::{Session, StoreError};

/// Answers that are told together: each that this thread told by itself would wake the server up, be handled, and let it
/// sleep again.
///
/// Whatever becomes of them, they are told when they are dropped.
#[derive(Default)]
pub(super) struct Told {
    runtime: Option<Handle>,
    answers: Vec<(Reply<Arc<Session>>, Result<Arc<Session>, StoreError>)>,
}

impl Told {
    /// Where those who wait are, if it is a runtime that goes on by itself: another one might never be looked after again.
    pub(super) fn runtime() -> Option<Handle> {
        Handle::try_current().ok().filter(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
    }

    pub(super) fn add(
        &mut self,
        runtime: Option<Handle>,
        reply: Reply<Arc<Session>>,
        answer: Result<Arc<Session>, StoreError>,
    ) {
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

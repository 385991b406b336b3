//! Whether the client of a turn is there still.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The client is there as long as this is. Then the turn is cancelled, after the grace.
#[derive(Debug)]
pub struct ClientHere {
    cancel: CancellationToken,
    grace: Duration,
}

impl ClientHere {
    /// A client of a turn that `cancel` ends.
    pub(crate) fn new(cancel: CancellationToken, grace: Duration) -> Self {
        Self { cancel, grace }
    }

    /// What cancels the turn while the client is here.
    pub(crate) fn cancels(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Leaves no grace: for protocols in which leaving is how a client cancels.
    pub(crate) fn leaves_at_once(&mut self) {
        self.grace = Duration::ZERO;
    }
}

impl Drop for ClientHere {
    fn drop(&mut self) {
        if self.grace.is_zero() {
            self.cancel.cancel();
            return;
        }
        let (cancel, grace) = (self.cancel.clone(), self.grace);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(grace).await;
                cancel.cancel();
            });
        } else {
            cancel.cancel();
        }
    }
}

//! Whether the client of a turn is there still.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The client is there as long as this is. Then the turn is cancelled, after the grace. A turn that has ended counts as
/// cancelled: its client is waited for no longer.
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
        let (cancel, grace) = (self.cancel.clone(), self.grace);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !grace.is_zero() && !cancel.is_cancelled() => {
                runtime.spawn(async move {
                    let _ = tokio::time::timeout(grace, cancel.cancelled()).await;
                    cancel.cancel();
                });
            }
            _ => cancel.cancel(),
        }
    }
}

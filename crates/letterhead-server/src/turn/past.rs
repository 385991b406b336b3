//! A turn that ended before, and is told again.

use std::sync::Arc;
use std::time::Duration;

use letterhead::run::RunEvent;
use letterhead_context::SessionId;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{ClientHere, Ended, Running};

impl Running {
    /// A turn of which everything is known already: to its readers it is like one that runs.
    pub(crate) fn over(
        session: Option<SessionId>,
        agent: Arc<str>,
        events: Option<Vec<RunEvent>>,
        ended: Ended,
    ) -> Self {
        let events = events.map(|past| {
            let (sender, events) = mpsc::channel(past.len().max(1));
            for event in past {
                // There is room for all of them.
                let _ = sender.try_send(event);
            }
            events
        });
        let (announce, end) = oneshot::channel();
        // Its receiver is here.
        let _ = announce.send(ended);
        let client = ClientHere { cancel: CancellationToken::new(), grace: Duration::ZERO };
        Self { session, agent, events, end, client }
    }
}

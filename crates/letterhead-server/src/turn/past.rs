//! Turns that are over: one that ended before and is told again, and one that was lost.

use std::sync::Arc;
use std::time::Duration;

use letterhead::run::{Outcome, RunEnd, RunEvent};
use letterhead_context::{Problem, SessionId};
use letterhead_store::TurnId;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{ClientHere, Ended, Running};

impl Running {
    /// A turn of which everything is known already: to its readers it is like one that runs.
    pub(crate) fn over(
        session: Option<SessionId>,
        turn: Option<TurnId>,
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
        let client = ClientHere::new(CancellationToken::new(), Duration::ZERO);
        Self { session, turn, agent, events, end, client }
    }
}

impl Ended {
    /// The end of a turn of which nothing more is known.
    pub(crate) fn lost(agent: &Arc<str>, problem: Problem) -> Self {
        let outcome = Outcome::new(RunEnd::Failed(problem.clone()), Arc::clone(agent));
        Self { outcome, problem: Some(problem), ended_at_ms: None }
    }
}

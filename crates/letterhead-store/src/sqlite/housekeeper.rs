//! The thread that does what nobody should wait for: checkpoints, and removing sessions that have expired.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::mpsc::WeakSender;

use super::ageing::Ageing;
use super::job::Job;
use super::read::{self, Look};
use super::shared::Shared;
use crate::StoreError;

/// How often it looks for expired sessions.
const ROUND: Duration = Duration::from_secs(60);
/// How many sessions it looks at in one go, and how many such goes a round has when it finds nothing: the cost of a round
/// does not grow with the number of sessions.
const LOOK: usize = 1000;
const LOOKS: usize = 10;
/// How many sessions are removed in one transaction.
const REMOVE: usize = 50;

pub(super) struct Housekeeper {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    /// Weak, so that the writer stops when the store is dropped.
    pub(super) jobs: WeakSender<Job>,
    /// The session that it looked at last.
    pub(super) cursor: i64,
}

impl Housekeeper {
    /// Works until the other end of `nudges` is dropped.
    pub(super) fn run(mut self, nudges: &Receiver<()>) {
        let mut next_round = Instant::now() + ROUND;
        loop {
            let done = match nudges.recv_timeout(next_round.saturating_duration_since(Instant::now())) {
                Ok(()) => self.move_log(),
                Err(RecvTimeoutError::Timeout) => {
                    next_round = Instant::now() + ROUND;
                    self.remove_aged().and_then(|()| self.expire())
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Err(error) = done {
                tracing::warn!(reason = %error, "housekeeping in the database failed; it is tried again");
            }
        }
    }

    fn move_log(&self) -> Result<(), StoreError> {
        self.shared.log.move_on(&self.connection)?;
        self.ask(Job::FinishLog);
        Ok(())
    }

    /// Has expired sessions removed: goes through all of them in turn, a part each round, and on while it finds any.
    pub(super) fn expire(&mut self) -> Result<(), StoreError> {
        if self.shared.lifetimes.sessions.is_none() {
            return Ok(());
        }
        let horizon_ms = self.shared.lifetimes.session_horizon(self.shared.clock.now_ms());
        let mut looks = 0;
        loop {
            let Look { expired, last } = read::expired(&self.connection, horizon_ms, self.cursor, LOOK)?;
            for sessions in expired.chunks(REMOVE) {
                self.ask(Job::Expire { sessions: sessions.to_vec(), horizon_ms });
            }
            self.cursor = last.unwrap_or(0);
            looks += 1;
            if last.is_none() || (expired.is_empty() && looks >= LOOKS) {
                return Ok(());
            }
        }
    }

    /// Has rows removed that have expired by themselves, whether anything is configured that reads them or not: what
    /// nothing reads any more need not stay.
    pub(super) fn remove_aged(&self) -> Result<(), StoreError> {
        for ageing in Ageing::ALL {
            let horizon_ms = ageing.horizon(&self.shared.lifetimes, self.shared.clock.now_ms());
            for _ in 0..ageing.removals(&self.connection, horizon_ms)? {
                self.ask(Job::Remove { ageing, horizon_ms });
            }
        }
        Ok(())
    }

    /// Waits while the queue is full. A store that is closing takes nothing, and needs nothing.
    fn ask(&self, job: Job) {
        if let Some(jobs) = self.jobs.upgrade() {
            let _ = jobs.blocking_send(job);
        }
    }
}

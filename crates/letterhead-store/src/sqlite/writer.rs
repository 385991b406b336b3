//! The one thread that writes. It takes all that is waiting into one transaction, with a savepoint for each job, so
//! that many turns share one wait for the disk and one that fails does not fail the others.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::mpsc::Receiver;

use super::file::OwnedFile;
use super::hot::{Place, Stored};
use super::job::{Commit, Job, Reply};
use super::readers::Readers;
use super::shared::Shared;
use super::{read, write};
use crate::StoreError;

/// The most jobs of one transaction.
const MAX_BATCH: usize = 256;
/// After about so many written pages the housekeeper is called.
const CHECKPOINT_PAGES: usize = 1000;

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) readers: Arc<Readers>,
    /// The row that the next new session gets. Never one that a deleted session had.
    pub(super) next_row: i64,
    pub(super) pages: usize,
    /// Dropping the sender ends the housekeeper.
    pub(super) housekeeper: Option<(SyncSender<()>, JoinHandle<()>)>,
    /// Other servers are kept away until this is dropped.
    pub(super) file: Arc<OwnedFile>,
}

/// What became of a job, to be told once the transaction is durable.
enum Outcome {
    Written(Place),
    Deleted { was_stored: bool, was_running: bool },
    Expired(Vec<usize>),
    Nothing,
}

impl Writer {
    pub(super) fn run(mut self, mut jobs: Receiver<Job>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut closing: Vec<Reply<()>> = Vec::new();
        while jobs.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
            self.pages += batch.iter().map(Job::pages).sum::<usize>();
            let mut checkpoint = false;
            let mut work = Vec::with_capacity(batch.len());
            for job in batch.drain(..) {
                match job {
                    Job::Checkpoint => checkpoint = true,
                    Job::Close { reply } => {
                        // What is in the queue already is done; what comes later is refused.
                        jobs.close();
                        closing.push(reply);
                    }
                    job => work.push(job),
                }
            }
            if !work.is_empty() {
                self.transact(work);
            }
            self.keep_house(checkpoint);
        }
        let closed = self.finish();
        for reply in closing {
            // Whoever closed the store may have stopped waiting.
            let _ = reply.send(closed.clone());
        }
    }

    /// Does the jobs in one transaction and answers them.
    fn transact(&mut self, jobs: Vec<Job>) {
        let mut done = Vec::with_capacity(jobs.len());
        let mut fault = run(&self.connection, "BEGIN IMMEDIATE").err();
        for job in jobs {
            let outcome = match &fault {
                Some(fault) => Err(fault.clone()),
                None => self.in_savepoint(&job),
            };
            // Some faults, a full disk among them, may undo the whole transaction.
            if fault.is_none() && self.connection.is_autocommit() {
                fault = outcome.as_ref().err().cloned().or(Some(broken_off()));
            }
            done.push((job, outcome));
        }
        if fault.is_none() {
            fault = run(&self.connection, "COMMIT").err();
        }
        if fault.is_some() && !self.connection.is_autocommit() && run(&self.connection, "ROLLBACK").is_err() {
            tracing::error!("a transaction that failed could not be rolled back");
        }
        match fault {
            None => {
                if done.iter().any(|(_, outcome)| !matches!(outcome, Ok(Outcome::Nothing) | Err(_))) {
                    self.shared.transactions.fetch_add(1, Ordering::Relaxed);
                }
                done.into_iter().for_each(|(job, outcome)| answer(&self.shared, job, outcome));
            }
            Some(fault) => {
                tracing::warn!(jobs = done.len(), reason = %fault, "nothing could be written");
                done.into_iter().for_each(|(job, _)| answer(&self.shared, job, Err(fault.clone())));
            }
        }
    }

    fn in_savepoint(&mut self, job: &Job) -> Result<Outcome, StoreError> {
        run(&self.connection, "SAVEPOINT job")?;
        let outcome = self.perform(job);
        if self.connection.is_autocommit() {
            return outcome;
        }
        if outcome.is_err() {
            run(&self.connection, "ROLLBACK TO job")?;
        }
        run(&self.connection, "RELEASE job")?;
        outcome
    }

    fn perform(&mut self, job: &Job) -> Result<Outcome, StoreError> {
        match job {
            Job::Commit(commit) => self.write_turn(commit).map(Outcome::Written),
            Job::Delete { key, .. } => {
                let found = read::find(&self.connection, key)?;
                if let Some((row, _)) = found {
                    write::delete(&self.connection, row)?;
                }
                let lived = |updated_at_ms| !self.shared.is_expired(updated_at_ms, self.shared.clock.now_ms());
                // Struck here too, so that the turn's commit fails though it is in the same transaction.
                let was_running = self.shared.turns.strike(key);
                Ok(Outcome::Deleted { was_stored: found.is_some_and(|(_, at)| lived(at)), was_running })
            }
            Job::Expire { sessions, horizon_ms } => {
                let mut expired = Vec::new();
                for (index, (row, key)) in sessions.iter().enumerate() {
                    if !self.shared.turns.is_running(key)
                        && write::delete_expired(&self.connection, *row, *horizon_ms)?
                    {
                        expired.push(index);
                    }
                }
                Ok(Outcome::Expired(expired))
            }
            Job::Probe { .. } | Job::Checkpoint | Job::Close { .. } => Ok(Outcome::Nothing),
        }
    }

    fn write_turn(&mut self, commit: &Commit) -> Result<Place, StoreError> {
        if commit.held.hold.is_gone() {
            return Err(StoreError::Gone);
        }
        if let Some(row) = commit.held.expired {
            write::delete(&self.connection, row)?;
        }
        let new_row = self.next_row;
        if commit.held.place.is_none() {
            self.next_row += 1;
        }
        write::turn(&self.connection, &commit.step, commit.held.place, new_row)
    }

    /// After the answers, so that nobody waits for it.
    fn keep_house(&mut self, checkpoint: bool) {
        if checkpoint && let Err(error) = checkpoint_now(&self.connection) {
            tracing::warn!(reason = %StoreError::from(error), "the write-ahead log was not moved into the database");
        }
        if self.pages >= CHECKPOINT_PAGES
            && let Some((nudge, _)) = &self.housekeeper
            && nudge.try_send(()).is_ok()
        {
            self.pages = 0;
        }
    }

    /// Lets go of the file, this connection last: it moves the log into the database and removes it.
    fn finish(mut self) -> Result<(), StoreError> {
        if let Some((nudge, thread)) = self.housekeeper.take() {
            drop(nudge);
            if thread.join().is_err() {
                tracing::error!("the database's housekeeper has failed");
            }
        }
        self.readers.close();
        self.shared.secrets.clear();
        let closed = self.connection.close().map_err(|(_, error)| error.into());
        self.file.release();
        closed
    }
}

/// Moves as much of the write-ahead log into the database as nobody else is in the way of. Gives the log's length and
/// how much of it was moved, in pages.
pub(super) fn checkpoint_now(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))
}

fn answer(shared: &Shared, job: Job, outcome: Result<Outcome, StoreError>) {
    match (job, outcome) {
        (Job::Commit(commit), Ok(Outcome::Written(place))) => {
            let Commit { key, held, step, reply } = *commit;
            let session = Arc::new(step.session);
            shared.publish_turn(&key, Stored { session: session.clone(), place }, step.secrets);
            // First the turn ends, then its end is told.
            drop(held);
            let _ = reply.send(Ok(session));
        }
        (Job::Commit(commit), outcome) => {
            let Commit { held, reply, .. } = *commit;
            drop(held);
            let _ = reply.send(Err(outcome.err().unwrap_or_else(broken_off)));
        }
        (Job::Delete { key, reply }, Ok(Outcome::Deleted { was_stored, was_running })) => {
            let is_running = shared.publish_deletion(&key);
            let _ = reply.send(Ok(was_stored || was_running || is_running));
        }
        (Job::Delete { reply, .. }, outcome) => {
            let _ = reply.send(Err(outcome.err().unwrap_or_else(broken_off)));
        }
        (Job::Expire { sessions, .. }, Ok(Outcome::Expired(expired))) => {
            let gone = expired.into_iter().filter_map(|index| sessions.get(index));
            gone.for_each(|(_, key)| shared.publish_expiry(key));
        }
        (Job::Probe { reply } | Job::Close { reply }, outcome) => {
            let _ = reply.send(outcome.map(drop));
        }
        (Job::Expire { .. } | Job::Checkpoint, _) => {}
    }
}

fn broken_off() -> StoreError {
    StoreError::Unavailable { reason: "the transaction was broken off".into() }
}

fn run(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    Ok(connection.prepare_cached(sql)?.execute([]).map(drop)?)
}

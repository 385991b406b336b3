//! The one thread that writes. It takes all that is waiting into one transaction, so that many turns share one wait for
//! the disk; one that fails does not fail the others.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::mpsc::Receiver;

use super::file::OwnedFile;
use super::hot::{Place, Stored};
use super::job::{Commit, Job, Reply};
use super::log::Need;
use super::readers::Readers;
use super::shared::Shared;
use super::told::Told;
use super::{answers, read, schema, sealed, variables, write};
use crate::StoreError;

/// The most jobs of one transaction.
const MAX_BATCH: usize = 256;

/// How long a job waits for company when the one before it was written just now: turns that end close together then
/// share one wait for the disk. A job that comes alone waits for nobody.
const COMPANY: Duration = Duration::from_micros(400);

/// How close together jobs come when there is company to be expected.
const CLOSE: Duration = Duration::from_millis(2);

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) readers: Arc<Readers>,
    /// The row that the next new session gets. Never one that a deleted session had.
    pub(super) next_row: i64,
    /// Nothing was written yet, or the last could not be: whether something can be is not known.
    pub(super) doubted: bool,
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
    Done,
    Nothing,
}

/// A way to do a job. The inner error is the job's alone, the outer one spoils the transaction.
type Perform = fn(&mut Writer, &Job) -> Performed;
type Performed = Result<Result<Outcome, StoreError>, StoreError>;

/// Why a transaction failed.
enum Fault {
    /// One of its jobs spoiled it.
    Job(StoreError),
    /// It could not begin, or not be made durable.
    Transaction(StoreError),
}

impl Writer {
    pub(super) fn run(mut self, mut jobs: Receiver<Job>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut closing: Vec<Reply<()>> = Vec::new();
        let mut last_written: Option<Instant> = None;
        while jobs.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
            if last_written.is_some_and(|at| at.elapsed() < CLOSE) {
                std::thread::park_timeout(COMPANY);
                while batch.len() < MAX_BATCH
                    && let Ok(job) = jobs.try_recv()
                {
                    batch.push(job);
                }
            }
            let pages = batch.iter().map(Job::pages).sum::<usize>();
            let mut finish_log = false;
            let mut work = Vec::with_capacity(batch.len());
            for job in batch.drain(..) {
                match job {
                    Job::FinishLog => finish_log = true,
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
            last_written = Some(Instant::now());
            self.mind_the_log(pages, finish_log);
        }
        let closed = self.finish();
        for reply in closing {
            // Whoever closed the store may have stopped waiting.
            let _ = reply.send(closed.clone());
        }
    }

    /// Does the jobs in one transaction and answers them. Where one of them fails all is done anew, with a savepoint for
    /// each; where even that does not hold them apart, each in a transaction of its own. Savepoints from the beginning
    /// would cost every turn a third more, for what hardly ever happens.
    fn transact(&mut self, jobs: Vec<Job>) {
        let together = match self.attempt(&jobs, Self::perform) {
            Err(Fault::Job(_)) if jobs.len() > 1 => self.attempt(&jobs, Self::perform_in_savepoint),
            together => together,
        };
        match together {
            Ok(outcomes) => {
                if outcomes.iter().any(|outcome| !matches!(outcome, Ok(Outcome::Nothing) | Err(_))) {
                    self.doubted = false;
                    self.shared.transactions.fetch_add(1, Ordering::Relaxed);
                }
                let mut told = Told::default();
                let answers = jobs.into_iter().zip(outcomes);
                answers.for_each(|(job, outcome)| answer(&self.shared, job, outcome, &mut told));
                told.tell();
            }
            Err(Fault::Job(_)) if jobs.len() > 1 => jobs.into_iter().for_each(|job| self.transact(vec![job])),
            Err(Fault::Job(fault) | Fault::Transaction(fault)) => {
                if matches!(fault, StoreError::Unavailable { .. } | StoreError::Corrupt { .. }) {
                    self.doubted = true;
                    tracing::warn!(jobs = jobs.len(), reason = %fault, "nothing could be written");
                }
                let mut told = Told::default();
                jobs.into_iter().for_each(|job| answer(&self.shared, job, Err(fault.clone()), &mut told));
                told.tell();
            }
        }
    }

    /// One transaction. Where it fails nothing is written.
    fn attempt(&mut self, jobs: &[Job], perform: Perform) -> Result<Vec<Result<Outcome, StoreError>>, Fault> {
        self.file.in_place().map_err(Fault::Transaction)?;
        run(&self.connection, "BEGIN IMMEDIATE").map_err(Fault::Transaction)?;
        let done = self.perform_all(jobs, perform).and_then(|outcomes| {
            run(&self.connection, "COMMIT").map_err(Fault::Transaction)?;
            Ok(outcomes)
        });
        // Some faults, a full disk among them, undo the transaction by themselves.
        if done.is_err() && !self.connection.is_autocommit() && run(&self.connection, "ROLLBACK").is_err() {
            tracing::error!("a transaction that failed could not be rolled back");
        }
        done
    }

    fn perform_all(&mut self, jobs: &[Job], perform: Perform) -> Result<Vec<Result<Outcome, StoreError>>, Fault> {
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            match perform(self, job) {
                Ok(outcome) => outcomes.push(outcome),
                Err(fault) => return Err(Fault::Job(fault)),
            }
        }
        Ok(outcomes)
    }

    /// Does a job so that its failing leaves nothing of it, and leaves the others alone.
    fn perform_in_savepoint(&mut self, job: &Job) -> Performed {
        run(&self.connection, "SAVEPOINT job")?;
        let outcome = match self.perform(job) {
            // The whole transaction is undone.
            Err(fault) if self.connection.is_autocommit() => return Err(fault),
            Err(fault) => {
                run(&self.connection, "ROLLBACK TO job")?;
                Err(fault)
            }
            Ok(outcome) => outcome,
        };
        run(&self.connection, "RELEASE job")?;
        Ok(outcome)
    }

    /// Does a job. After a failure what it wrote is still there.
    fn perform(&mut self, job: &Job) -> Performed {
        match job {
            Job::Commit(commit) => match self.write_turn(commit) {
                // It is told before anything is written.
                Err(StoreError::Gone) => Ok(Err(StoreError::Gone)),
                place => Ok(Ok(Outcome::Written(place?))),
            },
            Job::Delete { key, .. } => {
                let found = read::find(&self.connection, key)?;
                if let Some((row, _)) = found {
                    write::delete(&self.connection, row)?;
                }
                let lived = |updated_at_ms| !self.shared.is_expired(updated_at_ms, self.shared.clock.now_ms());
                // Struck here too, so that the turn's commit fails though it is in the same transaction.
                let was_running = self.shared.turns.strike(key);
                Ok(Ok(Outcome::Deleted { was_stored: found.is_some_and(|(_, at)| lived(at)), was_running }))
            }
            Job::Expire { sessions, horizon_ms } => {
                let mut expired = Vec::new();
                for (index, (row, key)) in sessions.iter().enumerate() {
                    if !self.shared.turns.is_running(key) && write::delete_expired(&self.connection, *row, *horizon_ms)?
                    {
                        expired.push(index);
                    }
                }
                Ok(Ok(Outcome::Expired(expired)))
            }
            Job::Remove { ageing, horizon_ms } => {
                ageing.remove(&self.connection, *horizon_ms)?;
                Ok(Ok(Outcome::Nothing))
            }
            Job::Errand(errand) => {
                errand.run(&self.connection)?;
                Ok(Ok(Outcome::Done))
            }
            // What stands there already: it is the writing that is tried.
            Job::Probe { .. } if self.doubted => {
                self.connection.pragma_update(None, "user_version", schema::newest())?;
                Ok(Ok(Outcome::Done))
            }
            Job::Probe { .. } | Job::FinishLog | Job::Close { .. } => Ok(Ok(Outcome::Nothing)),
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
        let place = write::turn(&self.connection, &commit.step, commit.held.place, new_row)?;
        if let Some(secrets) = &commit.sealed {
            if commit.held.place.is_some() {
                sealed::delete(&self.connection, place.row)?;
            }
            sealed::insert(&self.connection, place.row, secrets)?;
        }
        variables::write(&self.connection, place.row, &commit.variables)?;
        if let Some(answer) = &commit.answer {
            answers::keep(&self.connection, answer, Some(place.row))?;
        }
        Ok(place)
    }

    /// After the answers, so that nobody waits for it.
    fn mind_the_log(&self, pages: usize, finish: bool) {
        match self.shared.log.add(pages) {
            need if finish || need == Need::Finish => {
                if let Err(error) = self.shared.log.finish(&self.connection) {
                    tracing::warn!(reason = %StoreError::from(error), "the write-ahead log was not moved on");
                }
            }
            Need::CallHousekeeper => {
                if let Some((nudge, _)) = &self.housekeeper {
                    // Where it was called already it comes anyway.
                    let _ = nudge.try_send(());
                }
            }
            _ => {}
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

/// Shows what was done, and answers; turns through `told`, when all of it is shown.
fn answer(shared: &Shared, job: Job, outcome: Result<Outcome, StoreError>, told: &mut Told) {
    match (job, outcome) {
        (Job::Commit(commit), Ok(Outcome::Written(place))) => {
            let Commit { key, held, step, runtime, reply, .. } = *commit;
            let session = Arc::new(step.session);
            shared.publish_turn(&key, Stored { session: session.clone(), place }, step.hidden);
            // First the turn ends, then its end is told.
            drop(held);
            told.add(runtime, reply, Ok(session));
        }
        (Job::Commit(commit), outcome) => {
            let Commit { held, runtime, reply, .. } = *commit;
            drop(held);
            told.add(runtime, reply, Err(outcome.err().unwrap_or_else(broken_off)));
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
        (Job::Errand(errand), outcome) => errand.tell(outcome.map(drop)),
        (Job::Expire { .. } | Job::Remove { .. } | Job::FinishLog, _) => {}
    }
}

fn broken_off() -> StoreError {
    StoreError::Unavailable { reason: "the transaction was broken off".into() }
}

fn run(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    Ok(connection.prepare_cached(sql)?.execute([]).map(drop)?)
}

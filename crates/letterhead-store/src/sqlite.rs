//! Sessions in one SQLite file.
//!
//! One thread writes, a few connections read, and what was used last is cached. Beside the database stand SQLite's own
//! `-wal` and `-shm`, and a `-lock` by which a second server on the same file is refused.

mod ageing;
mod answers;
mod api_keys;
mod beside;
mod documents;
mod errand;
mod fault;
mod file;
mod hot;
mod housekeeper;
mod job;
mod log;
mod read;
mod readers;
mod schema;
mod sealed;
mod shared;
mod store;
mod told;
mod tool;
mod turns;
mod variables;
mod write;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

pub use self::file::OpenError;
use self::file::OwnedFile;
use self::housekeeper::Housekeeper;
use self::job::Job;
use self::readers::Readers;
use self::shared::Shared;
pub use self::tool::SqliteTool;
use self::writer::Writer;
use crate::seals::Seals;
use crate::{Clock, Lifetimes, Vault};

/// How many jobs wait for the writer before those who ask for more have to wait themselves.
const QUEUE: usize = 1024;

/// How a database is used.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// How long things are kept.
    pub lifetimes: Lifetimes,
    /// How much of the sessions used last is kept in memory, in bytes. 4 MiB.
    pub cache_bytes: usize,
    /// How many connections read at the same time. 4.
    pub readers: usize,
    /// How long to wait for another program that has locked the file. 5 s.
    pub busy_timeout: Duration,
    /// The file grows to so many bytes and no more; beyond that commits are refused, as on a full disk. No limit.
    pub max_bytes: Option<u64>,
    /// Encrypts secrets, and variables that were fetched with them, so that they can be stored. Without it they stay in memory. None.
    pub vault: Option<Arc<Vault>>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            lifetimes: Lifetimes::default(),
            cache_bytes: 4 << 20,
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            max_bytes: None,
            vault: None,
        }
    }
}

/// What a store has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SqliteStats {
    /// Turns written.
    pub turns: u64,
    /// Transactions that wrote them, and everything else: each waited for the disk once.
    pub transactions: u64,
    /// Times that the file was read.
    pub reads: u64,
}

/// Keeps sessions in an SQLite file. What it has confirmed survives a crash of the process and of the machine.
///
/// Dropping it finishes what was handed in, in the background; [`close`](crate::Store::close) waits for that.
pub struct SqliteStore {
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    jobs: mpsc::Sender<Job>,
    closed: AtomicBool,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens a database, makes it if there is none, and brings an older one to the newest version. Blocks for some
    /// milliseconds; an older one with millions of turns for a minute or two.
    ///
    /// # Errors
    /// What is wrong with the file, and what to do about it.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let file = Arc::new(OwnedFile::claim(path.as_ref(), options.busy_timeout)?);
        let connection = file.writer(options.max_bytes)?;
        let next_row = connection.query_row("SELECT coalesce(max(id), 0) + 1 FROM sessions", [], |row| row.get(0));
        let next_row = next_row.map_err(|error| file.fault(&error))?;
        let shared = Arc::new(Shared::new(clock, options.lifetimes, options.cache_bytes, Seals::new(options.vault)));
        let readers = Arc::new(Readers::new(file.clone(), options.readers));
        let (jobs, queue) = mpsc::channel(QUEUE);

        let housekeeper = Housekeeper {
            connection: file.housekeeper().map_err(|error| file.fault(&error))?,
            shared: shared.clone(),
            jobs: jobs.downgrade(),
            cursor: 0,
        };
        let (nudge, nudges) = std::sync::mpsc::sync_channel(1);
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let housekeeper = thread("sqlite-housekeeper").spawn(move || housekeeper.run(&nudges));
        let housekeeper = housekeeper.map_err(|error| file.cannot(error.to_string()))?;

        let writer = Writer {
            connection,
            shared: shared.clone(),
            readers: readers.clone(),
            next_row,
            doubted: true,
            housekeeper: Some((nudge, housekeeper)),
            file: file.clone(),
        };
        let writer = thread("sqlite-writer").spawn(move || writer.run(queue));
        writer.map_err(|error| file.cannot(error.to_string()))?;
        Ok(Self { shared, readers, jobs, closed: AtomicBool::new(false) })
    }

    /// What it has done so far.
    pub fn stats(&self) -> SqliteStats {
        SqliteStats {
            turns: self.shared.turns_written.load(Ordering::Relaxed),
            transactions: self.shared.transactions.load(Ordering::Relaxed),
            reads: self.readers.reads(),
        }
    }
}

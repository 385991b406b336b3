//! The write-ahead log, which is to stay short without turns waiting for it.
//!
//! The housekeeper moves it into the database while the writer goes on adding to it. Only when all of it was moved does
//! it begin anew; so the writer then moves what was added meanwhile, between two transactions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

/// After so many pages more the housekeeper is called.
const STEP: usize = 2000;
/// From so many pages on, when the housekeeper cannot keep up, the writer moves all of it.
const LONG: usize = 8000;

/// How long the log is.
#[derive(Default)]
pub(super) struct Log {
    /// In pages, estimated from what was written.
    pages: AtomicUsize,
    /// At which length the housekeeper was called last.
    called: AtomicUsize,
    /// One at a time; whoever comes second waits, for SQLite would turn it away.
    moving: Mutex<()>,
}

/// What is to be done about the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    CallHousekeeper,
    Finish,
}

impl Log {
    /// Counts what was written.
    pub(super) fn add(&self, pages: usize) -> Need {
        let length = self.pages.fetch_add(pages, Ordering::Relaxed) + pages;
        if length >= LONG {
            Need::Finish
        } else if length >= self.called.load(Ordering::Relaxed) + STEP {
            self.called.store(length, Ordering::Relaxed);
            Need::CallHousekeeper
        } else {
            Need::Nothing
        }
    }

    /// Moves what is in it now into the database, as far as no reader is in the way.
    pub(super) fn move_on(&self, connection: &Connection) -> rusqlite::Result<()> {
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }

    /// Moves the rest of it, so that it begins anew. Only for the writer: nobody else knows that nothing is added.
    pub(super) fn finish(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.move_on(connection)?;
        // Where a reader was in the way it is tried again after as much as if it had begun anew.
        self.pages.store(0, Ordering::Relaxed);
        self.called.store(0, Ordering::Relaxed);
        Ok(())
    }
}

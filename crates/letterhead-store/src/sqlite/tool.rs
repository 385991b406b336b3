//! A database that a server may have open at the same time, for the command line.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};

use super::file::{self, OpenError, OwnedFile};
use super::{SqliteOptions, api_keys, read, schema, turns};
use crate::advance::as_found;
use crate::lifetimes::Lifetimes;
use crate::seals::Seals;
use crate::secrets::Hidden;
use crate::{ApiKey, ApiKeys, Clock, Page, SessionExport, SessionKey, StoreError};

/// A database for looking into, for API keys and for documents, whether a server has it open or not.
///
/// It takes no part in the server's lock: SQLite's own locks keep the two apart, each for the moment of a transaction.
/// A server sees what is written here at its next look. Calls block the thread, for
/// [`SqliteOptions::busy_timeout`] at most.
pub struct SqliteTool {
    connection: Mutex<Connection>,
    seals: Seals,
    lifetimes: Lifetimes,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for SqliteTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTool").finish_non_exhaustive()
    }
}

impl SqliteTool {
    /// Opens a database. Where there is none it is made, and one of an older version is brought to the newest, unless a
    /// server has it open.
    ///
    /// # Errors
    /// What is wrong with the file, and what to do about it.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let path = file::canonical(path.as_ref())?;
        let timeout = options.busy_timeout;
        if path.exists() {
            let connection = connect(&path, timeout)?;
            let found = schema::inspect(&connection).map_err(|misfit| file::misfit(&path, misfit))?;
            if found == schema::newest() {
                return Ok(Self::with(connection, options, clock));
            }
        }
        // As a server would, so that no two change the tables at once.
        let owned = OwnedFile::claim(&path, timeout)?;
        drop(owned.writer(options.max_bytes)?);
        owned.release();
        Ok(Self::with(connect(&path, timeout)?, options, clock))
    }

    fn with(connection: Connection, options: SqliteOptions, clock: Arc<dyn Clock>) -> Self {
        let SqliteOptions { lifetimes, vault, .. } = options;
        Self { connection: Mutex::new(connection), seals: Seals::new(vault), lifetimes, clock }
    }

    /// All that there is of a session but secrets. None where there is no such session, or it has expired.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub fn export(&self, key: &SessionKey) -> Result<Option<SessionExport>, StoreError> {
        let now_ms = self.clock.now_ms();
        let connection = self.connection();
        // So that all of it is of one moment.
        let transaction = connection.unchecked_transaction()?;
        let Some(stored) = read::load(&transaction, key, &self.seals)? else { return Ok(None) };
        if stored.session.record.updated_at_ms <= self.lifetimes.session_horizon(now_ms) {
            return Ok(None);
        }
        let session = as_found(&stored.session, Hidden::default(), &self.lifetimes, now_ms);
        let messages = read::messages(&transaction, stored.place.row, &Page::all())?.data;
        let trail = read::trail(&transaction, stored.place.row, &Page::all())?.data;
        let turns = turns::of_session(&transaction, key)?;
        transaction.finish()?;
        Ok(Some(SessionExport::new(&session, &messages, trail, &turns)))
    }

    /// Whether an [export](Self::export) had to leave secrets out, because the vault could not decrypt them.
    pub fn has_left_out(&self) -> bool {
        self.seals.have_failed()
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path, timeout: Duration) -> Result<Connection, OpenError> {
    let connect = || {
        let connection = file::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, timeout)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // The server's housekeeper does that.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        Ok(connection)
    };
    connect().map_err(|error: rusqlite::Error| file::misfit(path, error))
}

#[async_trait]
impl ApiKeys for SqliteTool {
    async fn create_api_key(&self, key: ApiKey) -> Result<(), StoreError> {
        if api_keys::create(&self.connection(), &key)? { Ok(()) } else { Err(api_keys::taken()) }
    }

    async fn api_key(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        api_keys::find(&self.connection(), id)
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        api_keys::list(&self.connection())
    }

    async fn revoke_api_key(&self, id: &str) -> Result<bool, StoreError> {
        api_keys::revoke(&self.connection(), id, self.clock.now_ms())
    }
}

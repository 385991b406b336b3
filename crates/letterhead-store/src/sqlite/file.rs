//! The database file: opened by one server at a time, with the settings that durability needs.

use std::borrow::Cow;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::fault::reason;
use super::schema::{self, Misfit};
use crate::StoreError;

/// Why a database was not opened. The texts say what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another server has it open.
    #[error("{} is in use by another server{}; stop that one, or give this one a file of its own",
        .path.display(), process(*.pid))]
    InUse {
        /// The database.
        path: PathBuf,
        /// The other server's process, if it could be read.
        pid: Option<u32>,
    },
    /// It was written by a newer version of this program.
    #[error("{} was written by a newer Letterhead: its version is {found}, and this one knows versions up to {known}; \
        update Letterhead, or use another file", .path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// It is something else.
    #[error("{} is not a Letterhead database; it was left as it is, use another file name", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It, or a file beside it, could not be opened, made or read.
    #[error("cannot open {}: {reason}", .path.display())]
    Cannot {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: Cow<'static, str>,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

fn cannot(path: &Path, reason: impl Into<Cow<'static, str>>) -> OpenError {
    OpenError::Cannot { path: path.to_owned(), reason: reason.into() }
}

/// A database file of which this process is the only server, for as long as this lives.
pub(super) struct OwnedFile {
    path: PathBuf,
    busy_timeout: Duration,
    /// Which file it is, whatever it may be called later.
    identity: Identity,
    /// Locked by the operating system, which lets go of it when the process ends, however that happens.
    lock: File,
}

impl OwnedFile {
    /// Takes possession of the file, which need not exist yet.
    pub(super) fn claim(path: &Path, busy_timeout: Duration) -> Result<Self, OpenError> {
        let path = canonical(path)?;
        let lock = lock(&path)?;
        create_private(&path).map_err(|error| cannot(&path, error.to_string()))?;
        // Where layers of file systems lie one above the other, one that is opened to write becomes another.
        drop(OpenOptions::new().append(true).open(&path));
        let identity = identity(&path).map_err(|error| cannot(&path, error.to_string()))?;
        Ok(Self { path, busy_timeout, identity, lock })
    }

    /// Sees that the file is where it was: SQLite would go on writing to one that was removed, and nobody would find that
    /// again.
    pub(super) fn in_place(&self) -> Result<(), StoreError> {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            return Ok(());
        }
        let reason = "the database file was removed or replaced while the server had it open; put it back, or start the \
            server anew";
        Err(StoreError::Unavailable { reason: reason.into() })
    }

    /// Lets another server have the file. Only after everything on it was closed.
    pub(super) fn release(&self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(reason = %error, "the database's lock stays until the process ends");
        }
    }

    /// Something that stands in the way of using the file.
    pub(super) fn cannot(&self, reason: impl Into<Cow<'static, str>>) -> OpenError {
        cannot(&self.path, reason)
    }

    /// Likewise, as SQLite tells it.
    pub(super) fn fault(&self, error: &rusqlite::Error) -> OpenError {
        self.cannot(reason(error))
    }

    /// The connection that writes, to a database of the newest version.
    pub(super) fn writer(&self, max_bytes: Option<u64>) -> Result<Connection, OpenError> {
        let misfit = |wrong| misfit(&self.path, wrong);
        let mut connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| misfit(error.into()))?;
        // Before anything is written: a file of another program stays as it is.
        schema::inspect(&connection).map_err(misfit)?;
        self.prepare(&connection, max_bytes).map_err(|error| misfit(error.into()))?;
        schema::migrate(&mut connection).map_err(misfit)?;
        Ok(connection)
    }

    fn prepare(&self, connection: &Connection, max_bytes: Option<u64>) -> rusqlite::Result<()> {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // Each commit waits until the disk has it.
        connection.pragma_update(None, "synchronous", "FULL")?;
        // The housekeeper does this, so that no turn has to wait for it.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "journal_size_limit", 32 << 20)?;
        // What a savepoint may have to undo.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        if let Some(max_bytes) = max_bytes {
            let page: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
            let pages = i64::try_from(max_bytes / u64::from(page.max(1))).unwrap_or(i64::MAX);
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
        Ok(())
    }

    /// A connection that only reads.
    pub(super) fn reader(&self) -> rusqlite::Result<Connection> {
        self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// A connection for housekeeping.
    pub(super) fn housekeeper(&self) -> rusqlite::Result<Connection> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    }

    fn connect(&self, access: OpenFlags) -> rusqlite::Result<Connection> {
        connect(&self.path, access, self.busy_timeout)
    }
}

/// A connection to a file that exists.
pub(super) fn connect(path: &Path, access: OpenFlags, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(48);
    Ok(connection)
}

/// Why a file cannot be used.
pub(super) fn misfit(path: &Path, misfit: impl Into<Misfit>) -> OpenError {
    match misfit.into() {
        Misfit::Foreign => OpenError::Foreign { path: path.to_owned() },
        Misfit::Newer { found, known } => OpenError::Newer { path: path.to_owned(), found, known },
        Misfit::Sqlite(error) => cannot(path, reason(&error)),
    }
}

/// The one name of the file, so that two spellings of it meet at one lock.
pub(super) fn canonical(path: &Path) -> Result<PathBuf, OpenError> {
    if let Ok(existing) = path.canonicalize() {
        return Ok(existing);
    }
    let name = path.file_name().ok_or_else(|| cannot(path, "this is not the name of a file"))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = folder.canonicalize();
    Ok(folder.map_err(|error| cannot(path, format!("its folder cannot be used: {error}")))?.join(name))
}

/// Locks a file beside the database. Not the database itself: closing a second handle of that would drop SQLite's own
/// locks.
fn lock(database: &Path) -> Result<File, OpenError> {
    let mut name = database.as_os_str().to_owned();
    name.push("-lock");
    let path = PathBuf::from(name);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = private(&mut options).open(&path).map_err(|error| cannot(&path, error.to_string()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let pid = file.read_to_string(&mut pid).ok().and_then(|_| pid.trim().parse().ok());
            return Err(OpenError::InUse { path: database.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(cannot(&path, error.to_string())),
    }
    // For the other server's message alone; the lock holds without it.
    let noted = file.set_len(0).and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
    noted.map_err(|error| cannot(&path, error.to_string()))?;
    Ok(file)
}

/// Makes the database file if there is none, for its owner alone. The files that SQLite adds get the same rights.
fn create_private(path: &Path) -> std::io::Result<()> {
    match private(OpenOptions::new().write(true).create_new(true)).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(unix)]
type Identity = (u64, u64);

/// The device and the number on it.
#[cfg(unix)]
fn identity(path: &Path) -> std::io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Other systems do not let a file go that is open.
#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(path: &Path) -> std::io::Result<Identity> {
    std::fs::metadata(path).map(drop)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

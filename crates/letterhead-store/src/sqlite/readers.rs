//! A few connections that read, each call on a thread where it may block.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::file::OwnedFile;
use crate::StoreError;

/// The pool. It opens connections when they are first needed.
pub(super) struct Readers {
    file: Arc<OwnedFile>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    reads: AtomicU64,
}

impl Readers {
    pub(super) fn new(file: Arc<OwnedFile>, connections: usize) -> Self {
        let permits = Arc::new(Semaphore::new(connections.max(1)));
        Self { file, permits, idle: Mutex::default(), reads: AtomicU64::new(0) }
    }

    /// Runs `read` in one read transaction, so that all of it sees one state of the database.
    pub(super) async fn read<T, F>(self: &Arc<Self>, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        let readers = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let idle = readers.idle().pop();
            let connection = idle.map_or_else(|| readers.file.reader(), Ok)?;
            let transaction = connection.unchecked_transaction()?;
            let answer = read(&transaction);
            transaction.finish()?;
            readers.put_back(connection);
            drop(permit);
            answer
        });
        reading.await.map_err(|_| StoreError::Unavailable { reason: "a read was broken off".into() })?
    }

    /// Runs a quick look-up here and now, on a connection that is idle. None where there is none.
    ///
    /// Handing a read over to another thread costs several times what finding a key in an index does, so the question
    /// that every turn of an unknown session asks is not handed over.
    pub(super) fn glance<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let _permit = self.permits.try_acquire().ok()?;
        let connection = self.idle().pop()?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        let answer = read(&connection);
        self.put_back(connection);
        Some(answer)
    }

    fn put_back(&self, connection: Connection) {
        // The lock comes first: what is put back before `close` clears the list is seen by it.
        let mut idle = self.idle();
        if !self.permits.is_closed() {
            idle.push(connection);
        }
    }

    /// How often something was read.
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Lets go of the connections; those in use follow when they are free.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

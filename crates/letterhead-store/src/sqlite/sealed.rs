//! Secret headers in the file, where they are encrypted. All of a session's are written together.

use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::seals::{SealedHeader, Seals};
use crate::{SessionKey, StoreError, StoredHeader};

/// The secrets of a session, as they were read.
pub(super) struct Unsealed {
    pub(super) secrets: Vec<StoredHeader>,
    /// Whether some were sealed with the previous key, or cannot be read: they are to be written anew, or removed.
    pub(super) are_stale: bool,
}

/// Reads the secrets of a session.
pub(super) fn read(connection: &Connection, row: i64, key: &SessionKey, seals: &Seals) -> Result<Unsealed, StoreError> {
    let sql = "SELECT field, sent_at, sealed FROM secrets WHERE session = ?1 ORDER BY place";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([row])?;
    let mut read = Unsealed { secrets: Vec::new(), are_stale: false };
    while let Some(row) = rows.next()? {
        let (field, sent_at_ms): (Arc<str>, i64) = (row.get(0)?, row.get(1)?);
        let sealed = row.get_ref(2)?.as_blob().unwrap_or_default();
        let opened = seals.open_header(key, &field, sealed);
        read.are_stale |= opened.as_ref().is_none_or(|opened| opened.is_old);
        if let Some(opened) = opened {
            read.secrets.push(StoredHeader { field, value: opened.value, secret: true, sent_at_ms });
        }
    }
    Ok(read)
}

/// Writes the secrets of a session that has none in the file.
pub(super) fn insert(connection: &Connection, row: i64, secrets: &[SealedHeader]) -> Result<(), StoreError> {
    for (place, SealedHeader { field, sent_at_ms, bytes }) in (0_i64..).zip(secrets) {
        connection
            .prepare_cached("INSERT INTO secrets (session, place, field, sent_at, sealed) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![row, place, field, sent_at_ms, bytes])?;
    }
    Ok(())
}

/// Removes the secrets of a session.
pub(super) fn delete(connection: &Connection, row: i64) -> Result<(), StoreError> {
    Ok(connection.prepare_cached("DELETE FROM secrets WHERE session = ?1")?.execute([row]).map(drop)?)
}

//! Secret headers in the file, where they are encrypted. All of a session's are written together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, params};
use zeroize::Zeroizing;

use crate::vault::{SecretPlace, Vault};
use crate::{Session, SessionKey, StoreError, StoredHeader};

/// Encrypts and decrypts secrets, where there is a key.
pub(super) struct Seals {
    vault: Option<Arc<Vault>>,
    /// Whether it was told that some cannot be read.
    told: AtomicBool,
}

/// A secret as it is written.
pub(super) struct Sealed {
    field: Arc<str>,
    sent_at_ms: i64,
    bytes: Vec<u8>,
}

/// The secrets of a session, as they were read.
pub(super) struct Unsealed {
    pub(super) secrets: Vec<StoredHeader>,
    /// Whether some were sealed with the previous key, or cannot be read: they are to be written anew, or removed.
    pub(super) are_stale: bool,
}

impl Seals {
    pub(super) fn new(vault: Option<Arc<Vault>>) -> Self {
        Self { vault, told: AtomicBool::new(false) }
    }

    /// Whether secrets are stored at all.
    pub(super) fn are_kept(&self) -> bool {
        self.vault.is_some()
    }

    /// Encrypts the secrets of a session: those that replace all it has in the file. None where those can stay.
    pub(super) fn seal(
        &self,
        key: &SessionKey,
        before: Option<&Session>,
        secrets: &[StoredHeader],
        are_stale: bool,
    ) -> Result<Option<Vec<Sealed>>, StoreError> {
        let headers = before.map(|session| session.headers.as_slice()).unwrap_or_default();
        if !are_stale && headers.iter().filter(|header| header.secret).eq(secrets) {
            return Ok(None);
        }
        let Some(vault) = &self.vault else { return Ok(Some(Vec::new())) };
        secrets.iter().map(|secret| seal(vault, key, secret)).collect::<Result<_, _>>().map(Some)
    }

    /// Reads the secrets of a session.
    pub(super) fn read(&self, connection: &Connection, row: i64, key: &SessionKey) -> Result<Unsealed, StoreError> {
        let sql = "SELECT field, sent_at, sealed FROM secrets WHERE session = ?1 ORDER BY id";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([row])?;
        let mut read = Unsealed { secrets: Vec::new(), are_stale: false };
        while let Some(row) = rows.next()? {
            let (field, sent_at_ms): (Arc<str>, i64) = (row.get(0)?, row.get(1)?);
            let sealed = row.get_ref(2)?.as_blob().unwrap_or_default();
            let opened =
                self.vault.as_ref().and_then(|vault| vault.open(SecretPlace { session: key, field: &field }, sealed));
            let value = opened.as_ref().and_then(|opened| serde_json::from_slice(&opened.plaintext).ok());
            read.are_stale |= opened.is_none_or(|opened| opened.is_old) || value.is_none();
            match value {
                Some(value) => read.secrets.push(StoredHeader { field, value, secret: true, sent_at_ms }),
                None => self.tell(),
            }
        }
        Ok(read)
    }

    /// Without names and places: whoever sends the next request is told which one is missing.
    fn tell(&self) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let reason = if self.are_kept() { "another key, or damaged" } else { "there is no key" };
            tracing::warn!(reason, "stored secrets cannot be decrypted; they count as not stored");
        }
    }
}

fn seal(vault: &Vault, key: &SessionKey, secret: &StoredHeader) -> Result<Sealed, StoreError> {
    // Room enough that it is not moved while it grows, which would leave pieces behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(2 * secret.weight()));
    serde_json::to_writer(&mut *plaintext, &secret.value)
        .map_err(|_| StoreError::Invalid { reason: "it cannot be written as JSON" })?;
    let bytes = vault.seal(SecretPlace { session: key, field: &secret.field }, &plaintext);
    let bytes = bytes.map_err(|error| StoreError::Unavailable { reason: error.to_string().into() })?;
    Ok(Sealed { field: secret.field.clone(), sent_at_ms: secret.sent_at_ms, bytes })
}

/// Replaces the secrets of a session.
pub(super) fn replace(connection: &Connection, row: i64, secrets: &[Sealed]) -> Result<(), StoreError> {
    delete(connection, row)?;
    for Sealed { field, sent_at_ms, bytes } in secrets {
        connection
            .prepare_cached("INSERT INTO secrets (session, field, sent_at, sealed) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![row, field, sent_at_ms, bytes])?;
    }
    Ok(())
}

/// Removes the secrets of a session.
pub(super) fn delete(connection: &Connection, row: i64) -> Result<(), StoreError> {
    Ok(connection.prepare_cached("DELETE FROM secrets WHERE session = ?1")?.execute([row]).map(drop)?)
}

/// How many secrets are removed in one transaction.
const REMOVE: i64 = 500;

/// In how many transactions the secrets that were last sent at this time or before can be removed.
pub(super) fn removals(connection: &Connection, horizon_ms: i64) -> Result<i64, StoreError> {
    let sql = "SELECT count(*) FROM secrets WHERE sent_at <= ?1";
    let expired: i64 = connection.prepare_cached(sql)?.query_row([horizon_ms], |row| row.get(0))?;
    Ok(expired / REMOVE + i64::from(expired % REMOVE > 0))
}

/// Removes as many of them as one transaction takes.
pub(super) fn delete_expired(connection: &Connection, horizon_ms: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM secrets WHERE id IN (SELECT id FROM secrets WHERE sent_at <= ?1 LIMIT ?2)";
    Ok(connection.prepare_cached(sql)?.execute([horizon_ms, REMOVE]).map(drop)?)
}

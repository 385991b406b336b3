//! Secrets on their way into a database and back: what is written of them is encrypted, or nothing is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use zeroize::Zeroizing;

use crate::vault::{SecretPlace, Vault};
use crate::{Fingerprint, KeptVariable, Session, SessionKey, StoreError, StoredHeader};

/// Encrypts and decrypts secrets, where there is a key.
pub(crate) struct Seals {
    vault: Option<Arc<Vault>>,
    /// Whether it was told that some cannot be read.
    told: AtomicBool,
}

/// A secret header as it is written.
pub(crate) struct SealedHeader {
    pub(crate) field: Arc<str>,
    pub(crate) sent_at_ms: i64,
    pub(crate) bytes: Vec<u8>,
}

/// A secret header as it was read.
pub(crate) struct OpenedHeader {
    pub(crate) value: Value,
    /// Whether it was sealed with the previous key.
    pub(crate) is_old: bool,
}

/// A context variable as it is written, or as it was read.
#[derive(Clone)]
pub(crate) struct VariableRow {
    pub(crate) name: Arc<str>,
    pub(crate) fetched_at_ms: i64,
    pub(crate) expires_at_ms: Option<i64>,
    /// Whether the body is encrypted.
    pub(crate) is_sealed: bool,
    /// The fingerprint and then the value as JSON. None where it must not be written: then what the database has of the
    /// variable is to be removed.
    pub(crate) body: Option<Vec<u8>>,
}

impl Seals {
    pub(crate) fn new(vault: Option<Arc<Vault>>) -> Self {
        Self { vault, told: AtomicBool::new(false) }
    }

    /// Whether secrets are stored at all.
    pub(crate) fn are_kept(&self) -> bool {
        self.vault.is_some()
    }

    /// Encrypts the secret headers of a session: those that replace all it has in the database. None where those can
    /// stay.
    pub(crate) fn seal_headers(
        &self,
        key: &SessionKey,
        before: Option<&Session>,
        secrets: &[StoredHeader],
        are_stale: bool,
    ) -> Result<Option<Vec<SealedHeader>>, StoreError> {
        let headers = before.map(|session| session.headers.as_slice()).unwrap_or_default();
        if !are_stale && headers.iter().filter(|header| header.secret).eq(secrets) {
            return Ok(None);
        }
        let Some(vault) = &self.vault else { return Ok(Some(Vec::new())) };
        let seal = |StoredHeader { field, value, sent_at_ms, .. }: &StoredHeader| {
            let bytes = seal(vault, SecretPlace::header(key, field), &[], value)?;
            Ok(SealedHeader { field: field.clone(), sent_at_ms: *sent_at_ms, bytes })
        };
        secrets.iter().map(seal).collect::<Result<_, _>>().map(Some)
    }

    /// Decrypts a secret header. None where that is impossible, of which the log is told once.
    pub(crate) fn open_header(&self, key: &SessionKey, field: &str, sealed: &[u8]) -> Option<OpenedHeader> {
        let opened = self.vault.as_ref().and_then(|vault| vault.open(SecretPlace::header(key, field), sealed));
        let header = opened.and_then(|opened| {
            let value = serde_json::from_slice(&opened.plaintext).ok()?;
            Some(OpenedHeader { value, is_old: opened.is_old })
        });
        if header.is_none() {
            self.tell();
        }
        header
    }

    /// The rows for these variables of a session.
    pub(crate) fn seal_variables(
        &self,
        key: &SessionKey,
        variables: &[KeptVariable],
    ) -> Result<Vec<VariableRow>, StoreError> {
        variables.iter().map(|variable| self.seal_variable(key, variable)).collect()
    }

    fn seal_variable(&self, key: &SessionKey, variable: &KeptVariable) -> Result<VariableRow, StoreError> {
        let KeptVariable { name, value, fingerprint, fetched_at_ms, expires_at_ms, secret } = variable;
        let body = match &self.vault {
            _ if !secret => Some(json(fingerprint, value)?.to_vec()),
            Some(vault) => Some(seal(vault, SecretPlace::variable(key, name), fingerprint, value)?),
            None => None,
        };
        let (name, fetched_at_ms, expires_at_ms) = (name.clone(), *fetched_at_ms, *expires_at_ms);
        Ok(VariableRow { name, fetched_at_ms, expires_at_ms, is_sealed: *secret, body })
    }

    /// The variable of a row. None where it cannot be decrypted, of which the log is told once: it is fetched again.
    ///
    /// A change of the key changes all fingerprints, so that what the previous key has sealed is replaced by itself, and
    /// need not be written anew.
    pub(crate) fn open_variable(&self, key: &SessionKey, row: VariableRow) -> Result<Option<KeptVariable>, StoreError> {
        let VariableRow { name, fetched_at_ms, expires_at_ms, is_sealed, body } = row;
        let body = body.unwrap_or_default();
        let opened = if is_sealed {
            self.vault.as_ref().and_then(|vault| vault.open(SecretPlace::variable(key, &name), &body))
        } else {
            None
        };
        let plain = match (&opened, is_sealed) {
            (Some(opened), _) => opened.plaintext.as_slice(),
            (None, false) => body.as_slice(),
            (None, true) => {
                self.tell();
                return Ok(None);
            }
        };
        let corrupt = StoreError::Corrupt { what: "a context variable" };
        let Some((fingerprint, value)) = plain.split_first_chunk() else { return Err(corrupt) };
        let value = Arc::new(serde_json::from_slice(value).map_err(|_| corrupt)?);
        let fingerprint: Fingerprint = *fingerprint;
        Ok(Some(KeptVariable { name, value, fingerprint, fetched_at_ms, expires_at_ms, secret: is_sealed }))
    }

    /// Whether there were secrets that could not be decrypted.
    pub(crate) fn have_failed(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// Without names and places: whoever sends the next request is told which header is missing.
    fn tell(&self) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let reason = if self.are_kept() { "another key, or damaged" } else { "there is no key" };
            tracing::warn!(reason, "stored secrets cannot be decrypted; they count as not stored");
        }
    }
}

fn seal(vault: &Vault, place: SecretPlace<'_>, head: &[u8], value: &Value) -> Result<Vec<u8>, StoreError> {
    let bytes = vault.seal(place, &json(head, value)?);
    bytes.map_err(|error| StoreError::Unavailable { reason: error.to_string().into() })
}

/// A value as JSON behind `head`. Wiped when it is dropped.
fn json(head: &[u8], value: &Value) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    // Room enough that it is not moved while it grows, which would leave pieces behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(head.len() + 64 + 2 * crate::session::value_weight(value)));
    bytes.extend(head);
    serde_json::to_writer(&mut *bytes, value)
        .map_err(|_| StoreError::Invalid { reason: "it cannot be written as JSON" })?;
    Ok(bytes)
}

//! API keys: what is stored of them, and how they are found.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use letterhead_context::TenantId;

use crate::StoreError;

/// An API key as it is stored: everything but its secret, of which there is only a hash.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// What it is found by, unique in the store: the part of the key that is no secret.
    pub id: Arc<str>,
    /// What people call it. Several may have one name, as when a key replaces another.
    pub name: Arc<str>,
    /// The tenant that it gives to whoever shows it.
    pub tenant: TenantId,
    /// What it may be used for beyond asking agents, in the order given.
    pub scopes: Vec<Arc<str>>,
    /// Whether whoever shows it may say for which user a request is.
    pub on_behalf: bool,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: i64,
    /// From this time on it opens nothing, in Unix milliseconds; none: never.
    pub expires_at_ms: Option<i64>,
    /// When it was revoked, in Unix milliseconds; none: it was not.
    pub revoked_at_ms: Option<i64>,
    /// SHA-256 of its secret, which has 256 bits.
    pub secret_sha256: [u8; 32],
}

impl ApiKey {
    /// Whether it opens something at this time, in Unix milliseconds: it was not revoked and has not expired.
    pub fn is_valid(&self, now_ms: i64) -> bool {
        self.revoked_at_ms.is_none() && self.expires_at_ms.is_none_or(|expires_at_ms| now_ms < expires_at_ms)
    }
}

/// The hash stays out of logs, though nobody could use it.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("tenant", &self.tenant)
            .field("scopes", &self.scopes)
            .field("on_behalf", &self.on_behalf)
            .field("created_at_ms", &self.created_at_ms)
            .field("expires_at_ms", &self.expires_at_ms)
            .field("revoked_at_ms", &self.revoked_at_ms)
            .finish_non_exhaustive()
    }
}

/// Keeps API keys, revoked and expired ones too. Every [`Store`](crate::Store) does; for a database that a server has
/// open, so does [`SqliteTool`](crate::sqlite::SqliteTool).
#[async_trait]
pub trait ApiKeys: Send + Sync {
    /// Stores a new key, durably.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when there is one with this id; [`StoreError::Unavailable`].
    async fn create_api_key(&self, key: ApiKey) -> Result<(), StoreError>;

    /// The key of this id, as the store has it now: each call looks, also for what another process has written. Who
    /// asks for every request keeps the answer for some seconds (a key is to be dead ten seconds after it was revoked),
    /// a "there is none" included.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn api_key(&self, id: &str) -> Result<Option<ApiKey>, StoreError>;

    /// All keys, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError>;

    /// Revokes a key, durably. Tells whether there is one of this id; one that was revoked before keeps its time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn revoke_api_key(&self, id: &str) -> Result<bool, StoreError>;
}

//! API keys in the file.

use std::sync::Arc;

use letterhead_context::TenantId;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::columns::{from_json, to_json};
use crate::{ApiKey, StoreError};

/// The columns of a key, in the order that [`key`] reads them.
const KEY: &str = "id, name, tenant_id, scopes, on_behalf, created_at, expires_at, revoked_at, secret_sha256";

/// Stores a key. Tells whether it did: not where there is one with this id.
pub(super) fn create(connection: &Connection, key: &ApiKey) -> Result<bool, StoreError> {
    let sql = format!("INSERT OR IGNORE INTO api_keys ({KEY}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    let scopes = to_json(&key.scopes)?;
    let created = connection.prepare_cached(&sql)?.execute(params![
        key.id,
        key.name,
        key.tenant.as_str(),
        scopes,
        key.on_behalf,
        key.created_at_ms,
        key.expires_at_ms,
        key.revoked_at_ms,
        key.secret_sha256,
    ])?;
    Ok(created > 0)
}

/// There is a key with this id.
pub(super) fn taken() -> StoreError {
    StoreError::Invalid { reason: "there is an API key with this id already" }
}

/// The key of this id.
pub(super) fn find(connection: &Connection, id: &str) -> Result<Option<ApiKey>, StoreError> {
    let sql = format!("SELECT {KEY} FROM api_keys WHERE id = ?1");
    connection.prepare_cached(&sql)?.query_row([id], |row| Ok(key(row))).optional()?.transpose()
}

/// All keys, oldest first.
pub(super) fn list(connection: &Connection) -> Result<Vec<ApiKey>, StoreError> {
    let sql = format!("SELECT {KEY} FROM api_keys ORDER BY seq");
    connection.prepare_cached(&sql)?.query_and_then([], key)?.collect()
}

/// Revokes a key. Tells whether there is one; when it was revoked first stays.
pub(super) fn revoke(connection: &Connection, id: &str, now_ms: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1";
    Ok(connection.prepare_cached(sql)?.execute(params![id, now_ms])? > 0)
}

fn key(row: &Row<'_>) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        id: row.get(0)?,
        name: row.get(1)?,
        tenant: TenantId::new(row.get::<_, Arc<str>>(2)?),
        scopes: from_json(&row.get::<_, String>(3)?, "the scopes of an API key")?,
        on_behalf: row.get(4)?,
        created_at_ms: row.get(5)?,
        expires_at_ms: row.get(6)?,
        revoked_at_ms: row.get(7)?,
        secret_sha256: row.get(8)?,
    })
}

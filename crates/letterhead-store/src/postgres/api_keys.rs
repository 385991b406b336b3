//! API keys in the database. They are above the tenants: a key is looked up to learn whose it is.

use std::sync::Arc;

use async_trait::async_trait;
use letterhead_context::TenantId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresStore;
use super::database::prepared;
use super::fault::Fault;
use super::row::{get, text};
use crate::Clock as _;
use crate::columns::{from_json, to_json};
use crate::{ApiKey, ApiKeys, StoreError};

/// The columns of a key, in the order that [`key`] reads them.
macro_rules! key_columns {
    () => {
        "id, name, tenant_id, scopes, on_behalf, created_at, expires_at, revoked_at, secret_sha256"
    };
}

const CREATE: &str = concat!(
    "INSERT INTO api_keys (",
    key_columns!(),
    ", place) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING"
);
const FIND: &str = concat!("SELECT ", key_columns!(), " FROM api_keys WHERE id = $1");
const LIST: &str = concat!("SELECT ", key_columns!(), " FROM api_keys ORDER BY place");
/// When it was revoked first stays.
const REVOKE: &str = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1";

fn key(row: &Row) -> Result<ApiKey, Fault> {
    let hash = get::<&[u8]>(row, 8)?;
    Ok(ApiKey {
        id: text(row, 0)?,
        name: text(row, 1)?,
        tenant: TenantId::new(text(row, 2)?),
        scopes: from_json::<Vec<Arc<str>>>(get(row, 3)?, "the scopes of an API key")?,
        on_behalf: get(row, 4)?,
        created_at_ms: get(row, 5)?,
        expires_at_ms: get(row, 6)?,
        revoked_at_ms: get(row, 7)?,
        secret_sha256: hash.try_into().map_err(|_| StoreError::Corrupt { what: "the hash of an API key" })?,
    })
}

#[async_trait]
impl ApiKeys for PostgresStore {
    async fn create_api_key(&self, key: ApiKey) -> Result<(), StoreError> {
        self.open_for_business()?;
        let scopes = to_json(&key.scopes)?;
        let created = self.database.run(move |client| {
            Box::pin(async move {
                let [create] = prepared(client, [CREATE]).await?;
                let hash = key.secret_sha256.as_slice();
                let (id, name, tenant) = (&*key.id, &*key.name, key.tenant.as_str());
                Ok(client
                    .execute(
                        &create,
                        &[
                            &id,
                            &name,
                            &tenant,
                            &scopes,
                            &key.on_behalf,
                            &key.created_at_ms,
                            &key.expires_at_ms,
                            &key.revoked_at_ms,
                            &hash,
                            &Uuid::now_v7(),
                        ],
                    )
                    .await?)
            })
        });
        if created.await? > 0 {
            return Ok(());
        }
        Err(StoreError::Invalid { reason: "there is an API key with this id already" })
    }

    async fn api_key(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        self.open_for_business()?;
        // No text with this character is stored, nor can it be asked for.
        if id.contains('\0') {
            return Ok(None);
        }
        let id = id.to_owned();
        let found = self.database.run(move |client| {
            Box::pin(async move {
                let [find] = prepared(client, [FIND]).await?;
                client.query_opt(&find, &[&id]).await?.as_ref().map(key).transpose()
            })
        });
        found.await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.open_for_business()?;
        let listed = self.database.run(move |client| {
            Box::pin(async move {
                let [list] = prepared(client, [LIST]).await?;
                client.query(&list, &[]).await?.iter().map(key).collect()
            })
        });
        listed.await
    }

    async fn revoke_api_key(&self, id: &str) -> Result<bool, StoreError> {
        self.open_for_business()?;
        let (id, now_ms) = (id.to_owned(), self.clock.now_ms());
        let revoked = self.database.run(move |client| {
            Box::pin(async move {
                let [revoke] = prepared(client, [REVOKE]).await?;
                Ok(client.execute(&revoke, &[&id, &now_ms]).await?)
            })
        });
        Ok(revoked.await? > 0)
    }
}

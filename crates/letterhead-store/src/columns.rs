//! What databases keep as JSON in a column.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{StoreError, StoredHeader};

/// A header as it stands in the column `headers`.
#[derive(Serialize, Deserialize)]
struct HeaderRow {
    field: Arc<str>,
    value: serde_json::Value,
    sent_at: i64,
}

/// The column `headers` for these, none of which is a secret.
pub(crate) fn header_rows(headers: &[StoredHeader]) -> Result<Option<String>, StoreError> {
    let row = |header: &StoredHeader| HeaderRow {
        field: header.field.clone(),
        value: header.value.clone(),
        sent_at: header.sent_at_ms,
    };
    let rows: Vec<_> = headers.iter().filter(|header| !header.secret).map(row).collect();
    if rows.is_empty() { Ok(None) } else { to_json(&rows).map(Some) }
}

/// The headers in the column `headers`.
pub(crate) fn headers(column: Option<&str>) -> Result<Vec<StoredHeader>, StoreError> {
    let Some(json) = column else { return Ok(Vec::new()) };
    let header =
        |HeaderRow { field, value, sent_at }| StoredHeader { field, value, secret: false, sent_at_ms: sent_at };
    Ok(from_json::<Vec<HeaderRow>>(json, "the headers of a session")?.into_iter().map(header).collect())
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Invalid { reason: "it cannot be written as JSON" })
}

/// What a column holds; `what` says it for the error.
pub(crate) fn from_json<T: DeserializeOwned>(json: &str, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|_| StoreError::Corrupt { what })
}

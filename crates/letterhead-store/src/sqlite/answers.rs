//! Kept answers in the file.

use rusqlite::{Connection, OptionalExtension, params};

use crate::claims::Answered;
use crate::{IdempotencyKey, KeptAnswer, StoreError};

/// An answer as it is written.
pub(super) struct AnswerRow {
    pub(super) answer: KeptAnswer,
    pub(super) given_at_ms: i64,
}

/// Keeps an answer, with the row of the session whose turn it was.
pub(super) fn keep(connection: &Connection, row: &AnswerRow, session: Option<i64>) -> Result<(), StoreError> {
    let AnswerRow { answer: KeptAnswer { key, request, body, .. }, given_at_ms } = row;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO answers (scope, request, session, given_at, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![scope(key), request, session, given_at_ms, body.as_ref()])?;
    Ok(())
}

/// The answer for this key, if it was given after the horizon.
pub(super) fn find(
    connection: &Connection,
    key: &IdempotencyKey,
    horizon_ms: i64,
) -> Result<Option<Answered>, StoreError> {
    let answered = connection
        .prepare_cached("SELECT request, body FROM answers WHERE scope = ?1 AND given_at > ?2")?
        .query_row(params![scope(key), horizon_ms], |row| {
            Ok(Answered { request: row.get(0)?, body: row.get_ref(1)?.as_blob()?.into() })
        });
    Ok(answered.optional()?)
}

/// Removes the answers of a session's turns.
pub(super) fn delete(connection: &Connection, session: i64) -> Result<(), StoreError> {
    Ok(connection.prepare_cached("DELETE FROM answers WHERE session = ?1")?.execute([session]).map(drop)?)
}

/// The key as bytes: each text behind its length, and what may be missing behind a zero or a one, so that no two keys
/// have the same.
fn scope(key: &IdempotencyKey) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 + key.weight());
    let user = key.owner.user.as_ref().map(letterhead_context::UserId::as_str);
    let session = key.session.as_ref().map(letterhead_context::SessionId::as_str);
    for text in [Some(key.owner.tenant.as_str()), user, session, Some(&*key.key)] {
        bytes.push(u8::from(text.is_some()));
        let text = text.unwrap_or_default();
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

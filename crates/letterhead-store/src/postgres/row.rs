//! Rows into records, and records into columns.

use std::sync::Arc;

use letterhead_context::{SessionId, SessionMode};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use super::fault::Fault;
use crate::columns::{self, from_json};
use crate::seals::{Seals, VariableRow};
use crate::{
    KeptVariable, Message, Owner, Role, Session, SessionKey, SessionRecord, Status, StoreError, StoredHeader, TurnTrail,
};

/// Where a session stands in the database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) row: Uuid,
    /// The number that its next message gets.
    pub(super) next_seq: u64,
    /// Whether there may be messages of failed turns.
    pub(super) has_failed: bool,
    /// Whether the next turn has to write its secrets anew, though none was sent.
    pub(super) has_stale_secrets: bool,
    /// Which node wrote it last.
    pub(super) node: Uuid,
}

/// A session as the database has it: with what may have expired, and with the secrets that the database has.
pub(super) struct Stored {
    pub(super) session: Session,
    pub(super) place: Place,
}

/// The columns of a session, in the order that [`stored`] reads them.
macro_rules! session_columns {
    () => {
        "session_id, asked_agent, agent, mode, client_id, created_at, updated_at, headers, state, id, turns, next_seq, \
         has_failed, node"
    };
}
pub(super) use session_columns;

/// The columns of a message, in the order that [`message`] reads them.
macro_rules! message_columns {
    () => {
        "id, seq, turn, role, status, agent, usage, created_at, body"
    };
}
pub(super) use message_columns;

/// A session without its secrets, variables and messages.
pub(super) fn stored(row: &Row, owner: &Owner) -> Result<Stored, Fault> {
    let id = SessionId::parse(get::<&str>(row, 0)?).map_err(|_| StoreError::Corrupt { what: "the id of a session" })?;
    let mode = get::<&str>(row, 3)?;
    let mode = [SessionMode::Normal, SessionMode::Evaluation].into_iter().find(|known| known.as_str() == mode);
    let record = SessionRecord {
        key: owner.session(id),
        asked_agent: text(row, 1)?,
        agent: text(row, 2)?,
        mode: mode.ok_or(StoreError::Corrupt { what: "the mode of a session" })?,
        client_id: optional_text(row, 4)?,
        created_at_ms: get(row, 5)?,
        updated_at_ms: get(row, 6)?,
    };
    let headers = columns::headers(get(row, 7)?)?;
    let session = Session {
        record,
        headers,
        variables: Vec::new(),
        state: optional_text(row, 8)?,
        messages: Vec::new(),
        turns: count(row, 10)?,
    };
    let place = Place {
        row: get(row, 9)?,
        next_seq: count(row, 11)?,
        has_failed: get(row, 12)?,
        has_stale_secrets: false,
        node: get(row, 13)?,
    };
    Ok(Stored { session, place })
}

pub(super) fn message(row: &Row) -> Result<Arc<Message>, Fault> {
    let usage = get::<Option<&str>>(row, 6)?;
    Ok(Arc::new(Message {
        id: text(row, 0)?,
        seq: count(row, 1)?,
        turn: count(row, 2)?,
        role: Role::parse(get(row, 3)?).ok_or(StoreError::Corrupt { what: "the role of a message" })?,
        status: Status::parse(get(row, 4)?).ok_or(StoreError::Corrupt { what: "the status of a message" })?,
        agent: optional_text(row, 5)?,
        usage: usage.map(|json| from_json(json, "the usage of a message")).transpose()?,
        created_at_ms: get(row, 7)?,
        body: text(row, 8)?,
    }))
}

/// A row of `turn, trail`.
pub(super) fn turn_trail(row: &Row) -> Result<TurnTrail, Fault> {
    Ok(TurnTrail { turn: count(row, 0)?, entries: columns::trail(get(row, 1)?)? })
}

/// A row of `field, sent_at, sealed`, if it can be decrypted, and whether it has to be written anew.
pub(super) fn secret(row: &Row, key: &SessionKey, seals: &Seals) -> Result<(Option<StoredHeader>, bool), Fault> {
    let field = text(row, 0)?;
    let opened = seals.open_header(key, &field, get(row, 2)?);
    let is_stale = opened.as_ref().is_none_or(|opened| opened.is_old);
    let sent_at_ms = get(row, 1)?;
    Ok((opened.map(|opened| StoredHeader { field, value: opened.value, secret: true, sent_at_ms }), is_stale))
}

/// A row of `name, fetched_at, body, _, expires_at, sealed`, if it can be decrypted.
pub(super) fn variable(row: &Row, key: &SessionKey, seals: &Seals) -> Result<Option<KeptVariable>, Fault> {
    let row = VariableRow {
        name: text(row, 0)?,
        fetched_at_ms: get(row, 1)?,
        expires_at_ms: get(row, 4)?,
        is_sealed: get(row, 5)?,
        body: get(row, 2)?,
    };
    Ok(seals.open_variable(key, row)?)
}

/// A column. What has another type than it should is no fault of the connection.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, StoreError> {
    row.try_get(index).map_err(|_| StoreError::Corrupt { what: "a column has an unexpected type" })
}

pub(super) fn text(row: &Row, index: usize) -> Result<Arc<str>, StoreError> {
    get::<&str>(row, index).map(Into::into)
}

pub(super) fn optional_text(row: &Row, index: usize) -> Result<Option<Arc<str>>, StoreError> {
    Ok(get::<Option<&str>>(row, index)?.map(Into::into))
}

/// A number that is never negative; PostgreSQL has signed ones alone.
pub(super) fn count(row: &Row, index: usize) -> Result<u64, StoreError> {
    get::<i64>(row, index).map(i64::cast_unsigned)
}

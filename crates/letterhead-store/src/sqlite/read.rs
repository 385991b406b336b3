//! Reading rows.

use std::sync::Arc;

use letterhead_context::{SessionId, SessionMode, TenantId, UserId};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::hot::{Place, Stored};
use super::{sealed, variables};
use crate::columns::{self, from_json};
use crate::seals::Seals;
use crate::{
    List, Message, Owner, Page, Role, Session, SessionFilter, SessionKey, SessionRecord, Status, StoreError, TurnTrail,
};

/// The columns of a session, in the order that [`session_record`] and [`stored`] read them.
const SESSION: &str = "session_id, asked_agent, agent, mode, client_id, created_at, updated_at, headers, \
                       id, turns, next_seq, has_failed";
/// The columns of a message, in the order that [`message`] reads them.
pub(super) const MESSAGE: &str = "id, seq, turn, role, status, agent, usage, created_at, body";

/// The row of a session and when it was last written.
pub(super) fn find(connection: &Connection, key: &SessionKey) -> Result<Option<(i64, i64)>, StoreError> {
    by_key(connection, key, "id, updated_at", |row| Ok((row.get(0)?, row.get(1)?)))
}

/// A whole session, with the secrets and variables that the file has.
pub(super) fn load(connection: &Connection, key: &SessionKey, seals: &Seals) -> Result<Option<Stored>, StoreError> {
    let found = by_key(connection, key, SESSION, |row| stored(row, &key.owner()))?;
    let Some(mut found) = found else { return Ok(None) };
    let row = found.place.row;
    let state = connection
        .prepare_cached("SELECT body FROM states WHERE session = ?1")?
        .query_row([row], |row| row.get(0))
        .optional()?;
    let sql = format!("SELECT {MESSAGE} FROM messages WHERE session = ?1 AND status <> 'failed' ORDER BY seq");
    let mut statement = connection.prepare_cached(&sql)?;
    let messages = statement.query_and_then([row], message)?.collect::<Result<_, _>>()?;
    let unsealed = sealed::read(connection, row, key, seals)?;
    let variables = variables::read(connection, row, key, seals)?;
    found.place.has_stale_secrets = unsealed.are_stale;
    let session = Arc::make_mut(&mut found.session);
    session.headers.extend(unsealed.secrets);
    session.variables = variables;
    session.state = state;
    session.messages = messages;
    Ok(Some(found))
}

/// A page of an owner's sessions, without their messages.
pub(super) fn list(
    connection: &Connection,
    owner: &Owner,
    filter: &SessionFilter,
    page: &Page,
    horizon_ms: i64,
    seals: &Seals,
) -> Result<List<Arc<Session>>, StoreError> {
    let before = match page.cursor() {
        None => i64::MAX,
        Some(id) => {
            let id = SessionId::parse(id).map_err(|_| StoreError::UnknownCursor)?;
            find(connection, &owner.session(id))?.ok_or(StoreError::UnknownCursor)?.0
        }
    };
    let mut values = vec![
        Value::Text(owner.tenant.as_str().into()),
        Value::Integer(before),
        Value::Integer(horizon_ms),
        Value::Integer(look_up(page)),
    ];
    let user = owner.user.as_ref().map(|user| Value::Text(user.as_str().into()));
    let mode = filter.mode.map(|mode| Value::Text(mode.as_str().into()));
    let client = filter.client_id.as_ref().map(|client| Value::Text(client.as_ref().into()));
    let mut sql = format!("SELECT {SESSION} FROM sessions WHERE tenant_id = ?1 AND id < ?2 AND updated_at > ?3");
    for (column, value) in [("mode", mode), ("client_id", client), ("user_id", user)] {
        if let Some(value) = value {
            values.push(value);
            sql.push_str(&format!(" AND {column} = ?{}", values.len()));
        } else if column == "user_id" {
            sql.push_str(" AND user_id IS NULL");
        }
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?4");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_and_then(params_from_iter(values), |row| {
        let Stored { mut session, place } = stored(row, owner)?;
        if seals.are_kept() {
            let secrets = sealed::read(connection, place.row, &session.record.key, seals)?.secrets;
            Arc::make_mut(&mut session).headers.extend(secrets);
        }
        Ok(session)
    })?;
    Ok(List::cut(rows.collect::<Result<_, StoreError>>()?, page.limit()))
}

/// A page of a session's messages.
pub(super) fn messages(connection: &Connection, row: i64, page: &Page) -> Result<List<Arc<Message>>, StoreError> {
    let after: i64 = match page.cursor() {
        None => -1,
        Some(id) => connection
            .prepare_cached("SELECT seq FROM messages WHERE session = ?1 AND id = ?2")?
            .query_row(params![row, id], |row| row.get(0))
            .optional()?
            .ok_or(StoreError::UnknownCursor)?,
    };
    let sql = format!("SELECT {MESSAGE} FROM messages WHERE session = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_and_then(params![row, after, look_up(page)], message)?;
    Ok(List::cut(rows.collect::<Result<_, _>>()?, page.limit()))
}

/// A page of a session's trail.
pub(super) fn trail(connection: &Connection, row: i64, page: &Page) -> Result<List<TurnTrail>, StoreError> {
    let after = page.cursor().map_or(Ok(0), str::parse::<i64>).map_err(|_| StoreError::UnknownCursor)?;
    let mut statement = connection.prepare_cached(
        "SELECT turn, trail FROM turns WHERE session = ?1 AND turn > ?2 AND trail IS NOT NULL ORDER BY turn LIMIT ?3",
    )?;
    let rows = statement.query_and_then(params![row, after, look_up(page)], |row| {
        let entries = columns::trail(row.get_ref(1)?.as_str().map_err(column)?)?;
        Ok::<_, StoreError>(TurnTrail { turn: count(row, 0)?, entries })
    })?;
    Ok(List::cut(rows.collect::<Result<_, _>>()?, page.limit()))
}

/// What a look for expired sessions found.
pub(super) struct Look {
    pub(super) expired: Vec<(i64, SessionKey)>,
    /// The row where the next look goes on; none when there are no more.
    pub(super) last: Option<i64>,
}

/// Looks at `count` sessions behind the row `after` for those whose last turn was at the horizon or before.
pub(super) fn expired(connection: &Connection, horizon_ms: i64, after: i64, count: usize) -> Result<Look, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, updated_at, tenant_id, user_id, session_id FROM sessions WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, i64::try_from(count).unwrap_or(i64::MAX)])?;
    let (mut expired, mut last, mut seen) = (Vec::new(), None, 0);
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        if row.get::<_, i64>(1)? <= horizon_ms {
            let tenant = TenantId::new(row.get::<_, Arc<str>>(2)?);
            let user = row.get::<_, Option<Arc<str>>>(3)?.map(UserId::new);
            expired.push((id, SessionKey { tenant, user, id: session_id(row, 4)? }));
        }
        last = Some(id);
        seen += 1;
    }
    Ok(Look { expired, last: if seen < count { None } else { last } })
}

/// One row of `sessions`, found by its key. Two statements, because an index of some rows is used only where the
/// condition is written out.
fn by_key<T>(
    connection: &Connection,
    key: &SessionKey,
    columns: &str,
    read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let (tenant, id) = (key.tenant.as_str(), key.id.as_str());
    let found = match &key.user {
        Some(user) => connection
            .prepare_cached(&format!(
                "SELECT {columns} FROM sessions WHERE tenant_id = ?1 AND session_id = ?2 AND user_id = ?3"
            ))?
            .query_row(params![tenant, id, user.as_str()], |row| Ok(read(row)))
            .optional()?,
        None => connection
            .prepare_cached(&format!(
                "SELECT {columns} FROM sessions WHERE tenant_id = ?1 AND session_id = ?2 AND user_id IS NULL"
            ))?
            .query_row(params![tenant, id], |row| Ok(read(row)))
            .optional()?,
    };
    found.transpose()
}

/// A session without its secrets, variables, state and messages.
fn stored(row: &Row<'_>, owner: &Owner) -> Result<Stored, StoreError> {
    let record = session_record(row, owner)?;
    let headers = columns::headers(row.get_ref(7)?.as_str_or_null().map_err(column)?)?;
    let place =
        Place { row: row.get(8)?, next_seq: count(row, 10)?, has_failed: row.get(11)?, has_stale_secrets: false };
    let (variables, messages) = (Vec::new(), Vec::new());
    let session = Session { record, headers, variables, state: None, messages, turns: count(row, 9)? };
    Ok(Stored { session: Arc::new(session), place })
}

fn session_record(row: &Row<'_>, owner: &Owner) -> Result<SessionRecord, StoreError> {
    let mode = row.get_ref(3)?.as_str().map_err(column)?;
    let mode = [SessionMode::Normal, SessionMode::Evaluation].into_iter().find(|known| known.as_str() == mode);
    Ok(SessionRecord {
        key: owner.session(session_id(row, 0)?),
        asked_agent: row.get(1)?,
        agent: row.get(2)?,
        mode: mode.ok_or(StoreError::Corrupt { what: "the mode of a session" })?,
        client_id: row.get(4)?,
        created_at_ms: row.get(5)?,
        updated_at_ms: row.get(6)?,
    })
}

pub(super) fn session_id(row: &Row<'_>, index: usize) -> Result<SessionId, StoreError> {
    let id = row.get_ref(index)?.as_str().map_err(column)?;
    SessionId::parse(id).map_err(|_| StoreError::Corrupt { what: "the id of a session" })
}

pub(super) fn message(row: &Row<'_>) -> Result<Arc<Message>, StoreError> {
    let role = Role::parse(row.get_ref(3)?.as_str().map_err(column)?);
    let status = Status::parse(row.get_ref(4)?.as_str().map_err(column)?);
    let usage = row.get_ref(6)?.as_str_or_null().map_err(column)?;
    Ok(Arc::new(Message {
        id: row.get(0)?,
        seq: count(row, 1)?,
        turn: count(row, 2)?,
        role: role.ok_or(StoreError::Corrupt { what: "the role of a message" })?,
        status: status.ok_or(StoreError::Corrupt { what: "the status of a message" })?,
        agent: row.get(5)?,
        usage: usage.map(|json| from_json(json, "the usage of a message")).transpose()?,
        created_at_ms: row.get(7)?,
        body: row.get(8)?,
    }))
}

/// A number that is never negative; SQLite has signed ones alone.
pub(super) fn count(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get(index).map(i64::cast_unsigned)
}

/// How many entries to look up, to know whether there are more than the page holds.
pub(super) fn look_up(page: &Page) -> i64 {
    i64::try_from(page.limit() + 1).unwrap_or(i64::MAX)
}

pub(super) fn column(_: rusqlite::types::FromSqlError) -> StoreError {
    StoreError::Corrupt { what: "a column has an unexpected type" }
}

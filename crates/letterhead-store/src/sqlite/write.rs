//! Writing rows. Every statement is prepared once.

use rusqlite::{Connection, params};

use super::fault::is_taken;
use super::hot::Place;
use super::{answers, sealed, turns, variables};
use crate::advance::{Step, fresh_id};
use crate::columns::{self, header_rows};
use crate::{Message, SessionKey, StoreError};

/// Writes what a turn did. `before` is where its session stands; none for a new one, which gets the row `new_row`.
pub(super) fn turn(
    connection: &Connection,
    step: &Step,
    before: Option<Place>,
    new_row: i64,
) -> Result<Place, StoreError> {
    let had_failed = before.is_some_and(|place| place.has_failed);
    let place = Place {
        row: before.map_or(new_row, |place| place.row),
        next_seq: step.next_seq,
        has_failed: had_failed || step.adds_failed(),
        has_stale_secrets: false,
    };
    match before {
        None => insert_session(connection, step, place)?,
        Some(_) => update_session(connection, step, place)?,
    }
    if let Some(from) = step.cut_from {
        run(
            connection,
            "DELETE FROM messages WHERE session = ?1 AND seq >= ?2",
            params![place.row, from.cast_signed()],
        )?;
    }
    if had_failed {
        yield_ids(connection, place.row, step)?;
    }
    for message in &step.added {
        insert_message(connection, place.row, message)?;
    }
    if step.state_changed {
        let sql = "INSERT OR REPLACE INTO states (session, body) VALUES (?1, ?2)";
        run(connection, sql, params![place.row, step.session.state.as_deref()])?;
    }
    turns::insert(connection, place.row, step)?;
    Ok(place)
}

/// Removes a session with all that belongs to it.
pub(super) fn delete(connection: &Connection, row: i64) -> Result<(), StoreError> {
    run(connection, "DELETE FROM sessions WHERE id = ?1", [row])?;
    delete_contents(connection, row)
}

/// Removes a session if its last turn was at this time or before. Tells whether it did.
pub(super) fn delete_expired(connection: &Connection, row: i64, horizon_ms: i64) -> Result<bool, StoreError> {
    let sql = "DELETE FROM sessions WHERE id = ?1 AND updated_at <= ?2";
    let deleted = run(connection, sql, [row, horizon_ms])? > 0;
    if deleted {
        delete_contents(connection, row)?;
    }
    Ok(deleted)
}

fn delete_contents(connection: &Connection, row: i64) -> Result<(), StoreError> {
    run(connection, "DELETE FROM states WHERE session = ?1", [row])?;
    run(connection, "DELETE FROM messages WHERE session = ?1", [row])?;
    run(connection, "DELETE FROM turns WHERE session = ?1", [row])?;
    variables::delete(connection, row)?;
    answers::delete(connection, row)?;
    sealed::delete(connection, row)
}

fn insert_session(connection: &Connection, step: &Step, place: Place) -> Result<(), StoreError> {
    let record = &step.session.record;
    let SessionKey { tenant, user, id } = &record.key;
    let mut statement = connection.prepare_cached(
        "INSERT INTO sessions (id, tenant_id, user_id, session_id, asked_agent, agent, mode, client_id, created_at, \
         updated_at, turns, next_seq, has_failed, headers) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    let inserted = statement.execute(params![
        place.row,
        tenant.as_str(),
        user.as_ref().map(letterhead_context::UserId::as_str),
        id.as_str(),
        record.asked_agent,
        record.agent,
        record.mode.as_str(),
        record.client_id,
        record.created_at_ms,
        record.updated_at_ms,
        step.session.turns.cast_signed(),
        place.next_seq.cast_signed(),
        place.has_failed,
        header_rows(&step.session.headers)?,
    ]);
    match inserted {
        Err(error) if is_taken(&error) => {
            Err(StoreError::Invalid { reason: "there is a session with this id already" })
        }
        other => Ok(other.map(drop)?),
    }
}

fn update_session(connection: &Connection, step: &Step, place: Place) -> Result<(), StoreError> {
    let record = &step.session.record;
    let updated = run(
        connection,
        "UPDATE sessions SET asked_agent = ?2, agent = ?3, mode = ?4, client_id = ?5, updated_at = ?6, turns = ?7, \
         next_seq = ?8, has_failed = ?9, headers = ?10 WHERE id = ?1",
        params![
            place.row,
            record.asked_agent,
            record.agent,
            record.mode.as_str(),
            record.client_id,
            record.updated_at_ms,
            step.session.turns.cast_signed(),
            place.next_seq.cast_signed(),
            place.has_failed,
            header_rows(&step.session.headers)?,
        ],
    )?;
    if updated == 0 { Err(StoreError::Gone) } else { Ok(()) }
}

fn insert_message(connection: &Connection, row: i64, message: &Message) -> Result<(), StoreError> {
    let usage = columns::usage(message.usage.as_ref())?;
    run(
        connection,
        "INSERT INTO messages (session, seq, id, turn, role, status, agent, usage, created_at, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            row,
            message.seq.cast_signed(),
            message.id,
            message.turn.cast_signed(),
            message.role.as_str(),
            message.status.as_str(),
            message.agent,
            usage,
            message.created_at_ms,
            message.body,
        ],
    )?;
    Ok(())
}

/// Failed messages give up their ids to messages that are added now.
fn yield_ids(connection: &Connection, row: i64, step: &Step) -> Result<(), StoreError> {
    for message in &step.added {
        let sql = "UPDATE messages SET id = ?3 WHERE session = ?1 AND id = ?2 AND status = 'failed'";
        run(connection, sql, params![row, message.id, fresh_id()])?;
    }
    Ok(())
}

fn run(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<usize, StoreError> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}

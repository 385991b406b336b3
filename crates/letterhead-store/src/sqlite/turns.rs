//! Turns in the file.

use async_trait::async_trait;
use letterhead_context::UserId;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use uuid::Uuid;

use super::SqliteStore;
use super::read::{MESSAGE, column, count, look_up, message, session_id};
use crate::advance::Step;
use crate::columns::{self, child_rows, from_json, to_json};
use crate::turns::{self, TurnDetail, TurnFilter, TurnStatus, TurnSummary, Turns};
use crate::{List, Owner, Page, SessionKey, StoreError, TurnId};

/// The columns of a turn, in the order that [`summary`] reads them. A turn waits as long as nothing was said after it, and
/// what it asked was not cut off. Whether there are children is known without reading them.
const SUMMARY: &str = "turns.id, session_id, turn, turns.agent, \
     CASE WHEN turns.status = 'paused' AND coalesce((SELECT said.turn > turns.turn OR said.role = 'user' \
     FROM messages AS said WHERE said.session = turns.session AND said.status <> 'failed' ORDER BY seq DESC LIMIT 1), 1) \
     THEN iif(error IS NULL, 'complete', 'failed') ELSE turns.status END AS standing, \
     continues, ended_at, usage, children IS NOT NULL, turns.status = 'paused', error";

/// Writes the row of a turn.
pub(super) fn insert(connection: &Connection, row: i64, step: &Step) -> Result<(), StoreError> {
    let ended = &step.ended;
    let usage = columns::usage(ended.usage.as_ref())?;
    let error = ended.error.as_ref().map(to_json).transpose()?;
    let continues = match ended.continues {
        None => None,
        Some(number) => task_of(connection, row, number)?,
    };
    connection
        .prepare_cached(
            "INSERT INTO turns (session, turn, status, ended_at, usage, trail, id, agent, continues, children, error) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            row,
            step.session.turns.cast_signed(),
            ended.status.as_str(),
            step.session.record.updated_at_ms,
            usage,
            columns::stops(&step.trail)?,
            ended.id.uuid().as_bytes(),
            ended.agent,
            continues.map(TurnId::uuid).as_ref().map(Uuid::as_bytes),
            child_rows(&ended.children)?,
            error,
        ])?;
    Ok(())
}

/// The task of a session's turn of this number: the first of those that waited, where several did.
pub(super) fn task_of(connection: &Connection, row: i64, number: u64) -> Result<Option<TurnId>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT coalesce(continues, id) FROM turns WHERE session = ?1 AND turn = ?2")?
        .query_row(params![row, number.cast_signed()], |row| row.get(0).map(id))
        .optional()?)
}

fn id(bytes: [u8; 16]) -> TurnId {
    TurnId::from_uuid(Uuid::from_bytes(bytes))
}

/// A page of an owner's turns of sessions that were written after the horizon, and one more if there is one; where only the
/// last ones of tasks are wanted, without those of tasks that turns go on with that run.
pub(super) fn list(
    connection: &Connection,
    owner: &Owner,
    filter: &TurnFilter,
    page: &Page,
    gone_on_with: &[TurnId],
    horizon_ms: i64,
) -> Result<Vec<TurnSummary>, StoreError> {
    let mut values = vec![Value::Integer(horizon_ms), Value::Integer(look_up(page))];
    let blob = |id: TurnId| Value::Blob(id.uuid().as_bytes().to_vec());
    let conditions = [
        ("tenant_id =", Some(Value::Text(owner.tenant.as_str().into()))),
        ("user_id =", owner.user.as_ref().map(|user| Value::Text(user.as_str().into()))),
        ("session_id =", filter.session.as_ref().map(|session| Value::Text(session.as_str().into()))),
        ("standing =", filter.status.map(|status| Value::Text(status.as_str().into()))),
        ("continues =", filter.continues.map(blob)),
        ("ended_at >", filter.ended_after_ms.map(Value::Integer)),
        ("turns.id <", turns::before(page)?.map(blob)),
    ];
    // Of a task first the turns, which are few; of all tasks first the owner's sessions.
    let tables = if filter.continues.is_some() { "turns CROSS JOIN sessions" } else { "sessions CROSS JOIN turns" };
    let mut sql = format!("SELECT {SUMMARY} FROM {tables} ON session = sessions.id WHERE updated_at > ?1");
    if owner.user.is_none() {
        sql.push_str(" AND user_id IS NULL");
    }
    for (condition, value) in conditions {
        if let Some(value) = value {
            values.push(value);
            sql.push_str(&format!(" AND {condition} ?{}", values.len()));
        }
    }
    if filter.last_of_task {
        sql.push_str(
            " AND NOT EXISTS (SELECT 1 FROM turns AS later \
             WHERE later.continues = coalesce(turns.continues, turns.id) AND later.turn > turns.turn)",
        );
        for task in gone_on_with {
            values.push(blob(*task));
            sql.push_str(&format!(" AND coalesce(continues, turns.id) <> ?{}", values.len()));
        }
    }
    sql.push_str(" ORDER BY turns.id DESC LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_and_then(params_from_iter(values), summary)?;
    rows.collect()
}

/// A turn of a session of the owner's that was written after the horizon.
pub(super) fn find(
    connection: &Connection,
    owner: &Owner,
    id: TurnId,
    horizon_ms: i64,
) -> Result<Option<TurnDetail>, StoreError> {
    let sql = format!(
        "SELECT {SUMMARY}, session, children FROM turns JOIN sessions ON session = sessions.id \
         WHERE turns.id = ?1 AND tenant_id = ?2 AND user_id IS ?3 AND updated_at > ?4"
    );
    let user = owner.user.as_ref().map(UserId::as_str);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![id.uuid().as_bytes(), owner.tenant.as_str(), user, horizon_ms])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let summary = summary(row)?;
    let children = columns::children(row.get_ref(12)?.as_str_or_null().map_err(column)?)?;
    let sql = format!("SELECT {MESSAGE} FROM messages WHERE session = ?1 AND turn = ?2 ORDER BY seq");
    let mut statement = connection.prepare_cached(&sql)?;
    let of_turn = params![row.get::<_, i64>(11)?, summary.number.cast_signed()];
    let messages = statement.query_and_then(of_turn, message)?.collect::<Result<_, _>>()?;
    Ok(Some(TurnDetail { summary, messages, children }))
}

/// All turns of a session, oldest first, without their messages.
pub(super) fn of_session(connection: &Connection, key: &SessionKey) -> Result<Vec<TurnDetail>, StoreError> {
    let filter = TurnFilter { session: Some(key.id.clone()), ..TurnFilter::default() };
    let (owner, mut found) = (key.owner(), Vec::new());
    for summary in list(connection, &owner, &filter, &Page::all(), &[], i64::MIN)? {
        let whole = if summary.has_children { find(connection, &owner, summary.id, i64::MIN)? } else { None };
        found.push(whole.unwrap_or_else(|| TurnDetail::begun(summary)));
    }
    found.reverse();
    Ok(found)
}

fn summary(row: &Row<'_>) -> Result<TurnSummary, StoreError> {
    let (this, ended_at_ms) = (id(row.get(0)?), row.get(6)?);
    let status = TurnStatus::parse(row.get_ref(4)?.as_str().map_err(column)?);
    let usage = row.get_ref(7)?.as_str_or_null().map_err(column)?;
    let error = row.get_ref(10)?.as_str_or_null().map_err(column)?;
    Ok(TurnSummary {
        id: this,
        session: session_id(row, 1)?,
        number: count(row, 2)?,
        agent: row.get(3)?,
        status: status.ok_or(StoreError::Corrupt { what: "the status of a turn" })?,
        asked: row.get(9)?,
        continues: row.get::<_, Option<_>>(5)?.map(id),
        began_at_ms: this.made_at_ms().unwrap_or(ended_at_ms),
        ended_at_ms: Some(ended_at_ms),
        usage: usage.map(|json| from_json(json, "the usage of a turn")).transpose()?,
        error: error.map(|json| from_json(json, "the error of a turn")).transpose()?,
        has_children: row.get(8)?,
    })
}

#[async_trait]
impl Turns for SqliteStore {
    async fn turn(&self, owner: &Owner, id: TurnId) -> Result<Option<TurnDetail>, StoreError> {
        self.open_for_business()?;
        // First those that run: one that ends meanwhile is in the file then.
        let running = self.shared.turns.running(owner).into_iter().find(|turn| turn.id == id);
        let horizon_ms = self.shared.lifetimes.session_horizon(self.shared.clock.now_ms());
        let owner = owner.clone();
        let found = self.readers.read(move |connection| find(connection, &owner, id, horizon_ms)).await?;
        Ok(found.or_else(|| running.map(TurnDetail::begun)))
    }

    async fn turns(&self, owner: &Owner, filter: &TurnFilter, page: &Page) -> Result<List<TurnSummary>, StoreError> {
        self.open_for_business()?;
        let running = self.shared.turns.running(owner);
        let horizon_ms = self.shared.lifetimes.session_horizon(self.shared.clock.now_ms());
        let (of, wanted, part) = (owner.clone(), filter.clone(), page.clone());
        let gone_on_with: Vec<TurnId> = running.iter().filter_map(|turn| turn.continues).collect();
        let list = move |connection: &Connection| list(connection, &of, &wanted, &part, &gone_on_with, horizon_ms);
        let stored = self.readers.read(list).await?;
        turns::page(stored, running, filter, page)
    }
}

//! Context variables in the file. A turn writes those that it has changed.

use rusqlite::{Connection, params};

use crate::seals::{Seals, VariableRow};
use crate::{KeptVariable, SessionKey, StoreError};

/// Reads the variables of a session, in the order of their names.
pub(super) fn read(
    connection: &Connection,
    row: i64,
    key: &SessionKey,
    seals: &Seals,
) -> Result<Vec<KeptVariable>, StoreError> {
    let sql = "SELECT name, fetched_at, expires_at, sealed, body FROM variables WHERE session = ?1 ORDER BY name";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([row])?;
    let mut variables = Vec::new();
    while let Some(row) = rows.next()? {
        let row = VariableRow {
            name: row.get(0)?,
            fetched_at_ms: row.get(1)?,
            expires_at_ms: row.get(2)?,
            is_sealed: row.get(3)?,
            body: row.get(4)?,
        };
        variables.extend(seals.open_variable(key, row)?);
    }
    Ok(variables)
}

/// Writes those that a turn has changed.
pub(super) fn write(connection: &Connection, session: i64, changed: &[VariableRow]) -> Result<(), StoreError> {
    for VariableRow { name, fetched_at_ms, expires_at_ms, is_sealed, body } in changed {
        match body {
            Some(body) => connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO variables (session, name, fetched_at, expires_at, sealed, body) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![session, name, fetched_at_ms, expires_at_ms, is_sealed, body])?,
            // An older value must not come back.
            None => connection
                .prepare_cached("DELETE FROM variables WHERE session = ?1 AND name = ?2")?
                .execute(params![session, name])?,
        };
    }
    Ok(())
}

/// Removes the variables of a session.
pub(super) fn delete(connection: &Connection, session: i64) -> Result<(), StoreError> {
    Ok(connection.prepare_cached("DELETE FROM variables WHERE session = ?1")?.execute([session]).map(drop)?)
}

//! The tables, and how those of an older version become today's.

use rusqlite::{Connection, TransactionBehavior};

/// `LTRH`: marks a file as ours.
const APPLICATION_ID: i64 = 0x4C54_5248;

/// From each version to the next, beginning with an empty file.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_sessions.sql"),
    include_str!("migrations/0002_secrets.sql"),
    include_str!("migrations/0003_variables.sql"),
    include_str!("migrations/0004_api_keys.sql"),
    include_str!("migrations/0005_answers.sql"),
    include_str!("migrations/0006_turns.sql"),
    include_str!("migrations/0007_documents.sql"),
    include_str!("migrations/0008_turn_errors.sql"),
    include_str!("migrations/0009_smaller_turns.sql"),
    include_str!("migrations/0010_turns_in_order.sql"),
];

/// What is wrong with a file.
#[derive(Debug)]
pub(super) enum Misfit {
    /// It belongs to another program.
    Foreign,
    /// It has a version that this program does not know.
    Newer { found: i64, known: i64 },
    /// SQLite's own fault.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Misfit {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => Self::Foreign,
            _ => Self::Sqlite(error),
        }
    }
}

/// Brings the file to the newest version, in one transaction. Gives the version that it had.
pub(super) fn migrate(connection: &mut Connection) -> Result<i64, Misfit> {
    migrate_through(connection, MIGRATIONS)
}

/// Looks whose file it is, without writing to it. Gives its version, 0 for an empty file.
pub(super) fn inspect(connection: &Connection) -> Result<i64, Misfit> {
    inspect_for(connection, MIGRATIONS)
}

/// The version of the files that this program writes.
pub(super) fn newest() -> i64 {
    version_of(MIGRATIONS)
}

fn inspect_for(connection: &Connection, migrations: &[&str]) -> Result<i64, Misfit> {
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let known = version_of(migrations);
    match (application, version) {
        (0, 0) if tables == 0 => Ok(0),
        (APPLICATION_ID, version) if version > known => Err(Misfit::Newer { found: version, known }),
        (APPLICATION_ID, version) if version > 0 => Ok(version),
        _ => Err(Misfit::Foreign),
    }
}

fn migrate_through(connection: &mut Connection, migrations: &[&str]) -> Result<i64, Misfit> {
    let found = inspect_for(connection, migrations)?;
    let done = usize::try_from(found).unwrap_or(0);
    if done < migrations.len() {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        for migration in migrations.iter().skip(done) {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version_of(migrations))?;
        transaction.commit()?;
    }
    Ok(found)
}

/// The version that a file has after these.
fn version_of(migrations: &[&str]) -> i64 {
    i64::try_from(migrations.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE notes (body TEXT);";
    const SECOND: &str = "ALTER TABLE notes ADD COLUMN author TEXT; UPDATE notes SET author = 'nobody';";

    fn version(connection: &Connection) -> i64 {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_older_file_goes_through_the_steps_it_lacks_and_keeps_its_rows() {
        let mut file = Connection::open_in_memory().unwrap();
        assert_eq!(migrate_through(&mut file, &[FIRST]).unwrap(), 0);
        file.execute("INSERT INTO notes VALUES ('hello')", []).unwrap();

        assert_eq!(migrate_through(&mut file, &[FIRST, SECOND]).unwrap(), 1);
        assert_eq!(version(&file), 2);
        let row = file.query_row("SELECT body || ' by ' || author FROM notes", [], |row| row.get::<_, String>(0));
        assert_eq!(row.unwrap(), "hello by nobody");
        assert_eq!(migrate_through(&mut file, &[FIRST, SECOND]).unwrap(), 2);
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_at_its_old_version() {
        let mut file = Connection::open_in_memory().unwrap();
        migrate_through(&mut file, &[FIRST]).unwrap();
        let broken = migrate_through(&mut file, &[FIRST, SECOND, "CREATE TABLE notes (again TEXT);"]);
        assert!(matches!(broken, Err(Misfit::Sqlite(_))));
        assert_eq!(version(&file), 1);
        assert!(file.prepare("SELECT author FROM notes").is_err());
    }

    #[test]
    fn a_newer_file_and_a_foreign_one_are_refused() {
        let mut newer = Connection::open_in_memory().unwrap();
        migrate_through(&mut newer, &[FIRST, SECOND]).unwrap();
        assert!(matches!(migrate_through(&mut newer, &[FIRST]), Err(Misfit::Newer { found: 2, known: 1 })));

        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert!(matches!(migrate_through(&mut foreign, &[FIRST]), Err(Misfit::Foreign)));
    }
}

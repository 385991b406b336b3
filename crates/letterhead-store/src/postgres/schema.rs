//! The tables, how those of an older version become today's, and the role that row-level security binds.
//!
//! Several nodes may do this at once. They take turns at the one row of `schema_version`; what comes before there is that
//! row is tried again where two collide, for `IF NOT EXISTS` does not see what another transaction is about to make.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::connect::ROLE;
use super::fault::why;

/// From each version to the next, beginning with nothing.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_sessions.sql"),
    include_str!("migrations/0002_walls.sql"),
    include_str!("migrations/0003_turns.sql"),
    include_str!("migrations/0004_documents.sql"),
    include_str!("migrations/0005_turn_errors.sql"),
];

/// The tables that belong to tenants.
pub(super) const WALLED: [&str; 8] =
    ["answers", "documents", "leases", "messages", "secrets", "sessions", "turns", "variables"];

/// How often it is tried.
const TRIES: u32 = 20;

/// What is wrong with a database.
#[derive(Debug)]
pub(super) enum Misfit {
    /// It has a version that this program does not know.
    Newer { found: i32, known: i32 },
    /// Nothing would keep tenants apart but our own statements.
    NoWall(&'static str),
    /// The database's own fault.
    Database(Error),
    /// The user may not do what is needed.
    NotAllowed(&'static str),
}

impl From<Error> for Misfit {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

/// Brings the database to the newest version. Tells whether there is a role to be taken.
pub(super) async fn prepare(client: &mut Client) -> Result<bool, Misfit> {
    let mut tries = 0;
    loop {
        match migrate_through(client, MIGRATIONS).await {
            Err(Misfit::Database(error)) if tries < TRIES && is_collision(&error) => {
                tries += 1;
                // Nodes that were started together are not to collide again and again.
                let spread = u64::from(uuid::Uuid::new_v4().as_bytes().first().copied().unwrap_or_default());
                tokio::time::sleep(Duration::from_millis(20 + spread)).await;
            }
            Err(other) => return Err(other),
            Ok(()) => break,
        }
    }
    let takes_role = may_take_role(client).await?;
    if takes_role {
        client.batch_execute(&format!("SET ROLE {ROLE}")).await?;
    }
    walls_stand(client).await?;
    Ok(takes_role)
}

/// Whether two nodes were in each other's way.
fn is_collision(error: &Error) -> bool {
    let codes = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_SCHEMA,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        // "tuple concurrently updated", by GRANT.
        SqlState::INTERNAL_ERROR,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

/// The version that the database has; 0 where there is nothing yet.
async fn version(client: &Client) -> Result<i32, Error> {
    match client.query_opt("SELECT version FROM letterhead.schema_version WHERE one = 1", &[]).await {
        Ok(row) => row.map_or(Ok(0), |row| row.try_get(0)),
        Err(error) if matches!(error.code(), Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME)) => {
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

pub(super) async fn migrate_through(client: &mut Client, migrations: &[&str]) -> Result<(), Misfit> {
    let known = i32::try_from(migrations.len()).unwrap_or(i32::MAX);
    let found = match version(client).await {
        // Somebody else owns the tables: what they were made for is allowed to the role.
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) && may_take_role(client).await? => {
            client.batch_execute(&format!("SET ROLE {ROLE}")).await?;
            version(client).await?
        }
        found => found?,
    };
    if found > known {
        return Err(Misfit::Newer { found, known });
    }
    if found == known {
        return Ok(());
    }
    make_role(client).await?;
    let made = client
        .batch_execute(
            "CREATE SCHEMA IF NOT EXISTS letterhead; \
             CREATE TABLE IF NOT EXISTS letterhead.schema_version (one int PRIMARY KEY CHECK (one = 1), version int NOT NULL); \
             INSERT INTO letterhead.schema_version (one, version) VALUES (1, 0) ON CONFLICT (one) DO NOTHING",
        )
        .await;
    made.map_err(|error| allowed(error, "make the schema `letterhead`: it needs CREATE on the database"))?;
    let transaction = client.transaction().await?;
    transaction.batch_execute("SET LOCAL search_path TO letterhead").await?;
    // Who comes second waits here, and then finds nothing left to do.
    let row = transaction.query_one("SELECT version FROM schema_version WHERE one = 1 FOR UPDATE", &[]).await?;
    let done = usize::try_from(row.try_get::<_, i32>(0)?).unwrap_or(0);
    for migration in migrations.iter().skip(done) {
        let run = transaction.batch_execute(migration).await;
        run.map_err(|error| allowed(error, "change the tables of the schema `letterhead`: their owner may"))?;
    }
    if done < migrations.len() {
        if role_exists(transaction.client()).await? {
            transaction.batch_execute(&rights()).await?;
        }
        transaction.execute("UPDATE schema_version SET version = $1 WHERE one = 1", &[&known]).await?;
    }
    transaction.commit().await?;
    // The library takes the answer ROLLBACK for a commit.
    if version(client).await? < known {
        return Err(Misfit::NotAllowed("migrate: the transaction was rolled back"));
    }
    Ok(())
}

fn allowed(error: Error, what: &'static str) -> Misfit {
    if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) { Misfit::NotAllowed(what) } else { error.into() }
}

/// Makes the role, and the user a member of it. Where that is not allowed there is none: then the user itself must be
/// one that row-level security binds.
async fn make_role(client: &Client) -> Result<(), Misfit> {
    if !role_exists(client).await? {
        match client.batch_execute(&format!("CREATE ROLE {ROLE} NOLOGIN NOSUPERUSER NOBYPASSRLS")).await {
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => return Ok(()),
            done => done?,
        }
    }
    if !may_take_role(client).await? {
        match client.batch_execute(&format!("GRANT {ROLE} TO CURRENT_USER")).await {
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {}
            done => done?,
        }
    }
    Ok(())
}

fn rights() -> String {
    format!(
        "GRANT USAGE ON SCHEMA letterhead TO {ROLE}; \
         GRANT SELECT ON schema_version TO {ROLE}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON {}, api_keys TO {ROLE}",
        WALLED.join(", ")
    )
}

async fn role_exists(client: &Client) -> Result<bool, Error> {
    Ok(client.query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&ROLE]).await?.is_some())
}

/// Whether the user may take the role.
async fn may_take_role(client: &Client) -> Result<bool, Error> {
    let sql = "SELECT pg_has_role(session_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = $1";
    client.query_opt(sql, &[&ROLE]).await?.map_or(Ok(false), |row| row.try_get(0))
}

/// Looks whether row-level security binds the role that the connection has now.
async fn walls_stand(client: &Client) -> Result<(), Misfit> {
    let sql = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user";
    if client.query_one(sql, &[]).await?.try_get(0)? {
        return Err(Misfit::NoWall(
            "the database user ignores row-level security (it is a superuser, or has BYPASSRLS)",
        ));
    }
    let sql = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = 'letterhead' AND c.relname = ANY($1) AND c.relrowsecurity AND c.relforcerowsecurity";
    let walled: i64 = client.query_one(sql, &[&WALLED.as_slice()]).await?.try_get(0)?;
    if usize::try_from(walled) != Ok(WALLED.len()) {
        return Err(Misfit::NoWall("row-level security was switched off for a table of the schema `letterhead`"));
    }
    Ok(())
}

impl Misfit {
    /// What is wrong, and what to do.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Newer { found, known } => format!(
                "it was written by a newer version (schema {found}, this program knows {known}); use that version"
            ),
            Self::NoWall(why) => format!(
                "{why}, so that nothing would keep tenants apart if a statement were wrong; let the server log in as an \
                 ordinary user that is a member of the role `{ROLE}` (GRANT {ROLE} TO …)"
            ),
            Self::NotAllowed(what) => format!("the database user may not {what}"),
            Self::Database(error) => why(error).into_owned(),
        }
    }
}

//! PostgreSQL's errors in our words. Its own texts may quote rows and are not passed on.

use std::borrow::Cow;
use std::error::Error as _;
use std::io;

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::StoreError;

/// Why a piece of work on a connection was not done.
#[derive(Debug)]
pub(super) enum Fault {
    /// There was no connection: the database has not heard of it.
    Unheard(StoreError),
    /// The connection broke. What was sent last may have been done, or may not.
    Unknown(Cow<'static, str>),
    /// The database refused it: nothing of the transaction was done.
    Refused(SqlState),
    /// A parameter or a column has another type than this program thinks.
    Unfit,
    /// The database has no part in it: what was asked for or what was read is wrong. The connection has ended its
    /// transaction, and can be used again.
    Wrong(StoreError),
}

/// What the division by zero of a guard is answered with: `SELECT 1 / count(*) FROM …` refuses a transaction in which
/// there is nothing to count, before anybody has to wait for an answer.
pub(super) const GUARD: SqlState = SqlState::DIVISION_BY_ZERO;

impl Fault {
    /// Whether the same work may succeed now, because others were only in its way.
    pub(super) fn is_collision(&self) -> bool {
        matches!(self, Self::Refused(code) if *code == SqlState::T_R_SERIALIZATION_FAILURE
            || *code == SqlState::T_R_DEADLOCK_DETECTED)
    }

    /// Whether the database has given it up because it took too long.
    pub(super) fn took_too_long(&self) -> bool {
        matches!(self, Self::Refused(code) if *code == SqlState::QUERY_CANCELED)
    }

    /// Whether a guard has refused it.
    pub(super) fn is_guarded(&self) -> bool {
        matches!(self, Self::Refused(code) if *code == GUARD)
    }

    /// Whether a row was refused because its key is taken.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Self::Refused(code) if *code == SqlState::UNIQUE_VIOLATION)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error.code() {
            Some(code) if ends_the_connection(code) => Self::Unknown(said(code)),
            Some(code) => Self::Refused(code.clone()),
            None if is_ours(&error) => Self::Unfit,
            None => Self::Unknown("the connection to the database was lost".into()),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Wrong(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unheard(error) | Fault::Wrong(error) => error,
            Fault::Unknown(reason) => Self::Unavailable { reason },
            Fault::Unfit => Self::Corrupt { what: "a column has an unexpected type" },
            Fault::Refused(code) if code == SqlState::CHARACTER_NOT_IN_REPERTOIRE => {
                Self::Invalid { reason: "a text has a character that PostgreSQL cannot store (U+0000)" }
            }
            Fault::Refused(code) => Self::Unavailable { reason: said(&code) },
        }
    }
}

/// A failure to convert, here, without the database.
fn is_ours(error: &Error) -> bool {
    let io = error.source().is_some_and(<dyn std::error::Error>::is::<io::Error>);
    !io && !error.is_closed() && error.source().is_some()
}

/// Whether the database ends the connection with this: what it was doing is then unknown.
fn ends_the_connection(code: &SqlState) -> bool {
    code.code().starts_with("08")
        || [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW].contains(code)
        || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
}

/// Why a connection could not be had.
pub(super) fn unheard(error: &PoolError, connections: usize, wait: std::time::Duration) -> StoreError {
    let reason = match error {
        PoolError::Closed => return StoreError::Closed,
        PoolError::Timeout(TimeoutType::Wait) => {
            let seconds = wait.as_secs_f64();
            format!("all {connections} connections to the database were in use for {seconds} s").into()
        }
        PoolError::Timeout(_) => "the database does not answer".into(),
        PoolError::Backend(error) => why(error),
        _ => "no connection to the database could be made".into(),
    };
    StoreError::Unavailable { reason }
}

/// What to look at, for an error while connecting or at start.
pub(super) fn why(error: &Error) -> Cow<'static, str> {
    if let Some(code) = error.code() {
        return said(code);
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return format!("no TLS connection to the database could be made: {error}").into();
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return format!("no TLS connection to the database could be made: {tls}").into();
            }
            return format!("the database cannot be reached: {io}").into();
        }
        cause = error.source();
    }
    // These have fixed texts; what they are caused by may quote what was configured.
    let detail = error.source().map(ToString::to_string).unwrap_or_default();
    if detail.contains("does not support TLS") {
        return "the database takes no TLS connections; see `sslmode`".into();
    }
    format!("the database cannot be reached: {error}").into()
}

/// What to look at, for a code of the database.
fn said(code: &SqlState) -> Cow<'static, str> {
    let known = [
        (SqlState::ADMIN_SHUTDOWN, "the database is stopping"),
        (SqlState::CRASH_SHUTDOWN, "the database is stopping"),
        (SqlState::CANNOT_CONNECT_NOW, "the database is starting or stopping"),
        (SqlState::TOO_MANY_CONNECTIONS, "the database takes no more connections (`max_connections`)"),
        (SqlState::INVALID_PASSWORD, "the database refused the user or the password (in an address, percent-encoded)"),
        (
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "the database refused the user: is it there, and does `pg_hba.conf` let it in?",
        ),
        (SqlState::INVALID_CATALOG_NAME, "there is no database of this name: `CREATE DATABASE` makes one"),
        (SqlState::INSUFFICIENT_PRIVILEGE, "the database user lacks a right that is needed"),
        (SqlState::DISK_FULL, "the database's disk is full"),
        (SqlState::OUT_OF_MEMORY, "the database has no memory left"),
        (SqlState::READ_ONLY_SQL_TRANSACTION, "the database takes reads only: is it a standby?"),
        (SqlState::QUERY_CANCELED, "the database took too long"),
        (SqlState::UNDEFINED_TABLE, "a table is missing: was the schema `letterhead` changed while the server ran?"),
    ];
    known
        .into_iter()
        .find(|(known, _)| known == code)
        .map_or_else(|| format!("PostgreSQL error {}", code.code()).into(), |(_, reason)| reason.into())
}

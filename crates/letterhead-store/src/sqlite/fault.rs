//! SQLite's errors in our words. Its own texts may quote SQL and are not passed on.

use std::borrow::Cow;

use rusqlite::ErrorCode;

use crate::StoreError;

/// What to look at, for a code of SQLite.
pub(super) fn reason(error: &rusqlite::Error) -> Cow<'static, str> {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full, or the database has reached its largest size".into(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program has locked the database file".into()
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => "the database file cannot be written".into(),
        Some(ErrorCode::CannotOpen) => "the database file cannot be opened".into(),
        Some(ErrorCode::SystemIoFailure) => "reading or writing the database file failed".into(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "the database file is damaged".into(),
        Some(ErrorCode::OutOfMemory) => "there is no memory left".into(),
        _ => match error.sqlite_error() {
            Some(error) => format!("SQLite error {}", error.extended_code).into(),
            None => "the database did not answer as expected".into(),
        },
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => Self::Corrupt { what: "a column has an unexpected type" },
            error => Self::Unavailable { reason: reason(&error) },
        }
    }
}

/// Whether a row was refused because its key is taken.
pub(super) fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}

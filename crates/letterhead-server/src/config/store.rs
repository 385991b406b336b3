//! `store:` — where sessions are kept.

use std::path::PathBuf;

use letterhead_store::postgres::PostgresAddress;

use super::section::Section;

/// Where sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Store {
    /// In memory: they end with the process.
    Memory,
    /// In a SQLite file.
    Sqlite {
        /// The file. A relative one counts from the directory that the server is started in.
        path: PathBuf,
    },
    /// In a PostgreSQL database, which several servers may share.
    Postgres {
        /// Where it is, and how to get into it.
        address: Box<PostgresAddress>,
    },
}

impl Default for Store {
    fn default() -> Self {
        Self::Sqlite { path: PathBuf::from("letterhead.db") }
    }
}

impl Store {
    pub(super) fn read(section: &Section<'_>) -> Self {
        match section.text() {
            Some("memory") => Self::Memory,
            Some("sqlite://:memory:") => {
                section.error("`store` names no file", Some("for a store in memory write `store: memory`".to_owned()));
                Self::Memory
            }
            Some(address) if address.starts_with("postgres") => match address.parse::<PostgresAddress>() {
                Ok(address) => Self::Postgres { address: Box::new(address) },
                Err(bad) => {
                    section.error(bad.to_string(), None);
                    Self::Memory
                }
            },
            Some(address) => {
                address.strip_prefix("sqlite://").map_or_else(Self::default, |path| Self::Sqlite { path: path.into() })
            }
            None => Self::default(),
        }
    }
}

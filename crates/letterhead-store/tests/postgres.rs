//! The store in PostgreSQL, of a throwaway cluster. Where the machine has none, nothing here is tested, which is said.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod conformance;
#[path = "postgres/leases.rs"]
mod leases;
#[path = "postgres/migrations.rs"]
mod migrations;
#[path = "postgres/outage.rs"]
mod outage;
#[path = "postgres/secrets.rs"]
mod secrets;
#[path = "postgres/tasks.rs"]
mod tasks;
#[path = "postgres/tls.rs"]
mod tls;
#[path = "postgres/trips.rs"]
mod trips;
#[path = "postgres/walls.rs"]
mod walls;

use std::sync::Arc;
use std::time::Duration;

use conformance::{House, START};
use letterhead_store::postgres::{OpenError, PostgresOptions};
use letterhead_store::{FixedClock, Lifetimes, MemoryStore, PostgresStore, Session, SessionKey, Store};
use letterhead_testkit::Postgres;

/// A node on a database.
fn try_node(url: &str, options: PostgresOptions) -> Result<House, OpenError> {
    let clock = Arc::new(FixedClock::at(START));
    let store = PostgresStore::open(&url.parse().unwrap(), options, clock.clone())?;
    Ok(House { store: Arc::new(store), clock, _keep: None })
}

fn node_with(url: &str, options: PostgresOptions) -> House {
    try_node(url, options).unwrap_or_else(|error| panic!("{error}"))
}

fn node(url: &str) -> House {
    node_with(url, few())
}

/// Few connections, for there are many tests.
fn few() -> PostgresOptions {
    PostgresOptions { connections: 4, ..PostgresOptions::default() }
}

/// The address of a new database on the shared cluster.
fn fresh() -> Option<String> {
    let postgres = Postgres::shared()?;
    Some(postgres.url(&postgres.database()))
}

/// A new database on the shared cluster, with its name for statements past the store.
fn fresh_with_name() -> Option<(&'static Postgres, String, String)> {
    let postgres = Postgres::shared()?;
    let name = postgres.database();
    Some((postgres, postgres.url(&name), name))
}

/// The session as the next turn finds it, which may have to wait until another node has given its turn back.
async fn found(house: &House, key: &SessionKey) -> Option<Arc<Session>> {
    house.store.begin(key, Duration::from_secs(5)).await.unwrap().session().cloned()
}

/// Waits until something is so. For what another task or the database's clock brings about.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1500 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

fn open_with(options: PostgresOptions) -> House {
    let Some(url) = fresh() else {
        let clock = Arc::new(FixedClock::at(START));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(options.lifetimes, clock.clone()));
        return House { store, clock, _keep: None };
    };
    node_with(&url, options)
}

fn open(lifetimes: Lifetimes) -> House {
    open_with(PostgresOptions { lifetimes, ..few() })
}

conformance!(open, #[tokio::test(flavor = "multi_thread", worker_threads = 2)]);

/// The same where secrets are encrypted, on one thread.
mod with_key {
    use super::*;

    fn open(lifetimes: Lifetimes) -> House {
        open_with(PostgresOptions { lifetimes, vault: secrets::vault(secrets::KEY, None), ..few() })
    }

    conformance!(open, #[tokio::test]);
}

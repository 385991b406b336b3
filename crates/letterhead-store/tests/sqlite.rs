//! The store in a file.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

#[path = "sqlite/answers.rs"]
mod answers;
mod conformance;
#[path = "sqlite/crash.rs"]
mod crash;
#[path = "sqlite/faults.rs"]
mod faults;
#[path = "sqlite/files.rs"]
mod files;
#[path = "sqlite/group.rs"]
mod group;
#[path = "sqlite/secrets.rs"]
mod secrets;
#[path = "sqlite/tool.rs"]
mod tool;
#[path = "sqlite/variables.rs"]
mod variables;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use conformance::{House, START};
use letterhead_store::sqlite::SqliteOptions;
use letterhead_store::{FixedClock, Lifetimes, SqliteStore};

fn open(lifetimes: Lifetimes) -> House {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FixedClock::at(START));
    let options = SqliteOptions { lifetimes, ..SqliteOptions::default() };
    let store = SqliteStore::open(folder.path().join("test.db"), options, clock.clone()).unwrap();
    House { store: Arc::new(store), clock, _keep: Some(folder) }
}

conformance!(open, #[tokio::test(flavor = "multi_thread", worker_threads = 2)]);

/// The same behaviour where nothing is ever in the cache.
mod without_cache {
    use super::*;

    fn open(lifetimes: Lifetimes) -> House {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(START));
        let options = SqliteOptions { lifetimes, cache_bytes: 0, ..SqliteOptions::default() };
        let store = SqliteStore::open(folder.path().join("test.db"), options, clock.clone()).unwrap();
        House { store: Arc::new(store), clock, _keep: Some(folder) }
    }

    conformance!(open, #[tokio::test]);
}

/// The same where secrets are encrypted, in the cache and out of it.
mod with_key {
    use super::*;

    fn open_with(lifetimes: Lifetimes, cache_bytes: usize) -> House {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(START));
        let options = SqliteOptions {
            lifetimes,
            cache_bytes,
            vault: secrets::vault(secrets::KEY, None),
            ..SqliteOptions::default()
        };
        let store = SqliteStore::open(folder.path().join("test.db"), options, clock.clone()).unwrap();
        House { store: Arc::new(store), clock, _keep: Some(folder) }
    }

    mod cached {
        use super::*;

        fn open(lifetimes: Lifetimes) -> House {
            open_with(lifetimes, SqliteOptions::default().cache_bytes)
        }

        conformance!(open, #[tokio::test]);
    }

    mod read_each_time {
        use super::*;

        fn open(lifetimes: Lifetimes) -> House {
            open_with(lifetimes, 0)
        }

        conformance!(open, #[tokio::test]);
    }
}

/// A house on this file, which may be there already.
fn house_at(path: &Path, options: SqliteOptions) -> (House, Arc<SqliteStore>) {
    let clock = Arc::new(FixedClock::at(START));
    let store = Arc::new(SqliteStore::open(path, options, clock.clone()).unwrap());
    (House { store: store.clone(), clock, _keep: None }, store)
}

fn impatient() -> SqliteOptions {
    SqliteOptions { busy_timeout: Duration::from_millis(10), ..SqliteOptions::default() }
}

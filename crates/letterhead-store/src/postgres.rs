//! Sessions in a PostgreSQL database, for one server or several.
//!
//! A turn is two transactions, each of one round trip: it takes a lease and reads the session; it writes all that came out
//! and ends the lease. All work runs in tasks of its own, and every transaction that touches sessions is bound to one
//! tenant, which row-level security enforces besides what the statements say.
//!
//! The tables are in a schema of their own, `letterhead`. Nothing is used that only PostgreSQL itself has: no advisory
//! locks, no notifications, no sequences.

mod address;
mod agreed;
mod answers;
mod api_keys;
mod begin;
mod commit;
mod connect;
mod database;
mod documents;
mod fault;
mod keeper;
mod key;
mod lease;
mod pipeline;
mod read;
mod row;
mod schema;
mod store;
mod tls;
mod turns;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres_rustls::MakeRustlsConnect;

pub use self::address::{BadAddress, PostgresAddress};
use self::agreed::AgreedClock;
use self::connect::Connector;
use self::database::{Database, OPENING};
use self::keeper::Keeper;
use self::lease::Leases;
use crate::hold::Turns;
use crate::seals::Seals;
use crate::secrets::Secrets;
use crate::turn_id::TurnIds;
use crate::{Clock, Lifetimes, StoreError, Vault};

/// How many connections renew leases. Where the statements of one tenant wait, those of others do not.
const RENEWALS: usize = 2;

/// How a database is used.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// How long things are kept.
    pub lifetimes: Lifetimes,
    /// How many connections this node opens at most, besides two that renew leases. 16.
    pub connections: usize,
    /// How long to wait for one of them. 5 s.
    pub wait: Duration,
    /// How long a turn that is not renewed belongs to its node (`sessions.lease`). It is renewed while it runs; half a
    /// second at least. 30 s.
    pub lease: Duration,
    /// Encrypts secrets, so that they can be stored and read by other nodes. Without it they stay in memory. None.
    pub vault: Option<Arc<Vault>>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            lifetimes: Lifetimes::default(),
            connections: 16,
            wait: Duration::from_secs(5),
            lease: Duration::from_secs(30),
            vault: None,
        }
    }
}

/// Why a database cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database {address} cannot be used: {problem}")]
pub struct OpenError {
    address: String,
    problem: String,
}

/// Keeps sessions in a PostgreSQL database, which other nodes may use at the same time. What it has confirmed is as
/// durable as the database is.
///
/// Connections belong to the tokio runtime of the first call.
pub struct PostgresStore {
    clock: Arc<AgreedClock>,
    lifetimes: Lifetimes,
    database: Database,
    /// Within this node turns of a session wait here, in the order of asking.
    turns: Arc<Turns>,
    ids: TurnIds,
    /// Over all nodes.
    leases: Arc<Leases>,
    seals: Arc<Seals>,
    /// Those that are in no database.
    secrets: Arc<Secrets>,
    keeper: OnceLock<JoinHandle<()>>,
    closed: AtomicBool,
}

impl PostgresStore {
    /// Connects to a database, and makes its tables or brings older ones to the newest version; several nodes may do
    /// that at once. Blocks until that is done.
    ///
    /// # Errors
    /// Why the database cannot be used, and what to do about it: also where nothing but the server's own statements would
    /// keep tenants apart.
    pub fn open(address: &PostgresAddress, options: PostgresOptions, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let cannot = |problem: String| OpenError { address: address.to_string(), problem };
        let PostgresOptions { lifetimes, connections, wait, lease, vault } = options;
        let tls = MakeRustlsConnect::new(tls::client(address).map_err(cannot)?);
        let clock = Arc::new(AgreedClock::new(clock));
        let connector = Connector { tls: tls.clone(), takes_role: false };
        let takes_role = apart(prepare(address, connector, &clock)).map_err(cannot)?;
        let connector = Connector { tls, takes_role };
        let renewals = Database::new(address, connector.clone(), RENEWALS, wait).map_err(cannot)?;
        let database = Database::new(address, connector, connections, wait).map_err(cannot)?;
        Ok(Self {
            clock,
            lifetimes,
            leases: Arc::new(Leases::new(database.clone(), &renewals, lease)),
            database,
            turns: Arc::default(),
            ids: TurnIds::default(),
            seals: Arc::new(Seals::new(vault)),
            secrets: Arc::new(Secrets::new(lifetimes)),
            keeper: OnceLock::new(),
            closed: AtomicBool::new(false),
        })
    }

    /// Whether secrets were left out of what was read, because the vault could not decrypt them.
    pub fn has_left_out(&self) -> bool {
        self.seals.have_failed()
    }

    /// Refuses where it was closed. The first call starts what goes on in the background.
    fn open_for_business(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(StoreError::Closed);
        }
        self.keeper.get_or_init(|| {
            let keeper = Keeper {
                database: self.database.clone(),
                leases: self.leases.clone(),
                lifetimes: self.lifetimes,
                clock: self.clock.clone(),
            };
            self.database.runtime().spawn(keeper.run())
        });
        Ok(())
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.abort();
        }
    }
}

/// Brings the database up to date over a connection of its own.
async fn prepare(address: &PostgresAddress, connector: Connector, clock: &AgreedClock) -> Result<bool, String> {
    let opening = tokio::time::timeout(OPENING, connector.open(&address.config)).await;
    let opened = opening.map_err(|_| "the database does not answer".to_owned())?;
    let (mut client, driving) = opened.map_err(|error| fault::why(&error).into_owned())?;
    let takes_role = schema::prepare(&mut client).await.map_err(|misfit| misfit.text());
    clock.compare(&client).await.map_err(|error| fault::why(&error).into_owned())?;
    driving.abort();
    takes_role
}

/// Runs something to its end on a thread of its own, whether this one belongs to a runtime or not.
fn apart<T: Send>(work: impl Future<Output = Result<T, String>> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| error.to_string())?.block_on(work)
        });
        run.join().unwrap_or_else(|_| Err("opening it has failed".to_owned()))
    })
}

//! The pool of connections, and the tasks that work with them.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
};
use letterhead_context::TenantId;
use postgres_protocol::escape::escape_literal;
use tokio::runtime::Handle;
use tokio_postgres::Statement;

use super::address::PostgresAddress;
use super::connect::Connector;
use super::fault::{Fault, unheard};
use crate::StoreError;

/// How long one piece of work may take. The database ends a statement sooner than that, if it can be reached.
const WORK: Duration = Duration::from_secs(15);

/// How long opening a connection may take.
pub(super) const OPENING: Duration = Duration::from_secs(10);

/// Work on a connection.
pub(super) type Working<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// So many connections and no more.
#[derive(Clone)]
pub(super) struct Database {
    pool: Pool,
    wait: Duration,
    /// How long one piece of work may take, once it has a connection.
    limit: Duration,
    /// Where the tasks run: connections belong to the runtime that they were opened in.
    runtime: std::sync::Arc<OnceLock<Handle>>,
}

impl Database {
    pub(super) fn new(
        address: &PostgresAddress,
        connector: Connector,
        connections: usize,
        wait: Duration,
    ) -> Result<Self, String> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(address.config.clone(), connector, config);
        let pool = Pool::builder(manager)
            .max_size(connections.max(1))
            .wait_timeout(Some(wait))
            .create_timeout(Some(OPENING))
            .runtime(Runtime::Tokio1)
            .pre_recycle(Hook::sync_fn(|client: &mut ClientWrapper, _| {
                // Said here, so that the library does not warn of what is ordinary after a restart of the database.
                if client.is_closed() { Err(HookError::message("it was closed")) } else { Ok(()) }
            }))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { pool, wait, limit: WORK, runtime: std::sync::Arc::default() })
    }

    /// The same connections, for work that may take so long and no longer.
    pub(super) fn within(&self, limit: Duration) -> Self {
        Self { limit, ..self.clone() }
    }

    /// Closes the connections that nobody uses now. Where one has gone silent the others may have too.
    pub(super) fn forget_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    /// The runtime of the first call, which is that of all connections.
    pub(super) fn runtime(&self) -> &Handle {
        self.runtime.get_or_init(Handle::current)
    }

    /// Does some work in a task of its own, so that whoever asked for it may stop waiting at any time. What comes back
    /// then is dropped, and has to clean up by itself.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a ClientWrapper) -> Working<'a, T> + Send + 'static,
    {
        let database = self.clone();
        let done = self.runtime().spawn(async move { database.perform(work).await });
        Ok(done.await.map_err(|_| broken_off())??)
    }

    /// Does some work here. A connection goes back to the pool only where it was seen to end its transaction. Otherwise it is closed, and
    /// with it the transaction; a transaction that is cancelled is not finished. So this is for tasks.
    pub(super) async fn perform<T, F>(&self, work: F) -> Result<T, Fault>
    where
        F: for<'a> FnOnce(&'a ClientWrapper) -> Working<'a, T>,
    {
        let connections = self.pool.status().max_size;
        let client = self.pool.get().await;
        let lent = Lent(Some(client.map_err(|error| Fault::Unheard(unheard(&error, connections, self.wait)))?));
        let client = lent.0.as_ref().ok_or_else(|| Fault::Wrong(broken_off()))?;
        let done = match tokio::time::timeout(self.limit, work(client)).await {
            Ok(done) => done,
            Err(_) => Err(Fault::Unknown("the database did not answer in time".into())),
        };
        if matches!(done, Ok(_) | Err(Fault::Wrong(_))) {
            lent.give_back();
        }
        done
    }

    /// Closes the connections, and opens no more.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// A connection out of the pool. It is closed where it is not given back, whatever the reason.
struct Lent(Option<Object>);

impl Lent {
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

pub(super) fn broken_off() -> StoreError {
    StoreError::Unavailable { reason: "the work on the database was broken off".into() }
}

/// Statements that the connection has prepared, or prepares now.
pub(super) async fn prepared<const N: usize>(
    client: &ClientWrapper,
    statements: [&str; N],
) -> Result<[Statement; N], Fault> {
    let mut all = Vec::with_capacity(N);
    for statement in statements {
        all.push(client.prepare_cached(statement).await?);
    }
    all.try_into().map_err(|_| Fault::Wrong(broken_off()))
}

/// Begins a transaction that writes. What it reads may have been committed while it ran.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// Begins a transaction that reads one state of the database.
pub(super) const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Begins a transaction, and binds it to a tenant: row-level security shows its rows alone. In one message, and so with
/// one answer; a message that takes parameters could not begin a transaction too.
pub(super) fn begin_for(begin: &str, tenant: &str) -> String {
    format!("{begin}; SELECT set_config('app.tenant', {}, true)", escape_literal(tenant))
}

pub(super) const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";

/// A transaction that is bound to a tenant. Its statements are sent one behind the other; each waits for its answer.
///
/// The commit counts only after all before it came back well: the library takes for a commit what the database has
/// answered with ROLLBACK, which happens only where a statement before it has failed.
pub(super) async fn bound<'a, T, F>(
    client: &'a ClientWrapper,
    begin: &str,
    tenant: &TenantId,
    work: F,
) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>> + Send + 'a,
{
    client.batch_execute(&begin_for(begin, tenant.as_str())).await?;
    let done = work.await;
    match &done {
        Ok(_) => client.batch_execute(COMMIT).await?,
        Err(Fault::Wrong(_)) => client.batch_execute(ROLLBACK).await?,
        Err(_) => {}
    }
    done
}

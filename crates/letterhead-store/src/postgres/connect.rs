//! New connections, and what is true of each from its first statement on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use deadpool_postgres::Connect;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The role whose rights the server has, and that row-level security binds.
pub(super) const ROLE: &str = "letterhead_app";

/// Opens connections.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) tls: MakeRustlsConnect,
    /// Whether the connection takes the rights of [`ROLE`]. It does not where the database has no such role, and binds
    /// the user that logged in.
    pub(super) takes_role: bool,
}

/// What holds for every connection. A statement or transaction that hangs is ended by the database, too; a commit is
/// durable, even where the database's default says otherwise. Notices, such as that something is there already, are for
/// nobody: the client library would log each of them.
const SETTINGS: &str = "\
    SET client_min_messages TO warning; \
    SET search_path TO letterhead; \
    SET statement_timeout TO '10s'; \
    SET idle_in_transaction_session_timeout TO '20s'; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit', true) = 'off'";

impl Connector {
    /// Opens a connection and drives it in a task of its own.
    pub(super) async fn open(&self, config: &Config) -> Result<(Client, JoinHandle<()>), Error> {
        let (client, connection) = config.connect(self.tls.clone()).await?;
        let driving = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(reason = %super::fault::why(&error), "a connection to the database has ended");
            }
        });
        if self.takes_role {
            client.batch_execute(&format!("SET ROLE {ROLE}")).await?;
        }
        client.batch_execute(SETTINGS).await?;
        Ok((client, driving))
    }
}

type Opening<'a> = Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + 'a>>;

impl Connect for Connector {
    fn connect(&self, config: &Config) -> Opening<'_> {
        let (connector, config) = (self.clone(), Arc::new(config.clone()));
        Box::pin(async move { connector.open(&config).await })
    }
}

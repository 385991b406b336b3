//! A server inside a command, on an address of this machine.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::serve::{bind, open};
use crate::assembly::Checked;
use crate::serve::serve;

/// A server that runs in this process, and ends with [`stop`](Self::stop).
#[derive(Debug)]
pub(super) struct InProcess {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl InProcess {
    /// Starts a server at an address; port 0 takes a free one.
    pub(super) async fn start(checked: Checked, listen: SocketAddr) -> anyhow::Result<Self> {
        let listener = bind(listen).await?;
        let address = listener.local_addr().context("the socket has no address")?;
        let (app, patience) = open(checked)?;
        let stop = CancellationToken::new();
        let running = tokio::spawn(serve(listener, app, patience, stop.clone()));
        Ok(Self { address, stop, running })
    }

    /// Where it listens, as a base URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets running turns finish, closes the store, and ends.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        // A server whose task is gone has ended, too.
        let _ = self.running.await;
    }
}

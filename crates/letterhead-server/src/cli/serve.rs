//! `letterhead serve`

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use letterhead_store::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{OnlyConfigFile, check, environment, say};
use crate::app::App;
use crate::assembly::{self, Checked};
use crate::config::auth::Jwt;
use crate::config::parse_listen;
use crate::logging::{self, AccessLog};
use crate::serve::{Patience, STALLED, open_files, serve};

/// Runs the server.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    config: OnlyConfigFile,
    /// Listen here instead of at `server.listen`
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen_address)]
    listen: Option<SocketAddr>,
    /// Listen at this port instead of that of `server.listen`; 0 takes a free one
    #[arg(long, short, value_name = "PORT", conflicts_with = "listen")]
    port: Option<u16>,
    /// Listen beyond this machine although nothing verifies callers
    #[arg(long)]
    insecure: bool,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        logging::start(false, &environment);
        let checked = self.config.file().checked("nothing was started")?;
        check::show(&checked.loaded.warnings);
        let mut listen = self.listen.unwrap_or(checked.loaded.config.server.listen);
        listen.set_port(self.port.unwrap_or(listen.port()));
        let verified = checked.loaded.config.auth.has_verifier();
        refuse_strangers(listen, verified, self.insecure)?;
        warn_of_development_key(listen, &checked);
        runtime()?.block_on(async {
            let stop = stop_signal()?;
            let listener = bind(listen).await?;
            let address = listener.local_addr().context("the socket has no address")?;
            let (app, patience) = open(checked)?;
            say(&format!("listening on http://{address}"));
            serve(listener, app, patience, stop).await;
            Ok(())
        })
    }
}

/// As `server.listen` has it.
fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    parse_listen(text).ok_or("an IP address, or `localhost`, and a port, such as `127.0.0.1:8080`")
}

/// Without a verifier everyone who reaches the server is served, so only this machine may reach it.
fn refuse_strangers(listen: SocketAddr, verified: bool, insecure: bool) -> anyhow::Result<()> {
    if verified || listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if insecure {
        say(&format!(
            "warning: --insecure: everyone who reaches {listen} is served; `X-User-Id` is believed from this machine alone, \
             and from elsewhere the id of a session, made here, is all that opens it"
        ));
        return Ok(());
    }
    anyhow::bail!(
        "{listen} can be reached from outside, and nothing verifies callers: listen on 127.0.0.1, or configure `auth`: \
         tokens (`jwt`), API keys (`api_keys: true`) or a gateway (`trust_identity_headers: [10.0.0.0/8]`); \
         --insecure listens all the same"
    )
}

/// What the configuration could not know: `--listen` may lead beyond this machine, where the file does not.
fn warn_of_development_key(listen: SocketAddr, checked: &Checked) {
    let config = &checked.loaded.config;
    let is_outside = |address: SocketAddr| !address.ip().to_canonical().is_loopback();
    let is_believed = config.auth.jwt.as_ref().is_some_and(Jwt::is_for_development);
    if is_believed && is_outside(listen) && !is_outside(config.server.listen) {
        say(&format!("warning: {listen}: {}", assembly::DEVELOPMENT_KEY));
    }
}

/// The runtime of commands that serve or call.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime could not be started")
}

/// Takes an address.
pub(super) async fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}; `--listen` takes another address"))
}

/// Opens the store and puts the application together.
pub(super) fn open(checked: Checked) -> anyhow::Result<(Arc<App>, Patience)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = assembly::open_store(&checked, &clock)?;
    let server = &checked.loaded.config.server;
    let patience = Patience {
        header_timeout: server.header_timeout,
        write_timeout: STALLED,
        drain: server.drain,
        max_connections: open_files::connections(server.max_connections, open_files::raise()),
    };
    let mut app = checked.into_app(store, clock);
    app.access_log = AccessLog::start();
    Ok((Arc::new(app), patience))
}

/// Fires at SIGTERM and Ctrl-C. A second one ends the process at once.
///
/// The signals are caught from this call on, not from some later moment.
pub(super) fn stop_signal() -> anyhow::Result<CancellationToken> {
    let mut signals = Signals::catch().context("signals cannot be caught")?;
    let stop = CancellationToken::new();
    let fired = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        fired.cancel();
        signals.next().await;
        say("letterhead: ended without finishing");
        std::process::exit(130);
    });
    Ok(stop)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// Caught, and nothing else: writing beyond a limit of file sizes then fails, where it would end the process.
    _too_large: tokio::signal::unix::Signal,
}

/// SIGXFSZ, on the systems that this is built for.
#[cfg(unix)]
const FILE_TOO_LARGE: i32 = 25;

#[cfg(unix)]
impl Signals {
    fn catch() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _too_large: signal(SignalKind::from_raw(FILE_TOO_LARGE))?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn catch() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}

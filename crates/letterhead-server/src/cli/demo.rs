//! `letterhead demo`

mod folder;
mod request;
mod stayed;
mod story;
mod wrap;

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::in_process::InProcess;
use super::paint::Paint;
use super::rules::Rules;
use super::{environment, print, say, serve};
use crate::assembly::{self, Checked};
use crate::config::Colour;
use crate::config::store::Store;
use crate::logging;
use folder::Folder;
use story::Story;

/// The configuration of the demo.
const CONFIG: &str = include_str!("demo/demo.yaml");

/// What a shell calls a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Shows the main job.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterhead demo                      one conversation: headers, answers, trail
  letterhead demo --serve              stays up, with `curl` lines that work there
  letterhead demo --print-config       its configuration, to go on from

The demo model is built in and says so: it quotes its instructions, and obeys
`/ask AGENT text` and `/handoff AGENT` in a message.")]
pub(crate) struct Demo {
    /// Stay up, and print `curl` lines to try
    #[arg(long)]
    serve: bool,
    /// Where `--serve` listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", requires = "serve")]
    listen: SocketAddr,
    /// Print the demo's configuration, and do nothing else
    #[arg(long, conflicts_with = "serve")]
    print_config: bool,
}

impl Demo {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if self.print_config {
            print(CONFIG)?;
            return Ok(ExitCode::SUCCESS);
        }
        // A demo that something outside configures would show something else.
        logging::start(!self.serve, &environment);
        let folder = Folder::create()?;
        let checked = checked(&folder)?;
        serve::runtime()?
            .block_on(async { if self.serve { stay_up(checked, self.listen).await } else { tell(checked).await } })
    }
}

/// The demo's configuration, with its store in a folder that goes away.
fn checked(folder: &Folder) -> anyhow::Result<Checked> {
    let mut checked = match assembly::check_text("demo.yaml", CONFIG, &|_| None) {
        Ok(checked) => checked,
        Err(report) => bail!("the demo's own configuration has faults:\n{}", report.render(Colour::Never)),
    };
    checked.loaded.config.store = Store::Sqlite { path: folder.path().join("letterhead.db") };
    Ok(checked)
}

/// Runs the server for one conversation.
async fn tell(checked: Checked) -> anyhow::Result<ExitCode> {
    let stop = serve::stop_signal()?;
    let rules = Rules::of(&checked.ingress);
    let server = InProcess::start(checked, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let story = Story::new(server.url(), rules, Paint::of(std::io::stdout().is_terminal()))?;
    let told = tokio::select! {
        told = story.tell() => told.map(|()| ExitCode::SUCCESS),
        () = stop.cancelled() => Ok(ExitCode::from(INTERRUPTED)),
    };
    drop(story);
    server.stop().await;
    told
}

/// Runs the server until a signal, and says what can be tried.
async fn stay_up(checked: Checked, listen: SocketAddr) -> anyhow::Result<ExitCode> {
    if !listen.ip().to_canonical().is_loopback() {
        bail!("the demo verifies nobody, so only this machine may reach it: listen on 127.0.0.1");
    }
    let stop = serve::stop_signal()?;
    let server = InProcess::start(checked, listen).await?;
    print(&invitation(&server.url(), Paint::of(std::io::stdout().is_terminal())))?;
    stop.cancelled().await;
    server.stop().await;
    say("stopped; the demo's database is gone with it");
    Ok(ExitCode::SUCCESS)
}

/// What can be tried at the server.
fn invitation(base: &str, paint: Paint) -> String {
    let curl = |request: request::Request| paint.code(&request.curl(base, |_| false));
    let chat = |rest: &str| paint.code(&format!("letterhead chat --url {base} {rest}"));
    let trail = |session: &str, who: &str| paint.code(&format!("curl {who}{base}/api/v1/sessions/{session}/trail"));
    format!(
        "{}\n{}\n\n{}\n{}\n\n{}\n{}\n\n{}\n{}\n\n{}\n{}\n{}\n\n{}\n{}\n{}\n\n",
        paint.bold(&format!("The demo's server is up at {base}; Ctrl-C ends it, and its database.")),
        paint.dim("The providers `openai` and `anthropic` are the demo model here: no key is needed."),
        paint.bold("# Headers for the personal assistant; repeat it without them, and they are remembered"),
        curl(request::personal()),
        paint.bold("# The session in the path, the caller, the agent and the model in headers"),
        curl(request::orchestrator_by_path()),
        paint.bold("# The same session, named by a header"),
        curl(request::orchestrator_by_header()),
        paint.bold("# Which header went where: names, never values"),
        trail(request::SESSION, ""),
        trail("sess-456", "-H \"X-User-Id: user-123\" "),
        paint.bold("# One agent asks another; another one takes over"),
        chat("--agent orchestrator-agent '/ask sentiment-analyzer What a day!'"),
        chat("--agent orchestrator-agent '/handoff billing'"),
    )
}

//! `letterhead chat`

mod approval;
mod conversation;
mod event;
mod prompt;
mod show;

use std::io::{IsTerminal, Read, stderr, stdin, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead::outbound::{Url, base_url};

use super::client::Client;
use super::header_option::{self, HeaderOption};
use super::in_process::InProcess;
use super::paint::Paint;
use super::{check, environment, say, serve};
use crate::assembly;
use crate::logging;
use conversation::Conversation;

/// What a shell calls a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Talks to an agent.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterhead chat                                   a conversation at the terminal
  letterhead chat -H 'user_id: u_1' \"Hello!\"        one message, and its answer
  letterhead chat --session s1 \"And now?\"           the session goes on; it remembers the headers
  letterhead chat -H @headers.txt \"Hello!\"          a file of headers, which `ps` does not show
  git diff | letterhead chat --agent reviewer       on a pipe the whole input is the message
  letterhead chat -c letterhead.yaml \"Hello!\"       no server: one is started for the occasion

A call that needs approval is asked for: y, or n and why. Without a terminal the answer is read
from the standard input, a line for each call.

The answer goes to the standard output; tool calls, handoffs and what other agents say go to the
standard error. The exit code is 0 only if the answer is whole.")]
pub(crate) struct Chat {
    /// What to say; without it, the standard input, or a conversation if that is a terminal
    message: Option<String>,
    /// A header of the request, as curl has it: 'name: value', 'name;' for an empty one, @FILE for a file of them
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<HeaderOption>,
    /// The session to go on with, or to open (X-Session-Id)
    #[arg(short, long, value_name = "ID")]
    session: Option<String>,
    /// The agent to talk to (X-Agent-Schema)
    #[arg(short, long, value_name = "NAME")]
    agent: Option<String>,
    /// The model to use instead of the agent's (X-Model-Name)
    #[arg(short, long, value_name = "PROVIDER:MODEL")]
    model: Option<String>,
    /// The server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", conflicts_with = "config")]
    url: String,
    /// Start a server in this process, with this configuration
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Chat {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        // What a person wants to know of a failed turn, the answer says; the log is for those who ask for it.
        logging::start(true, &|name| environment(name).or_else(|| (name == "RUST_LOG").then(|| "error".to_owned())));
        let headers = self.headers()?;
        let message = self.message()?;
        serve::runtime()?.block_on(async {
            let Some(config) = &self.config else {
                return talk(Client::new(server_url(&self.url)?)?, headers, message.as_deref()).await;
            };
            let server = start(config).await?;
            let client = Client::new(server_url(&server.url())?)?.in_process();
            let done = talk(client, headers, message.as_deref()).await;
            server.stop().await;
            done
        })
    }

    /// All headers of the requests. An option of its own wins over `-H`.
    fn headers(&self) -> anyhow::Result<HeaderMap> {
        let mut headers = header_option::read(&self.headers)?;
        let options = [
            ("x-session-id", "--session", &self.session),
            ("x-agent-schema", "--agent", &self.agent),
            ("x-model-name", "--model", &self.model),
        ];
        for (name, option, value) in options {
            if let Some(value) = value {
                let value =
                    HeaderValue::from_str(value).with_context(|| format!("{option} cannot be sent as a header"))?;
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        Ok(headers)
    }

    /// What is said; none for a conversation at the terminal.
    fn message(&self) -> anyhow::Result<Option<String>> {
        let message = match &self.message {
            Some(message) => message.clone(),
            None if stdin().is_terminal() && stdout().is_terminal() => return Ok(None),
            None => {
                let mut message = String::new();
                stdin().read_to_string(&mut message).context("the standard input cannot be read as text")?;
                message
            }
        };
        if message.trim().is_empty() {
            bail!("there is nothing to say: give a message, or write one to the standard input");
        }
        Ok(Some(message))
    }
}

/// Starts a server for a configuration, on a free port of this machine.
async fn start(config: &std::path::Path) -> anyhow::Result<InProcess> {
    match assembly::check(config, &environment) {
        // Warnings are for `check` and `serve`: here they would stand above every answer.
        Ok(checked) => InProcess::start(checked, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await,
        Err(report) => {
            check::show(&report);
            bail!("{} has faults; nothing was started", config.display());
        }
    }
}

/// The server's own address: `localhost:8080` will do, and so will the base URL of an OpenAI client.
fn server_url(text: &str) -> anyhow::Result<Url> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let root = whole.trim_end_matches('/').trim_end_matches("/v1").trim_end_matches("/api");
    base_url(root).with_context(|| format!("--url {text}: expected something like http://127.0.0.1:8080"))
}

/// Says one message, or talks until the person ends it.
async fn talk(client: Client, headers: HeaderMap, message: Option<&str>) -> anyhow::Result<ExitCode> {
    let mut conversation = Conversation::new(client, headers);
    let paint = Paint::of(stderr().is_terminal());
    let Some(message) = message else {
        conversation.greet().await?;
        prompt::talk(&mut conversation, paint).await?;
        return Ok(ExitCode::SUCCESS);
    };
    tokio::select! {
        // First, so that it listens before anything is said.
        biased;
        _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(INTERRUPTED)),
        said = conversation.say(message) => said?,
    }
    if let Some(session) = conversation.session().filter(|_| stderr().is_terminal()) {
        say(&paint.dim(&format!("--session {session} goes on with it")));
    }
    Ok(ExitCode::SUCCESS)
}

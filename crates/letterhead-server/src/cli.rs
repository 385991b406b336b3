//! The command line, one file per command.

mod api_key;
mod chat;
mod check;
mod client;
mod columns;
mod demo;
mod docs;
mod export;
mod header_option;
mod in_process;
mod init;
mod key;
mod map;
mod paint;
mod rules;
mod schema;
mod serve;
mod token;
mod trail;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Parser, Subcommand};

use crate::assembly::{self, Checked};

/// HTTP headers carry who is asking, for whom and with which rights into AI agents.
#[derive(Debug, Parser)]
#[command(name = "letterhead", version, about, max_term_width = 100)]
#[command(after_help = "Start with `letterhead demo`: it needs no key, no network and no file.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what this is about, in one run: no key, no network, no file
    Demo(demo::Demo),
    /// Talk to an agent, from a terminal or on a pipe
    Chat(Box<chat::Chat>),
    /// Run the server that a configuration describes
    Serve(serve::Serve),
    /// Check a configuration: every fault at once, with its line and what to do
    Check(Box<check::Check>),
    /// Print where each header can go, from the configuration alone
    Map(map::Map),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Write a commented starter configuration
    Init(init::Init),
    /// Make a key that secret headers are stored with
    Key(key::Key),
    /// Make, list and revoke the keys that programs call the server with
    ApiKey(api_key::ApiKeyArgs),
    /// Add, list and remove what agents look up
    Docs(docs::Docs),
    /// Print all that is kept of a session, without secrets
    Export(export::Export),
    /// Make a token for trying things out
    Token(token::Token),
}

/// Which configuration is read.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file
    #[arg(long = "config", short = 'c', value_name = "FILE", default_value = "letterhead.yaml", global = true)]
    pub(crate) path: PathBuf,
}

impl ConfigFile {
    /// Reads and checks it. Where it has faults they are told, and `nothing` says what was not done.
    fn checked(&self, nothing: &str) -> anyhow::Result<Checked> {
        match assembly::check(&self.path, &environment) {
            Ok(checked) => Ok(checked),
            Err(report) => {
                check::show(&report);
                bail!("{} has faults; {nothing}", self.path.display());
            }
        }
    }
}

/// The same for a command that is told nothing else, so that `--config` may be left out.
#[derive(Debug, Args)]
pub(crate) struct OnlyConfigFile {
    #[command(flatten)]
    named: ConfigFile,
    /// The configuration file, as with `--config`
    #[arg(value_name = "FILE", conflicts_with = "path")]
    file: Option<PathBuf>,
}

impl OnlyConfigFile {
    /// The file that is meant.
    fn file(&self) -> ConfigFile {
        ConfigFile { path: self.file.as_ref().unwrap_or(&self.named.path).clone() }
    }
}

/// A user's or a tenant's id, as options take it.
pub(crate) fn identity(text: &str) -> Result<String, &'static str> {
    let fits = (1..=letterhead_context::MAX_IDENTITY_BYTES).contains(&text.len());
    if fits && text.trim() == text && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("an id is 1 to 256 bytes without blanks around them")
    }
}

/// Runs a command. What went wrong is told on the standard error.
pub fn run(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Demo(command) => command.run(),
        Command::Chat(command) => command.run(),
        Command::Serve(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Check(command) => command.run(),
        Command::Map(command) => command.run(),
        Command::Schema => schema::run().map(|()| ExitCode::SUCCESS),
        Command::Init(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Key(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::ApiKey(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Docs(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Export(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Token(command) => command.run().map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        // Who reads no more has what they wanted: `letterhead demo | head`.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("letterhead: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// An environment variable, if it is set and UTF-8.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A line for the person at the terminal. A closed pipe is no reason to fail.
pub(crate) fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What a command was asked to print.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

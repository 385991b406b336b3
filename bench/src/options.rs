//! The command line.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};

use crate::plan::Plan;
use crate::stage::Subject;

/// Measures Letterhead against a bare proxy and prints Markdown tables.
#[derive(Parser, Debug)]
#[command(name = "letterhead-bench")]
pub(crate) struct Options {
    /// What to be instead of the benchmark.
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
    /// Measure little: to see that it works, not to believe the figures.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print JSON instead of Markdown.
    #[arg(long)]
    pub(crate) json: bool,
    /// The `letterhead` program. Left out: built by cargo, in this program's profile.
    #[arg(long, value_name = "FILE", conflicts_with = "null")]
    pub(crate) letterhead: Option<PathBuf>,
    /// Measure the floor against a second floor: what differs then is this machine's noise.
    #[arg(long)]
    pub(crate) null: bool,
    /// Where databases and logs are kept during the run. Left out: beside this program, which is seldom a RAM disk.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// How often floor and Letterhead take turns.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: Option<u16>,
    /// Connections of the closed loop.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) connections: Option<u16>,
    /// Milliseconds between the chunks of a stream.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub(crate) chunk_gap_ms: u64,
    /// Numbers of stored sessions to compare, for instance 10,10000,200000; `none` leaves the table out.
    #[arg(long, value_name = "SIZES", value_parser = sizes)]
    pub(crate) sessions: Option<Sizes>,
    /// Lengths of history to compare, in messages, for instance 2,20,200; `none` leaves the table out.
    #[arg(long, value_name = "SIZES", value_parser = sizes)]
    pub(crate) history: Option<Sizes>,
}

/// What the program is when the benchmark starts itself again, and parts that can be run alone.
#[derive(Subcommand, Debug)]
pub(crate) enum Role {
    /// The mock upstream.
    #[command(hide = true)]
    Upstream {
        #[arg(long, default_value_t = 0)]
        chunk_gap_ms: u64,
    },
    /// The bare proxy.
    #[command(hide = true)]
    Floor {
        #[arg(long)]
        upstream: String,
        /// Note every answer durably in this file before it ends.
        #[arg(long)]
        ledger: Option<PathBuf>,
    },
    /// Time the header step alone: 20 headers, two templates.
    HeaderStep,
    /// Measure context variables alone: kept ones, and fetches at once.
    Variables,
    /// Measure agents alone that ask others and call tools, and a thousand of them.
    Agents,
    /// Measure PostgreSQL alone: durable turns, two nodes on one database, and many streams at once.
    Postgres,
    /// Measure what streams hold that are open at once, alone.
    Streams,
}

#[derive(Clone, Debug)]
pub(crate) struct Sizes(Vec<usize>);

fn sizes(text: &str) -> Result<Sizes, String> {
    const MOST: usize = 2_000_000;
    if text == "none" {
        return Ok(Sizes(Vec::new()));
    }
    let size = |part: &str| match part.trim().parse() {
        Ok(size @ 2..=MOST) => Ok(size),
        _ => Err(format!("`{part}` is no number from 2 to {MOST}")),
    };
    text.split(',').map(size).collect::<Result<_, _>>().map(Sizes)
}

impl Options {
    /// How much to measure.
    pub(crate) fn plan(&self) -> Plan {
        let mut plan = if self.quick { Plan::quick() } else { Plan::full() };
        if let Some(rounds) = self.rounds {
            plan.rounds = rounds.into();
        }
        if let Some(connections) = self.connections {
            plan.connections = connections.into();
        }
        if let Some(Sizes(sizes)) = &self.sessions {
            plan.stored.clone_from(sizes);
        }
        if let Some(Sizes(sizes)) = &self.history {
            plan.history.clone_from(sizes);
        }
        plan
    }

    /// The program to measure. Where cargo runs this one, cargo can bring it up to date.
    ///
    /// # Errors
    /// When there is no such program, or it cannot be built.
    pub(crate) fn subject(&self) -> Result<Subject> {
        if self.null {
            return Ok(Subject::Floor);
        }
        if let Some(path) = &self.letterhead {
            return Ok(Subject::Letterhead(path.canonicalize().with_context(|| format!("{}", path.display()))?));
        }
        if let Some(cargo) = std::env::var_os("CARGO") {
            let mut build = Command::new(cargo);
            build.args(["build", "-p", "letterhead-server"]).stdin(Stdio::null());
            if !cfg!(debug_assertions) {
                build.arg("--release");
            }
            ensure!(build.status()?.success(), "building Letterhead failed");
        }
        let beside = std::env::current_exe()?.with_file_name("letterhead");
        ensure!(beside.is_file(), "there is no {}: build it, or name one with --letterhead", beside.display());
        Ok(Subject::Letterhead(beside))
    }
}

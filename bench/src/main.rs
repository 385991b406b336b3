//! Measures Letterhead against a bare proxy, with a mock model behind both. See this crate's README.

mod agents;
mod answers;
mod compare;
mod cores;
mod floor;
mod header_step;
mod ledger;
mod load;
mod measure;
mod meter;
mod nodes;
mod open_files;
mod options;
mod outside;
mod plan;
mod postgres;
mod process;
mod proof;
mod scaling;
mod serve;
mod stage;
mod stats;
mod streams;
mod table;
mod transactions;
mod upstream;
mod variables;
mod workload;

use std::fmt;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::cores::Cores;
use crate::options::{Options, Role};
use crate::plan::Plan;
use crate::stage::{Stage, Subject};
use crate::stats::Spread;

/// Letterhead uses it, so the floor does: the allocator is no part of the difference.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let options = Options::parse();
    match &options.role {
        // Both servers have a runtime like Letterhead's: a thread for each core they may use.
        Some(Role::Upstream { chunk_gap_ms }) => tokio::runtime::Runtime::new()?
            .block_on(async { upstream::run(serve::listen().await?, Duration::from_millis(*chunk_gap_ms)).await }),
        Some(Role::Floor { upstream, ledger }) => {
            let ledger = ledger.as_deref().map(ledger::Ledger::open).transpose()?;
            tokio::runtime::Runtime::new()?
                .block_on(async { floor::run(serve::listen().await?, upstream, ledger).await })
        }
        Some(Role::HeaderStep) => {
            let Spread { min, median, max } = header_step::measure(options.plan().header_batches)?;
            Ok(writeln!(std::io::stdout(), "{min:.2} · {median:.2} · {max:.2} µs (min · median · max of batches)")?)
        }
        Some(Role::Variables | Role::Agents | Role::Postgres | Role::Streams) | None => {
            let subject = options.subject()?;
            // Before the runtime: threads inherit where they may run.
            let cores = Cores::divide();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                // Dropping the run ends its processes.
                tokio::select! {
                    done = run(&options, subject, cores) => done,
                    () = asked_to_end() => bail!("ended before it was done"),
                }
            })
        }
    }
}

async fn asked_to_end() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn run(options: &Options, subject: Subject, cores: Cores) -> Result<()> {
    let begun = Instant::now();
    let plan = options.plan();
    let parent = match &options.folder {
        Some(folder) => folder.clone(),
        None => std::env::current_exe()?.parent().context("this program is in no folder")?.to_owned(),
    };
    let mut stage = Stage::set(cores, subject, &parent, options.chunk_gap_ms).await?;
    if let Some(Role::Variables) = options.role {
        let figures = variables::run(&stage, &plan).await?.context("a floor has no variables")?;
        return Ok(writeln!(std::io::stdout(), "{figures}")?);
    }
    if let Some(Role::Agents) = options.role {
        let figures = agents::run(&stage, &plan).await?.context("a floor has no agents")?;
        return Ok(write!(std::io::stdout(), "{figures}")?);
    }
    let mut remarks = vec![stage.cores().describe()];
    remarks.push(format!("a durable 4 KiB write takes {:.0} µs here", measure::time_to_disk(stage.folder())?));
    if options.chunk_gap_ms > 0 {
        remarks.push(format!("chunks {} ms apart", options.chunk_gap_ms));
    }
    if cfg!(debug_assertions) {
        remarks.push("DEBUG BUILD: the figures mean nothing".to_owned());
    }
    if options.quick {
        remarks.push("QUICK RUN: too short to believe".to_owned());
    }
    if options.null {
        remarks.push("NULL RUN: \"Letterhead\" is a second floor; every difference is noise".to_owned());
    }

    let tables = measure_all(options, &stage, &plan, &mut remarks).await.map_err(|error| stage.explain(error))?;
    remarks.push(format!("the run took {:.0} s", begun.elapsed().as_secs_f64()));

    let mut out = std::io::stdout().lock();
    if options.json {
        let tables: Vec<_> = tables.iter().map(table::Table::to_json).collect();
        writeln!(out, "{:#}", json!({ "remarks": remarks, "tables": tables }))?;
    } else {
        for table in &tables {
            writeln!(out, "{table}")?;
        }
        writeln!(out, "{}.", remarks.join("; "))?;
    }
    Ok(())
}

/// The tables that were asked for.
async fn measure_all(
    options: &Options,
    stage: &Stage,
    plan: &Plan,
    remarks: &mut Vec<String>,
) -> Result<Vec<table::Table>> {
    let mut tables = Vec::new();
    if options.role.is_none() {
        say(format_args!("the header step"));
        let header_step = header_step::measure(plan.header_batches)?;
        tables.push(compare::run(stage, plan, header_step).await?);
        tables.extend(agents::run(stage, plan).await?.map(|figures| figures.table(plan)));
        if !plan.stored.is_empty() {
            tables.push(scaling::by_stored_sessions(stage, plan).await?);
        }
        if !plan.history.is_empty() {
            tables.push(scaling::by_history(stage, plan).await?);
        }
    }
    if !matches!(options.role, Some(Role::Streams)) {
        match postgres::run(stage, plan).await? {
            Some(measured) => tables.extend(measured),
            None => remarks.push(postgres::LEFT_OUT.to_owned()),
        }
    }
    tables.push(streams::run(stage, plan).await?);
    Ok(tables)
}

/// Progress, for who is waiting. A closed stderr is no reason to stop.
fn say(what: fmt::Arguments<'_>) {
    drop(writeln!(std::io::stderr(), "{what}"));
}

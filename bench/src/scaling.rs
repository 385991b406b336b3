//! The further tables: what a durable turn costs as the store fills, and as a conversation grows.

use std::fs;

use anyhow::Result;

use crate::answers::Kind;
use crate::load::Driver;
use crate::measure::{Pace, measure};
use crate::meter;
use crate::plan::Plan;
use crate::process::Server;
use crate::say;
use crate::stage::{Stage, Store};
use crate::stats::{Spread, median, percentile};
use crate::table::{Cell, Table};
use crate::workload::{Sessions, Workload};

/// Connections while a store is filled: many turns share a commit.
const FILLING: usize = 64;

/// Figures of one size, a value per round.
#[derive(Default)]
struct Figures {
    fresh: Vec<f64>,
    old: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// A turn in a new session, and one in a session not touched since it was made, over stores of different sizes.
///
/// # Errors
/// With the first answer that is wrong, or a server that does not start.
pub(crate) async fn by_stored_sessions(stage: &Stage, plan: &Plan) -> Result<Table> {
    let mut servers = Vec::new();
    for size in &plan.stored {
        let name = format!("stored-{size}");
        let launch = stage.subject_with(&name, Store::Sqlite(&name));
        let server = stage.start(&launch).await?;
        let begun = std::time::Instant::now();
        let filled = Sessions::Cycle { prefix: "kept".into(), count: *size };
        fill(&server, &Workload::new(Kind::Json, filled), *size).await?;
        say(format_args!("{size} sessions stored in {:.1} s", begun.elapsed().as_secs_f64()));
        // A restart, so that no size has the advantage of what it holds in memory.
        server.stop().await?;
        servers.push(stage.start(&launch).await?);
    }

    let count = plan.documents / 4;
    let mut figures: Vec<Figures> = plan.stored.iter().map(|_| Figures::default()).collect();
    for round in 0..plan.scaling_rounds {
        for ((size, server), figures) in plan.stored.iter().zip(&servers).zip(&mut figures) {
            say(format_args!("stored sessions, round {} of {}: {size}", round + 1, plan.scaling_rounds));
            let fresh = Workload::new(Kind::Json, Sessions::Fresh(format!("new-{round}")));
            figures.fresh.push(measure(server, plan.connections, &fresh, Pace::Closed, 0, count).await?.cpu);
            if plan.scaling_rounds * count <= *size {
                let old = Workload::new(Kind::Json, Sessions::Cycle { prefix: "kept".into(), count: *size });
                let first = round * count;
                figures.old.push(measure(server, plan.connections, &old, Pace::Closed, first, count).await?.cpu);
            }
            let paced = Workload::new(Kind::Json, Sessions::Fresh(format!("paced-{round}")));
            let pace = Pace::Rate(plan.rate);
            let mut times = measure(server, plan.connections, &paced, pace, 0, plan.paced).await?.times;
            figures.p50.push(percentile(&mut times, 50) / 1e3);
            figures.p99.push(percentile(&mut times, 99) / 1e3);
        }
    }

    let fresh: Vec<&[f64]> = figures.iter().map(|figures| figures.fresh.as_slice()).collect();
    let old: Vec<&[f64]> = figures.iter().map(|figures| figures.old.as_slice()).collect();
    let mut rows = Vec::new();
    for ((size, server), figures) in plan.stored.iter().zip(&servers).zip(&figures) {
        let database = fs::metadata(stage.database(&format!("stored-{size}")));
        rows.push(vec![
            Cell::count(*size),
            amount(&figures.fresh, "µs"),
            against_first(&fresh, &figures.fresh),
            amount(&figures.p50, "ms"),
            amount(&figures.p99, "ms"),
            amount(&figures.old, "µs"),
            against_first(&old, &figures.old),
            database.map_or_else(|_| Cell::none(), |file| Cell::amount(file.len() as f64 / 1_048_576.0, "MiB")),
            Cell::amount(meter::peak_memory(server.id())?, "MiB"),
        ]);
    }
    for server in servers {
        server.stop().await?;
    }
    Ok(Table {
        title: "A durable turn as the store fills (JSON, SQLite)".to_owned(),
        head: vec![
            "stored sessions",
            "CPU, fresh session",
            "× the first row: min · median · max",
            "p50",
            "p99",
            "CPU, second turn of a stored session",
            "× the first such row: min · median · max",
            "database",
            "peak memory",
        ],
        rows,
        note: format!(
            "One server per size, restarted after filling, measured in turns, {} rounds of {count} turns. Fresh turns \
             add sessions while they are measured ({} in all). Second turns visit each stored session once, after the \
             restart; not measured where there are too few sessions for that. p50, p99: fresh sessions at {} a second. \
             Database: the file, without what its write-ahead log still holds.",
            plan.scaling_rounds,
            plan.scaling_rounds * (count + plan.paced),
            plan.rate
        ),
    })
}

/// A turn at the end of conversations of different lengths: the first after a restart, and the one after that.
///
/// # Errors
/// With the first answer that is wrong, or a server that does not start.
pub(crate) async fn by_history(stage: &Stage, plan: &Plan) -> Result<Table> {
    let sessions = plan.history_sessions.max(2 * plan.connections);
    let batch = |length: usize, round: usize| {
        Workload::new(Kind::Json, Sessions::Cycle { prefix: format!("long-{length}-{round}"), count: sessions })
    };
    let launch = stage.subject_with("history", Store::Sqlite("history"));
    let server = stage.start(&launch).await?;
    for length in &plan.history {
        for round in 0..plan.scaling_rounds {
            say(format_args!("making {sessions} conversations of {length} messages"));
            fill(&server, &batch(*length, round), sessions * length / 2).await?;
        }
    }
    server.stop().await?;

    let server = stage.start(&launch).await?;
    let mut figures: Vec<(Vec<f64>, Vec<f64>)> = plan.history.iter().map(|_| Default::default()).collect();
    for round in 0..plan.scaling_rounds {
        for (length, (first, next)) in plan.history.iter().zip(&mut figures) {
            say(format_args!("history, round {} of {}: {length} messages", round + 1, plan.scaling_rounds));
            let workload = batch(*length, round);
            first.push(measure(&server, plan.connections, &workload, Pace::Closed, 0, sessions).await?.cpu);
            next.push(measure(&server, plan.connections, &workload, Pace::Closed, sessions, sessions).await?.cpu);
        }
    }
    server.stop().await?;

    let firsts: Vec<&[f64]> = figures.iter().map(|(first, _)| first.as_slice()).collect();
    let nexts: Vec<&[f64]> = figures.iter().map(|(_, next)| next.as_slice()).collect();
    let mut shorter: Option<(usize, f64)> = None;
    let mut rows = Vec::new();
    for (length, (first, next)) in plan.history.iter().zip(&figures) {
        let cost = median(next);
        let slope = shorter.map(|(before, cheaper)| (cost - cheaper) / (*length as f64 - before as f64));
        rows.push(vec![
            Cell::count(*length),
            amount(first, "µs"),
            against_first(&firsts, first),
            amount(next, "µs"),
            against_first(&nexts, next),
            slope.map_or_else(Cell::none, |slope| Cell::amount(slope, "µs")),
        ]);
        shorter = Some((*length, cost));
    }
    Ok(Table {
        title: "A durable turn as the conversation grows (JSON, SQLite)".to_owned(),
        head: vec![
            "messages before it",
            "CPU, first turn after a restart",
            "× the first row: min · median · max",
            "CPU, next turn",
            "× the first row: min · median · max (next)",
            "each further message",
        ],
        rows,
        note: format!(
            "{sessions} conversations of each length a round, {} rounds. The next turn has two messages more than the \
             column says. The whole history goes to the model each time, so some growth is the request's own size. \
             \"Each further message\" is the slope from the row above: even slopes are linear growth.",
            plan.scaling_rounds
        ),
    })
}

/// Sends requests `0 .. count` in steps, saying how far it is.
async fn fill(server: &Server, workload: &Workload, count: usize) -> Result<()> {
    const STEP: usize = 20_000;
    let mut driver = Driver::connect(server.address, FILLING.min(count.max(1))).await?;
    for first in (0..count).step_by(STEP) {
        driver.closed(workload, first, STEP.min(count - first)).await?;
        if count > STEP {
            say(format_args!("  {} of {count} turns", (first + STEP).min(count)));
        }
    }
    Ok(())
}

fn amount(values: &[f64], unit: &str) -> Cell {
    if values.is_empty() { Cell::none() } else { Cell::amount(median(values), unit) }
}

/// Each round's figure against the same round's of the first size that has any.
fn against_first(all: &[&[f64]], these: &[f64]) -> Cell {
    match all.iter().find(|values| !values.is_empty()) {
        Some(first) if !these.is_empty() => {
            let ratios: Vec<f64> = these.iter().zip(*first).map(|(this, first)| this / first).collect();
            Cell::spread(Spread::of(&ratios), "×")
        }
        _ => Cell::none(),
    }
}

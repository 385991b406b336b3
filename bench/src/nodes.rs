//! Two nodes on one database against one: the same turns, the same number of clients.

use std::time::Instant;

use anyhow::Result;
use futures_util::future::try_join_all;

use crate::answers::Kind;
use crate::load::Driver;
use crate::measure::settle;
use crate::meter::Reading;
use crate::plan::Plan;
use crate::process::Server;
use crate::say;
use crate::stage::Stage;
use crate::stats::{Spread, median};
use crate::table::{Cell, Table};
use crate::workload::{Sessions, Workload};

/// What some nodes did together.
#[derive(Clone, Copy, Debug)]
struct Together {
    /// Turns a second.
    rate: f64,
    /// Microseconds of all nodes' CPU a turn.
    cpu: f64,
}

/// Measures rounds of fresh sessions on the first node, and then on both.
///
/// # Errors
/// With the first answer that is wrong.
pub(crate) async fn run(stage: &Stage, plan: &Plan, first: &Server, second: &Server) -> Result<Table> {
    let mut rounds = Vec::with_capacity(plan.rounds);
    for round in 0..plan.rounds {
        say(format_args!("two nodes, round {} of {}", round + 1, plan.rounds));
        let one = together(&[first], plan, &format!("one-{round}")).await?;
        let two = together(&[first, second], plan, &format!("two-{round}")).await?;
        rounds.push((one, two));
    }
    let row = |what: &str, of: fn(&Together) -> f64, unit: &str| {
        let (one, two): (Vec<f64>, Vec<f64>) = rounds.iter().map(|(one, two)| (of(one), of(two))).unzip();
        vec![
            Cell::text(what),
            Cell::amount(median(&one), unit),
            Cell::amount(median(&two), unit),
            Cell::spread(ratios(&one, &two), "×"),
        ]
    };
    let cores = if stage.cores().has_two_for_servers() {
        "Each node has a core."
    } else {
        "**Both nodes share one core**: two can be no quicker than one here; what is to be seen is whether they are slower."
    };
    Ok(Table {
        title: "Two nodes on one PostgreSQL database (JSON, fresh sessions)".to_owned(),
        head: vec!["what", "one node", "two nodes", "two against one: min · median · max"],
        rows: vec![
            row("Turns a second", |together| together.rate, "a second"),
            row("CPU per turn, both nodes together", |together| together.cpu, "µs"),
        ],
        note: format!(
            "{} rounds of {} turns on {} connections, divided between the nodes. {cores} The database, the driver and \
             the upstream share the other cores.",
            plan.rounds, plan.documents, plan.connections
        ),
    })
}

/// The second figures against the first, round by round.
fn ratios(one: &[f64], two: &[f64]) -> Spread {
    let ratios: Vec<f64> = one.iter().zip(two).map(|(one, two)| two / one).collect();
    Spread::of(&ratios)
}

/// The same turns, divided between the nodes.
async fn together(nodes: &[&Server], plan: &Plan, prefix: &str) -> Result<Together> {
    let connections = (plan.connections / nodes.len()).max(1);
    let share = plan.documents / nodes.len();
    let mut drivers = Vec::with_capacity(nodes.len());
    for node in nodes {
        drivers.push(Driver::connect(node.address, connections).await?);
    }
    settle().await;
    let before = nodes.iter().map(|node| Reading::take(node.id())).collect::<Result<Vec<_>>>()?;
    let workload = Workload::new(Kind::Json, Sessions::Fresh(prefix.to_owned()));
    let begun = Instant::now();
    let work = drivers.iter_mut().enumerate().map(|(n, driver)| driver.closed(&workload, n * share, share));
    let times = try_join_all(work).await?;
    let turns = times.iter().map(Vec::len).sum::<usize>() as f64;
    let rate = turns / begun.elapsed().as_secs_f64();
    settle().await;
    let mut cpu = 0.0;
    for (node, before) in nodes.iter().zip(&before) {
        cpu += Reading::take(node.id())?.since(before).as_secs_f64() * 1e6;
    }
    Ok(Together { rate, cpu: cpu / turns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_compared_within_a_round() {
        assert_eq!(ratios(&[100.0, 200.0], &[150.0, 200.0]), Spread { min: 1.0, median: 1.25, max: 1.5 });
    }
}

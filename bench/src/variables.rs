//! Context variables: what it costs to have some, and whether what can be fetched at once is.

use std::fmt;
use std::time::Duration;

use anyhow::Result;

use crate::answers::Kind;
use crate::compare::{aim, verdict};
use crate::measure::{Pace, measure};
use crate::plan::Plan;
use crate::process::Server;
use crate::stage::{Stage, Store, Subject};
use crate::stats::{Spread, median, percentile};
use crate::table::Cell;
use crate::workload::{Sessions, Workload};
use crate::{proof, say};

/// The most that three kept variables may add to a turn's CPU, in microseconds.
const KEPT_US: f64 = 20.0;
/// The most that three fetches may take, one of which needs another's answer, in times of one fetch. Two, and what the
/// work in between takes; one after the other they would take three.
const ROUND_TRIPS: f64 = 2.25;
/// How long the mock API takes to answer.
pub(crate) const API_DELAY: Duration = Duration::from_millis(20);
/// Turns of a session that are measured, after the first, which fetches.
const TURNS: usize = 4;

/// The figures, a value per round.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Microseconds of CPU of a turn, without and with three kept variables.
    none: Vec<f64>,
    kept: Vec<f64>,
    /// Milliseconds of a turn, with no, one and three fetches.
    without: Vec<f64>,
    one: Vec<f64>,
    three: Vec<f64>,
}

/// Measures; nothing where the subject is a floor, which has no variables.
///
/// # Errors
/// With the first answer that is wrong, or a server that does not start.
pub(crate) async fn run(stage: &Stage, plan: &Plan) -> Result<Option<Figures>> {
    if let Subject::Floor = stage.subject() {
        return Ok(None);
    }
    let server = stage.start(&stage.with_variables(Store::Sqlite("variables"))).await?;
    proof::variables_are_fetched(&server).await?;
    let mut figures = Figures::default();
    for round in 0..plan.rounds {
        say(format_args!("context variables, round {} of {}", round + 1, plan.rounds));
        figures.none.push(warm(&server, plan, "assistant", round).await?);
        figures.kept.push(warm(&server, plan, "kept", round).await?);
        figures.without.push(wait(&server, plan, "assistant").await?);
        figures.one.push(wait(&server, plan, "one-fetch").await?);
        figures.three.push(wait(&server, plan, "three-fetches").await?);
    }
    server.stop().await?;
    Ok(Some(figures))
}

/// The CPU time of a turn in a session that has had one, in microseconds.
async fn warm(server: &Server, plan: &Plan, agent: &'static str, round: usize) -> Result<f64> {
    let sessions = (plan.documents / TURNS).max(2 * plan.connections);
    let cycle = Sessions::Cycle { prefix: format!("{agent}-{round}"), count: sessions };
    let workload = Workload::new(Kind::Json, cycle).answered_by(agent);
    measure(server, plan.connections, &workload, Pace::Closed, 0, sessions).await?;
    Ok(measure(server, plan.connections, &workload, Pace::Closed, sessions, TURNS * sessions).await?.cpu)
}

/// How long a turn takes on a single connection, in milliseconds.
async fn wait(server: &Server, plan: &Plan, agent: &'static str) -> Result<f64> {
    let workload = Workload::new(Kind::Json, Sessions::None).answered_by(agent);
    let mut times = measure(server, 1, &workload, Pace::Closed, 0, plan.fetches).await?.times;
    Ok(percentile(&mut times, 50) / 1e3)
}

impl Figures {
    /// What three kept variables add to a turn's CPU, in microseconds.
    fn added(&self) -> Spread {
        let added: Vec<f64> = self.none.iter().zip(&self.kept).map(|(none, kept)| kept - none).collect();
        Spread::of(&added)
    }

    /// What three fetches add to a turn's time, in times of what one adds.
    fn round_trips(&self) -> Spread {
        let rounds = self.without.iter().zip(&self.one).zip(&self.three);
        let trips: Vec<f64> = rounds.map(|((without, one), three)| (three - without) / (one - without)).collect();
        Spread::of(&trips)
    }

    /// The main table's rows.
    pub(crate) fn rows(&self) -> Vec<Vec<Cell>> {
        let (added, trips) = (self.added(), self.round_trips());
        vec![
            vec![
                Cell::text("CPU per request: three kept variables, JSON, SQLite, warm session"),
                Cell::none(),
                Cell::amount(median(&self.kept), "µs"),
                Cell::spread(added, "µs more than without"),
                aim(Some(KEPT_US), "µs more"),
                verdict(Some(KEPT_US), added.median),
            ],
            vec![
                Cell::text("Time of a turn: three fetches, one of which needs another's answer"),
                Cell::none(),
                Cell::amount(median(&self.three), "ms"),
                Cell::spread(trips, "times what one fetch adds"),
                aim(Some(ROUND_TRIPS), "×"),
                verdict(Some(ROUND_TRIPS), trips.median),
            ],
        ]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread { min, median, max } = self.added();
        writeln!(
            f,
            "three kept variables: {min:.1} · {median:.1} · {max:.1} µs of CPU more than none (aim ≤ {KEPT_US})"
        )?;
        let Spread { min, median, max } = self.round_trips();
        write!(f, "three fetches, one after another's: {min:.2} · {median:.2} · {max:.2} × one (aim ≤ {ROUND_TRIPS})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_told_round_by_round() {
        let figures = Figures {
            none: vec![100.0, 200.0, 300.0],
            kept: vec![110.0, 230.0, 320.0],
            without: vec![1.0, 2.0],
            one: vec![21.0, 22.0],
            three: vec![41.0, 62.0],
        };
        assert_eq!(figures.added(), Spread { min: 10.0, median: 20.0, max: 30.0 });
        assert_eq!(figures.round_trips(), Spread { min: 2.0, median: 2.5, max: 3.0 });
        let text = figures.to_string();
        assert!(text.contains("20.0") && text.contains("2.50"), "{text}");
    }
}

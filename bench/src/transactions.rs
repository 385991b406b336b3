//! How many transactions a turn is, as the database counts them.
//!
//! A server does more in its life than turns: it opens connections, prepares statements, renews leases, tidies up. So two
//! lives are compared that differ in the turns alone. A backend tells what it has done when it ends, at the latest; hence
//! whole lives, and not readings in between.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use letterhead_testkit::Postgres;
use tokio::time::sleep;

use crate::answers::Kind;
use crate::compare::{aim, verdict};
use crate::load::Driver;
use crate::plan::Plan;
use crate::postgres::Turn;
use crate::process::Launch;
use crate::say;
use crate::stage::{Stage, Store};
use crate::table::Cell;
use crate::workload::{Sessions, Workload};

/// The most transactions of a turn.
const MOST: f64 = 2.0;
/// How long backends may take to end once their client has.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the counts of a backend that has ended may be on their way, before PostgreSQL 15.
const ON_THEIR_WAY: Duration = Duration::from_millis(600);

/// A database that is used for nothing else.
struct Counted<'a> {
    cluster: &'a Postgres,
    name: String,
    launch: Launch,
}

/// A row for turns in fresh sessions, and one for warm ones.
///
/// # Errors
/// With the first answer that is wrong, or a server that does not start.
pub(crate) async fn rows(stage: &Stage, plan: &Plan, cluster: &Postgres) -> Result<Vec<Vec<Cell>>> {
    let name = cluster.database();
    let launch = stage.subject_with("transactions", Store::Postgres(&cluster.url(&name)));
    let counted = Counted { cluster, name, launch };
    // The first life makes the tables.
    counted.life(stage, plan, "first", None).await?;
    let mut rows = Vec::new();
    for turn in Turn::BOTH {
        say(format_args!("PostgreSQL, transactions: {}", turn.name()));
        let begun = Instant::now();
        let with = counted.life(stage, plan, &format!("with-{turn:?}"), Some(Work::Turns(turn))).await?;
        let rest = Work::Rest(begun.elapsed());
        let without = counted.life(stage, plan, &format!("without-{turn:?}"), Some(rest)).await?;
        let each = per_turn(with, without, plan.documents);
        rows.push(vec![
            Cell::text(format!("Transactions per turn: {}", turn.name())),
            Cell::none(),
            Cell::amount(each, "transactions"),
            Cell::none(),
            aim(Some(MOST), "transactions"),
            verdict(Some(MOST), to_a_tenth(each)),
        ]);
    }
    Ok(rows)
}

/// What a server does in its life.
#[derive(Clone, Copy, Debug)]
enum Work {
    Turns(Turn),
    Rest(Duration),
}

impl Counted<'_> {
    /// Starts a server, has it use all of its connections and statements, and then work or rest. Tells how many
    /// transactions the database has seen of it.
    async fn life(&self, stage: &Stage, plan: &Plan, name: &str, work: Option<Work>) -> Result<u64> {
        let before = self.committed()?;
        let server = stage.start(&self.launch).await?;
        let sessions = 10 * plan.connections;
        let known = Workload::new(Kind::Json, Sessions::Cycle { prefix: name.to_owned(), count: sessions });
        let mut driver = Driver::connect(server.address, plan.connections).await?;
        driver.closed(&known, 0, 2 * sessions).await?;
        match work {
            Some(Work::Turns(Turn::Warm)) => drop(driver.closed(&known, 2 * sessions, plan.documents).await?),
            Some(Work::Turns(Turn::Fresh)) => {
                let fresh = Workload::new(Kind::Json, Sessions::Fresh(format!("{name}-fresh")));
                drop(driver.closed(&fresh, 0, plan.documents).await?);
            }
            Some(Work::Rest(time)) => sleep(time).await,
            None => {}
        }
        server.stop().await?;
        self.all_have_ended().await?;
        Ok(self.committed()?.saturating_sub(before))
    }

    async fn all_have_ended(&self) -> Result<()> {
        let connected = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND backend_type = 'client backend'",
            self.name
        );
        let since = Instant::now();
        while self.cluster.sql("postgres", &connected) != "0" {
            ensure!(since.elapsed() < PATIENCE, "connections to the database stay open though their server has ended");
            sleep(Duration::from_millis(50)).await;
        }
        sleep(ON_THEIR_WAY).await;
        Ok(())
    }

    fn committed(&self) -> Result<u64> {
        // Asked in another database, so that the question is not counted.
        let sql = format!("SELECT xact_commit FROM pg_stat_database WHERE datname = '{}'", self.name);
        Ok(self.cluster.sql("postgres", &sql).parse()?)
    }
}

/// What each of the turns has added.
fn per_turn(with: u64, without: u64, turns: usize) -> f64 {
    (with as f64 - without as f64) / turns as f64
}

/// Lives differ by some transactions of the background; turns, by whole ones.
fn to_a_tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_background_is_not_the_turns() {
        assert!((per_turn(2_350, 350, 1_000) - 2.0).abs() < 1e-9);
        assert!((per_turn(350, 352, 1_000) + 0.002).abs() < 1e-9);
        assert!(to_a_tenth(2.03) <= MOST && to_a_tenth(2.2) > MOST);
    }
}

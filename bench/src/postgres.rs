//! Durable turns with PostgreSQL: what they cost the server, how many transactions they are, how long they take.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use letterhead_testkit::Postgres;

use crate::answers::Kind;
use crate::compare::{aim, verdict};
use crate::load::Driver;
use crate::measure::{Pace, measure, time_to_disk};
use crate::plan::Plan;
use crate::process::Server;
use crate::stage::{Stage, Store, Subject};
use crate::stats::{Spread, median, percentile};
use crate::table::{Cell, Table};
use crate::workload::{Sessions, Workload};
use crate::{nodes, proof, say, transactions};

/// What is said where nothing is measured.
pub(crate) const LEFT_OUT: &str = "NOTHING WITH POSTGRESQL: there is no `initdb` in PATH nor below /usr/lib/postgresql \
                                   (or \"Letterhead\" is a floor), so the tables about it are left out";

/// The most CPU of a durable turn, in microseconds.
const TURN_US: f64 = 400.0;
/// Turns that a warm session sees in one measurement, after its first.
const WARM_TURNS: usize = 4;
/// Turns a second where latency is measured: a database on the driver's core has to have time to rest.
const RATE: f64 = 100.0;
/// Clients at once, and the sessions that they visit in turn.
const CLIENTS: usize = 64;
const VISITED: usize = 4 * CLIENTS;
/// The longest name of a folder for the cluster: the name of a socket in it may have 107 bytes.
const LONGEST: usize = 70;

/// Which sessions turns belong to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// Each a session of its own.
    Fresh,
    /// One that has had turns.
    Warm,
}

impl Turn {
    pub(crate) const BOTH: [Self; 2] = [Self::Fresh, Self::Warm];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh session",
            Self::Warm => "warm session",
        }
    }
}

/// Measures with a cluster that ends with this process; nothing where the machine has no PostgreSQL, or the subject is a
/// floor.
///
/// # Errors
/// With the first answer that is wrong, or a server that does not start.
pub(crate) async fn run(stage: &Stage, plan: &Plan) -> Result<Option<Vec<Table>>> {
    if let Subject::Floor = stage.subject() {
        return Ok(None);
    }
    let parent = stage.parent()?.canonicalize()?;
    ensure!(
        parent.as_os_str().len() <= LONGEST,
        "a socket of PostgreSQL cannot be in {}: name a folder of at most {LONGEST} bytes with --folder",
        parent.display()
    );
    say(format_args!("a PostgreSQL cluster"));
    let Some(cluster) = Postgres::start_durable(&parent) else { return Ok(None) };
    let (database, floor) = (cluster.database(), stage.start(&stage.floor()).await?);
    let address = cluster.url(&database);
    let server = stage.start(&stage.subject_with("postgres", Store::Postgres(&address))).await?;
    proof::turns_are_stored(&server).await?;
    let mut rows = Vec::new();
    for turn in Turn::BOTH {
        rows.push(cpu(plan, &floor, &server, turn).await?);
    }
    floor.stop().await?;
    rows.extend(transactions::rows(stage, plan, &cluster).await?);
    rows.push(clients(plan, &server, &cluster, &database).await?);
    rows.extend(paced(stage, plan, &server).await?);
    let turns = Table {
        title: "Durable turns with PostgreSQL (JSON)".to_owned(),
        head: vec!["what", "floor", "Letterhead", "against the floor: min · median · max", "aim", "result"],
        rows,
        note: format!(
            "PostgreSQL {} as it sets itself (it waits for the disk: {:.0} µs for a durable 4 KiB write), on the driver's \
             cores, over a socket. CPU is the server's alone, without the database's: closed loop, {} connections, {} \
             rounds of {} turns. Transactions: what the database has counted in the life of a server with such turns, \
             less a life as long without. Latency: {} turns a round, and the floor waits for the disk too.",
            cluster.sql(&database, "SHOW server_version"),
            time_to_disk(stage.folder())?,
            plan.connections,
            plan.rounds,
            plan.documents,
            plan.paced / 3,
        ),
    };

    let second = stage.start_second(&stage.subject_with("second-node", Store::Postgres(&address))).await?;
    let both = nodes::run(stage, plan, &server, &second).await?;
    for node in [server, second] {
        node.stop().await?;
    }
    Ok(Some(vec![turns, both]))
}

/// The CPU time of a turn, beside that of the floor, which has no sessions.
async fn cpu(plan: &Plan, floor: &Server, server: &Server, turn: Turn) -> Result<Vec<Cell>> {
    let (mut floors, mut subjects) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        say(format_args!("PostgreSQL, CPU, round {} of {}: {}", round + 1, plan.rounds, turn.name()));
        let stateless = Workload::new(Kind::Json, Sessions::None);
        floors.push(measure(floor, plan.connections, &stateless, Pace::Closed, 0, plan.documents).await?.cpu);
        let sessions = match turn {
            Turn::Fresh => Sessions::Fresh(format!("fresh-{round}")),
            Turn::Warm => {
                let count = (plan.documents / WARM_TURNS).max(2 * plan.connections);
                let sessions = Sessions::Cycle { prefix: format!("warm-{round}"), count };
                // The first turns, which make the sessions, are not counted.
                let making = Workload::new(Kind::Json, sessions.clone());
                measure(server, plan.connections, &making, Pace::Closed, 0, count).await?;
                sessions
            }
        };
        let workload = Workload::new(Kind::Json, sessions);
        subjects.push(measure(server, plan.connections, &workload, Pace::Closed, 0, plan.documents).await?.cpu);
    }
    let ratios: Vec<f64> = subjects.iter().zip(&floors).map(|(subject, floor)| subject / floor).collect();
    let cost = median(&subjects);
    Ok(vec![
        Cell::text(format!("CPU per turn: {}", turn.name())),
        Cell::amount(median(&floors), "µs"),
        Cell::amount(cost, "µs"),
        Cell::spread(Spread::of(&ratios), "×"),
        aim(Some(TURN_US), "µs"),
        verdict(Some(TURN_US), cost),
    ])
}

/// Many clients at once, each of whose answers is checked; then their turns are counted in the database.
async fn clients(plan: &Plan, server: &Server, cluster: &Postgres, database: &str) -> Result<Vec<Cell>> {
    say(format_args!("PostgreSQL, {CLIENTS} clients at once"));
    let sessions = Sessions::Cycle { prefix: "client".into(), count: VISITED };
    let turns = plan.documents.max(2 * VISITED);
    let mut driver = Driver::connect(server.address, CLIENTS).await?;
    let begun = Instant::now();
    let answered = driver.closed(&Workload::new(Kind::Json, sessions), 0, turns).await;
    let rate = turns as f64 / begun.elapsed().as_secs_f64();
    let found = cluster.sql(database, CLIENTS_TURNS).parse::<usize>()?;
    let (told, is_met) = match answered {
        Ok(_) => (format!("{turns} turns answered, {found} in the database"), found == turns),
        Err(error) => (format!("{error:#}"), false),
    };
    Ok(vec![
        Cell::text(format!("{CLIENTS} clients at once, {VISITED} sessions")),
        Cell::none(),
        Cell::amount(rate, "turns a second"),
        Cell::text(told),
        Cell::text("no error"),
        Cell::text(if is_met { "met" } else { "**missed**" }),
    ])
}

/// Turns of those clients that are whole in the database.
const CLIENTS_TURNS: &str = "SELECT count(*) FROM letterhead.turns JOIN letterhead.sessions ON sessions.id = turns.session \
                             WHERE sessions.session_id LIKE 'client-%' AND turns.status = 'complete'";

/// Latency at a moderate rate, beside a floor that waits for the disk too.
async fn paced(stage: &Stage, plan: &Plan, server: &Server) -> Result<Vec<Vec<Cell>>> {
    let floor = stage.start(&stage.durable_floor()).await?;
    let (count, pace) = (plan.paced / 3, Pace::Rate(RATE));
    let mut rounds = Vec::with_capacity(plan.rounds);
    for round in 0..plan.rounds {
        say(format_args!("PostgreSQL, latency, round {} of {}", round + 1, plan.rounds));
        let stateless = Workload::new(Kind::Json, Sessions::None);
        let floor = measure(&floor, plan.connections, &stateless, pace, 0, count).await?.times;
        let fresh = Workload::new(Kind::Json, Sessions::Fresh(format!("paced-{round}")));
        rounds.push((floor, measure(server, plan.connections, &fresh, pace, 0, count).await?.times));
    }
    floor.stop().await?;
    let row = |percent: usize| {
        let at = |times: &[Duration]| percentile(&mut times.to_vec(), percent) / 1e3;
        let (floors, subjects): (Vec<f64>, Vec<f64>) = rounds.iter().map(|(floor, own)| (at(floor), at(own))).unzip();
        let added: Vec<f64> = subjects.iter().zip(&floors).map(|(subject, floor)| subject - floor).collect();
        vec![
            Cell::text(format!("p{percent} at {RATE} a second: fresh session, the floor waiting for the disk too")),
            Cell::amount(median(&floors), "ms"),
            Cell::amount(median(&subjects), "ms"),
            Cell::spread(Spread::of(&added), "ms more"),
            Cell::none(),
            Cell::none(),
        ]
    };
    Ok(vec![row(50), row(99)])
}

//! The main table: floor and Letterhead in turns, so that what disturbs the machine disturbs both.

use anyhow::{Context as _, Result};

use crate::answers::Kind;
use crate::measure::{Pace, measure, time_to_first_answer};
use crate::meter;
use crate::plan::Plan;
use crate::process::Server;
use crate::stage::{Stage, Store, Subject};
use crate::stats::{Spread, median, percentile};
use crate::table::{Cell, Table};
use crate::workload::{Sessions, Workload};
use crate::{proof, say, variables};

/// How a case uses sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Stateless,
    Fresh,
    Warm,
}

/// One thing that both servers are asked to do. The floor always does its stateless part.
struct Case {
    name: &'static str,
    kind: Kind,
    turn: Turn,
    /// The aim: at most so many times the floor's CPU.
    aim: Option<f64>,
}

const CASES: [Case; 6] = [
    Case { name: "JSON, nothing stored", kind: Kind::Json, turn: Turn::Stateless, aim: Some(2.0) },
    Case { name: "20-chunk stream, nothing stored", kind: Kind::Stream, turn: Turn::Stateless, aim: Some(1.5) },
    Case { name: "JSON, SQLite, fresh session", kind: Kind::Json, turn: Turn::Fresh, aim: Some(4.0) },
    Case { name: "20-chunk stream, SQLite, fresh session", kind: Kind::Stream, turn: Turn::Fresh, aim: Some(2.0) },
    Case { name: "JSON, SQLite, warm session", kind: Kind::Json, turn: Turn::Warm, aim: None },
    Case { name: "20-chunk stream, SQLite, warm session", kind: Kind::Stream, turn: Turn::Warm, aim: None },
];

/// Turns that a warm session sees in one measurement; its history grows by two messages each.
const WARM_TURNS: usize = 4;
const P99_ADDED_MS: f64 = 1.0;
const MEMORY_MIB: f64 = 40.0;
const FIRST_ANSWER_MS: f64 = 150.0;

struct Servers {
    floor: Server,
    durable_floor: Server,
    memory: Server,
    sqlite: Server,
}

/// One pair of figures per round.
#[derive(Default)]
struct Pairs {
    floor: Vec<f64>,
    subject: Vec<f64>,
}

impl Pairs {
    fn push(&mut self, floor: f64, subject: f64) {
        self.floor.push(floor);
        self.subject.push(subject);
    }

    fn each(&self, compare: impl Fn(f64, f64) -> f64) -> Spread {
        let compared: Vec<f64> = self.floor.iter().zip(&self.subject).map(|(f, s)| compare(*s, *f)).collect();
        Spread::of(&compared)
    }

    fn ratio(&self) -> Spread {
        self.each(|subject, floor| subject / floor)
    }

    fn added(&self) -> Spread {
        self.each(|subject, floor| subject - floor)
    }
}

/// Runs every case and returns the table; `header_step` is what the header step alone takes.
///
/// # Errors
/// With the first answer that is wrong, or a server that does not start.
pub(crate) async fn run(stage: &Stage, plan: &Plan, header_step: Spread) -> Result<Table> {
    let mut rows = start_times(stage, plan).await?;
    let variables = variables::run(stage, plan).await?;

    let servers = Servers {
        floor: stage.start(&stage.floor()).await?,
        durable_floor: stage.start(&stage.durable_floor()).await?,
        memory: stage.start(&stage.subject_with("memory", Store::Memory)).await?,
        sqlite: stage.start(&stage.subject_with("sqlite", Store::Sqlite("compare"))).await?,
    };
    if let Subject::Letterhead(_) = stage.subject() {
        proof::headers_are_checked(&servers.memory).await?;
        proof::turns_are_stored(&servers.sqlite).await?;
    }

    let mut cpu: Vec<Pairs> = CASES.iter().map(|_| Pairs::default()).collect();
    for round in 0..plan.rounds {
        for (case, pairs) in CASES.iter().zip(&mut cpu) {
            say(format_args!("CPU, round {} of {}: {}", round + 1, plan.rounds, case.name));
            cpu_round(&servers, plan, case, round, pairs).await.with_context(|| case.name)?;
        }
    }
    for (case, pairs) in CASES.iter().zip(&cpu) {
        let ratio = pairs.ratio();
        rows.push(vec![
            Cell::text(format!("CPU per request: {}", case.name)),
            Cell::amount(median(&pairs.floor), "µs"),
            Cell::amount(median(&pairs.subject), "µs"),
            Cell::spread(ratio, "×"),
            aim(case.aim, "×"),
            verdict(case.aim, ratio.median),
        ]);
    }

    for case in CASES.iter().filter(|case| case.turn != Turn::Warm) {
        let paced = paced(&servers, plan, case).await.with_context(|| case.name)?;
        rows.extend(paced.rows(case, plan));
    }

    let floor = meter::peak_memory(servers.floor.id())?;
    for (name, server) in [("nothing stored", &servers.memory), ("SQLite", &servers.sqlite)] {
        let peak = meter::peak_memory(server.id())?;
        rows.push(vec![
            Cell::text(format!("Peak memory: {name}")),
            Cell::amount(floor, "MiB"),
            Cell::amount(peak, "MiB"),
            Cell::amount(peak - floor, "MiB more"),
            aim(Some(MEMORY_MIB), "MiB"),
            verdict(Some(MEMORY_MIB), peak),
        ]);
    }
    rows.push(crate::header_step::row(header_step));
    rows.extend(variables.iter().flat_map(variables::Figures::rows));

    for server in [servers.floor, servers.durable_floor, servers.memory, servers.sqlite] {
        server.stop().await?;
    }
    let mut head = vec!["what", "floor", "Letterhead", "against the floor: min · median · max", "aim", "result"];
    if let Subject::Floor = stage.subject() {
        // Aims are Letterhead's.
        head = vec!["what", "floor", "second floor", "against the floor: min · median · max"];
        rows.iter_mut().for_each(|row| row.truncate(head.len()));
    }
    Ok(Table {
        title: "Letterhead against a bare proxy".to_owned(),
        head,
        rows,
        note: format!(
            "Floor and Letterhead took turns, {} rounds; figures are medians of rounds, comparisons are made within a \
             round. CPU: closed loop, {} connections, {} requests (streams: {}) a round. Latency: {} requests a round.",
            plan.rounds, plan.connections, plan.documents, plan.streams, plan.paced
        ),
    })
}

/// From the start of the process to the end of its first answer.
async fn start_times(stage: &Stage, plan: &Plan) -> Result<Vec<Vec<Cell>>> {
    let mut rows = Vec::new();
    for (name, durable) in [("nothing stored", false), ("SQLite, new database", true)] {
        let mut pairs = Pairs::default();
        for n in 0..plan.starts {
            say(format_args!("start {} of {}: {name}", n + 1, plan.starts));
            let database = format!("start-{n}");
            let (store, sessions) = match durable {
                true => (Store::Sqlite(&database), Sessions::Fresh("start".into())),
                false => (Store::Memory, Sessions::None),
            };
            let workload = Workload::new(Kind::Json, sessions);
            let floor = time_to_first_answer(stage, &stage.floor(), &workload).await?;
            let subject = time_to_first_answer(stage, &stage.subject_with("start", store), &workload).await?;
            pairs.push(floor, subject);
        }
        let time = median(&pairs.subject);
        rows.push(vec![
            Cell::text(format!("Start to first answer: {name}")),
            Cell::amount(median(&pairs.floor), "ms"),
            Cell::amount(time, "ms"),
            Cell::spread(pairs.added(), "ms more"),
            aim(Some(FIRST_ANSWER_MS), "ms"),
            verdict(Some(FIRST_ANSWER_MS), time),
        ]);
    }
    Ok(rows)
}

async fn cpu_round(servers: &Servers, plan: &Plan, case: &Case, round: usize, pairs: &mut Pairs) -> Result<()> {
    let count = match case.kind {
        Kind::Json => plan.documents,
        Kind::Stream => plan.streams,
    };
    let stateless = Workload::new(case.kind, Sessions::None);
    let (server, sessions) = match case.turn {
        Turn::Stateless => (&servers.memory, Sessions::None),
        Turn::Fresh => (&servers.sqlite, Sessions::Fresh(format!("cpu-{:?}-{round}", case.kind))),
        Turn::Warm => {
            let sessions = (count / WARM_TURNS).max(2 * plan.connections);
            let workload = Workload::new(
                case.kind,
                Sessions::Cycle { prefix: format!("warm-{:?}-{round}", case.kind), count: sessions },
            );
            // The first turns, which make the sessions, are not counted.
            measure(&servers.sqlite, plan.connections, &workload, Pace::Closed, 0, sessions).await?;
            (&servers.sqlite, workload.sessions)
        }
    };
    let floor = measure(&servers.floor, plan.connections, &stateless, Pace::Closed, 0, count).await?;
    let workload = Workload::new(case.kind, sessions);
    let subject = measure(server, plan.connections, &workload, Pace::Closed, 0, count).await?;
    pairs.push(floor.cpu, subject.cpu);
    Ok(())
}

/// What the open loop tells of one case.
#[derive(Default)]
struct Paced {
    cpu: Pairs,
    p50: Pairs,
    p99: Pairs,
    /// Against the floor that waits for the disk too; empty where nothing is stored.
    durable_p99: Pairs,
}

async fn paced(servers: &Servers, plan: &Plan, case: &Case) -> Result<Paced> {
    let mut paced = Paced::default();
    let pace = Pace::Rate(plan.rate);
    for round in 0..plan.rounds {
        say(format_args!("latency, round {} of {}: {}", round + 1, plan.rounds, case.name));
        let (server, sessions) = match case.turn {
            Turn::Stateless => (&servers.memory, Sessions::None),
            Turn::Fresh | Turn::Warm => (&servers.sqlite, Sessions::Fresh(format!("paced-{:?}-{round}", case.kind))),
        };
        let stateless = Workload::new(case.kind, Sessions::None);
        let mut floor = measure(&servers.floor, plan.connections, &stateless, pace, 0, plan.paced).await?;
        let workload = Workload::new(case.kind, sessions);
        let mut subject = measure(server, plan.connections, &workload, pace, 0, plan.paced).await?;
        paced.cpu.push(floor.cpu, subject.cpu);
        for (pairs, percent) in [(&mut paced.p50, 50), (&mut paced.p99, 99)] {
            pairs.push(percentile(&mut floor.times, percent) / 1e3, percentile(&mut subject.times, percent) / 1e3);
        }
        if case.turn != Turn::Stateless {
            let floor = &servers.durable_floor;
            let mut durable = measure(floor, plan.connections, &stateless, pace, 0, plan.paced).await?;
            let p99 = percentile(&mut durable.times, 99) / 1e3;
            paced.durable_p99.push(p99, percentile(&mut subject.times, 99) / 1e3);
        }
    }
    Ok(paced)
}

impl Paced {
    fn rows(&self, case: &Case, plan: &Plan) -> Vec<Vec<Cell>> {
        let row = |what: &str, pairs: &Pairs, unit: &str, compared: Cell, aimed: Cell, result: Cell| {
            vec![
                Cell::text(format!("{what} at {} a second: {}", plan.rate, case.name)),
                Cell::amount(median(&pairs.floor), unit),
                Cell::amount(median(&pairs.subject), unit),
                compared,
                aimed,
                result,
            ]
        };
        let added = self.p99.added();
        let mut rows = vec![
            row("CPU per request", &self.cpu, "µs", Cell::spread(self.cpu.ratio(), "×"), Cell::none(), Cell::none()),
            row("p50", &self.p50, "ms", Cell::spread(self.p50.added(), "ms more"), Cell::none(), Cell::none()),
            row(
                "p99",
                &self.p99,
                "ms",
                Cell::spread(added, "ms more"),
                aim(Some(P99_ADDED_MS), "ms more"),
                verdict(Some(P99_ADDED_MS), added.median),
            ),
        ];
        if !self.durable_p99.floor.is_empty() {
            let added = Cell::spread(self.durable_p99.added(), "ms more");
            let what = "p99, the floor waiting for the disk too,";
            rows.push(row(what, &self.durable_p99, "ms", added, Cell::none(), Cell::none()));
        }
        rows
    }
}

/// The place for an aim of "at most".
pub(crate) fn aim(limit: Option<f64>, unit: &str) -> Cell {
    limit.map_or_else(Cell::none, |limit| Cell::text(format!("≤ {limit} {unit}")))
}

/// The place that says whether it was reached.
pub(crate) fn verdict(limit: Option<f64>, figure: f64) -> Cell {
    match limit {
        Some(limit) if figure <= limit => Cell::text("met"),
        Some(_) => Cell::text("**missed**"),
        None => Cell::none(),
    }
}

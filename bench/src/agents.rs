//! Agents that involve others, and many of them: what a delegate, an HTTP tool and an MCP server cost, and whether a thousand
//! agents cost those anything that ask none of them.

use std::fmt;
use std::fmt::Write as _;

use anyhow::Result;

use crate::answers::Kind;
use crate::compare::{aim, verdict};
use crate::measure::{Pace, measure, time_to_first_answer};
use crate::plan::Plan;
use crate::process::Server;
use crate::stage::{Stage, Store, Subject};
use crate::stats::{Spread, median};
use crate::table::{Cell, Table};
use crate::workload::{Sessions, Workload};
use crate::{proof, say};

/// The most that a turn of parent and delegate may cost, in times of two turns of one agent.
const DELEGATE: f64 = 1.8;
/// The most that a turn with an HTTP tool between two model calls may cost, in times of two turns of one model call each.
const HTTP_TOOL: f64 = 1.3;
/// The most that a call of an MCP server on a warm connection may add, in microseconds of CPU.
const MCP_US: f64 = 300.0;
/// Agents of the large configuration, each with tools of its own.
const CROWD: usize = 1_000;
const TOOLS: usize = 10;
/// Who answers, among however many.
const FIRST: &str = "assistant";
/// The longest that this may take from the start of the process to its first answer.
const CROWD_START_MS: f64 = 1_000.0;
/// What a turn may cost with a thousand agents, in times of the same turn with one: no more than this machine can tell apart.
const NO_DIFFERENCE: f64 = 1.05;
/// A round is measured in so many slices, each of all agents in turn: what else the machine does lasts longer than a slice,
/// and burdens both sides of a comparison.
const SLICES: usize = 4;

/// The figures, a value per slice.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Microseconds of CPU of a turn.
    single: Vec<f64>,
    parent: Vec<f64>,
    nothing: Vec<f64>,
    tool: Vec<f64>,
    mcp: Vec<f64>,
    alone: Vec<f64>,
    crowd: Vec<f64>,
    /// Milliseconds from the start to the first answer.
    alone_start: Vec<f64>,
    crowd_start: Vec<f64>,
}

/// Measures; nothing where the subject is a floor, which has no agents.
///
/// # Errors
/// With the first answer that is wrong, or a server that does not start.
pub(crate) async fn run(stage: &Stage, plan: &Plan) -> Result<Option<Figures>> {
    if let Subject::Floor = stage.subject() {
        return Ok(None);
    }
    let mut figures = Figures::default();
    let launches = [(1, stage.with_crowd(1, &crowd(1))?), (CROWD, stage.with_crowd(CROWD, &crowd(CROWD))?)];
    for n in 0..plan.starts {
        for (agents, launch) in &launches {
            say(format_args!("start {} of {}: {agents} agents", n + 1, plan.starts));
            let time = time_to_first_answer(stage, launch, &turn(FIRST)).await?;
            if *agents == 1 { &mut figures.alone_start } else { &mut figures.crowd_start }.push(time);
        }
    }
    let server = stage.start(&stage.with_agents(Store::Memory)).await?;
    proof::agents_involve_others(&server).await?;
    let [(_, alone), (_, crowd)] = &launches;
    let (alone, crowd) = (stage.start(alone).await?, stage.start(crowd).await?);
    for slice in 0..plan.rounds * SLICES {
        if slice % SLICES == 0 {
            say(format_args!("agents, round {} of {}", slice / SLICES + 1, plan.rounds));
        }
        for (agent, into) in [
            ("assistant", &mut figures.single),
            ("parent", &mut figures.parent),
            ("nothing", &mut figures.nothing),
            ("tool", &mut figures.tool),
            ("mcp", &mut figures.mcp),
        ] {
            into.push(cpu(&server, plan, agent).await?);
        }
        figures.alone.push(cpu(&alone, plan, FIRST).await?);
        figures.crowd.push(cpu(&crowd, plan, FIRST).await?);
    }
    for server in [server, alone, crowd] {
        server.stop().await?;
    }
    Ok(Some(figures))
}

/// A turn that stores nothing.
fn turn(agent: &'static str) -> Workload {
    Workload::new(Kind::Json, Sessions::None).answered_by(agent)
}

/// The CPU time of a turn, in microseconds.
async fn cpu(server: &Server, plan: &Plan, agent: &'static str) -> Result<f64> {
    let turn = turn(agent);
    // Connections to what is called out to are made, and MCP servers asked what they have.
    measure(server, plan.connections, &turn, Pace::Closed, 0, 2 * plan.connections).await?;
    Ok(measure(server, plan.connections, &turn, Pace::Closed, 0, plan.documents / SLICES).await?.cpu)
}

/// A configuration of so many agents, each with ten HTTP tools that no other has.
fn crowd(agents: usize) -> String {
    let (head, _) = include_str!("../agents.yaml").split_once("\ntools:").unwrap_or_default();
    let (mut tools, mut list) = ("\ntools:\n".to_owned(), "\nagents:\n".to_owned());
    for agent in 0..agents {
        let mut names = Vec::with_capacity(TOOLS);
        for tool in 0..TOOLS {
            let name = format!("get_{agent}_{tool}");
            // Writing to a text cannot fail.
            let _ = write!(
                tools,
                "  {name}:\n    description: Looks up what department {agent} knows of a number, in its list {tool}.\n    \
                 parameters: {{ type: object, required: [id], properties: {{ id: {{ type: string, maxLength: 20 }} }} }}\n    \
                 url: \"{{{{ env.BENCH_UPSTREAM }}}}/departments/{agent}/{tool}/{{{{ args.id }}}}\"\n    \
                 headers: {{ Authorization: \"Bearer {{{{ headers.auth_token }}}}\" }}\n",
            );
            names.push(name);
        }
        let agent_name = if agent == 0 { FIRST.to_owned() } else { format!("agent-{agent}") };
        let _ = write!(
            list,
            "  {agent_name}:\n    description: Answers for department {agent}.\n    instructions: |\n      \
             You are department {agent}'s assistant for {{{{ headers.user_id }}}} of {{{{ headers.org_id }}}}. Answer briefly.\n    \
             tools: [{}]\n",
            names.join(", ")
        );
    }
    format!("{head}\n{tools}{list}entry: {FIRST}\n")
}

impl Figures {
    fn each(one: &[f64], other: &[f64], compare: impl Fn(f64, f64) -> f64) -> Spread {
        let compared: Vec<f64> = one.iter().zip(other).map(|(one, other)| compare(*one, *other)).collect();
        Spread::of(&compared)
    }

    fn delegate(&self) -> Spread {
        Self::each(&self.parent, &self.single, |parent, single| parent / (2.0 * single))
    }

    fn http_tool(&self) -> Spread {
        Self::each(&self.tool, &self.single, |tool, single| tool / (2.0 * single))
    }

    /// Has no aim: three calls out are held against two, which is three to two where a turn costs nothing besides.
    fn http_tool_call(&self) -> Spread {
        Self::each(&self.tool, &self.nothing, |tool, nothing| tool / nothing)
    }

    fn mcp_call(&self) -> Spread {
        Self::each(&self.mcp, &self.nothing, |mcp, nothing| mcp - nothing)
    }

    fn crowd(&self) -> Spread {
        Self::each(&self.crowd, &self.alone, |crowd, alone| crowd / alone)
    }

    /// The table.
    pub(crate) fn table(&self, plan: &Plan) -> Table {
        let row = |what: &str, against: Cell, figure: Cell, spread: Spread, unit: &str, limit: Option<f64>| {
            let compared = Cell::spread(spread, unit);
            vec![Cell::text(what), against, figure, compared, aim(limit, unit), verdict(limit, spread.median)]
        };
        let us = |values: &[f64]| Cell::amount(median(values), "µs");
        let start = Spread::of(&self.crowd_start);
        Table {
            title: "Agents that involve others, and many of them (JSON, nothing stored)".to_owned(),
            head: vec!["what", "held against", "Letterhead", "compared: min · median · max", "aim", "result"],
            rows: vec![
                row(
                    "CPU of a turn: an agent asks another (against one agent's turn)",
                    us(&self.single),
                    us(&self.parent),
                    self.delegate(),
                    "× two such turns",
                    Some(DELEGATE),
                ),
                row(
                    "CPU of a turn: an HTTP tool between two model calls (against one agent's turn)",
                    us(&self.single),
                    us(&self.tool),
                    self.http_tool(),
                    "× two such turns",
                    Some(HTTP_TOOL),
                ),
                row(
                    "the same (against two model calls with nothing between them)",
                    us(&self.nothing),
                    us(&self.tool),
                    self.http_tool_call(),
                    "×",
                    None,
                ),
                row(
                    "CPU of a turn: an MCP server's tool between two model calls (against nothing between them)",
                    us(&self.nothing),
                    us(&self.mcp),
                    self.mcp_call(),
                    "µs more",
                    Some(MCP_US),
                ),
                row(
                    "Start to first answer: 1,000 agents with 10 tools each (against one)",
                    Cell::amount(median(&self.alone_start), "ms"),
                    Cell::amount(start.median, "ms"),
                    start,
                    "ms",
                    Some(CROWD_START_MS),
                ),
                row(
                    "CPU of a turn: one of 1,000 agents (against one alone)",
                    us(&self.alone),
                    us(&self.crowd),
                    self.crowd(),
                    "×",
                    Some(NO_DIFFERENCE),
                ),
            ],
            note: format!(
                "Comparisons are made within a slice, {} slices; closed loop, {} connections, {} turns a slice. A turn of \
                 two agents has three model calls, one with a tool two. \"Nothing between them\": the model calls a tool \
                 that is not there, and is told so.",
                plan.rounds * SLICES,
                plan.connections,
                plan.documents / SLICES
            ),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("an agent that asks another", self.delegate(), "× two turns", DELEGATE),
            ("an HTTP tool between two model calls", self.http_tool(), "× two turns of one", HTTP_TOOL),
            ("a call of an MCP server", self.mcp_call(), "µs of CPU", MCP_US),
            ("start with 1,000 agents", Spread::of(&self.crowd_start), "ms", CROWD_START_MS),
            ("a turn of one among 1,000", self.crowd(), "× one alone", NO_DIFFERENCE),
        ];
        for (what, Spread { min, median, max }, unit, limit) in lines {
            writeln!(f, "{what}: {min:.2} · {median:.2} · {max:.2} {unit} (aim ≤ {limit})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_a_configuration() {
        let text = crowd(3);
        assert!(text.starts_with("# What the benchmark's") && text.contains("\nproviders:"), "{text}");
        assert_eq!(text.matches("\n  get_").count(), 30);
        assert_eq!(text.matches("\n  agent-").count(), 2);
        assert!(text.contains("url: \"{{ env.BENCH_UPSTREAM }}/departments/2/9/{{ args.id }}\""), "{text}");
        assert!(!text.contains("mcp_servers"));
    }

    #[test]
    fn figures_are_compared_slice_by_slice() {
        let figures = Figures {
            single: vec![100.0, 100.0],
            parent: vec![300.0, 320.0],
            nothing: vec![150.0, 160.0],
            tool: vec![225.0, 160.0],
            mcp: vec![250.0, 280.0],
            alone: vec![100.0],
            crowd: vec![101.0],
            alone_start: vec![20.0],
            crowd_start: vec![400.0, 500.0, 600.0],
        };
        assert_eq!(figures.delegate(), Spread { min: 1.5, median: 1.55, max: 1.6 });
        assert_eq!(figures.http_tool(), Spread { min: 0.8, median: 0.9625, max: 1.125 });
        assert_eq!(figures.http_tool_call(), Spread { min: 1.0, median: 1.25, max: 1.5 });
        assert_eq!(figures.mcp_call(), Spread { min: 100.0, median: 110.0, max: 120.0 });
        assert!(figures.to_string().contains("400.00 · 500.00 · 600.00 ms"), "{figures}");
        assert_eq!(figures.table(&Plan::quick()).rows.len(), 6);
    }
}

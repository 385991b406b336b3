//! Many streams at once: what each of them holds while it is open.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use http::HeaderValue;
use http_body_util::BodyExt as _;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::answers::{CHUNKS, Kind};
use crate::load::{Driver, PATIENCE, open};
use crate::measure::settle;
use crate::plan::Plan;
use crate::process::{Launch, Server};
use crate::stage::{Stage, Store, Subject};
use crate::table::{Cell, Table};
use crate::workload::{Sessions, Workload};
use crate::{meter, open_files, say};

/// How many are opened at the same time: fewer than a listener keeps waiting.
const OPENING: usize = 64;
/// Files that a server, this program or the upstream has open besides.
const BESIDES: usize = 200;

/// A server with and without its streams.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Streams that were open together.
    at_once: usize,
    /// Memory in KiB before the first was opened.
    without: f64,
    /// Memory in KiB while all of them were open.
    with: f64,
}

impl Held {
    /// KiB for each stream.
    fn each(self) -> f64 {
        (self.with - self.without) / self.at_once as f64
    }
}

/// Opens as many streams as the plan says and the machine allows, through the floor and through the server under test.
///
/// # Errors
/// With the first stream that is wrong, or a server that does not start.
pub(crate) async fn run(stage: &Stage, plan: &Plan) -> Result<Table> {
    // A server has two connections a stream; the driver and the upstream have one.
    let files = open_files::allow(2 * plan.open_streams + BESIDES);
    let count = possible(plan.open_streams, files);
    ensure!(count > 0, "{files} open files are too few for any stream; raise the limit (`ulimit -n`)");
    let slow = stage.with_gap(plan.open_gap).await?;
    let floor = hold(&slow, &slow.floor(), "floor", count, plan).await?;
    let launch = slow.subject_with("streams", Store::Memory);
    let subject = hold(&slow, &launch, "server under test", count, plan).await?;

    let row = |what: &str, floor: f64, subject: f64, unit: &str| {
        vec![
            Cell::text(what),
            Cell::amount(floor, unit),
            Cell::amount(subject, unit),
            Cell::amount(subject - floor, &format!("{unit} more")),
        ]
    };
    let mib = |kibibytes: f64| kibibytes / 1024.0;
    let name = if let Subject::Floor = stage.subject() { "second floor" } else { "Letterhead" };
    Ok(Table {
        title: "Streams that are open at once (nothing stored)".to_owned(),
        head: vec!["what", "floor", name, "against the floor"],
        rows: vec![
            vec![
                Cell::text("Streams open at once"),
                Cell::count(floor.at_once),
                Cell::count(subject.at_once),
                Cell::none(),
            ],
            row("Memory before", mib(floor.without), mib(subject.without), "MiB"),
            row("Memory with all of them", mib(floor.with), mib(subject.with), "MiB"),
            row("Memory of each", floor.each(), subject.each(), "KiB"),
        ],
        note: format!(
            "{}. Memory: VmRSS, before the first was opened (after {} answers) and when all had sent their first chunk; \
             each with a connection of its own on both sides, chunks {} ms apart. Every one was read to its end and \
             checked. The kernel's buffers are not in it.",
            opened(plan.open_streams, count, files),
            2 * plan.connections,
            plan.open_gap
        ),
    })
}

/// How many streams a server can hold that may have `files` files open.
fn possible(wanted: usize, files: usize) -> usize {
    wanted.min(files.saturating_sub(BESIDES) / 2)
}

fn opened(wanted: usize, count: usize, files: usize) -> String {
    if count < wanted {
        format!("**{count} streams instead of {wanted}**: a process may have {files} files open here, two for a stream")
    } else {
        format!("{count} streams, opened {OPENING} at a time")
    }
}

async fn hold(stage: &Stage, launch: &Launch, name: &str, count: usize, plan: &Plan) -> Result<Held> {
    say(format_args!("{count} open streams: {name}"));
    let server = stage.start(launch).await?;
    drop(Driver::connect(server.address, plan.connections).await?);
    settle().await;
    let without = meter::memory(server.id())?;
    let limit = Duration::from_millis(plan.open_gap) * u32::try_from(2 * CHUNKS)? + 4 * PATIENCE;
    let (at_once, with) =
        timeout(limit, load(&server, count)).await.with_context(|| format!("not over within {limit:?}"))??;
    server.stop().await?;
    Ok(Held { at_once, without, with })
}

/// Opens streams, looks at the server's memory when all have begun, and reads them to their ends. Tells how many were
/// open when it looked.
async fn load(server: &Server, count: usize) -> Result<(usize, f64)> {
    let host = HeaderValue::from_str(&server.address.to_string())?;
    let door = Arc::new(Semaphore::new(OPENING));
    let (begun, mut has_begun) = mpsc::unbounded_channel();
    let mut streams = JoinSet::new();
    for n in 0..count {
        let (address, host, door, begun) = (server.address, host.clone(), Arc::clone(&door), begun.clone());
        streams.spawn(async move {
            let opening = door.acquire_owned().await?;
            let mut connection = open(address).await?;
            let workload = Workload::new(Kind::Stream, Sessions::None);
            let response = connection.send_request(workload.request(&host, n)?).await?;
            let (head, mut body) = response.into_parts();
            let mut whole = BytesMut::new();
            let first = body.frame().await.context("an answer without a body")??;
            whole.extend(first.into_data().ok());
            drop(opening);
            begun.send(())?;
            whole.extend(body.collect().await?.to_bytes());
            workload.kind.check(head.status, &whole).with_context(|| format!("stream {n}"))
        });
    }
    drop(begun);
    let (mut begun, mut over) = (0, 0);
    while begun < count {
        tokio::select! {
            Some(()) = has_begun.recv() => begun += 1,
            Some(ended) = streams.join_next() => {
                ended??;
                over += 1;
            }
            else => bail!("the streams ended before all had begun"),
        }
    }
    let with = meter::memory(server.id())?;
    while let Some(ended) = streams.try_join_next() {
        ended??;
        over += 1;
    }
    let at_once = begun - over;
    ensure!(at_once > 0, "all streams had ended before the last began: this machine opens them too slowly");
    say(format_args!("  {at_once} open; reading them to their ends"));
    while let Some(ended) = streams.join_next().await {
        ended??;
    }
    Ok((at_once, with))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_needs_two_files_for_a_stream() {
        assert_eq!(possible(10_000, 1_048_576), 10_000);
        assert_eq!(possible(10_000, 20_000), 9_900);
        assert_eq!(possible(10_000, 100), 0);
        assert!(opened(10_000, 9_900, 20_000).contains("9900 streams instead of 10000"));
        assert!(opened(10, 10, 20_000).starts_with("10 streams, "));
    }

    #[test]
    fn what_each_holds_is_the_difference() {
        let held = Held { at_once: 100, without: 1_000.0, with: 3_000.0 };
        assert!((held.each() - 20.0).abs() < 1e-9);
    }
}

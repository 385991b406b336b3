//! Single measurements: CPU and latency under load, start, disk.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep;

use crate::load::Driver;
use crate::meter::Reading;
use crate::process::{Launch, Server};
use crate::stage::Stage;
use crate::stats::median;
use crate::workload::Workload;

/// CPU time and latencies of one measurement.
pub(crate) struct Measured {
    /// Microseconds of the server's CPU time per request.
    pub(crate) cpu: f64,
    pub(crate) times: Vec<Duration>,
}

/// How requests are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As quickly as the server answers.
    Closed,
    /// So many a second.
    Rate(f64),
}

/// Sends requests `first .. first + count` and reads the server's CPU time before and after.
///
/// # Errors
/// With the first answer that is wrong, incomplete or missing.
pub(crate) async fn measure(
    server: &Server,
    connections: usize,
    workload: &Workload,
    pace: Pace,
    first: usize,
    count: usize,
) -> Result<Measured> {
    let mut driver = Driver::connect(server.address, connections).await?;
    settle().await;
    let before = Reading::take(server.id())?;
    let times = match pace {
        Pace::Closed => driver.closed(workload, first, count).await?,
        Pace::Rate(rate) => driver.open(workload, first, count, rate).await?,
    };
    settle().await;
    let used = Reading::take(server.id())?.since(&before);
    Ok(Measured { cpu: used.as_secs_f64() * 1e6 / count as f64, times })
}

/// Gives the server time to finish what it does after an answer (its log, a checkpoint).
pub(crate) async fn settle() {
    sleep(Duration::from_millis(25)).await;
}

/// Starts a server, has one request answered, ends it. Returns the milliseconds from start to answer.
///
/// # Errors
/// When it does not start or answers wrongly.
pub(crate) async fn time_to_first_answer(stage: &Stage, launch: &Launch, workload: &Workload) -> Result<f64> {
    let server = stage.start(launch).await?;
    let mut driver = Driver::unused(server.address, 1).await?;
    driver.closed(workload, 0, 1).await?;
    let time = server.started.elapsed().as_secs_f64() * 1e3;
    server.stop().await?;
    Ok(time)
}

/// The median time of a small durable write in `folder`, in microseconds: what every commit waits for.
///
/// # Errors
/// When the folder cannot be written to.
pub(crate) fn time_to_disk(folder: &Path) -> Result<f64> {
    let mut file = fs::File::create(folder.join("sync-probe"))?;
    let mut times = Vec::with_capacity(50);
    for _ in 0..50 {
        let begun = Instant::now();
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&times))
}

//! A server in a process of its own: started on its core, measured from outside, ended with the benchmark.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::time::sleep;

use crate::cores::Cores;

const ANNOUNCEMENT: &str = "listening on http://";
/// How often the log is looked at for the announcement: the error of a start time.
const GLANCE: Duration = Duration::from_millis(1);
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How to start a server: kept, because some are started several times.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// Where both of its outputs go. A file: reading a pipe would cost the driver's core a wake-up per line.
    pub(crate) log: PathBuf,
}

/// A running server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) started: Instant,
}

impl Server {
    /// Starts the server and waits until it announces its address.
    ///
    /// # Errors
    /// When it cannot be started, ends, or stays silent; with the end of its log.
    pub(crate) async fn start(launch: &Launch, cores: &Cores) -> Result<Self> {
        let log = File::create(&launch.log).with_context(|| format!("creating {}", launch.log.display()))?;
        let mut command = cores.command_for_server(&launch.program);
        command.args(&launch.arguments).envs(launch.environment.iter().map(|(name, value)| (name, value)));
        command.env_remove("RUST_LOG").env_remove("LETTERHEAD_KEY");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("starting {}", launch.program.display()))?;
        // Owned from here on, so that no way out leaves the process behind.
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { child, log: launch.log.clone(), address, started };
        loop {
            let said = fs::read_to_string(&launch.log).unwrap_or_default();
            if let Some(address) = announced(&said) {
                server.address = address;
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended ({status}) before it listened:\n{}", launch.program.display(), tail(&said));
            }
            if started.elapsed() > START_LIMIT {
                bail!("{} did not announce its address:\n{}", launch.program.display(), tail(&said));
            }
            sleep(GLANCE).await;
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the server said last, where it has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        Some(format!("it ended by itself ({status}), and said last:\n{}", tail(&said)))
    }

    /// Asks the server to end, and waits until it has; kills it if it does not obey.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let asked = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        if asked.is_ok_and(|status| status.success()) {
            let since = Instant::now();
            while since.elapsed() < STOP_LIMIT {
                if self.child.try_wait()?.is_some() {
                    return Ok(());
                }
                sleep(Duration::from_millis(5)).await;
            }
            bail!("process {} did not end within {STOP_LIMIT:?} of being asked", self.child.id());
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where the process has already ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The address in the announcement, once the line is whole.
fn announced(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once(ANNOUNCEMENT)?;
    let end = rest.find(|c: char| !(c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']')))?;
    rest.get(..end)?.parse().ok()
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::announced;

    #[test]
    fn an_address_is_read_from_a_whole_line_only() {
        assert_eq!(announced("warning: x\nlistening on http://127.0.0.1:80"), None);
        let address = announced("warning: x\nlistening on http://127.0.0.1:8081\n").unwrap();
        assert_eq!(address.to_string(), "127.0.0.1:8081");
        assert!(announced("{\"message\":\"listening on http://127.0.0.1:80\"}").is_some());
        assert_eq!(announced("nothing yet\n"), None);
    }
}

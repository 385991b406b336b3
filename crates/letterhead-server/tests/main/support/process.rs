//! The real program, for what only a process has: its logs, its lock, its signals.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A `letterhead serve` that runs. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
    pub(crate) url: String,
}

fn command(config: &Path, log: &Path, env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_letterhead"));
    prepared(&mut command, config, log, env);
    command
}

fn prepared(command: &mut Command, config: &Path, log: &Path, env: &[(&str, &str)]) {
    command.arg("serve").arg("--config").arg(config).args(["--listen", "127.0.0.1:0"]);
    command.current_dir(config.parent().unwrap()).env("RUST_LOG", "trace").env_remove("LETTERHEAD_LOG_DEPENDENCIES");
    command.env_remove("LETTERHEAD_KEY").env_remove("LETTERHEAD_KEY_PREVIOUS").envs(env.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log).unwrap());
}

impl Program {
    /// Starts it, and waits until it listens.
    pub(crate) async fn start(config: &Path, log: &Path) -> Self {
        Self::start_with(config, log, &[]).await
    }

    /// The same, with these in its environment.
    pub(crate) async fn start_with(config: &Path, log: &Path, env: &[(&str, &str)]) -> Self {
        Self::listening(command(config, log, env), log).await
    }

    /// The same, in a shell that has done something before: set a limit.
    #[cfg(unix)]
    pub(crate) async fn start_after(shell: &str, config: &Path, log: &Path) -> Self {
        let mut command = Command::new("sh");
        let script = format!(r#"{shell} && exec "$0" "$@""#);
        command.args(["-c", &script, env!("CARGO_BIN_EXE_letterhead")]);
        prepared(&mut command, config, log, &[]);
        Self::listening(command, log).await
    }

    async fn listening(mut command: Command, log: &Path) -> Self {
        let child = command.spawn().unwrap();
        let mut program = Self { child, log: log.to_owned(), url: String::new() };
        loop {
            let said = program.said();
            let listening = said.split_once("listening on ").and_then(|(_, rest)| rest.split_once('\n'));
            if let Some((url, _)) = listening {
                program.url = url.trim().to_owned();
                return program;
            }
            assert!(program.child.try_wait().unwrap().is_none(), "it ended: {said}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Starts one that is to fail, and gives what it said.
    pub(crate) fn fails(config: &Path, log: &Path) -> String {
        Self::fails_with(config, log, &[])
    }

    /// The same, with these in its environment.
    pub(crate) fn fails_with(config: &Path, log: &Path, env: &[(&str, &str)]) -> String {
        assert!(!command(config, log, env).status().unwrap().success());
        std::fs::read_to_string(log).unwrap()
    }

    /// What it has written to the standard error.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Asks it to stop, as a service manager does.
    pub(crate) fn terminate(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! The processes of a run and where they keep their files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::cores::Cores;
use crate::process::{Launch, Server};

/// What the server under test is.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// The `letterhead` program at this path.
    Letterhead(PathBuf),
    /// A second floor. Whatever differs then is noise.
    Floor,
}

/// Where Letterhead keeps its sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Store<'a> {
    /// `store: memory`.
    Memory,
    /// A SQLite database of this name in the run's folder.
    Sqlite(&'a str),
    /// A PostgreSQL database at this address.
    Postgres(&'a str),
}

/// The mock upstream, running, and the means to start servers in front of it.
pub(crate) struct Stage {
    cores: Cores,
    upstream: Server,
    subject: Subject,
    myself: PathBuf,
    folder: TempDir,
}

impl Stage {
    /// Makes the run's folder below `parent` and starts the upstream, which sends chunks `gap` milliseconds apart.
    ///
    /// # Errors
    /// When the folder cannot be made or the upstream does not start.
    pub(crate) async fn set(cores: Cores, subject: Subject, parent: &Path, gap: u64) -> Result<Self> {
        let folder = TempDir::with_prefix_in("letterhead-bench-", parent)
            .with_context(|| format!("making a folder in {}", parent.display()))?;
        fs::write(folder.path().join("letterhead.yaml"), include_str!("../letterhead.yaml"))?;
        fs::write(folder.path().join("variables.yaml"), include_str!("../variables.yaml"))?;
        fs::write(folder.path().join("agents.yaml"), include_str!("../agents.yaml"))?;
        let myself = std::env::current_exe()?;
        let launch = Launch {
            program: myself.clone(),
            arguments: vec!["upstream".into(), "--chunk-gap-ms".into(), gap.to_string()],
            environment: Vec::new(),
            log: folder.path().join("upstream.log"),
        };
        let upstream = Server::start(&launch, &Cores::beside_the_driver()).await?;
        Ok(Self { cores, upstream, subject, myself, folder })
    }

    pub(crate) fn cores(&self) -> &Cores {
        &self.cores
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The bare proxy.
    pub(crate) fn floor(&self) -> Launch {
        self.floor_called("floor")
    }

    /// The bare proxy, which also waits for the disk with every answer.
    pub(crate) fn durable_floor(&self) -> Launch {
        let mut launch = self.floor_called("durable-floor");
        let ledger = self.folder.path().join("ledger");
        launch.arguments.extend(["--ledger".into(), ledger.display().to_string()]);
        launch
    }

    fn floor_called(&self, name: &str) -> Launch {
        Launch {
            program: self.myself.clone(),
            arguments: vec!["floor".into(), "--upstream".into(), self.upstream_url()],
            environment: Vec::new(),
            log: self.folder.path().join(format!("{name}.log")),
        }
    }

    /// The server under test; `name` is that of its log.
    pub(crate) fn subject_with(&self, name: &str, store: Store<'_>) -> Launch {
        self.configured("letterhead.yaml", name, store)
    }

    /// The server under test, with agents that have context variables.
    pub(crate) fn with_variables(&self, store: Store<'_>) -> Launch {
        self.configured("variables.yaml", "variables", store)
    }

    /// The server under test, with agents that ask others and call tools.
    pub(crate) fn with_agents(&self, store: Store<'_>) -> Launch {
        self.configured("agents.yaml", "agents", store)
    }

    /// The server under test, with so many agents as this configuration has, and nothing stored.
    ///
    /// # Errors
    /// When the configuration cannot be written.
    pub(crate) fn with_crowd(&self, agents: usize, configuration: &str) -> Result<Launch> {
        let name = format!("crowd-{agents}.yaml");
        fs::write(self.folder.path().join(&name), configuration)?;
        Ok(self.configured(&name, &format!("crowd-{agents}"), Store::Memory))
    }

    fn configured(&self, configuration: &str, name: &str, store: Store<'_>) -> Launch {
        let Subject::Letterhead(program) = &self.subject else { return self.floor_called(name) };
        let store = match store {
            Store::Memory => "memory".to_owned(),
            Store::Sqlite(name) => format!("sqlite://{}", self.database(name).display()),
            Store::Postgres(address) => address.to_owned(),
        };
        let configuration = self.folder.path().join(configuration);
        Launch {
            program: program.clone(),
            arguments: vec!["serve".into(), "--config".into(), configuration.display().to_string()],
            environment: vec![("BENCH_UPSTREAM".into(), self.upstream_url()), ("BENCH_STORE".into(), store)],
            log: self.folder.path().join(format!("{name}.log")),
        }
    }

    /// Where the SQLite store called `name` is.
    pub(crate) fn database(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.db"))
    }

    fn upstream_url(&self) -> String {
        format!("http://{}", self.upstream.address)
    }

    /// Starts a server on its core.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) async fn start(&self, launch: &Launch) -> Result<Server> {
        Server::start(launch, &self.cores).await
    }

    /// Starts a second server under test: on a core of its own, where there is one.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) async fn start_second(&self, launch: &Launch) -> Result<Server> {
        Server::start(launch, &self.cores.for_a_second()).await
    }

    /// Says with an error whether the upstream is the reason.
    pub(crate) fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        match self.upstream.ended() {
            Some(ended) => error.context(format!("the mock upstream is gone: {ended}")),
            None => error,
        }
    }

    /// The same stage once more, with a folder and an upstream of its own, whose chunks are `gap` milliseconds apart.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub(crate) async fn with_gap(&self, gap: u64) -> Result<Self> {
        Self::set(self.cores.clone(), self.subject.clone(), self.parent()?, gap).await
    }

    /// Where the run's folder is.
    ///
    /// # Errors
    /// Never: it was made in one.
    pub(crate) fn parent(&self) -> Result<&Path> {
        self.folder.path().parent().context("the run's folder is in no folder")
    }
}

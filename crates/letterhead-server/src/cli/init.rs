//! `letterhead init`

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use anyhow::Context;
use clap::Args;

use super::{ConfigFile, say};
use crate::config::STARTER;

/// Writes a commented starter configuration.
#[derive(Debug, Args)]
pub(crate) struct Init {
    #[command(flatten)]
    config: ConfigFile,
    /// Overwrite a file that is there
    #[arg(long)]
    force: bool,
}

impl Init {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let path = &self.config.path;
        let mut options = OpenOptions::new();
        options.write(true).create_new(!self.force).create(true).truncate(self.force);
        let mut file = match options.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                anyhow::bail!("{} is there already; `--force` overwrites it", path.display())
            }
            Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
        };
        file.write_all(STARTER.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        say(&format!("wrote {}: it works as it is, with the built-in model", path.display()));
        say("next: `letterhead serve`, then `letterhead chat \"Hello!\"` in another terminal");
        Ok(())
    }
}

//! `letterhead key`

use clap::{Args, Subcommand};
use letterhead_store::VaultKey;
use zeroize::Zeroizing;

use crate::assembly::KEY;

/// Keys that secrets are stored with.
#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Print a new key, as a line for the environment: secret headers are then stored, encrypted with it
    New,
}

impl Key {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            KeyCommand::New => Ok(super::print(&Zeroizing::new(format!("{KEY}={}\n", *VaultKey::generate()?)))?),
        }
    }
}

//! `letterhead check`

mod behind;
mod dry_run;
mod show;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Args;

use super::{OnlyConfigFile, environment, say};
use crate::assembly;
use crate::config::{Colour, Report, Severity};
use dry_run::DryRun;

/// Checks a configuration.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterhead check                                    every fault of the configuration
  letterhead check -H 'user_id: u_1' --agent billing  what would happen to a request with this header
  letterhead check -H 'user_id: u_1' --fetch          the same, with its context variables fetched

With headers, an agent, a model, a user or a tenant it is a dry run: it prints what the agent would
be told and every request that would be sent, or what the request would be refused with (exit code
1). Nothing is stored, and nothing called unless --fetch says so. What is not fetched stands as
‹user.name›, and secrets as ******** or ‹headers.auth_token›. The store stays closed, so an API key
is taken for a valid one of the tenant `default`.")]
pub(crate) struct Check {
    #[command(flatten)]
    config: OnlyConfigFile,
    /// Take warnings for faults
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let path = self.config.file().path;
        let checked = match assembly::check(&path, &environment) {
            Ok(checked) => checked,
            Err(report) => {
                show(&report);
                return Ok(ExitCode::FAILURE);
            }
        };
        show(&checked.loaded.warnings);
        if self.strict && checked.loaded.warnings.count(Severity::Warning) > 0 {
            return Ok(ExitCode::FAILURE);
        }
        say(&format!("{} is valid", path.display()));
        if self.dry_run.is_asked_for() { self.dry_run.run(checked) } else { Ok(ExitCode::SUCCESS) }
    }
}

/// Shows a report as the terminal can.
pub(super) fn show(report: &Report) {
    if report.is_empty() {
        return;
    }
    let colour = Colour::choose(std::io::stderr().is_terminal(), &environment);
    say(report.render(colour).trim_end());
}

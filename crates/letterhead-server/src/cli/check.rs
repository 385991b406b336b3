//! `letterhead check`

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Args;

use super::{ConfigFile, environment, say};
use crate::assembly;
use crate::config::{Colour, Report, Severity};

/// Checks a configuration.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Take warnings for faults
    #[arg(long)]
    strict: bool,
}

impl Check {
    pub(super) fn run(self) -> ExitCode {
        let (report, faulty) = match assembly::check(&self.config.path, &environment) {
            Ok(checked) => (checked.loaded.warnings, false),
            Err(report) => (report, true),
        };
        show(&report);
        if faulty || (self.strict && report.count(Severity::Warning) > 0) {
            return ExitCode::FAILURE;
        }
        say(&format!("{} is valid", self.config.path.display()));
        ExitCode::SUCCESS
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

//! `letterhead map`

mod mermaid;
mod survey;
mod table;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::paint::Paint;
use super::{OnlyConfigFile, check, environment, print};
use crate::assembly;
use survey::Survey;

/// Prints where headers can go.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterhead map                          tables of headers, variables and destinations
  letterhead map --format json            for a program; docs/guides/headers.md has the shape
  letterhead map --format mermaid         a flowchart, for a Markdown file

It shows what can happen: what is not on the map, cannot. What did happen in a conversation, its
trail says: GET /api/v1/sessions/{id}/trail. No value is ever printed, only names.")]
pub(crate) struct Map {
    #[command(flatten)]
    config: OnlyConfigFile,
    /// How to print it
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Tables, for people
    Table,
    /// A document, for programs
    Json,
    /// A flowchart
    Mermaid,
}

impl Map {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let checked = match assembly::check(&self.config.file().path, &environment) {
            Ok(checked) => checked,
            Err(report) => {
                check::show(&report);
                return Ok(ExitCode::FAILURE);
            }
        };
        let survey = Survey::of(&checked);
        print(&match self.format {
            Format::Table => table::render(&survey, Paint::of(std::io::stdout().is_terminal())),
            Format::Json => serde_json::to_string_pretty(&survey)? + "\n",
            Format::Mermaid => mermaid::render(&survey),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

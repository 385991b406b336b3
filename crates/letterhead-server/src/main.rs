//! The command `letterhead`.

use std::process::ExitCode;

use clap::Parser;
use letterhead_server::cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    letterhead_server::cli::run(Cli::parse())
}

//! Runs: one agent's loop of model calls and tools, and what comes out of it.

mod answer;
mod children;
mod event;
mod limits;
mod runner;
mod tool_calls;
mod turn;

pub use event::{Events, RunEvent};
pub use limits::Limits;
pub use runner::{BuildError, Run, RunError, RunResult, RunStream, Runner, RunnerBuilder};
pub use turn::{Outcome, RunEnd, RunInput};

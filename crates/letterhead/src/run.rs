//! Runs: one agent's loop of model calls and tools, and what comes out of it.
//!
//! A program builds a [`Runner`] and awaits or streams a [`Run`]. A server that keeps sessions itself calls
//! [`Registry::run`](crate::Registry::run) with a [`RunInput`], and gets an [`Outcome`] however the run ended. Both see
//! the same [`RunEvent`]s.

mod admitted;
mod answer;
mod approval;
mod calling;
mod children;
mod closed;
mod event;
mod external;
mod hook;
mod limits;
mod lookup;
mod mcp;
mod model_call;
mod outcome;
mod output;
mod preview;
mod result;
mod runner;
mod shown;
mod single;
mod stream;
mod tool_calls;
mod turn;

pub use crate::registry::BuildError;
pub use letterhead_store::{ChildRun, KeptVariable, NewMessage, Role, Status};

pub use approval::{AnsweredApproval, ApprovalAnswer, ApprovedCalls, OpenCalls, PendingApproval, unanswered};
pub use closed::closed;
pub use event::{Events, RunEvent};
pub use limits::Limits;
pub use outcome::{Outcome, RunEnd, RunInput};
pub use preview::{Preview, PreviewHeader};
pub use result::{RunError, RunResult};
pub use runner::{Runner, RunnerBuilder};
pub use single::Run;
pub use stream::RunStream;

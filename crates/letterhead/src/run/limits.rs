//! What bounds a run, so that no loop of models, tools and agents goes on for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Bounds of a turn.
///
/// ```
/// use letterhead::{Agent, Limits, Runner};
///
/// let mut limits = Limits::default();
/// limits.max_turns = 3;
/// let runner = Runner::with_agents([Agent::new("assistant")]).limits(limits).build()?;
/// # let _ = runner;
/// # Ok::<(), letterhead::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Model calls of one run: 10.
    pub max_turns: u32,
    /// How deep agents may ask agents: 4.
    pub depth: u32,
    /// Runs of one turn, its own included: 32.
    pub runs: u32,
    /// How long one call of a [`Tool`](crate::tool::Tool) of the program, or one look-up, may take: five minutes. One that hangs
    /// is given up then, and the model is told. HTTP tools, MCP servers and external agents have times of their own.
    pub tool_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_turns: 10, depth: 4, runs: 32, tool_time: Duration::from_secs(300) }
    }
}

/// Counts the runs of one turn, over all its children.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunCount(Arc<AtomicU32>);

impl RunCount {
    /// Starts another run, unless there are enough.
    pub(crate) fn start(&self, limit: u32) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) < limit
    }
}

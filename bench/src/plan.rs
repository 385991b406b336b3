//! How much is measured. Every count is bounded here.

/// The sizes of a run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How often floor and Letterhead take turns.
    pub(crate) rounds: usize,
    /// Connections of the closed loop.
    pub(crate) connections: usize,
    /// Requests of one CPU measurement, where the answer is one document.
    pub(crate) documents: usize,
    /// Requests of one CPU measurement, where it is a stream.
    pub(crate) streams: usize,
    /// Requests a second of the open loop.
    pub(crate) rate: f64,
    /// Requests of one latency measurement.
    pub(crate) paced: usize,
    /// Turns of one measurement of fetches, one after the other.
    pub(crate) fetches: usize,
    /// Batches of the header step.
    pub(crate) header_batches: usize,
    /// Starts per server.
    pub(crate) starts: usize,
    /// Numbers of stored sessions to compare; empty: leave the table out.
    pub(crate) stored: Vec<usize>,
    /// Lengths of history to compare, in messages; empty: leave the table out.
    pub(crate) history: Vec<usize>,
    /// Sessions of each length in one round.
    pub(crate) history_sessions: usize,
    /// Rounds of the two scaling tables.
    pub(crate) scaling_rounds: usize,
    /// Streams to be open at once; as many as the machine allows.
    pub(crate) open_streams: usize,
    /// Milliseconds between the chunks of those: all have to be opened before the first has ended.
    pub(crate) open_gap: u64,
}

impl Plan {
    /// About twelve minutes on a quiet machine of two cores.
    pub(crate) fn full() -> Self {
        Self {
            rounds: 7,
            connections: 16,
            documents: 4_000,
            streams: 2_000,
            rate: 500.0,
            paced: 1_500,
            fetches: 40,
            header_batches: 200,
            starts: 7,
            stored: vec![10, 10_000, 200_000],
            history: vec![2, 20, 200],
            history_sessions: 150,
            scaling_rounds: 5,
            open_streams: 10_000,
            open_gap: 2_000,
        }
    }

    /// About a minute: enough to see that everything works, too little to believe the figures.
    pub(crate) fn quick() -> Self {
        Self {
            rounds: 3,
            documents: 600,
            streams: 300,
            paced: 300,
            fetches: 8,
            header_batches: 20,
            starts: 3,
            stored: vec![10, 2_000],
            history: vec![2, 20],
            history_sessions: 40,
            scaling_rounds: 3,
            open_streams: 400,
            open_gap: 250,
            ..Self::full()
        }
    }
}

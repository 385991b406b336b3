//! The application: what every request needs.

use std::sync::Arc;
use std::time::Duration;

use letterhead::{Limits, Registry};
use letterhead_context::{Ingress, ListedEnv};
use letterhead_store::{Clock, Fingerprints, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Authenticator;
use crate::caller_limits::CallerLimits;
use crate::credentials::LiveCredentials;
use crate::edge::Edge;
use crate::logging::{AccessLog, Outage};
use crate::model_choice::ModelAliases;
use crate::readiness::Readiness;

/// What every request needs. Built once, when the server starts.
pub struct App {
    /// Agents and providers.
    pub registry: Registry,
    /// Which headers are admitted.
    pub ingress: Ingress,
    /// Who is calling.
    pub auth: Authenticator,
    /// How many turns each caller may begin.
    pub caller_limits: CallerLimits,
    /// Where sessions are kept.
    pub store: Arc<dyn Store>,
    /// Which hosts and origins are answered.
    pub edge: Edge,
    /// Names that clients send as model.
    pub aliases: ModelAliases,
    /// The request fields that clients may set; none is all of OpenAI's.
    pub allow_params: Option<Vec<String>>,
    /// The environment values that templates of destinations may read.
    pub env: ListedEnv,
    /// The operator's credentials, for destinations.
    pub credentials: LiveCredentials,
    /// What bounds a run.
    pub limits: Limits,
    /// What bounds documents.
    pub documents: DocumentLimits,
    /// How long turns wait and go on.
    pub timing: Timing,
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The turns that run.
    pub turns: Turns,
    /// Where every request leaves a line.
    pub access_log: AccessLog,
    /// Stand for secrets where those themselves may not be written.
    pub fingerprints: Arc<Fingerprints>,
    /// Whether the store answers.
    pub readiness: Readiness,
    /// Whether the log was told that the store is away.
    pub outage: Outage,
}

/// What bounds documents that callers write.
#[derive(Clone, Copy, Debug)]
pub struct DocumentLimits {
    /// The bytes of one's text.
    pub size: usize,
    /// How many a user may have.
    pub per_user: usize,
}

/// How long turns wait for each other, and go on without their client.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a turn waits for the one before it.
    pub turn_wait: Duration,
    /// How long a turn goes on when its client has gone.
    pub disconnect_grace: Duration,
    /// After what silence a stream gets a comment line.
    pub keep_alive: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            turn_wait: Duration::from_secs(10),
            disconnect_grace: Duration::ZERO,
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// The turns that run, so that a stopping server can wait for them.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    /// One task a turn.
    pub tasks: TaskTracker,
    /// Fires when the server stops taking turns.
    pub closing: CancellationToken,
    /// Fires when the turns that still run are to be cut off.
    pub cut_off: CancellationToken,
}

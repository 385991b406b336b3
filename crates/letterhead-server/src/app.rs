//! The application: what every request needs, the layers it passes, in order, and the routes, in one list.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use letterhead::{Limits, Registry};
use letterhead_context::{Ingress, ListedEnv};
use letterhead_store::{Clock, Fingerprints, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Authenticator, WELL_KNOWN};
use crate::caller_limits::CallerLimits;
use crate::credentials::LiveCredentials;
use crate::edge::{self, Edge};
use crate::logging::{AccessLog, Outage};
use crate::model_choice::ModelAliases;
use crate::readiness::Readiness;
use crate::routes::{self, a2a::LiveTasks};

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
    /// The tasks of A2A clients, while their turns run.
    pub tasks: LiveTasks,
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

/// The routes of an application, behind the layers that every request passes.
pub fn router(app: Arc<App>) -> Router {
    let routes = Router::new()
        // OpenAI's protocol, and the same with named events between the chunks
        .route("/v1/chat/completions", post(routes::chat_completions::openai))
        .route("/api/v1/chat/completions", post(routes::chat_completions::with_events))
        .route("/api/v1/chat/completions/{session_id}", post(routes::chat_completions::with_events_in_session))
        .route("/v1/models", get(routes::models::list))
        .route("/v1/models/{*id}", get(routes::models::one))
        .route("/v1/responses", post(routes::responses::planned))
        // the Vercel AI SDK's UI message stream
        .route("/api/chat", post(routes::ui_chat::chat))
        .route("/api/chat/{id}/stream", get(routes::ui_chat::resume))
        // MCP: each agent is a tool
        .route("/mcp", post(routes::mcp::post))
        // A2A: each turn is a task
        .route("/a2a", post(routes::a2a::post))
        .route("/.well-known/agent-card.json", get(routes::a2a::agent_card))
        .route("/a2a/.well-known/agent-card.json", get(routes::a2a::agent_card))
        // what is kept
        .route("/api/v1/sessions", get(routes::sessions::list))
        .route("/api/v1/sessions/{id}", get(routes::sessions::one).delete(routes::sessions::delete))
        .route("/api/v1/sessions/{id}/messages", get(routes::sessions::messages))
        .route("/api/v1/sessions/{id}/trail", get(routes::sessions::trail))
        .route("/api/v1/sessions/{id}/turns", get(routes::turns::list))
        .route("/api/v1/sessions/{id}/turns/{turn}", get(routes::turns::one))
        // what agents look up
        .route("/api/v1/docs", get(routes::docs::list))
        .route("/api/v1/docs/{key}", get(routes::docs::one).put(routes::docs::put).delete(routes::docs::delete))
        // who issues tokens: a client without one has to be able to ask
        .route(WELL_KNOWN, get(routes::well_known::protected_resource))
        .route("/.well-known/oauth-protected-resource/mcp", get(routes::well_known::protected_mcp))
        // is it alive, can it work
        .route("/health", get(routes::health::alive))
        .route("/ready", get(routes::health::ready))
        .fallback(routes::nothing_here)
        .method_not_allowed_fallback(routes::wrong_method)
        .with_state(Arc::clone(&app));
    // Host, Origin, content type and request id, before anything else looks at a request.
    routes.layer(from_fn_with_state(app, edge::pass))
}

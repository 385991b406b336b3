//! The routes, in one list, and the layers that every request passes, in order. One file per endpoint.

pub mod a2a;
pub mod chat_completions;
pub mod docs;
pub mod health;
pub mod mcp;
pub mod models;
pub mod responses;
pub mod sessions;
pub mod turns;
pub mod ui_chat;
pub mod well_known;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, OriginalUri, Request, State};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use http::{Method, header};
use letterhead_context::name::nearest;
use letterhead_context::{Code, Problem};
use tower::ServiceExt;

use crate::app::App;
use crate::arrival::Reading;
use crate::auth::WELL_KNOWN;
use crate::edge;
use crate::error::Failure;

/// A path, and what answers there.
type Route = (&'static str, fn() -> MethodRouter<Arc<App>>);

/// The routes, in one list.
const ROUTES: &[Route] = &[
    // OpenAI's protocol, and the same with named events between the chunks
    ("/v1/chat/completions", || post(chat_completions::openai)),
    ("/api/v1/chat/completions", || post(chat_completions::with_events)),
    ("/api/v1/chat/completions/{session_id}", || post(chat_completions::with_events_in_session)),
    ("/v1/models", || get(models::list)),
    ("/v1/models/{*id}", || get(models::one)),
    ("/v1/responses", || post(responses::planned)),
    // the Vercel AI SDK's UI message stream
    ("/api/chat", || post(ui_chat::chat)),
    ("/api/chat/{id}/stream", || get(ui_chat::resume)),
    // MCP: each agent is a tool
    ("/mcp", || post(mcp::post)),
    // A2A: each turn is a task
    ("/a2a", a2a::route),
    ("/.well-known/agent-card.json", || get(a2a::agent_card)),
    ("/a2a/.well-known/agent-card.json", || get(a2a::agent_card)),
    // what is kept
    ("/api/v1/sessions", || get(sessions::list)),
    ("/api/v1/sessions/{id}", || get(sessions::one).delete(sessions::delete)),
    ("/api/v1/sessions/{id}/messages", || get(sessions::messages)),
    ("/api/v1/sessions/{id}/trail", || get(sessions::trail)),
    ("/api/v1/sessions/{id}/turns", || get(turns::list)),
    ("/api/v1/sessions/{id}/turns/{turn}", || get(turns::one)),
    // what agents look up
    ("/api/v1/docs", || get(docs::list)),
    ("/api/v1/docs/{key}", || get(docs::one).put(docs::put).delete(docs::delete)),
    // who issues tokens: a client without one has to be able to ask
    (WELL_KNOWN, || get(well_known::protected_resource)),
    ("/.well-known/oauth-protected-resource/mcp", || get(well_known::protected_mcp)),
    // is it alive, can it work
    ("/health", || get(health::alive)),
    ("/ready", || get(health::ready)),
];

/// The routes of an application, behind the layers that every request passes.
pub fn router(app: Arc<App>) -> Router {
    let routes = ROUTES.iter().fold(Router::new(), |routes, (path, route)| routes.route(path, route()));
    let routes = routes.fallback(nothing_here).method_not_allowed_fallback(wrong_method).with_state(Arc::clone(&app));
    // Host, Origin, content type and request id, before anything else looks at a request.
    routes.layer(from_fn_with_state(app, edge::pass))
}

/// What is not there.
pub(crate) async fn nothing_here(reading: Reading, OriginalUri(uri): OriginalUri) -> Failure {
    let hint = match uri.path().trim_end_matches('/') {
        "/chat/completions" | "/completions" | "/v1" => {
            "; OpenAI clients use a base URL that ends with `/v1`".to_owned()
        }
        path => match nearest_path(path) {
            Some(path) => format!("; did you mean `{path}`?"),
            None => "; `/v1/chat/completions` and `/v1/models` are OpenAI's, `/health` says that the server is up"
                .to_owned(),
        },
    };
    reading.failure(Problem::new(Code::NotFound, format!("there is nothing at this path{hint}")))
}

/// The path that is most like this one. What a caller chooses in it, such as an id, is taken for right.
fn nearest_path(path: &str) -> Option<String> {
    let filled = |(known, _): &Route| {
        let mut sent = path.split('/');
        let parts = known.split('/').map(|part| match sent.next() {
            Some(sent) if part.starts_with('{') => sent,
            _ => part,
        });
        (parts.collect::<Vec<_>>().join("/"), known.replace("{*", "{"))
    };
    // A path as long as a body is nobody's slip.
    let filled: Vec<(String, String)> = ROUTES.iter().filter(|_| path.len() <= 256).map(filled).collect();
    let near = nearest(path, filled.iter().map(|(filled, _)| filled.as_str()))?;
    filled.iter().find(|(filled, _)| filled == near).map(|(_, known)| known.clone())
}

/// What is there, with another method.
pub(crate) async fn wrong_method(
    State(app): State<Arc<App>>,
    path: MatchedPath,
    reading: Reading,
    method: Method,
) -> Failure {
    let takes = taken(app, path.as_str()).await.map_or_else(String::new, |methods| format!(": it takes {methods}"));
    reading.failure(Problem::new(Code::MethodNotAllowed, format!("{method} is not allowed here{takes}")))
}

/// The methods that a path takes, as its route tells one that no path takes.
async fn taken(app: Arc<App>, path: &str) -> Option<String> {
    let (_, route) = ROUTES.iter().find(|(known, _)| *known == path)?;
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::TRACE;
    let refused = route().with_state(app).oneshot(request).await.ok()?;
    Some(refused.headers().get(header::ALLOW)?.to_str().ok()?.replace(',', ", "))
}

#[cfg(test)]
mod tests {
    use super::nearest_path;

    #[test]
    fn a_slip_in_a_path_is_met_with_the_nearest() {
        for (path, known) in [
            ("/v1/chat/completion", "/v1/chat/completions"),
            ("/v1/chat/completions/", "/v1/chat/completions"),
            ("/v1/model", "/v1/models"),
            ("/api/v1/session/0198c0de-0000-7000-8000-000000000000/trail", "/api/v1/sessions/{id}/trail"),
            ("/api/v1/session", "/api/v1/sessions"),
            ("/api/v1/sessions/s1/turn/7", "/api/v1/sessions/{id}/turns/{turn}"),
            ("/v1/model/assistant", "/v1/models/{id}"),
            ("/healthz", "/health"),
        ] {
            assert_eq!(nearest_path(path).as_deref(), Some(known), "{path}");
        }
        for path in ["/", "/favicon.ico", "/wp-login.php", &"/v1".repeat(1000)] {
            assert_eq!(nearest_path(path), None, "{path}");
        }
    }
}

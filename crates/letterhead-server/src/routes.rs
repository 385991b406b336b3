//! One file per endpoint.

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

use axum::extract::OriginalUri;
use http::Method;
use letterhead_context::name::nearest;
use letterhead_context::{Code, Problem};

use crate::arrival::Reading;
use crate::error::Failure;

/// The paths of the server, as a wrong one is met with the nearest.
const PATHS: [&str; 19] = [
    "/v1/chat/completions",
    "/v1/models",
    "/v1/models/{id}",
    "/api/v1/chat/completions",
    "/api/v1/chat/completions/{session_id}",
    "/api/chat",
    "/api/chat/{id}/stream",
    "/mcp",
    "/a2a",
    "/.well-known/agent-card.json",
    "/api/v1/sessions",
    "/api/v1/sessions/{id}",
    "/api/v1/sessions/{id}/messages",
    "/api/v1/sessions/{id}/trail",
    "/api/v1/sessions/{id}/turns",
    "/api/v1/docs",
    "/api/v1/docs/{key}",
    "/health",
    "/ready",
];

/// What is not there.
pub(crate) async fn nothing_here(reading: Reading, OriginalUri(uri): OriginalUri) -> Failure {
    let hint = match uri.path().trim_end_matches('/') {
        "/chat/completions" | "/completions" | "/v1" => "; OpenAI clients use a base URL that ends with `/v1`".to_owned(),
        path => match nearest_path(path) {
            Some(path) => format!("; did you mean `{path}`?"),
            None => "; `/v1/chat/completions` and `/v1/models` are OpenAI's, `/health` says that the server is up".to_owned(),
        },
    };
    reading.failure(Problem::new(Code::NotFound, format!("there is nothing at this path{hint}")))
}

/// The path that is most like this one. What a caller chooses in it, such as an id, is taken for right.
fn nearest_path(path: &str) -> Option<&'static str> {
    let filled = |known: &'static str| {
        let mut sent = path.split('/');
        let parts = known.split('/').map(|part| match sent.next() {
            Some(sent) if part.starts_with('{') => sent,
            _ => part,
        });
        (parts.collect::<Vec<_>>().join("/"), known)
    };
    // A path as long as a body is nobody's slip.
    let filled: Vec<(String, &str)> = PATHS.into_iter().filter(|_| path.len() <= 256).map(filled).collect();
    let near = nearest(path, filled.iter().map(|(filled, _)| filled.as_str()))?;
    filled.iter().find(|(filled, _)| filled == near).map(|(_, known)| *known)
}

/// What is there, with another method.
pub(crate) async fn wrong_method(reading: Reading, method: Method) -> Failure {
    reading.failure(Problem::new(Code::MethodNotAllowed, format!("{method} is not allowed here")))
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
            ("/healthz", "/health"),
        ] {
            assert_eq!(nearest_path(path), Some(known), "{path}");
        }
        for path in ["/", "/favicon.ico", "/wp-login.php", &"/v1".repeat(1000)] {
            assert_eq!(nearest_path(path), None, "{path}");
        }
    }
}

//! `/health`: the process is alive. `/ready`: it can take turns.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use letterhead_context::{Code, Problem};
use serde_json::json;

use crate::app::App;
use crate::edge::RequestId;
use crate::error::{Failure, store_problem};

/// The process is alive.
pub async fn alive() -> Json<serde_json::Value> {
    Json(json!({ "status": "ok" }))
}

/// The store answers, or did within the last second, and the server takes turns.
pub async fn ready(State(app): State<Arc<App>>, Extension(id): Extension<RequestId>) -> Response {
    if app.turns.closing.is_cancelled() {
        return Failure::new(Problem::new(Code::ShuttingDown, "the server is shutting down"), id.as_str())
            .into_response();
    }
    let asked = async { app.store.ready().await.map_err(|error| store_problem(&error)) };
    match app.readiness.ask(asked).await {
        Ok(()) => Json(json!({ "status": "ready" })).into_response(),
        Err(problem) => Failure::new(problem, id.as_str()).into_response(),
    }
}

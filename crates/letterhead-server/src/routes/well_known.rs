//! `/.well-known/oauth-protected-resource[/mcp]`: who issues tokens for this server (RFC 9728). Readable by everyone.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use http::{HeaderMap, header};
use letterhead_context::{Code, Problem};
use serde_json::Value;

use crate::app::App;
use crate::auth::Reached;
use crate::edge::RequestId;
use crate::error::Failure;

type Document = Result<([(header::HeaderName, &'static str); 1], Json<Value>), Failure>;

/// For the whole server.
pub async fn protected_resource(State(app): State<Arc<App>>, id: Extension<RequestId>, headers: HeaderMap) -> Document {
    document(&app, "", &id, &headers)
}

/// For the MCP endpoint.
pub async fn protected_mcp(State(app): State<Arc<App>>, id: Extension<RequestId>, headers: HeaderMap) -> Document {
    document(&app, "/mcp", &id, &headers)
}

fn document(app: &App, path: &str, id: &RequestId, headers: &HeaderMap) -> Document {
    match app.auth.metadata().document(path, &Reached::by(headers)) {
        // It has the address that this client used.
        Some(document) => Ok(([(header::CACHE_CONTROL, "no-store")], Json(document))),
        None => {
            let detail = "no issuer of tokens is configured here (`auth.jwt`), or its name is no address";
            Err(Failure::new(Problem::new(Code::NotFound, detail), id.as_str()))
        }
    }
}

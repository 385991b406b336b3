//! `POST /mcp`: Letterhead as an MCP server (streamable HTTP). Each agent is a tool; calling it is a turn.
//!
//! The revisions that open with a handshake (2025-11-25 and before) and the one whose requests stand alone (2026-07-28) are
//! served by one route, and neither keeps a session of the protocol's own: a conversation is named by `X-Session-Id` or the
//! argument `session_id`, as everywhere else. `GET` and `DELETE` would be about such sessions, and are 405.
//!
//! The protocol is spoken by hand. The official library's server takes a request's raw headers down to its handlers and gives
//! those no say in the HTTP status; here the headers end at [`Undecided`], and a caller over its limit is a 429.

mod answer;
mod approval;
mod call;
mod message;
mod progress;
mod revision;
mod tools;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::arrival::Undecided;
use crate::json_rpc::Message;

use answer::{Fault, respond};
use message::Request;
use revision::{PER_REQUEST, ProtocolHeaders, Revision, SUPPORTED};

/// Answers a message of a client.
pub async fn post(State(app): State<Arc<App>>, sent: ProtocolHeaders, arrived: Undecided) -> Response {
    let body = arrived.body.clone();
    let message = match Message::read(&body) {
        Ok(message) => message,
        Err(malformed) => return Fault::from(malformed).response(None),
    };
    match message {
        Message::Request(request) => match Request::of(request) {
            Ok(request) => match Revision::of_request(&request, &sent) {
                Ok(revision) => dispatch(&app, &request, revision, &sent, arrived).await,
                Err(fault) => fault.response(Some(&request.id)),
            },
            Err(fault) => fault.response(None),
        },
        Message::Notification { method } => match revision::check_notification(&method, &sent) {
            Ok(()) => StatusCode::ACCEPTED.into_response(),
            Err(fault) => fault.response(None),
        },
        // Nothing is ever asked of a client.
        Message::Response => StatusCode::ACCEPTED.into_response(),
    }
}

async fn dispatch(
    app: &Arc<App>,
    request: &Request<'_>,
    revision: Revision,
    sent: &ProtocolHeaders,
    arrived: Undecided,
) -> Response {
    if request.method == "tools/call" {
        return call::call(app, request, revision, sent.takes_events, arrived).await;
    }
    // Everything else starts no turn, and reads identity alone.
    if let Err(failure) = arrived.reading() {
        return answer::failed(&request.id, failure);
    }
    let result = match (revision, &*request.method) {
        (Revision::Handshake, "initialize") => initialize(request),
        (Revision::Handshake, "ping") => Ok(json!({})),
        (Revision::PerRequest, "server/discover") => Ok(discover()),
        (_, "tools/list") => tools::list(&app.registry, request),
        _ => Err(Fault::unknown_method(&request.method, revision)),
    };
    match result {
        Ok(result) => respond(&request.id, &revision.complete(result)),
        Err(fault) => fault.response(Some(&request.id)),
    }
}

/// Opens a conversation of the older revisions: the one that is asked for if it is known here, else the newest of them.
fn initialize(request: &Request<'_>) -> Result<Value, Fault> {
    let asked =
        request.params.get::<String>("protocolVersion", "a string").map_err(|problem| Fault::invalid(&problem))?;
    Ok(json!({
        "protocolVersion": revision::negotiated(asked.as_deref()),
        "capabilities": { "tools": {} },
        "serverInfo": server_info(),
        "instructions": INSTRUCTIONS,
    }))
}

/// What this server is and can do, for clients of the newest revision.
fn discover() -> Value {
    json!({
        "supportedVersions": SUPPORTED,
        "capabilities": { "tools": {} },
        "instructions": INSTRUCTIONS,
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": { PER_REQUEST.server_info: server_info() },
    })
}

fn server_info() -> Value {
    json!({ "name": "letterhead", "title": "Letterhead", "version": env!("CARGO_PKG_VERSION") })
}

/// What a host may tell its model.
const INSTRUCTIONS: &str = "Each tool is an agent. Say what you want of it in `input`. To go on with a conversation, give the \
                            same `session_id` with every call; a call without one begins a new conversation.";

//! The agent card: what A2A clients read before they ask. Readable by everyone.

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use letterhead::Agent;
use letterhead_context::{Code, Problem};
use serde_json::{Map, Value, json};

use super::content::INPUT_MODES;
use crate::app::App;
use crate::auth::Reached;
use crate::edge::RequestId;
use crate::error::Failure;

/// What an agent's answers are, as media types.
pub(super) fn output_modes(agent: &Agent) -> &'static [&'static str] {
    if agent.output().is_some() { &["text/plain", "application/json"] } else { &["text/plain"] }
}

/// `GET /.well-known/agent-card.json`, and the same below `/a2a`.
pub async fn agent_card(State(app): State<Arc<App>>, id: Extension<RequestId>, headers: HeaderMap) -> Response {
    let Some(base) = app.auth.metadata().base(&Reached::by(&headers)) else {
        let detail = "the request does not say how it reached this server; send a `Host`, or set `server.public_url`";
        return Failure::new(Problem::new(Code::NotFound, detail), id.as_str()).into_response();
    };
    // Nothing in it has keys that are no text.
    let body = serde_json::to_vec(&card(&app, &base)).unwrap_or_default();
    let tag = tag(&body);
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(body) });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let into = response.headers_mut();
    into.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Where nobody has said how clients reach this server, the card has the address that this one used.
    let caching = if app.auth.metadata().has_public_url() { "public, max-age=300" } else { "no-store" };
    into.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        into.insert(header::ETAG, tag);
    }
    response
}

/// A text that changes with the card.
fn tag(body: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, body);
    let hex: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn card(app: &App, base: &str) -> Value {
    let entry = app.registry.entry();
    let mut card = json!({
        "name": entry.name(),
        "description": described(entry),
        "version": env!("CARGO_PKG_VERSION"),
        "supportedInterfaces": [
            { "url": format!("{base}/a2a"), "protocolBinding": "JSONRPC", "protocolVersion": "1.0" },
        ],
        "capabilities": { "streaming": true, "pushNotifications": false, "extendedAgentCard": false },
        "defaultInputModes": INPUT_MODES,
        "defaultOutputModes": ["text/plain"],
        "skills": app.registry.agents().map(|agent| skill(agent, agent.name() == entry.name())).collect::<Vec<_>>(),
    });
    let ways = app.auth.credentials_read();
    if let (Value::Object(members), false) = (&mut card, ways.is_empty()) {
        let schemes: Map<String, Value> = ways.iter().map(|way| (way.name.to_owned(), scheme(way))).collect();
        members.insert("securitySchemes".to_owned(), schemes.into());
        if !app.auth.serves_anonymous() {
            let requirement = |name: &str| json!({ "schemes": { name: { "list": [] } } });
            let requirements: Vec<Value> = ways.iter().map(|way| requirement(way.name)).collect();
            members.insert("securityRequirements".to_owned(), requirements.into());
        }
    }
    card
}

fn described(agent: &Agent) -> String {
    agent.description().map_or_else(|| format!("The agent {}.", agent.name()), str::to_owned)
}

/// An agent as a skill. The one that is asked if none is named needs no header.
fn skill(agent: &Agent, is_entry: bool) -> Value {
    let name = agent.name();
    let mut description = described(agent);
    if !is_entry {
        description.push_str(&format!(" Asked by the header `X-Agent-Schema: {name}`."));
    }
    json!({
        "id": name, "name": name, "description": description, "tags": ["agent"],
        "outputModes": output_modes(agent),
    })
}

/// A way to be known, as the card says it.
fn scheme(way: &crate::auth::Way) -> Value {
    match way.key_header {
        Some(header) => {
            json!({ "apiKeySecurityScheme": { "location": "header", "name": header, "description": way.description } })
        }
        None => {
            let mut scheme = json!({ "scheme": "Bearer", "description": way.description });
            if let (Value::Object(members), Some(format)) = (&mut scheme, way.format) {
                members.insert("bearerFormat".to_owned(), format.into());
            }
            json!({ "httpAuthSecurityScheme": scheme })
        }
    }
}

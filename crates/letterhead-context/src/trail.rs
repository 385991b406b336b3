//! The record of a turn: which header went to which destination, from which layer, and what was left out, and why.
//!
//! A trail holds names, never values.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What kind of thing outside receives a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DestinationKind {
    /// A model's API.
    Llm,
    /// The instructions of an agent: what the model is told.
    Instructions,
    /// The HTTP API behind a context variable.
    Fetcher,
    /// An HTTP tool.
    Tool,
    /// An MCP server.
    McpServer,
    /// An agent on another machine.
    ExternalAgent,
}

/// The layer that a header of an LLM call came from. A later layer wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layer {
    /// The provider's own credential (`api_key`).
    Credential,
    /// `providers.<name>.headers`.
    Provider,
    /// `agents.<name>.headers`.
    Agent,
    /// Set for this run alone.
    Runtime,
    /// The `headers` of a tool, fetcher, MCP server or external agent, or a template in instructions.
    Destination,
}

/// The part of a request, other than its headers, that a context header went into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RequestPart {
    /// The address.
    Url,
    /// The parameters of the address.
    Query,
    /// The body.
    Body,
}

/// One header and one destination in one turn.
///
/// Serialises as an element of `GET /api/v1/sessions/{id}/trail`, without the turn's number, which the store adds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailEntry {
    /// The agent on whose behalf the call was made.
    pub agent: Arc<str>,
    /// The destination, as `letterhead map` names it: `providers.openai`, `agents.assistant.instructions`.
    pub destination: Arc<str>,
    /// What kind of destination it is.
    pub kind: DestinationKind,
    /// The header that went out, or stayed; for instructions, and where there is a `part`, the context header that was read.
    pub header: Arc<str>,
    /// Where the value came from: `headers.user_id`, `runtime_headers`, `literal`, `api_key`.
    pub from: Arc<str>,
    /// The part of the request that it went into, if that was no header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<RequestPart>,
    /// The layer that won, or that would have won.
    pub layer: Layer,
    /// Whether it was put on the call, or into the prompt. A call of a fetcher, an HTTP tool or an external agent that reached
    /// nobody sent nothing; whether another call reached anybody is the turn's own matter.
    pub sent: bool,
    /// Why it was left out, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'static, str>>,
}

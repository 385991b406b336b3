//! What `mcp_servers:` and `external_agents:` have in common: an address that is asked again and again, and the headers of every
//! request.

use std::time::Duration;

use super::{
    outgoing::{OutgoingHeader, read_headers_at},
    pointer::Pointer,
    request::address,
    section::Section,
    template::TemplateSource,
    token_exchange::TokenExchange,
};

/// An address that is asked again and again, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// The address. Its scheme, host and port are literal, or from the environment.
    pub url: TemplateSource,
    /// The headers of every request, in the file's order.
    pub headers: Vec<OutgoingHeader>,
    /// The names of those that may differ from call to call.
    pub per_call: Vec<String>,
    /// How long asking may take.
    pub timeout: Duration,
    /// Whether requests carry the turn's `traceparent`.
    pub trace: bool,
    /// How the token of its requests is got.
    pub exchange: Option<TokenExchange>,
    /// Where it stands.
    pub pointer: Pointer,
}

impl Endpoint {
    /// Reads it; nothing without an address, of which `example` is one. `timeout` is how long asking may take unless the file
    /// says otherwise.
    pub(super) fn read(name: &str, section: &Section<'_>, timeout: Duration, example: &str) -> Self {
        let headers = section.child("headers");
        let is_per_call = |entry: &Section<'_>| entry.is_map() && entry.child("per_call").bool(false);
        let per_call = headers.entries().into_iter().filter(|(_, entry)| is_per_call(entry));
        Self {
            name: name.to_owned(),
            per_call: per_call.map(|(name, _)| name.to_owned()).collect(),
            headers: read_headers_at(&headers, |entry| if entry.is_map() { entry.child("value") } else { entry }),
            timeout: section.child("timeout").duration(timeout),
            trace: section.child("trace").bool(true),
            exchange: TokenExchange::read(&section.child("auth")),
            pointer: section.pointer().clone(),
            url: address(&section.child("url"), section, example),
        }
    }
}

//! `external_agents:` — agents on other machines, by the Agent2Agent protocol.

use std::time::Duration;

use super::{
    outgoing::{OutgoingHeader, read_headers_at},
    pointer::Pointer,
    request::{check_address, missing_address},
    section::Section,
    template::TemplateSource,
    token_exchange::TokenExchange,
};

/// How long a question may take, unless the file says otherwise.
const TIMEOUT: Duration = Duration::from_secs(120);

/// An agent on another machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExternalAgent {
    /// Its name.
    pub name: String,
    /// What it is good for, told to the models that may ask it.
    pub description: Option<TemplateSource>,
    /// The address below which its card is. Its scheme, host and port are literal, or from the environment.
    pub url: TemplateSource,
    /// The headers of every request, in the file's order.
    pub headers: Vec<OutgoingHeader>,
    /// The names of those that may differ from call to call.
    pub per_call: Vec<String>,
    /// How long a question may take.
    pub timeout: Duration,
    /// Whether requests carry the turn's `traceparent`.
    pub trace: bool,
    /// How the token of its requests is got.
    pub exchange: Option<TokenExchange>,
    /// Where it stands.
    pub pointer: Pointer,
}

/// Reads the agents. `asked` are the names that other agents have among their delegates.
pub(super) fn read(section: &Section<'_>, asked: &[&str]) -> Vec<ExternalAgent> {
    let read = |(name, agent): (&str, Section<'_>)| {
        let is_asked = asked.contains(&name);
        if is_asked && !agent.child("description").exists() {
            let help = "add a `description`: other agents choose by it".to_owned();
            agent.warn_at_key(format!("other agents may ask `{name}`, but nothing says what it is good for"), help);
        }
        ExternalAgent::read(name, &agent)
    };
    section.entries().into_iter().filter_map(read).collect()
}

/// The names of all agents, of those with faults too.
pub(super) fn names<'r>(section: &Section<'r>) -> Vec<&'r str> {
    section.entries().into_iter().map(|(name, _)| name).collect()
}

impl ExternalAgent {
    fn read(name: &str, section: &Section<'_>) -> Option<Self> {
        let headers = section.child("headers");
        let is_per_call = |entry: &Section<'_>| entry.is_map() && entry.child("per_call").bool(false);
        let per_call = headers.entries().into_iter().filter(|(_, entry)| is_per_call(entry));
        let url = section.child("url");
        let agent = Self {
            name: name.to_owned(),
            description: section.child("description").template(),
            per_call: per_call.map(|(name, _)| name.to_owned()).collect(),
            headers: read_headers_at(&headers, |entry| if entry.is_map() { entry.child("value") } else { entry }),
            timeout: section.child("timeout").duration(TIMEOUT),
            trace: section.child("trace").bool(true),
            exchange: TokenExchange::read(&section.child("auth")),
            pointer: section.pointer().clone(),
            url: match url.template() {
                Some(url) => url,
                None if url.exists() => return None,
                None => {
                    missing_address(section, "url: https://legal.example.com");
                    return None;
                }
            },
        };
        check_address(&url, &agent.url);
        Some(agent)
    }
}

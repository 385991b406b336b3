//! The agents on other machines of a configuration, as the library has them.

use letterhead::ExternalAgent;

use super::{text, token_exchange};
use crate::config::external_agents::ExternalAgent as Configured;

pub(super) fn agent(configured: &Configured) -> ExternalAgent {
    let endpoint = &configured.endpoint;
    let mut agent = ExternalAgent::new(endpoint.name.as_str(), text(&endpoint.url));
    agent = agent.with_timeout(endpoint.timeout);
    if let Some(description) = &configured.description {
        agent = agent.with_description(description.text());
    }
    for header in &endpoint.headers {
        let (name, value) = (header.name.as_str(), text(&header.value));
        agent = if endpoint.per_call.contains(&header.name) {
            agent.with_header_per_call(name, value)
        } else {
            agent.with_header(name, value)
        };
    }
    if let Some(exchange) = &endpoint.exchange {
        agent = agent.with_token_exchange(token_exchange::exchange(exchange));
    }
    if endpoint.trace { agent } else { agent.without_trace() }
}

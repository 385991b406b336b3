//! The agents on other machines of a configuration, as the library has them.

use letterhead::ExternalAgent;

use super::{text, token_exchange};
use crate::config::external_agents::ExternalAgent as Configured;

pub(super) fn agent(configured: &Configured) -> ExternalAgent {
    let mut agent = ExternalAgent::new(configured.name.as_str(), text(&configured.url));
    agent = agent.with_timeout(configured.timeout);
    if let Some(description) = &configured.description {
        agent = agent.with_description(description.text());
    }
    for header in &configured.headers {
        let (name, value) = (header.name.as_str(), text(&header.value));
        agent = if configured.per_call.contains(&header.name) {
            agent.with_header_per_call(name, value)
        } else {
            agent.with_header(name, value)
        };
    }
    if let Some(exchange) = &configured.exchange {
        agent = agent.with_token_exchange(token_exchange::exchange(exchange));
    }
    if configured.trace { agent } else { agent.without_trace() }
}

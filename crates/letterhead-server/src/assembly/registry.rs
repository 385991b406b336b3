//! The library's registry, built from a configuration.

use std::sync::Arc;

use letterhead::model::OutputSchema;
use letterhead::outbound::{Timeouts, TrustedClient};
use letterhead::{Agent, Delegate, Registry};
use letterhead_context::HeaderSchema;
use letterhead_store::Fingerprints;

use super::{external_agents, mcp_servers, outbound, places, providers, text, tools, variables};
use crate::config::models::ModelPattern;
use crate::config::{self, Config, Faults};

/// Everything checked against everything. Nothing if there was a fault.
pub(super) fn registry(
    config: &Config,
    schema: &HeaderSchema,
    fingerprints: &Arc<Fingerprints>,
    faults: &Faults<'_>,
) -> Option<Registry> {
    let client = outbound::guarded(config, faults);
    let mut builder = Registry::builder()
        .schema(schema.clone())
        .default_model(config.model.to_string())
        .env(config.env.iter().map(|variable| variable.name().to_owned()).collect())
        .credentials(config.credentials.iter().map(|credential| credential.name.clone()).collect());
    if !config.entry.is_empty() {
        builder = builder.entry(config.entry.as_str());
    }
    if let Some(patterns) = &config.allow_models {
        builder = builder.allow_models(patterns.iter().map(ModelPattern::as_str));
    }
    let mut clients: Vec<((Timeouts, u32), TrustedClient)> = Vec::new();
    for provider in config.providers.iter() {
        match providers::prepare(provider, &mut clients) {
            Ok(prepared) => builder = builder.provider(prepared),
            Err(message) => faults.add(faults.document().error(provider.pointer.key("base_url"), message)),
        }
    }
    for configured in &config.context {
        builder = builder.variable(variables::variable(configured));
    }
    for configured in &config.tools {
        builder = builder.http_tool(tools::tool(configured));
    }
    for configured in &config.mcp_servers {
        builder = builder.mcp_server(mcp_servers::server(configured));
    }
    for configured in &config.external_agents {
        builder = builder.external_agent(external_agents::agent(configured));
    }
    for configured in &config.agents {
        builder = builder.agent(agent(configured));
    }
    if let Some(tokens) = config.history.max_tokens {
        builder = builder.max_history_tokens(tokens);
    }
    if let Some(client) = client {
        builder = builder.guarded_client(client);
    }
    builder = builder.fingerprints(Arc::clone(fingerprints));
    builder.build().map_err(|found| places::of_registry(&found.0, config, faults)).ok()
}

fn agent(configured: &config::agents::Agent) -> Agent {
    let mut agent = Agent::new(configured.name.as_str());
    if let Some(description) = &configured.description {
        agent = agent.with_description(description.text());
    }
    if let Some(instructions) = &configured.instructions {
        agent = agent.with_instructions(text(instructions));
    }
    if let Some(model) = &configured.model {
        agent = agent.with_model(model.to_string());
    }
    for header in &configured.headers {
        agent = agent.with_header(header.name.as_str(), text(&header.value));
    }
    for (name, value) in &configured.params {
        agent = agent.with_param(name.as_str(), value.clone());
    }
    for field in &configured.requires {
        agent = agent.with_required_header(field.name.as_str());
    }
    if let Some(output) = &configured.output {
        agent = agent.with_output(OutputSchema::new(configured.name.as_str(), output.value.clone()));
    }
    for tool in &configured.tools {
        agent = agent.with_tool_named(tool.name.as_str());
    }
    for target in &configured.handoffs {
        agent = agent.with_handoff(target.name.as_str());
    }
    for target in &configured.delegates {
        let delegate = Delegate::new(target.name.as_str());
        agent = agent.with_delegate(if target.history { delegate.with_history() } else { delegate });
    }
    agent
}

//! Makes agents and providers ready: templates compiled, headers checked, tools listed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use letterhead_context::name::reserved_outbound;
use letterhead_context::{
    Credential, HeaderTemplateFault, HeaderTemplates, InstructionsDestination, Scope, Sink, Template, TextSource,
};
use serde_json::{Map, Value};

use super::offer::{Offered, offer};
use super::{ModelRef, Prepared, PreparedInstructions, PreparedProvider, RegistryFault, RegistryPlace};
use crate::agent::{Agent, Instructions, Text};
use crate::model::OWN_FIELDS;
use crate::output::OutputCheck;
use crate::provider::{KeyHeader, Provider};
use crate::tool::{ExternalAgent, HttpTool, McpServer, PreparedHttpTool, PreparedMcpServer};
use crate::variable::needed;

/// What an agent is checked against.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// What templates may name.
    pub(super) scope: Scope<'a>,
    /// Every agent, and what it is for.
    pub(super) descriptions: &'a BTreeMap<&'a str, Option<&'a str>>,
    /// The models that may be chosen for a child.
    pub(super) allow_models: Option<&'a [String]>,
    /// The shared tools, and those of them that are without fault, by name.
    pub(super) http_tools: &'a [HttpTool],
    pub(super) prepared_tools: &'a HashMap<&'a str, &'a Arc<PreparedHttpTool>>,
    /// The MCP servers, likewise.
    pub(super) mcp_servers: &'a [McpServer],
    pub(super) prepared_servers: &'a [Arc<PreparedMcpServer>],
    /// The agents on other machines.
    pub(super) external_agents: &'a [ExternalAgent],
    /// Are conversations bounded, so that `lookup` may be offered?
    pub(super) bounds_history: bool,
}

pub(super) fn prepare_provider(
    provider: &Provider,
    scope: Scope<'_>,
    faults: &mut Vec<RegistryFault>,
) -> PreparedProvider {
    let name = &provider.name;
    let place = |header| RegistryPlace::ProviderHeader(Arc::clone(name), header);
    let headers = compile_headers(&provider.headers, scope, faults, place);
    check_params(&provider.params, &RegistryPlace::Provider(Arc::clone(name)), faults);
    let credential = provider.api_key.as_ref().map(|(header, key)| {
        let (place, earlier) = (RegistryPlace::ApiKey(Arc::clone(name)), faults.len());
        let key = compile_text(key, Sink::Header, scope, &place, faults);
        if faults.len() == earlier
            && let Some(message) = unusable_key(header, &key)
        {
            faults.push(RegistryFault::at(place, message));
        }
        match header {
            KeyHeader::Bearer => Credential::bearer(key),
            KeyHeader::Named(header) => Credential::header(header.clone(), key),
        }
    });
    let reads = headers.reads().map(|(_, read)| read).chain(credential.iter().flat_map(Credential::reads));
    let variables = needed(reads, scope.variables);
    PreparedProvider {
        name: Arc::clone(name),
        kind: provider.kind,
        is_built_in: false,
        destination: format!("providers.{name}").into(),
        model: Arc::clone(&provider.model),
        credential,
        headers,
        params: provider.params.clone(),
        budget: provider.budget,
        trace: provider.trace,
        variables,
    }
}

/// None without a model, of which somebody has complained already.
pub(super) fn prepare_agent(
    agent: &Agent,
    model: Option<ModelRef>,
    known: Known<'_>,
    faults: &mut Vec<RegistryFault>,
) -> Option<Prepared> {
    let (name, scope) = (agent.shared_name(), known.scope);
    if !is_agent_name(&name) {
        let message = "an agent's name is 1 to 48 letters, digits, `_` or `-`";
        faults.push(RegistryFault::at(RegistryPlace::Agent(Arc::clone(&name)), message));
    }
    check_params(agent.params(), &RegistryPlace::Agent(Arc::clone(&name)), faults);
    for (at, field) in agent.requires().iter().enumerate() {
        if scope.schema.field(field).is_none() {
            let hint = scope.schema.nearest(field).map(|near| format!("did you mean `{near}`?"));
            let hint = hint.unwrap_or_else(|| "declare it under `headers.properties`".to_owned());
            let message = format!("`{field}` is required but not declared: {hint}");
            faults.push(RegistryFault::at(RegistryPlace::Requires(Arc::clone(&name), at), message));
        }
    }
    let instructions = match agent.instructions() {
        Instructions::Function(make) => PreparedInstructions::Function(Arc::clone(make)),
        Instructions::Text(text) => {
            let place = RegistryPlace::Instructions(Arc::clone(&name));
            let template = compile_text(text, Sink::Instructions, scope, &place, faults);
            match template.as_literal() {
                Some(text) => PreparedInstructions::Literal((!text.trim().is_empty()).then(|| Arc::from(text))),
                None => {
                    let destination = InstructionsDestination::new(&name, &template);
                    PreparedInstructions::Template(template, destination)
                }
            }
        }
    };
    let place = |header| RegistryPlace::AgentHeader(Arc::clone(&name), header);
    let headers = compile_headers(agent.headers(), scope, faults, place);
    let output = agent.output().map(OutputCheck::compile).transpose().unwrap_or_else(|(below, message)| {
        faults.push(RegistryFault::at(RegistryPlace::Output(Arc::clone(&name), below), message));
        None
    });
    let Offered { specs, calls, described, mcp_servers } = offer(agent, known, faults);
    let told = match &instructions {
        PreparedInstructions::Template(template, _) => template.reads(),
        PreparedInstructions::Literal(_) | PreparedInstructions::Function(_) => &[],
    };
    let descriptions = described.iter().filter_map(|one| one.tool.description()).flat_map(Template::reads);
    let reads = told.iter().chain(descriptions).chain(headers.reads().map(|(_, read)| read));
    let variables = needed(reads, scope.variables);
    let agent = agent.clone();
    Some(Prepared {
        agent,
        model: model?,
        instructions,
        headers,
        specs,
        calls,
        mcp_servers,
        described,
        output,
        variables,
    })
}

/// Fields that a call says itself would be passed over.
fn check_params(params: &Map<String, Value>, place: &RegistryPlace, faults: &mut Vec<RegistryFault>) {
    for name in params.keys().filter(|name| OWN_FIELDS.contains(&name.as_str())) {
        let message = format!("`{name}` cannot be a parameter: each call says it itself");
        faults.push(RegistryFault::at(place.clone(), message));
    }
}

/// Why no call could carry a key, where that can be seen already.
fn unusable_key(header: &KeyHeader, key: &Template) -> Option<String> {
    if let KeyHeader::Named(name) = header
        && let Some(why) = reserved_outbound(name)
    {
        return Some(format!("the key cannot go into `{name}`, for `{name}` is reserved: {why}"));
    }
    let text = key.as_literal()?;
    if text.trim().is_empty() {
        Some("the key is empty: leave it out where none is needed".to_owned())
    } else if text.contains(char::is_control) {
        Some("the key has a line break or another control character in it, perhaps at the end of its file".to_owned())
    } else {
        None
    }
}

fn is_agent_name(name: &str) -> bool {
    (1..=48).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn compile_headers<'a>(
    headers: &'a [(String, Text)],
    scope: Scope<'_>,
    faults: &mut Vec<RegistryFault>,
    place: impl Fn(String) -> RegistryPlace,
) -> HeaderTemplates {
    let source = |text: &'a Text| {
        if text.is_literal() { TextSource::Literal(text.source()) } else { TextSource::Template(text.source()) }
    };
    let entries = headers.iter().map(|(name, text)| (name.as_str(), source(text)));
    HeaderTemplates::compile(entries, scope).unwrap_or_else(|found| {
        faults.extend(found.into_iter().map(|HeaderTemplateFault { name, position, message, .. }| {
            let message = format!("header `{}`: {message}", name.escape_debug());
            RegistryFault { place: place(name), position, message }
        }));
        HeaderTemplates::default()
    })
}

fn compile_text(
    text: &Text,
    sink: Sink,
    scope: Scope<'_>,
    place: &RegistryPlace,
    faults: &mut Vec<RegistryFault>,
) -> Template {
    if text.is_literal() {
        return Template::literal(text.source(), sink);
    }
    Template::compile(text.source(), sink, scope).unwrap_or_else(|found| {
        faults.extend(found.into_iter().map(|f| RegistryFault {
            place: place.clone(),
            position: Some((f.line, f.column)),
            message: f.message,
        }));
        Template::literal("", sink)
    })
}

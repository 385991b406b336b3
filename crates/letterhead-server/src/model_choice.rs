//! Which agent is asked, and on which model: headers, then the body's `model`, then the configuration.

use std::collections::HashMap;
use std::sync::Arc;

use letterhead::Registry;
use letterhead_context::{Code, IdentityClaims, Problem};

use crate::error::shown;

/// Names that clients send as model, with the agent or model that each stands for.
pub type ModelAliases = HashMap<String, Arc<str>>;

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// An agent, if one is named.
    pub agent: Option<Arc<str>>,
    /// A model for this run, if one is named.
    pub model: Option<Arc<str>>,
}

impl Asked {
    /// Reads `X-Agent-Schema`, `X-Model-Name` and the body's `model`. A header beats the body.
    ///
    /// # Errors
    ///
    /// 404 for what there is not, naming what there is.
    pub fn read(
        registry: &Registry,
        aliases: &ModelAliases,
        identity: &IdentityClaims,
        body_model: Option<&str>,
    ) -> Result<Self, Problem> {
        let mut asked = Self::default();
        if let Some(name) = body_model.filter(|name| !name.is_empty()) {
            let found = Self::by_model_field(registry, aliases, name);
            // Where a header names the agent, a client's fixed `model` need not mean anything here.
            match found {
                Some(found) => asked = found,
                None if identity.agent.is_some() || identity.model.is_some() => {}
                None => return Err(unknown_model(registry, aliases, name).with_param("model")),
            }
        }
        if let Some(name) = &identity.agent {
            let agent = registry.agent(name).ok_or_else(|| unknown_agent(registry, name))?;
            asked.agent = Some(agent.shared_name());
        }
        if let Some(name) = &identity.model {
            let model = registry.allowed_model(name).ok_or_else(|| unknown_model(registry, aliases, name))?;
            asked.model = Some(Arc::from(model.name()));
        }
        Ok(asked)
    }

    fn by_model_field(registry: &Registry, aliases: &ModelAliases, name: &str) -> Option<Self> {
        let target = aliases.get(name).map_or(name, |target| target);
        if let Some(agent) = registry.agent(target) {
            return Some(Self { agent: Some(agent.shared_name()), model: None });
        }
        // What the configuration itself put behind an alias needs no further leave.
        let model = if aliases.contains_key(name) { registry.model(target) } else { registry.allowed_model(target) };
        model.map(|model| Self { agent: None, model: Some(Arc::from(model.name())) })
    }
}

fn unknown_agent(registry: &Registry, name: &str) -> Problem {
    let agents = registry.agents().map(|agent| format!("`{}`", agent.name())).collect::<Vec<_>>().join(", ");
    let detail = format!("there is no agent `{}`; there are {agents}", shown(name));
    Problem::new(Code::AgentNotFound, detail).with_param("X-Agent-Schema")
}

fn unknown_model(registry: &Registry, aliases: &ModelAliases, name: &str) -> Problem {
    let agents = registry.agents().map(|agent| agent.name().to_owned());
    let mut names: Vec<String> = aliases.keys().cloned().collect();
    names.sort_unstable();
    let known = agents.chain(names).map(|name| format!("`{name}`"));
    let providers = registry.providers().map(|provider| format!("`{provider}:…`"));
    let there = known.chain(providers).collect::<Vec<_>>().join(", ");
    let detail = format!("there is no model or agent `{}` to choose; there are {there}", shown(name));
    Problem::new(Code::ModelNotFound, detail)
}

//! Names of models: `provider:model`, where a provider is called by its name, or by its kind if only one has it.

use std::sync::Arc;

use super::{PreparedProvider, Registry};
use crate::provider::ProviderKind;

/// A model at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRef {
    pub(crate) provider: usize,
    /// The provider's own name for the model.
    pub(crate) model: Arc<str>,
    /// As it was asked for.
    pub(crate) name: Arc<str>,
}

impl ModelRef {
    /// As it was asked for: `openai:gpt-4.1-mini`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Reads `provider:model` against a list of providers.
pub(super) fn resolve(providers: &[PreparedProvider], name: &str) -> Option<ModelRef> {
    let (wanted, model) = name.split_once(':').unwrap_or((name, ""));
    let by_name = providers.iter().position(|provider| &*provider.name == wanted);
    let provider = by_name.or_else(|| {
        let mut same = providers.iter().enumerate().filter(|(_, provider)| provider.kind.as_str() == wanted);
        match (same.next(), same.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        }
    })?;
    let is_demo = providers.get(provider).is_some_and(|provider| provider.kind == ProviderKind::Demo);
    if model.is_empty() && !is_demo {
        return None;
    }
    let model = if model.is_empty() { "demo" } else { model };
    Some(ModelRef { provider, model: Arc::from(model), name: Arc::from(name) })
}

/// Does a pattern such as `openai:gpt-*` allow this model?
fn allows(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

impl Registry {
    /// The model of this name, if there is such a provider. What a caller may choose is narrower: see
    /// [`allowed_model`](Self::allowed_model).
    pub fn model(&self, name: &str) -> Option<ModelRef> {
        resolve(&self.providers, name)
    }

    /// The model of this name, if a caller may choose it.
    pub fn allowed_model(&self, name: &str) -> Option<ModelRef> {
        let allowed =
            self.allow_models.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| allows(pattern, name)));
        if allowed { self.model(name) } else { None }
    }

    /// May models be chosen for children at all?
    pub(crate) fn allows_models(&self) -> bool {
        self.allow_models.is_some()
    }

    /// The whole names among the models that callers may choose.
    pub fn listed_models(&self) -> impl Iterator<Item = &str> {
        self.allow_models.iter().flatten().map(String::as_str).filter(|pattern| !pattern.ends_with('*'))
    }

    /// The names of the providers.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().map(|provider| &*provider.name)
    }

    pub(crate) fn provider(&self, model: &ModelRef) -> Option<&PreparedProvider> {
        self.providers.get(model.provider)
    }
}

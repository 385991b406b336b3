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

/// Does a pattern such as `openai:gpt-*` allow this model? A star stands for any text.
fn allows(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

impl Registry {
    /// The model of this name, if there is such a provider. What a caller may choose is narrower: see
    /// [`allowed_model`](Self::allowed_model).
    pub fn model(&self, name: &str) -> Option<ModelRef> {
        resolve(&self.providers, name)
    }

    /// The model of this name, if a caller may choose it. Patterns name providers, whatever the caller calls them by.
    pub fn allowed_model(&self, name: &str) -> Option<ModelRef> {
        let model = self.model(name)?;
        let Some(patterns) = &self.allow_models else { return Some(model) };
        let provider = self.provider(&model).map(|provider| &*provider.name).unwrap_or_default();
        let full = format!("{provider}:{}", model.model);
        patterns.iter().any(|pattern| allows(pattern, name) || allows(pattern, &full)).then_some(model)
    }

    /// May models be chosen for children at all?
    pub(crate) fn allows_models(&self) -> bool {
        self.allow_models.is_some()
    }

    /// The whole names among the models that callers may choose.
    pub fn listed_models(&self) -> impl Iterator<Item = &str> {
        self.allow_models.iter().flatten().map(String::as_str).filter(|pattern| !pattern.contains('*'))
    }

    /// The names of the providers.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().map(|provider| &*provider.name)
    }

    pub(crate) fn provider(&self, model: &ModelRef) -> Option<&PreparedProvider> {
        self.providers.get(model.provider)
    }
}

#[cfg(test)]
mod tests {
    use super::allows;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in
            [("a:gpt-*", "a:gpt-1"), ("a:*", "a:"), ("*", "demo"), ("a:*-mini*x", "a:b-mini-minix"), ("demo", "demo")]
        {
            assert!(allows(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a:gpt-1", "a:gpt-12"), ("a:*b", "a:c"), ("a:*bc*c", "a:bc"), ("a:*", "b:x"), ("", "a")]
        {
            assert!(!allows(pattern, name), "{pattern} {name}");
        }
    }
}

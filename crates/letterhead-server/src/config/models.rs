//! `model:`, `allow_models:`, `model_aliases:` — how models are named.

use std::fmt;

use super::{
    nearest,
    providers::{Provider, Providers},
    section::Section,
};

/// A model that a run may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Model {
    /// The built-in one.
    #[default]
    Demo,
    /// One of a configured provider.
    Of {
        /// The provider's name in the configuration.
        provider: String,
        /// What the provider calls it.
        model: String,
    },
}

impl fmt::Display for Model {
    /// `provider:model`, or `demo`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Demo => f.write_str("demo"),
            Self::Of { provider, model } => write!(f, "{provider}:{model}"),
        }
    }
}

/// Why a text names no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownModel {
    /// It is not written as `provider:model`.
    #[error("a model is written `provider:model`")]
    Form,
    /// No provider has that name or kind.
    #[error("no provider is called `{0}`")]
    Provider(String),
    /// Several providers have that kind.
    #[error("several providers are of kind `{kind}`: {}", nearest::list(.providers.iter().map(String::as_str)))]
    Ambiguous {
        /// The kind.
        kind: String,
        /// The providers of that kind.
        providers: Vec<String>,
    },
}

impl Model {
    /// Reads a model's name where a section has one.
    pub(super) fn read(section: &Section<'_>, providers: &Providers) -> Option<Self> {
        match providers.resolve(section.text()?) {
            Ok(model) => Some(model),
            Err(unknown) => {
                report(section, &unknown, providers);
                None
            }
        }
    }
}

/// Says why a name is not one of a model, and what would be.
fn report(section: &Section<'_>, unknown: &UnknownModel, providers: &Providers) {
    match unknown {
        UnknownModel::Form => {
            let help = "for example `openai:gpt-4.1-mini`, or `demo` for the built-in model".to_owned();
            section.error(format!("{} is not written as `provider:model`", section.shown()), help);
        }
        UnknownModel::Provider(name) => {
            let from_environment = section.scalar().is_some_and(super::tree::Scalar::is_from_environment);
            let shown = if from_environment { "as this variable says".to_owned() } else { format!("`{name}`") };
            section.error(format!("no provider is called {shown}"), provider_help(name, providers));
        }
        UnknownModel::Ambiguous { .. } => {
            section.error(unknown.to_string(), Some("write the provider's name".to_owned()));
        }
    }
}

fn provider_help(name: &str, providers: &Providers) -> String {
    let near = letterhead_context::name::nearest(name, providers.names());
    match (near, name) {
        (None, "openai") => {
            "add `openai: { kind: openai, api_key: \"${OPENAI_API_KEY}\" }` under `providers:`".to_owned()
        }
        (None, "anthropic") => {
            "add `anthropic: { kind: anthropic, api_key: \"${ANTHROPIC_API_KEY}\" }` under `providers:`".to_owned()
        }
        _ => nearest::suggestion(name, "providers", providers.names()),
    }
}

/// A row of `allow_models`: `provider:model` or `demo`, in which `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPattern(String);

impl ModelPattern {
    /// Whether a model may be asked for.
    #[must_use]
    pub fn matches(&self, model: &Model) -> bool {
        matches(&self.0, &model.to_string())
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    true
}

/// Reads `allow_models`; nothing if the key is not there.
pub(super) fn read_patterns(section: &Section<'_>, providers: &Providers) -> Option<Vec<ModelPattern>> {
    section.exists().then(|| {
        let read = |(text, item): (&str, Section<'_>)| {
            let provider = text.split_once(':').map(|(provider, _)| provider);
            if let Some(Err(unknown)) = provider.map(|name| providers.named(name)) {
                report(&item, &unknown, providers);
            }
            let named =
                provider.and_then(|name| providers.named(name).ok()).map(|provider: &Provider| provider.name.as_str());
            let model = text.split_once(':').map_or(text, |(_, model)| model);
            ModelPattern(named.map_or_else(|| text.to_owned(), |provider| format!("{provider}:{model}")))
        };
        section.texts().into_iter().map(read).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [
            ("openai:gpt-4.1*", "openai:gpt-4.1-mini"),
            ("openai:*", "openai:o3"),
            ("*", "demo"),
            ("a:*-mini*x", "a:b-mini-minix"),
            ("demo", "demo"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("openai:gpt-4", "openai:gpt-4.1"), ("a:*b", "a:c"), ("a:*bc*c", "a:bc"), ("demo", "demo2")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}

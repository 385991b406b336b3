//! `providers:` — the LLM endpoints.

use std::time::Duration;

use reqwest::Url;

use super::{
    credentials,
    models::{Model, UnknownModel},
    outgoing::{OutgoingHeader, Params, has_controls, read_headers, read_params},
    pointer::Pointer,
    section::Section,
    template::TemplateSource,
    written_secrets,
};

pub use letterhead::ProviderKind;

/// The kinds that a configuration can name.
const KINDS: [ProviderKind; 3] = [ProviderKind::OpenAi, ProviderKind::Anthropic, ProviderKind::Demo];

/// The vendor's own address, as its SDK has it.
fn vendor_url(kind: ProviderKind) -> Option<&'static str> {
    match kind {
        ProviderKind::OpenAi => Some("https://api.openai.com/v1"),
        ProviderKind::Anthropic => Some("https://api.anthropic.com"),
        _ => None,
    }
}

/// An LLM endpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Provider {
    /// Its name in the configuration.
    pub name: String,
    /// Its protocol.
    pub kind: ProviderKind,
    /// Its address without a slash at the end; the vendor's own if the file has none. Nothing for [`ProviderKind::Demo`].
    pub base_url: Option<String>,
    /// The credential.
    pub api_key: Option<TemplateSource>,
    /// Headers of every call to it, in the file's order.
    pub headers: Vec<OutgoingHeader>,
    /// Fields of every call's body.
    pub params: Params,
    /// The most header lines of a call.
    pub max_headers: Option<u32>,
    /// The most bytes that a call's headers may have.
    pub max_header_bytes: Option<u64>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the answer may take to begin.
    pub first_byte_timeout: Duration,
    /// How long an answer that has begun may be silent.
    pub idle_timeout: Duration,
    /// How often a call is repeated whose answer has not begun.
    pub retries: u32,
    /// Whether calls carry the request's `traceparent`.
    pub trace: bool,
    /// Where it stands.
    pub pointer: Pointer,
}

/// The providers, in the file's order.
#[derive(Clone, Debug, Default)]
pub struct Providers(Vec<Provider>);

impl Providers {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.0.iter()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|provider| provider.name.as_str())
    }

    /// The one with this very name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.name == name)
    }

    /// The provider of a model's name: the one called so, or the only one of a kind called so.
    ///
    /// # Errors
    /// None is called so, or several are of that kind.
    pub fn named(&self, name: &str) -> Result<&Provider, UnknownModel> {
        if let Some(provider) = self.get(name) {
            return Ok(provider);
        }
        let of_kind: Vec<&Provider> = self.0.iter().filter(|provider| provider.kind.as_str() == name).collect();
        match of_kind.as_slice() {
            [provider] => Ok(provider),
            [] => Err(UnknownModel::Provider(name.to_owned())),
            several => Err(UnknownModel::Ambiguous {
                kind: name.to_owned(),
                providers: several.iter().map(|provider| provider.name.clone()).collect(),
            }),
        }
    }

    /// Reads `provider:model` or `demo`. A model's own name may have colons.
    ///
    /// # Errors
    /// The text is not written so, or the provider is not one.
    pub fn resolve(&self, text: &str) -> Result<Model, UnknownModel> {
        if text == "demo" {
            return Ok(Model::Demo);
        }
        match text.split_once(':') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
                let provider = self.named(provider)?;
                Ok(Model::Of { provider: provider.name.clone(), model: model.to_owned() })
            }
            _ => Err(UnknownModel::Form),
        }
    }

    pub(super) fn read(section: &Section<'_>) -> Self {
        Self(section.entries().into_iter().map(|(name, provider)| Provider::read(name, &provider)).collect())
    }
}

impl Provider {
    fn read(name: &str, section: &Section<'_>) -> Self {
        let kind = section.child("kind");
        let kind = KINDS.into_iter().find(|known| kind.text() == Some(known.as_str()));
        let kind = kind.unwrap_or(ProviderKind::OpenAi);
        let provider = Self {
            name: name.to_owned(),
            kind,
            base_url: base_url(&section.child("base_url")).or_else(|| vendor_url(kind).map(str::to_owned)),
            api_key: api_key(name, &section.child("api_key")),
            headers: read_headers(&section.child("headers")),
            params: read_params(&section.child("params")),
            max_headers: section.child("max_headers").optional_count(),
            max_header_bytes: section.child("max_header_bytes").optional_bytes(),
            connect_timeout: section.child("connect_timeout").duration(Duration::from_secs(10)),
            first_byte_timeout: section.child("first_byte_timeout").duration(Duration::from_secs(120)),
            idle_timeout: section.child("idle_timeout").duration(Duration::from_secs(60)),
            retries: section.child("retries").count(2),
            trace: section.child("trace").bool(true),
            pointer: section.pointer().clone(),
        };
        provider.check(section);
        provider
    }

    fn check(&self, section: &Section<'_>) {
        if self.kind == ProviderKind::Demo {
            if section.child("base_url").exists() {
                section
                    .child("base_url")
                    .error("a provider of kind `demo` has no address", Some("remove the key".to_owned()));
            }
            return;
        }
        if self.name == "demo" {
            section.error_at_key(
                "`demo` is the name of the built-in model",
                Some("give this provider another name".to_owned()),
            );
        }
    }

    /// Warns of a vendor's endpoint without any credential. Only asked of providers that some agent uses.
    pub(super) fn check_key(&self, section: &Section<'_>) {
        let own_key = self.headers.iter().any(OutgoingHeader::is_credential);
        // Of one that is there and cannot be used somebody has complained already.
        let key = section.child("api_key");
        let has_key = key.exists() && key.text() != Some("");
        let at_vendor = self.base_url.as_deref() == vendor_url(self.kind);
        if self.kind == ProviderKind::Demo || has_key || own_key || !at_vendor {
            return;
        }
        let help = "set `api_key: \"${NAME}\"` with the name of an environment variable that holds the key".to_owned();
        section.warn_at_key(format!("provider `{}` has no key: its calls will be refused", self.name), help);
    }
}

/// The address without a slash at its end.
fn base_url(section: &Section<'_>) -> Option<String> {
    let text = section.text()?;
    let url = Url::parse(text).ok().filter(Url::has_host);
    let Some(url) = url else {
        section.error("`base_url` is no address", Some("for example `https://api.openai.com/v1`".to_owned()));
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        let help = "remove them; a credential goes into `api_key` or `headers`".to_owned();
        section.error("`base_url` has a user name or password in it", help);
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

/// The credential. An empty one is none: `${NAME:-}` makes it optional.
fn api_key(provider: &str, section: &Section<'_>) -> Option<TemplateSource> {
    if section.is_map() {
        let text = format!("{{{{ credentials['{}'] }}}}", credentials::of_provider(provider));
        return Some(TemplateSource::new(&text, false, section.pointer().clone()));
    }
    let key = section.template()?;
    if key.text().is_empty() {
        return None;
    }
    if has_controls(key.text()) || key.text().trim() != key.text() {
        let help = "often a line break at the end of a file or variable".to_owned();
        section.error("`api_key` has blanks, line breaks or control characters around or in it", help);
        return None;
    }
    let help = "keep it outside: `api_key: \"${NAME}\"`, with the name of an environment variable, or \
                `api_key: { file: /run/secrets/key }`";
    written_secrets::warn_of_key(section, "the provider's key", help);
    Some(key)
}

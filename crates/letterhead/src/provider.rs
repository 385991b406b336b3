//! Providers: where models are, and what every call to them carries.

use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use letterhead_context::HeaderBudget;
use serde_json::{Map, Value};

use crate::agent::Text;
use crate::model::{Anthropic, ChatModel, DemoModel, OpenAi};
use crate::outbound::{BaseUrlError, TrustedClient};

/// The wire protocol that a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProviderKind {
    /// OpenAI's chat completions, as many others speak them.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// The built-in demo model.
    Demo,
}

impl ProviderKind {
    /// The name in a configuration and in `provider:model`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Demo => "demo",
        }
    }
}

/// A provider of models.
///
/// ```
/// use letterhead::outbound::{RetryPolicy, Timeouts, TrustedClient};
/// use letterhead::{Provider, Text};
///
/// let client = TrustedClient::new(Timeouts::default(), RetryPolicy::default())?;
/// let gateway = Provider::openai("gateway", client, "https://gateway.example.com/v1")?
///     .with_api_key(Text::literal("sk-…")) // A key is no template, whatever it holds.
///     .with_header("X-Team", "{{ caller.tenant_id }}")
///     .with_param("service_tier", "flex");
/// assert_eq!(gateway.name(), "gateway");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Provider {
    pub(crate) name: Arc<str>,
    pub(crate) kind: ProviderKind,
    pub(crate) model: Arc<dyn ChatModel>,
    pub(crate) api_key: Option<(KeyHeader, Text)>,
    pub(crate) headers: Vec<(String, Text)>,
    pub(crate) params: Map<String, Value>,
    pub(crate) budget: HeaderBudget,
    pub(crate) trace: bool,
}

/// Where a provider takes its key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyHeader {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// The key alone in a header of this name.
    Named(HeaderName),
}

impl Provider {
    /// A provider with a [model of the program's own](ChatModel). The kind says in which header a key goes, and by which name
    /// models may be called where only one provider is of it.
    pub fn new(name: impl Into<Arc<str>>, kind: ProviderKind, model: Arc<dyn ChatModel>) -> Self {
        Self {
            name: name.into(),
            kind,
            model,
            api_key: None,
            headers: Vec::new(),
            params: Map::new(),
            budget: HeaderBudget::default(),
            trace: true,
        }
    }

    /// An OpenAI-compatible provider. `base_url` is as the vendor's SDK has it, with `/v1`.
    ///
    /// # Errors
    ///
    /// If that is no URL of this kind.
    pub fn openai(name: impl Into<Arc<str>>, client: TrustedClient, base_url: &str) -> Result<Self, BaseUrlError> {
        Ok(Self::new(name, ProviderKind::OpenAi, Arc::new(OpenAi::new(client, base_url)?)))
    }

    /// Anthropic, or who speaks its protocol. `base_url` is as the vendor's SDK has it, without `/v1`.
    ///
    /// # Errors
    ///
    /// If that is no URL of this kind.
    pub fn anthropic(name: impl Into<Arc<str>>, client: TrustedClient, base_url: &str) -> Result<Self, BaseUrlError> {
        Ok(Self::new(name, ProviderKind::Anthropic, Arc::new(Anthropic::new(client, base_url)?)))
    }

    /// The built-in demo model under a name of its own.
    pub fn demo(name: impl Into<Arc<str>>) -> Self {
        Self::new(name, ProviderKind::Demo, Arc::new(DemoModel::default()))
    }

    /// The key, in the header where this kind of provider takes it. It may be a template ("bring your own key").
    #[must_use]
    pub fn with_api_key(self, key: impl Into<Text>) -> Self {
        let header = match self.kind {
            ProviderKind::Anthropic => KeyHeader::Named(HeaderName::from_static("x-api-key")),
            ProviderKind::OpenAi | ProviderKind::Demo => KeyHeader::Bearer,
        };
        self.with_api_key_in(header, key)
    }

    /// The key, in a header of choice: Azure takes it in `api-key`.
    #[must_use]
    pub fn with_api_key_in(mut self, header: KeyHeader, key: impl Into<Text>) -> Self {
        self.api_key = Some((header, key.into()));
        self
    }

    /// A header of every call. The value is a template.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Text>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A field of every request, such as `temperature`.
    #[must_use]
    pub fn with_param(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Several of them.
    #[must_use]
    pub fn with_params(mut self, params: Map<String, Value>) -> Self {
        self.params.extend(params);
        self
    }

    /// How many headers it takes.
    #[must_use]
    pub fn with_budget(mut self, budget: HeaderBudget) -> Self {
        self.budget = budget;
        self
    }

    /// Sends no `traceparent`: the calls are no part of the request's trace.
    #[must_use]
    pub fn without_trace(mut self) -> Self {
        self.trace = false;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

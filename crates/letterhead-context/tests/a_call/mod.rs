//! One LLM call, put together in a line or two.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use letterhead_context::{
    Caller, Credential, HeaderBudget, HeaderLimits, HeaderSchema, HeaderTemplates, Headers, Ingress, ListedEnv,
    LlmDestination, Problem, RequestContext, RuntimeHeaders, RuntimeNames, Scope, Sink, Template, TextSource,
    TrailEntry, View,
};
use serde_json::json;

/// Who calls, with which layers.
#[derive(Clone)]
pub(crate) struct Call {
    schema: HeaderSchema,
    sent: HeaderMap,
    provider: Vec<(String, String)>,
    agent: Vec<(String, String)>,
    runtime: RuntimeHeaders,
    credential: Option<(Option<&'static str>, String)>,
    pub(crate) budget: HeaderBudget,
}

fn owned(layer: &[(&str, &str)]) -> Vec<(String, String)> {
    layer.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[expect(dead_code, reason = "each test file uses its own part of this")]
impl Call {
    /// A caller who sent `org_name: Acme Corp`, and neither `plan` nor `auth_token`.
    pub(crate) fn new() -> Self {
        let schema = HeaderSchema::compile(&json!({
            "properties": {
                "org_name": {}, "plan": {}, "seats": { "type": "integer" }, "tags": { "type": "array" },
                "auth_token": { "writeOnly": true },
            },
        }));
        let mut call = Self {
            schema: schema.unwrap(),
            sent: HeaderMap::new(),
            provider: Vec::new(),
            agent: Vec::new(),
            runtime: RuntimeHeaders::new(),
            credential: None,
            budget: HeaderBudget::default(),
        };
        call.sent.insert("org_name", "Acme Corp".parse().unwrap());
        call
    }

    pub(crate) fn sent(mut self, name: &str, value: &str) -> Self {
        self.sent.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        self
    }

    pub(crate) fn provider(self, layer: &[(&str, &str)]) -> Self {
        Self { provider: owned(layer), ..self }
    }

    pub(crate) fn agent(self, layer: &[(&str, &str)]) -> Self {
        Self { agent: owned(layer), ..self }
    }

    pub(crate) fn provider_owned(self, layer: &[(&str, String)]) -> Self {
        Self { provider: layer.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(), ..self }
    }

    pub(crate) fn agent_owned(self, layer: &[(&str, String)]) -> Self {
        Self { agent: layer.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(), ..self }
    }

    pub(crate) fn run_owned(self, layer: &[(&str, String)]) -> Self {
        layer.iter().fold(self, |call, (name, value)| call.run(&[(name, value)]))
    }

    pub(crate) fn run(mut self, layer: &[(&str, &str)]) -> Self {
        for (name, value) in layer {
            self.runtime.set(name, value).unwrap();
        }
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.runtime.remove(name).unwrap();
        self
    }

    /// The provider's own key, as `Authorization: Bearer`.
    pub(crate) fn key(self, template: &str) -> Self {
        Self { credential: Some((None, template.to_owned())), ..self }
    }

    /// The provider's own key, in a header of its own.
    pub(crate) fn key_in(self, header: &'static str, template: &str) -> Self {
        Self { credential: Some((Some(header), template.to_owned())), ..self }
    }

    pub(crate) fn context(&self) -> RequestContext {
        let ingress = Ingress::new(self.schema.clone(), RuntimeNames::default(), HeaderLimits::default());
        let sent = ingress.admit(self.sent.clone()).unwrap().sent;
        let headers: Headers = self.schema.merge([], &sent, &[]).unwrap();
        let env = BTreeMap::from([("REGION".to_owned(), "eu".to_owned())]);
        RequestContext::builder(Caller::anonymous(), headers)
            .runtime(self.runtime.clone())
            .env(ListedEnv::new(env))
            .build("assistant")
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        self.outcome().0.unwrap()
    }

    pub(crate) fn outcome(&self) -> (Result<HeaderMap, Problem>, Vec<TrailEntry>) {
        let env = ["REGION".to_owned()];
        let scope = Scope { env: &env, ..Scope::of(&self.schema) };
        let compile = |layer: &[(String, String)]| {
            let entries = layer.iter().map(|(name, value)| (name.as_str(), TextSource::Template(value)));
            HeaderTemplates::compile(entries, scope).unwrap_or_else(|faults| panic!("{faults:?}"))
        };
        let (provider, agent) = (compile(&self.provider), compile(&self.agent));
        let credential = self.credential.as_ref().map(|(header, template)| {
            let key = Template::compile(template, Sink::Header, scope).unwrap();
            match header {
                Some(header) => Credential::header(HeaderName::from_static(header), key),
                None => Credential::bearer(key),
            }
        });
        let name: Arc<str> = Arc::from("providers.test");
        let destination = LlmDestination {
            name: &name,
            credential: credential.as_ref(),
            provider: &provider,
            agent: &agent,
            budget: self.budget,
        };
        let context = self.context();
        let mut trail = Vec::new();
        let headers = destination.headers(&context, &View::new(Sink::Header, &context), &mut trail);
        (headers, trail)
    }
}

/// Headers as sorted lines.
pub(crate) fn lines(headers: &HeaderMap) -> Vec<String> {
    let line = |(name, value): (&HeaderName, &http::HeaderValue)| {
        format!("{name}: {}", std::str::from_utf8(value.as_bytes()).unwrap())
    };
    let mut lines: Vec<_> = headers.iter().map(line).collect();
    lines.sort();
    lines
}

//! From the head of a request to its context.

use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;
use letterhead_context::{Caller, Code, HeaderLimits, Ingress, Problem, RequestContext, RuntimeNames, TraceContext};
use uuid::Uuid;

use super::identity::Identity;
use crate::agent::Agent;
use crate::registry::Registry;

/// Says who is calling, or why nobody may.
pub(super) type Identify = Arc<dyn Fn(&Parts) -> Result<Identity, Problem> + Send + Sync>;

/// What a layer does with a request.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) registry: Arc<Registry>,
    /// The agent that turns start with.
    pub(super) agent: Arc<str>,
    pub(super) runtime: RuntimeNames,
    pub(super) limits: HeaderLimits,
    pub(super) identify: Identify,
    /// May a request choose another agent, and the model?
    pub(super) choosing: bool,
    ingress: Ingress,
}

impl Rules {
    pub(super) fn new(registry: &Arc<Registry>) -> Self {
        let (runtime, limits) = (RuntimeNames::default(), HeaderLimits::default());
        Self {
            registry: Arc::clone(registry),
            agent: registry.entry().shared_name(),
            ingress: Ingress::new(registry.schema().clone(), runtime.clone(), limits),
            runtime,
            limits,
            identify: Arc::new(by_extension),
            choosing: false,
        }
    }

    /// Puts changed rules of admission to work.
    pub(super) fn renewed(mut self) -> Self {
        self.ingress = Ingress::new(self.registry.schema().clone(), self.runtime.clone(), self.limits);
        self
    }

    /// The context of a request, whose declared headers are taken.
    pub(super) fn admit(&self, parts: &mut Parts) -> Result<RequestContext, Refused> {
        let request_id = request_id(&parts.headers);
        self.context(parts, &request_id).map_err(|problem| Refused { problem, request_id })
    }

    fn context(&self, parts: &mut Parts, request_id: &Arc<str>) -> Result<RequestContext, Problem> {
        // Who must not get in is told that, and nothing of the rest.
        let who = (self.identify)(parts)?;
        let trace = parts.headers.get("traceparent").and_then(TraceContext::from_header);
        let taken = self.ingress.take(&mut parts.headers);
        let identity = match &taken {
            Ok(admitted) => &admitted.identity,
            Err(rejected) => &rejected.identity,
        };
        let chosen = identity.agent.as_deref().filter(|_| self.choosing);
        let model = identity.model.clone().filter(|_| self.choosing);
        if let Some(name) = model.as_deref().filter(|name| self.registry.allowed_model(name).is_none()) {
            return Err(Problem::new(Code::ModelNotFound, format!("there is no model `{}`", name.escape_debug())));
        }
        let agent = match chosen {
            Some(name) => self.registry.agent(name).ok_or_else(|| unknown_agent(name))?.shared_name(),
            None => Arc::clone(&self.agent),
        };
        let requires = self.registry.agent(&agent).map(Agent::requires).unwrap_or_default();
        let schema = self.ingress.schema();
        let admitted = taken.map_err(|rejected| rejected.problem(schema, [], requires))?;
        let headers = schema.merge([], &admitted.sent, requires).map_err(Problem::faults)?;

        let Identity { caller, claims, token } = who;
        let mut builder = RequestContext::builder(caller, headers)
            .runtime(admitted.runtime)
            .runtime_identity(&self.runtime)
            .mode(admitted.identity.mode)
            .request_id(Arc::clone(request_id))
            .claims(claims);
        if let Some(session) = admitted.identity.session_id {
            builder = builder.session(session, admitted.identity.mode);
        }
        if let Some(client) = admitted.identity.client_id {
            builder = builder.client_id(client);
        }
        if let Some(token) = token {
            builder = builder.subject_token(token);
        }
        if let Some(trace) = trace {
            builder = builder.trace(trace);
        }
        if let Some(model) = model {
            builder = builder.model(model);
        }
        Ok(builder.build(&agent))
    }
}

/// A request that does not get in.
pub(super) struct Refused {
    pub(super) problem: Problem,
    pub(super) request_id: Arc<str>,
}

pub(super) fn unknown_agent(name: &str) -> Problem {
    Problem::new(Code::AgentNotFound, format!("there is no agent `{}`", name.escape_debug()))
}

/// Whom a middleware of the application found; else nobody in particular.
fn by_extension(parts: &Parts) -> Result<Identity, Problem> {
    let identity = parts.extensions.get::<Identity>().cloned();
    let caller = || parts.extensions.get::<Caller>().cloned().unwrap_or_else(Caller::anonymous);
    Ok(identity.unwrap_or_else(|| caller().into()))
}

/// The id that the request brings, if it is harmless; else a new one.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
    let is_harmless = |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(is_plain);
    let sent = headers.get("x-request-id").and_then(|value| value.to_str().ok()).filter(is_harmless);
    sent.map_or_else(|| format!("req_{}", Uuid::new_v4().simple()).into(), Arc::from)
}

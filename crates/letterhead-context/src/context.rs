//! The context of a request: immutable, cheap to clone; within a turn `child()` is the only way to derive another.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use serde_json::Value;

use crate::caller::Caller;
use crate::credentials::Credentials;
use crate::headers::Headers;
use crate::runtime::{RuntimeHeaders, RuntimeNames};
use crate::session::{SessionId, SessionMode};
use crate::subject_token::SubjectToken;
use crate::trace::TraceContext;

/// Values of the process's environment that the configuration lists under `env:`, for destinations only.
#[derive(Clone, Default)]
pub struct ListedEnv(Arc<BTreeMap<String, String>>);

impl ListedEnv {
    /// The listed names with their values.
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self(Arc::new(values))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for ListedEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// What everything below the handler reads: who asks, for which session, with which headers.
///
/// It is frozen when the turn begins. Within a turn [`child`](Self::child) is the only way to derive another, and can change
/// nothing but the agent and its model: there are no setters.
///
/// ```
/// use letterhead_context::{Caller, Headers, RequestContext};
///
/// let context = RequestContext::builder(Caller::anonymous(), Headers::none()).request_id("req-1").build("assistant");
/// let child = context.child("researcher", Some("openai:gpt-4.1-nano"));
/// assert_eq!(child.agent(), "researcher");
/// assert_eq!(child.caller(), context.caller());
/// assert_eq!(child.request_id(), "req-1");
/// ```
#[derive(Clone, Debug)]
pub struct RequestContext {
    shared: Arc<Shared>,
    agent: Arc<str>,
    model: Option<Arc<str>>,
}

/// What a child inherits whole.
#[derive(Clone)]
struct Shared {
    caller: Caller,
    headers: Headers,
    runtime: RuntimeHeaders,
    session: Option<SessionId>,
    mode: SessionMode,
    client_id: Option<Arc<str>>,
    request_id: Arc<str>,
    claims: Arc<Value>,
    subject_token: Option<SubjectToken>,
    env: ListedEnv,
    credentials: Credentials,
    trace: Option<TraceContext>,
    /// The identity headers that go out as runtime headers, with what this context says.
    identity: Vec<HeaderName>,
}

/// Names of headers, and no values; claims not at all.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("caller", &self.caller)
            .field("headers", &self.headers)
            .field("runtime", &self.runtime)
            .field("session", &self.session)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// Collects the parts of a [`RequestContext`].
#[derive(Clone, Debug)]
pub struct RequestContextBuilder {
    shared: Shared,
    model: Option<Arc<str>>,
    /// Runtime headers that win over all others.
    own: RuntimeHeaders,
}

impl RequestContext {
    /// Starts from the two things that every request has: a caller and validated headers, perhaps none.
    pub fn builder(caller: Caller, headers: Headers) -> RequestContextBuilder {
        RequestContextBuilder {
            shared: Shared {
                caller,
                headers,
                runtime: RuntimeHeaders::new(),
                session: None,
                mode: SessionMode::Normal,
                client_id: None,
                request_id: Arc::from(""),
                claims: Arc::new(Value::Null),
                subject_token: None,
                env: ListedEnv::default(),
                credentials: Credentials::default(),
                trace: None,
                identity: Vec::new(),
            },
            model: None,
            own: RuntimeHeaders::new(),
        }
    }

    /// Starts from all of this context, for a run of its own that differs from the request: in its caller, for instance.
    /// Whoever is asked within a run is a [`child`](Self::child) instead.
    ///
    /// ```
    /// use letterhead_context::{Caller, CallerSource, Headers, RequestContext, TenantId, UserId};
    ///
    /// let request = RequestContext::builder(Caller::anonymous(), Headers::none()).request_id("req-1").build("assistant");
    /// let ada = Caller::new(TenantId::default(), Some(UserId::new("ada")), CallerSource::Token);
    /// let run = request.to_builder().caller(ada).build("assistant");
    /// assert_eq!(run.caller().user().unwrap().as_str(), "ada");
    /// assert_eq!(run.request_id(), "req-1");
    /// ```
    pub fn to_builder(&self) -> RequestContextBuilder {
        RequestContextBuilder {
            shared: Shared::clone(&self.shared),
            model: self.model.clone(),
            own: RuntimeHeaders::new(),
        }
    }

    /// The context of a child: the same in everything but the agent and its model.
    #[must_use]
    pub fn child(&self, agent: &str, model: Option<&str>) -> Self {
        Self { shared: Arc::clone(&self.shared), agent: Arc::from(agent), model: model.map(Arc::from) }
    }

    /// The context of the agent that the conversation is handed to: a model chosen for the run goes along.
    #[must_use]
    pub fn handed_to(&self, agent: &str) -> Self {
        Self { shared: Arc::clone(&self.shared), agent: Arc::from(agent), model: self.model.clone() }
    }

    /// Who is calling.
    pub fn caller(&self) -> &Caller {
        &self.shared.caller
    }

    /// The validated context headers.
    pub fn headers(&self) -> &Headers {
        &self.shared.headers
    }

    /// The runtime headers of the run.
    pub fn runtime(&self) -> &RuntimeHeaders {
        &self.shared.runtime
    }

    /// The session, if the turn has one.
    pub fn session(&self) -> Option<&SessionId> {
        self.shared.session.as_ref()
    }

    /// Real use or evaluation.
    pub fn mode(&self) -> SessionMode {
        self.shared.mode
    }

    /// The application that sent the request (`X-Client-Id`).
    pub fn client_id(&self) -> Option<&str> {
        self.shared.client_id.as_deref()
    }

    pub(crate) fn shared_client_id(&self) -> Option<Arc<str>> {
        self.shared.client_id.clone()
    }

    pub(crate) fn shared_request_id(&self) -> Arc<str> {
        Arc::clone(&self.shared.request_id)
    }

    /// The id of the request, in logs and answers.
    pub fn request_id(&self) -> &str {
        &self.shared.request_id
    }

    /// The claims of a verified token, or null.
    pub fn claims(&self) -> &Arc<Value> {
        &self.shared.claims
    }

    /// The token that the caller proved itself with, to be traded for others; no template reads it.
    pub fn subject_token(&self) -> Option<&SubjectToken> {
        self.shared.subject_token.as_ref()
    }

    /// The environment values that destinations may read.
    pub fn env(&self) -> &ListedEnv {
        &self.shared.env
    }

    /// The operator's credentials that destinations may read.
    pub fn credentials(&self) -> &Credentials {
        &self.shared.credentials
    }

    /// The trace that calls out belong to.
    pub fn trace(&self) -> Option<&TraceContext> {
        self.shared.trace.as_ref()
    }

    /// The agent that works.
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// The agent that works, to keep.
    pub fn shared_agent(&self) -> Arc<str> {
        Arc::clone(&self.agent)
    }

    /// The model chosen for this run, if the request chose one.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }
}

impl RequestContextBuilder {
    /// Another caller. Claims and token say who the earlier one is: unless it is the same, they stay behind.
    #[must_use]
    pub fn caller(mut self, caller: Caller) -> Self {
        if self.shared.caller != caller {
            self.shared.claims = Arc::new(Value::Null);
            self.shared.subject_token = None;
        }
        self.shared.caller = caller;
        self
    }

    /// The headers that this run alone sends to the model's API.
    #[must_use]
    pub fn runtime(mut self, headers: RuntimeHeaders) -> Self {
        self.shared.runtime = headers;
        self
    }

    /// More of them, the word of a program: they win over all others, identity headers too.
    #[must_use]
    pub fn more_runtime(mut self, headers: &RuntimeHeaders) -> Self {
        self.own.merge(headers);
        self
    }

    /// The session that the turn belongs to.
    #[must_use]
    pub fn session(mut self, id: SessionId, mode: SessionMode) -> Self {
        self.shared.session = Some(id);
        self.shared.mode = mode;
        self
    }

    /// Real use or evaluation, for a turn that belongs to no session.
    #[must_use]
    pub fn mode(mut self, mode: SessionMode) -> Self {
        self.shared.mode = mode;
        self
    }

    /// Of the names that may be runtime headers, identity headers go out with what this context says, and never with what
    /// was sent.
    ///
    /// ```
    /// use letterhead_context::{Caller, Headers, RequestContext, RuntimeNames};
    ///
    /// let names = RuntimeNames::new(["X-Tenant-Id", "X-Team"]).unwrap();
    /// let context = RequestContext::builder(Caller::anonymous(), Headers::none()).runtime_identity(&names).build("a");
    /// let sent: Vec<_> = context.runtime().iter().map(|(name, value)| (name.as_str(), value)).collect();
    /// assert_eq!(sent.len(), 1);
    /// assert_eq!(sent[0].0, "x-tenant-id");
    /// ```
    #[must_use]
    pub fn runtime_identity(mut self, names: &RuntimeNames) -> Self {
        self.shared.identity = names.identity().cloned().collect();
        self
    }

    /// The application that sent the request.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.shared.client_id = Some(id.into());
        self
    }

    /// The id of the request.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.shared.request_id = id.into();
        self
    }

    /// The claims of a verified token.
    #[must_use]
    pub fn claims(mut self, claims: Value) -> Self {
        self.shared.claims = Arc::new(claims);
        self
    }

    /// The token that the caller proved itself with. It is read where it is traded for another one, and goes nowhere else.
    #[must_use]
    pub fn subject_token(mut self, token: SubjectToken) -> Self {
        self.shared.subject_token = Some(token);
        self
    }

    /// The environment values that destinations may read.
    #[must_use]
    pub fn env(mut self, env: ListedEnv) -> Self {
        self.shared.env = env;
        self
    }

    /// The operator's credentials that destinations may read.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.shared.credentials = credentials;
        self
    }

    /// The trace that the request belongs to.
    #[must_use]
    pub fn trace(mut self, trace: TraceContext) -> Self {
        self.shared.trace = Some(trace);
        self
    }

    /// The model chosen for this run.
    #[must_use]
    pub fn model(mut self, model: impl Into<Arc<str>>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Freezes the context, for the agent that starts.
    pub fn build(mut self, agent: &str) -> RequestContext {
        let mut identity = std::mem::take(&mut self.shared.identity);
        for name in &identity {
            // What another context has said is no word of this one.
            self.shared.runtime.forget(name);
            if let Some(value) = self.verified(name, agent) {
                // What is no header value cannot have come in as one.
                let _ = self.shared.runtime.set(name.as_str(), &value);
            }
        }
        identity.retain(|name| !self.own.mentions(name));
        self.shared.identity = identity;
        self.shared.runtime.merge(&self.own);
        RequestContext { shared: Arc::new(self.shared), agent: Arc::from(agent), model: self.model }
    }

    /// What an identity header says of this context, if anything.
    fn verified(&self, name: &HeaderName, agent: &str) -> Option<String> {
        let Shared { caller, session, mode, client_id, .. } = &self.shared;
        match name.as_str() {
            "x-user-id" => caller.user().map(|user| user.as_str().to_owned()),
            "x-tenant-id" => Some(caller.tenant().as_str().to_owned()),
            "x-session-id" => session.as_ref().map(|id| id.as_str().to_owned()),
            "x-is-eval" => Some((*mode == SessionMode::Evaluation).to_string()),
            "x-client-id" => client_id.as_deref().map(str::to_owned),
            "x-agent-schema" => Some(agent.to_owned()),
            "x-model-name" => self.model.as_deref().map(str::to_owned),
            _ => None,
        }
    }
}

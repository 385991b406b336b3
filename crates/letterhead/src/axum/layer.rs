//! The layer, and the service that it makes.

use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{self, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::request::Parts;
use http::{Request, Response};
use letterhead_context::{HeaderLimits, Problem, RuntimeNameFault, RuntimeNames};
use tower_layer::Layer;
use tower_service::Service;

use super::identity::Identity;
use super::problem::ProblemResponse;
use super::rules::{Refused, Rules, unknown_agent};
use crate::registry::{RegistryFault, RegistryPlace};
use crate::run::{BuildError, Runner};

/// Makes a [`RequestContext`](crate::RequestContext) of what each request carries, or refuses the request. Cheap to clone.
///
/// It belongs to the routes that start turns: with `axum`, `Router::route_layer`. Elsewhere a request would be refused for
/// lack of a header that only agents need.
#[derive(Clone)]
pub struct ContextLayer(Arc<Rules>);

impl ContextLayer {
    /// Admits by the declaration of a runner, for turns that start with its entry agent.
    pub fn new(runner: &Runner) -> Self {
        Self(Arc::new(Rules::new(runner.registry())))
    }

    fn changed(self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = Arc::unwrap_or_clone(self.0);
        change(&mut rules);
        Self(Arc::new(rules.renewed()))
    }

    /// Turns start with this agent.
    ///
    /// # Errors
    ///
    /// If the runner has no such agent.
    pub fn agent(self, name: &str) -> Result<Self, Problem> {
        let agent = self.0.registry.agent(name).ok_or_else(|| unknown_agent(name))?.shared_name();
        Ok(self.changed(|rules| rules.agent = agent))
    }

    /// A request may choose the agent (`X-Agent-Schema`) and the model (`X-Model-Name`), of those that the runner has and
    /// [allows](crate::RunnerBuilder::allow_models). Without this the two headers say nothing.
    #[must_use]
    pub fn choosing_agents(self) -> Self {
        self.changed(|rules| rules.choosing = true)
    }

    /// Headers of the request that go to the model's API, for its run: whole names, or prefixes such as `X-Trace-*`. They
    /// stay in the request, too. An identity header such as `X-User-Id` goes out with what the context says, and never with
    /// what was sent.
    ///
    /// ```
    /// # use letterhead::{Agent, Runner, axum::ContextLayer};
    /// # let runner = Runner::with_agents([Agent::new("a")]).build()?;
    /// let layer = ContextLayer::new(&runner).runtime_headers(["X-Request-ID", "X-Team-*"])?;
    /// assert!(layer.runtime_headers(["Authorization"]).is_err());
    /// # Ok::<(), letterhead::BuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// For names that no caller may set, each with the reason.
    pub fn runtime_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Result<Self, BuildError> {
        let names = RuntimeNames::new(names).and_then(|names| names.with_declared(self.0.registry.schema()));
        let runtime = names.map_err(|faults| {
            let told = |fault: RuntimeNameFault| RegistryFault::at(RegistryPlace::Registry, fault.message);
            BuildError(faults.into_iter().map(told).collect())
        })?;
        Ok(self.changed(|rules| rules.runtime = runtime))
    }

    /// How large headers may be.
    #[must_use]
    pub fn limits(self, limits: HeaderLimits) -> Self {
        self.changed(|rules| rules.limits = limits)
    }

    /// Finds who is calling by a function of the head of the request, which still has all its headers. A problem is the
    /// answer to the request: [`Code::Unauthenticated`](crate::Code::Unauthenticated) makes it a 401.
    ///
    /// What needs to wait for something (a database, an issuer of tokens) is a middleware outside of this layer, which puts
    /// an [`Identity`] into the request's extensions.
    ///
    /// ```
    /// # use letterhead::{Agent, Runner, axum::ContextLayer};
    /// use letterhead::{Caller, CallerSource, Code, Problem, TenantId, UserId};
    ///
    /// # let runner = Runner::with_agents([Agent::new("a")]).build()?;
    /// let layer = ContextLayer::new(&runner).identified_by(|request| {
    ///     // Whoever the application's login has found.
    ///     let user = request.extensions.get::<UserId>().cloned();
    ///     let user = user.ok_or_else(|| Problem::new(Code::Unauthenticated, "log in first"))?;
    ///     Ok(Caller::new(TenantId::default(), Some(user), CallerSource::Token))
    /// });
    /// # let _ = layer;
    /// # Ok::<(), letterhead::BuildError>(())
    /// ```
    #[must_use]
    pub fn identified_by<I: Into<Identity>>(
        self,
        identify: impl Fn(&Parts) -> Result<I, Problem> + Send + Sync + 'static,
    ) -> Self {
        self.changed(|rules| rules.identify = Arc::new(move |parts| identify(parts).map(Into::into)))
    }
}

impl fmt::Debug for ContextLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextLayer")
            .field("agent", &self.0.agent)
            .field("headers", self.0.registry.schema())
            .field("runtime", &self.0.runtime)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ContextLayer {
    type Service = ContextService<S>;

    fn layer(&self, inner: S) -> ContextService<S> {
        ContextService { inner, layer: self.clone() }
    }
}

/// A service behind a [`ContextLayer`]. It finds the [`RequestContext`](crate::RequestContext) among the extensions of the
/// request.
#[derive(Clone, Debug)]
pub struct ContextService<S> {
    inner: S,
    layer: ContextLayer,
}

impl<S, B, R> Service<Request<B>> for ContextService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<R>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        match self.layer.0.admit(&mut parts) {
            Ok(context) => {
                parts.extensions.insert(context);
                Either::Left(self.inner.call(Request::from_parts(parts, body)))
            }
            Err(Refused { problem, request_id }) => {
                let refusal = ProblemResponse::from(problem).in_request(&request_id).response();
                Either::Right(ready(Ok(refusal.map(R::from))))
            }
        }
    }
}

//! The extractor.

use axum_core::extract::FromRequestParts;
use http::request::Parts;
use letterhead_context::{Code, Problem, RequestContext};

use super::problem::ProblemResponse;

/// What a request carries, for a handler behind a [`ContextLayer`](super::ContextLayer).
///
/// ```
/// use letterhead::axum::Context;
///
/// async fn who(Context(context): Context) -> String {
///     context.caller().tenant().to_string()
/// }
/// ```
///
/// A handler without the layer answers 500: nothing was admitted for it.
#[derive(Clone, Debug)]
pub struct Context(pub RequestContext);

impl<S: Send + Sync> FromRequestParts<S> for Context {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ProblemResponse> {
        parts.extensions.get::<RequestContext>().cloned().map(Self).ok_or_else(|| {
            tracing::error!(path = parts.uri.path(), "no `ContextLayer` on this route: add it with `route_layer`");
            Problem::new(Code::Internal, "the application has no context for this request").into()
        })
    }
}

//! The context of a turn, put together from what is known of the request.

use std::sync::Arc;

use letterhead_context::{
    Caller, Headers, IdentityClaims, RequestContext, RuntimeHeaders, SessionId, SessionMode, TraceContext,
};

use crate::app::App;
use crate::auth::Claims;

/// What the context is framed by, besides caller and headers.
pub(super) struct Frame<'a> {
    pub(super) session: Option<SessionId>,
    pub(super) mode: SessionMode,
    pub(super) request_id: Arc<str>,
    pub(super) agent: &'a str,
    pub(super) model: Option<&'a str>,
    pub(super) trace: TraceContext,
    pub(super) claims: Claims,
}

/// Freezes the context of a turn.
pub(super) fn context(
    app: &App,
    caller: Caller,
    headers: Headers,
    identity: &IdentityClaims,
    runtime: RuntimeHeaders,
    frame: Frame<'_>,
) -> RequestContext {
    let (claims, token) = frame.claims.into_parts();
    let mut builder = RequestContext::builder(caller, headers)
        .runtime(runtime)
        // An identity header among the runtime headers goes out with the verified value.
        .runtime_identity(app.ingress.runtime_names())
        .mode(frame.mode)
        .request_id(frame.request_id)
        .trace(frame.trace)
        .claims(claims)
        .env(app.env.clone())
        .credentials(app.credentials.current());
    if let Some(token) = token {
        builder = builder.subject_token(token);
    }
    if let Some(id) = frame.session {
        builder = builder.session(id, frame.mode);
    }
    if let Some(client) = &identity.client_id {
        builder = builder.client_id(client.as_str());
    }
    if let Some(model) = frame.model {
        builder = builder.model(model);
    }
    builder.build(frame.agent)
}

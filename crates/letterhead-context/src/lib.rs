//! What a request carries into an agent: declared headers, the caller, templates, precedence and egress.
//!
//! This crate is pure: no I/O, no clock, no async.

mod caller;
mod context;
mod problem;
mod trace;
mod trail;

pub use caller::{Caller, CallerSource, MAX_IDENTITY_BYTES, TenantId, UserId};
pub use context::{ListedEnv, RequestContext, RequestContextBuilder, SessionId, SessionMode};
pub use problem::{Code, Fault, Place, Problem};
pub use trace::TraceContext;
pub use trail::{DestinationKind, Layer, TrailEntry};
mod headers;
pub mod name;
mod schema;
pub mod value;

pub use headers::{Headers, Origin, Sent, SentValue};
pub use schema::{Field, HeaderSchema, MAX_FIELDS, SchemaFault};
pub use value::Secret;
mod ingress;
mod runtime;
pub use ingress::{Admitted, HeaderLimits, IdentityClaims, Ingress, Rejected};
pub use runtime::{RuntimeHeaderError, RuntimeHeaders, RuntimeNameFault, RuntimeNames};
mod template;
pub use template::{Read, RenderError, Rendered, Scope, Sink, Template, TemplateFault, View};
mod egress;
mod precedence;
pub use egress::{
    Credential, HeaderBudget, HeaderSource, HeaderTemplateFault, HeaderTemplates, LlmDestination, header_view,
    note_instructions,
};

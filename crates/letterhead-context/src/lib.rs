//! What a request carries into an agent: declared headers, the caller, templates, precedence and egress.
//!
//! This crate is pure: no I/O, no clock, no async. It is the part of Letterhead that decides what may be known where, small
//! enough to be read in one sitting, and everything that reads or writes a header goes through it.
//!
//! It has no agents. Those are in the crate `letterhead`, whose front page goes through all the ideas in their order, and which
//! has this crate's types as `letterhead::context`.
//!
//! # The way of a header
//!
//! | step | type | what it makes sure of |
//! |---|---|---|
//! | declared | [`HeaderSchema`] | a JSON Schema, compiled once; every fault of it is told when it is read |
//! | admitted | [`Ingress`] | takes the raw headers and yields declared ones, identity claims and runtime headers; the rest is gone. Every fault is told at once ([`Rejected::problem`]), and none with a value |
//! | remembered | [`HeaderSchema::merge`] | stored ∪ sent, then defaults, then the whole is validated: [`Headers`] |
//! | carried | [`RequestContext`] | frozen; a child differs from it in agent and model, and in nothing else |
//! | shown | [`Template`], [`View`] | checked when they are read; rendered with a view that was made for one [`Sink`] |
//! | sent | [`LlmDestination`] | provider < agent < run, each name once, one credential at most; a [`TrailEntry`] for what went and what stayed |
//! | sent elsewhere | [`RequestTemplate`], [`Destination`] | a fetcher, tool, MCP server or external agent gets its own headers alone; no value leaves its place in URL, query or body |
//!
//! # What holds by shape
//!
//! - **Default-deny.** A header leaves only where a destination's own configuration names it.
//! - **Secrets** (`writeOnly: true`) are kept apart from the other values, and the view of a sink that a model reads is
//!   built without them, and without the operator's [`Credentials`] and environment. The check of templates is the
//!   friendly error; that they are not there is the guarantee.
//! - **Values are data.** Rendering is one pass, and the sink escapes: no value is evaluated, starts a line of its own in a
//!   prompt, ends a header, or becomes a second segment, parameter or member.
//! - **No value in an error.** Faults say where and what was expected. `Debug` shows names.
//! - **Missing is missing.** Null and absent are one; a filter of nothing is nothing; a header that lacks a value is left
//!   out, and if it is a credential or made of a secret, the call is not made. Nor is it where a URL, a query or a body
//!   lacks one, but for a member of a JSON body that is one expression, which is left out.
//!
//! # An example of the whole way
//!
//! ```
//! use std::sync::Arc;
//!
//! use http::{HeaderMap, HeaderValue};
//! use letterhead_context::{
//!     Caller, Credential, HeaderBudget, HeaderLimits, HeaderSchema, HeaderTemplates, Ingress, LlmDestination, Rendered,
//!     RequestContext, RuntimeNames, Scope, Sink, Template, TextSource, View, header_view,
//! };
//! use serde_json::json;
//!
//! // When the configuration is read: what may come in, and where it may go.
//! let schema = HeaderSchema::compile(&json!({
//!     "required": ["user_id"],
//!     "properties": {
//!         "user_id": { "type": "string", "maxLength": 64 },
//!         "org_name": { "default": "an unknown organisation" },
//!         "auth_token": { "writeOnly": true },
//!     },
//! }))
//! .unwrap();
//! let runtime = RuntimeNames::new(["X-Request-ID", "X-Environment"]).unwrap().with_declared(&schema).unwrap();
//! let scope = Scope::of(&schema);
//! let instructions =
//!     Template::compile("You help {{ headers.user_id }} of {{ headers.org_name }}.", Sink::Instructions, scope).unwrap();
//! let agent = HeaderTemplates::compile(
//!     [("X-Agent-ID", TextSource::Literal("assistant")), ("X-Environment", TextSource::Literal("staging"))],
//!     scope,
//! )
//! .unwrap();
//! let key = Credential::bearer(Template::literal("sk-123", Sink::Header));
//! let ingress = Ingress::new(schema, runtime, HeaderLimits::default());
//!
//! // When a request comes in: its headers are taken, and become a context.
//! let mut request = HeaderMap::new();
//! request.insert("User-Id", HeaderValue::from_static("u_1"));
//! request.insert("auth_token", HeaderValue::from_static("t_abc"));
//! request.insert("x-environment", HeaderValue::from_static("production"));
//! request.insert("cookie", HeaderValue::from_static("nobody=declared"));
//! let admitted = ingress.admit(request).unwrap();
//! let headers = ingress.schema().merge([], &admitted.sent, &[]).unwrap();
//! let context = RequestContext::builder(Caller::anonymous(), headers).runtime(admitted.runtime).build("assistant");
//!
//! // When the model is called: what it is told, and what its API is sent.
//! let told = instructions.render(&View::new(Sink::Instructions, &context)).unwrap();
//! assert_eq!(told, Rendered::Text("You help u_1 of an unknown organisation.".into()));
//!
//! let mut trail = Vec::new();
//! let destination = LlmDestination {
//!     name: &Arc::from("providers.openai"),
//!     credential: Some(&key),
//!     provider: &HeaderTemplates::default(),
//!     agent: &agent,
//!     budget: HeaderBudget::default(),
//! };
//! let sent = destination.headers(&context, &header_view(&context, None), &mut trail).unwrap();
//! assert_eq!(sent.len(), 3);
//! assert_eq!(sent["authorization"], "Bearer sk-123");
//! assert_eq!(sent["x-agent-id"], "assistant");
//! assert_eq!(sent["x-environment"], "production"); // the run's wins over the agent's
//! assert_eq!(trail.iter().filter(|entry| entry.sent).count(), 3);
//! ```

mod caller;
mod context;
mod credentials;
mod egress;
mod headers;
mod ingress;
pub mod name;
mod percent;
mod precedence;
mod problem;
mod request;
mod runtime;
mod schema;
mod session;
mod subject_token;
mod template;
mod trace;
mod trail;
pub mod value;

pub use caller::{Caller, CallerSource, MAX_IDENTITY_BYTES, TenantId, UserId};
pub use context::{ListedEnv, RequestContext, RequestContextBuilder};
pub use credentials::Credentials;
pub use egress::{
    Credential, Destination, HeaderBudget, HeaderTemplateFault, HeaderTemplates, InstructionsDestination,
    LlmDestination, TextSource, header_view,
};
pub use headers::{Headers, HeadersUnfit, Origin, Sent, SentValue};
pub use ingress::{Admitted, HeaderLimits, IdentityClaims, Ingress, Rejected};
pub use problem::{Code, Fault, OpenAiError, Place, Problem, ProblemDocument};
pub use request::{
    BodySource, CarriedSecrets, NotSent, NotSentReason, RenderedRequest, RequestFault, RequestPlace, RequestSource,
    RequestTemplate, Requirement, SecretsInPieces,
};
pub use runtime::{RuntimeHeaderError, RuntimeHeaders, RuntimeNameFault, RuntimeNames};
pub use schema::{Field, HeaderSchema, MAX_FIELDS, SchemaFault, SchemaFaults, misspelt_keywords};
pub use session::{SessionId, SessionMode};
pub use subject_token::SubjectToken;
pub use template::{
    Read, RenderError, Rendered, Scope, Sink, Template, TemplateFault, Use, Values, VariableValues, View,
    without_invisible,
};
pub use trace::TraceContext;
pub use trail::{DestinationKind, Layer, RequestPart, TrailEntry};
pub use url::Url;
pub use value::Secret;

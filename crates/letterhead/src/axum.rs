//! Agents in an application of [axum](https://docs.rs/axum), or of anything else that is built of `tower` (feature `axum`).
//!
//! [`ContextLayer`] admits what a request carries, by the declaration of a [`Runner`](crate::Runner): it takes the declared
//! headers out of the request, reads and checks them, and makes a [`RequestContext`](crate::RequestContext) of them. A request
//! whose headers have faults gets one answer that lists them all, and no handler sees it. [`Context`] is the extractor that
//! gives a handler this context, for [`Run::request`](crate::Run::request). [`ProblemResponse`] makes an answer of whatever
//! goes wrong: `application/problem+json`, with the status that belongs to it.
//!
//! ```
//! use axum::{Json, Router, routing::post};
//! use letterhead::axum::{Context, ContextLayer, ProblemResponse};
//! use letterhead::{Agent, HeaderSchema, Runner, Secret};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct AppHeaders {
//!     org_name: String,
//!     auth_token: Option<Secret>,
//! }
//!
//! async fn chat(Context(context): Context, runner: axum::Extension<Runner>, question: String) -> Result<String, ProblemResponse> {
//!     Ok(runner.run(question).request(context).await?.output)
//! }
//!
//! let runner = Runner::with_agents([Agent::new("assistant").with_instructions("You work for {{ headers.org_name }}.")])
//!     .headers(HeaderSchema::of::<AppHeaders>()?)
//!     .build()?;
//! let app: Router = Router::new()
//!     .route("/chat", post(chat))
//!     .route_layer(ContextLayer::new(&runner)) // On the routes that start turns, and no others.
//!     .layer(axum::Extension(runner));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who is calling
//!
//! The application authenticates: it has its own users, cookies and tokens, and this library does not guess. It says who is
//! calling by an [`Identity`] or a [`Caller`](crate::Caller) among the extensions of the request, which a middleware of its own
//! puts there, *outside* of this layer; or by a function that the layer calls ([`ContextLayer::identified_by`]). Without either
//! the caller is anonymous. `X-User-Id` and `X-Tenant-Id` are never believed here: anybody can send them.
//!
//! Of the other identity headers `X-Session-Id`, `X-Is-Eval` and `X-Client-Id` are read. `X-Agent-Schema` and `X-Model-Name`
//! are only where the layer is [told to](ContextLayer::choosing_agents).
//!
//! # What is taken out of the request
//!
//! The declared headers, and nothing else: a handler cannot log a token that it does not see. Templates and tools read them
//! from the context. `Authorization` and `Cookie` stay where they are, for the application.

mod context;
mod identity;
mod layer;
mod problem;
mod rules;

pub use context::Context;
pub use identity::Identity;
pub use layer::{ContextLayer, ContextService};
pub use problem::ProblemResponse;

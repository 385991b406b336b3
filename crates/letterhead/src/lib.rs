//! Agents whose model calls carry the context of the request behind them.
//!
//! A letterhead says, before the first word of a letter, who is writing and for whom. In this library the headers of an
//! HTTP request do that job for AI agents: a header is *declared* once, *checked* when it arrives, *delivered* only where
//! a configuration names it (a prompt, a model's API, a tool), *inherited* by the agents that an agent asks, and
//! *accounted for* afterwards.
//!
//! # From agents to a result
//!
//! An [`Agent`] is a name, instructions, and what its model calls carry. A [`Runner`] is a set of agents, checked against
//! each other when it is built. A [`Run`] answers one message: the model is called, its tool calls are made, the model is
//! called again, until there is an answer.
//!
//! ```
//! use letterhead::{Agent, FunctionTool, HeaderSchema, Runner, ToolContext, ToolError};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use serde_json::json;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Order {
//!     order_id: u32,
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! // What a request may carry. A value that is `writeOnly` is a secret: no model, log or trail shows it.
//! let schema = HeaderSchema::compile(&json!({
//!     "required": ["user_id"],
//!     "properties": { "user_id": { "type": "string" }, "auth_token": { "type": "string", "writeOnly": true } },
//! }))
//! .unwrap();
//!
//! // A tool is an async function. The model chooses the arguments; who asks is in the context.
//! let get_order = FunctionTool::new("get_order", "Looks an order up.", |order: Order, _: ToolContext| async move {
//!     Ok::<_, ToolError>(format!("Order {} has been shipped.", order.order_id))
//! })?;
//!
//! let runner = Runner::with_agents([
//!     Agent::new("shop")
//!         .with_instructions("You help {{ headers.user_id }}.") // A template, checked when the runner is built.
//!         .with_header("X-Environment", "staging") // On each of this agent's model calls.
//!         .with_tool(get_order)
//!         .with_handoff("billing"),
//!     Agent::new("billing").with_description("Invoices and payments.").with_instructions("You handle billing."),
//! ])
//! .headers(schema)
//! .build()?;
//!
//! let result = runner
//!     .run("/tool get_order {\"order_id\": 7}") // The built-in demo model does what it is told to do.
//!     .context_header("User-Id", "u_1")
//!     .header("X-Environment", "production")? // For this run alone; it wins over the agent's.
//!     .await?;
//! assert!(result.output.contains("Order 7 has been shipped."));
//!
//! // Which header went where, and what stayed behind: names, never values.
//! let environment = result.trail.iter().find(|entry| entry.sent && &*entry.header == "x-environment").unwrap();
//! assert_eq!((&*environment.destination, &*environment.from), ("providers.demo", "runtime_headers"));
//!
//! // The conversation goes on, with the agent that has it.
//! let next = runner.run("/handoff billing").previous(&result).context_header("user_id", "u_1").await?;
//! assert_eq!(&*next.current_agent, "billing");
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! Without a provider the built-in demo model answers, so that all of this runs without a key and without a network. A
//! real one is one line: [`Provider::openai`] or [`Provider::anthropic`], and [`RunnerBuilder::default_model`].
//!
//! # The ideas
//!
//! - **Nothing leaves by default.** A header reaches a destination because that destination's own configuration names it.
//! - **Three layers, the later wins**, name by name and whatever the case: the provider's headers, the agent's, the run's.
//!   A call never carries two credentials. Request fields (`temperature`, …) have the same layers; objects merge by key.
//! - **What can be wrong is found early.** Names, templates, targets and tools are checked when a [`Runner`] is built, all
//!   faults at once; what a run brings is checked before the first model call.
//! - **A secret cannot be shown by accident.** The values that a prompt is rendered with do not contain secrets; `Debug`,
//!   errors and the trail hold no values.
//! - **Inheritance has no setters.** A child ([`Agent::with_delegate`]) has the caller, the headers and the session of its
//!   parent, and nothing that a model writes can change that. After a handoff ([`Agent::with_handoff`]) nothing of the
//!   earlier agent's headers, fields or instructions is left.
//! - **Failures of tools and children are results** that the model sees. The run goes on, bounded by [`Limits`].
//!
//! # Where to read on
//!
//! | to | read |
//! |---|---|
//! | describe agents | [`Agent`], [`Provider`], [`HeaderSchema`] |
//! | start a run, or watch it | [`Run`], [`RunStream`], [`RunEvent`], [`RunResult`] |
//! | give agents something to do | [`FunctionTool`], [`HttpTool`], [`McpServer`], the [`Tool`] trait, [`ToolContext`], [`State`] |
//! | get a value for an answer, not words | [`Agent::with_output`], [`model::OutputSchema`], [`RunResult::output_as`] |
//! | fetch what an agent should know of its user | [`Variable`] |
//! | call a model of your own | [`model::ChatModel`] |
//! | take headers from HTTP requests | [`context::Ingress`], [`RequestContext`], [`Run::request`] |
//! | see where headers go, without a call | [`Registry::routes`], [`Registry::preview`] |
//! | keep sessions yourself, as the server does | [`Registry::run`], [`run::RunInput`], [`run::Outcome`] |
//!
//! The `examples` folder has a short program for each of these. The types of [`context`] that programs meet are here too,
//! so that one dependency is enough; tools with typed arguments also need `serde` and `schemars`, for their derives.

pub mod agent;
pub mod model;
pub mod outbound;
mod output;
pub mod provider;
pub mod registry;
pub mod run;
pub mod tool;
pub mod variable;

#[doc(no_inline)]
pub use letterhead_context as context;
pub use letterhead_context::{
    Caller, CallerSource, Code, Fault, HeaderSchema, Headers, Place, Problem, RequestContext, RuntimeHeaders, Sent,
    SessionId, SessionMode, TenantId, TraceContext, TrailEntry, UserId,
};

pub use agent::{Agent, Delegate, Instructions, Text};
pub use provider::{KeyHeader, Provider, ProviderKind};
pub use registry::{
    HeaderRead, ModelRef, Reach, Registry, RegistryBuilder, RegistryFault, RegistryPlace, Route, VariablePlace,
};
pub use run::{BuildError, Events, Limits, Run, RunError, RunEvent, RunResult, RunStream, Runner, RunnerBuilder};
pub use tool::{FunctionTool, HttpTool, HttpToolPlace, McpServer, McpServerPlace, State, Tool, ToolContext, ToolError};
pub use variable::{Variable, VariableBody, When};

#![doc = include_str!("book.md")]

pub mod agent;
#[cfg(feature = "axum")]
pub mod axum;
mod history;
pub mod lookup;
pub mod model;
pub mod outbound;
mod output;
pub mod provider;
pub mod registry;
pub mod run;
mod token_exchange;
pub mod tool;
pub mod variable;

#[doc(no_inline)]
pub use letterhead_context as context;
#[doc(no_inline)]
pub use letterhead_store as store;
#[doc(no_inline)]
pub use tokio_util::sync::CancellationToken;

pub use letterhead_context::{
    Caller, CallerSource, Code, DestinationKind, Fault, HeaderSchema, Headers, HeadersUnfit, Layer, Place, Problem,
    RequestContext, RuntimeHeaderError, RuntimeHeaders, SchemaFault, SchemaFaults, Secret, Sent, SessionId,
    SessionMode, SubjectToken, TenantId, TraceContext, TrailEntry, UserId,
};

pub use agent::{Agent, Delegate, Instructions, Text};
pub use provider::{KeyHeader, Provider, ProviderKind};
pub use registry::{
    HeaderRead, ModelRef, Reach, Registry, RegistryBuilder, RegistryFault, RegistryPlace, Route, VariablePlace,
};
pub use run::{BuildError, Events, Limits, Run, RunError, RunEvent, RunResult, RunStream, Runner, RunnerBuilder};
pub use token_exchange::{ClientAuthentication, SubjectTokenType, TokenExchange};
pub use tool::{
    ExternalAgent, ExternalAgentPlace, FunctionTool, HttpTool, HttpToolPlace, McpServer, McpServerPlace, State, Tool,
    ToolContext, ToolError,
};
pub use variable::{Variable, VariableBody, When};

/// The guide to the library, whose code runs with the tests of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/library.md")]
mod guide {}

/// What the README shows of the library, too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}

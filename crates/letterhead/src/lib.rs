//! letterhead

pub mod agent;
pub mod model;
pub mod outbound;
pub mod provider;
pub mod registry;
pub mod run;
pub mod tool;

pub use letterhead_context as context;

pub use agent::{Agent, Delegate, Instructions, Text};
pub use context::{
    Caller, CallerSource, Code, Fault, HeaderSchema, Headers, Place, Problem, RequestContext, RuntimeHeaders, Sent,
    SessionId, SessionMode, TenantId, TraceContext, TrailEntry, UserId,
};
pub use provider::{KeyHeader, Provider, ProviderKind};
pub use registry::{HeaderRead, ModelRef, Registry, RegistryBuilder, RegistryFault, RegistryPlace};
pub use run::{BuildError, Events, Limits, Run, RunError, RunEvent, RunResult, RunStream, Runner, RunnerBuilder};
pub use tool::{FunctionTool, State, Tool, ToolContext, ToolError};

//! letterhead

pub mod agent;
pub mod model;
pub mod outbound;
pub mod provider;
pub mod registry;
pub mod run;
pub mod tool;

pub use agent::{Agent, Delegate, Instructions, Text};
pub use provider::{KeyHeader, Provider, ProviderKind};
pub use registry::{ModelRef, Registry, RegistryBuilder, RegistryFault, RegistryPlace};
pub use run::{Events, Limits, Run, RunEvent, RunResult, Runner};

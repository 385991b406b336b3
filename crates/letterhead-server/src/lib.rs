//! The agent server.

pub mod app;
pub mod arrival;
pub mod assembly;
pub mod auth;
pub mod caller_limits;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod edge;
pub mod error;
pub mod idempotency;
mod json_rpc;
pub mod logging;
mod members;
pub mod model_choice;
mod openai_message;
pub mod readiness;
pub mod routes;
pub mod serve;
pub mod stream;
pub mod turn;

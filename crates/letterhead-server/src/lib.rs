//! The agent server: configuration, who is calling, sessions, and one encoder for each wire protocol.
//!
//! The ideas are on the front page of the crate `letterhead`, on which it is built. A request goes through [`edge`], [`arrival`]
//! (who is calling, and [admission](letterhead_context::Ingress)), [`turn`] and [`stream`]; [`routes`] has the routes and their
//! layers in order, [`error`] makes every error an answer, [`assembly`] makes agents of a [`config`].

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
mod session_header;
pub mod stream;
pub mod turn;

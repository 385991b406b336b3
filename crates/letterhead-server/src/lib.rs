//! The agent server.

pub mod app;
pub mod arrival;
pub mod assembly;
pub mod auth;
pub mod config;
pub mod edge;
pub mod error;
mod members;
pub mod model_choice;
mod openai_message;
pub mod routes;
pub mod stream;
pub mod turn;
pub mod cli;
mod logging;
pub mod serve;

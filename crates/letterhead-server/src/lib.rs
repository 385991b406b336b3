//! letterhead-server
pub mod config;

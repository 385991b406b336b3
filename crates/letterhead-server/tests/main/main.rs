//! What the server promises, one file a promise, against a server that runs and a model that is scripted.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share fail by panicking, as tests do"
)]

mod every_fault_of_the_headers_is_told_at_once;
mod every_agent_of_a_turn_has_its_own_headers;
mod headers_are_remembered_for_the_session;
mod headers_reach_the_model_as_configured;
mod support;

//! Tokens that the caller's own is traded for, as a program that embeds the library sees them: one promise a file.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

#[path = "../runs/mcp_server.rs"]
#[expect(dead_code, reason = "the tests of runs use more of it")]
mod mcp_server;
#[path = "../runs/script.rs"]
#[expect(dead_code, reason = "the tests of runs use more of it")]
mod script;
#[path = "../runs/support.rs"]
#[expect(dead_code, reason = "the tests of runs use more of it")]
mod support;

mod bank;

mod a_destination_gets_its_own_token_and_no_other;
mod a_token_is_kept_until_shortly_before_its_end;
mod an_exchange_is_checked_when_it_is_built;
mod an_external_agent_is_asked_with_the_callers_own_token;
mod an_mcp_server_is_asked_with_the_callers_own_tokens;
mod without_a_token_nothing_is_sent;

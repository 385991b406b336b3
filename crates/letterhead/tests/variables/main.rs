//! Context variables, as a program that embeds the library sees them: one promise a file.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

#[path = "../runs/script.rs"]
#[expect(dead_code, reason = "the tests of runs use more of it")]
mod script;
mod support;

mod a_dry_run_shows_every_request;
mod a_fault_has_its_answer;
mod a_fetch_goes_where_it_may;
mod an_api_may_send_back_what_it_was_sent;
mod definitions_are_checked_when_they_are_read;
mod each_is_fetched_when_it_is_needed;
mod the_documents_fetchers_run_as_printed;
mod values_are_kept_for_the_conversation;
mod what_is_missing_is_skipped_left_out_or_a_fault;

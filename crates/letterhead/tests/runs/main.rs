//! Runs of agents, as a program that embeds the library sees them: one promise a file.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod external;
mod mcp_server;
mod script;
mod shop;
mod support;

mod a_child_inherits_all_but_agent_and_model;
mod a_clients_tool_is_the_clients_to_run;
mod a_forced_tool_is_forced_once;
mod a_handoff_takes_nothing_along;
mod a_kept_result_holds_no_secret;
mod a_long_conversation_is_shortened_for_the_model;
mod a_program_answers_for_calls_that_wait;
mod a_result_goes_on_where_it_ended;
mod a_run_says_who_asks_and_where;
mod a_slow_reader_loses_nothing;
mod a_tools_failure_is_a_result;
mod an_agent_is_a_value;
mod an_answer_has_the_form_that_its_agent_says;
mod an_approved_call_is_written_down_before_it_is_made;
mod an_external_agent_answers_as_a_child;
mod an_external_agent_that_fails_is_a_result;
mod an_http_tool_calls_its_api;
mod an_http_tool_shows_only_what_it_may;
mod an_http_tools_failure_is_a_result;
mod an_mcp_server_is_kept_for_its_caller;
mod an_mcp_server_that_fails_is_said;
mod cancelling_keeps_what_was_said;
mod children_are_bounded_and_their_failures_are_results;
mod children_at_once_lose_nothing;
mod events_tell_a_run_in_order;
mod faults_are_found_when_agents_are_built;
mod faults_of_http_tools_are_found_when_they_are_built;
mod headers_are_a_type_of_the_program;
mod headers_of_the_run_reach_every_call;
mod headers_that_cannot_be_sent_stop_before_the_call;
mod hooks_hear_everything_and_have_no_say;
mod nothing_secret_is_shown;
mod nothing_that_is_said_is_shown;
mod odd_answers_are_understood;
mod one_conversation_is_handed_on;
mod request_fields_merge_by_key;
mod the_guides_headers_come_out_as_printed;
mod tools_of_an_mcp_server_are_an_agents_tools;
mod tools_of_an_mcp_server_wait_for_approval;
mod tools_run_at_once;
mod turns_and_usage_count_every_call;
mod what_programs_hold_may_cross_threads;

//! What the server promises, one file a promise, against a server that runs and a model that is scripted.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share fail by panicking, as tests do"
)]

mod a_body_that_is_wrong_gets_one_clear_answer;
mod a_connection_is_bounded;
mod a_second_server_on_one_database_is_refused;
mod a_secret_never_leaves_by_accident;
mod a_session_keeps_its_conversation;
mod a_turn_ends_with_its_client;
mod a_ui_chat_goes_on_where_it_was;
mod an_agent_and_a_model_are_chosen_by_name;
mod callers_are_believed_only_where_they_may_be;
mod every_agent_of_a_turn_has_its_own_headers;
mod every_fault_of_the_headers_is_told_at_once;
mod every_protocol_speaks_as_its_clients_expect;
mod headers_are_remembered_for_the_session;
mod headers_reach_the_model_as_configured;
mod one_turn_of_a_session_runs_at_a_time;
mod only_known_hosts_and_origins_are_answered;
mod secrets_outlive_a_restart_with_a_key;
mod stopping_loses_nothing;
mod support;
mod what_an_upstream_does_wrong_becomes_one_error;
mod what_is_announced_is_durable;

//! What the server promises, one file a promise, against a server that runs and a model that is scripted.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share fail by panicking, as tests do"
)]

mod a_body_that_is_wrong_gets_one_clear_answer;
mod a_connection_is_bounded;
mod a_credential_is_read_again_when_its_file_changes;
mod a_definition_is_checked_before_anything_is_fetched;
mod a_fetch_that_fails_is_told_before_the_model_is_called;
mod a_forged_token_is_refused;
mod a_request_is_done_once;
mod a_second_server_on_one_database_is_refused;
mod a_secret_never_leaves_by_accident;
mod a_server_killed_under_load_loses_and_doubles_nothing;
mod a_session_can_be_exported;
mod a_session_keeps_its_conversation;
mod a_token_says_who_is_calling;
mod a_tool_carries_what_its_templates_name;
mod a_turn_ends_with_its_client;
mod a_ui_chat_goes_on_where_it_was;
mod agents_are_tools_of_an_mcp_server;
mod an_agent_and_a_model_are_chosen_by_name;
mod an_agents_answers_have_the_form_it_says;
mod an_api_key_opens_what_it_is_for;
mod an_issuers_keys_are_kept_fresh;
mod callers_are_believed_only_where_they_may_be;
mod callers_have_limits;
mod credentials_are_shown_nowhere;
mod every_agent_of_a_turn_has_its_own_headers;
mod every_fault_of_the_headers_is_told_at_once;
mod every_protocol_speaks_as_its_clients_expect;
mod headers_are_remembered_for_the_session;
mod headers_reach_the_model_as_configured;
mod nobody_sees_what_is_not_theirs;
mod one_turn_of_a_session_runs_at_a_time;
mod only_known_hosts_and_origins_are_answered;
mod secrets_outlive_a_restart_with_a_key;
mod several_servers_share_one_database;
mod stopping_loses_nothing;
mod support;
mod the_fetchers_of_the_guide_work_as_printed;
mod the_seven_identity_headers_do_what_their_table_says;
mod what_a_fetch_is_made_with_is_found_nowhere_else;
mod what_an_upstream_does_wrong_becomes_one_error;
mod what_is_announced_is_durable;
mod what_was_fetched_is_kept_for_the_conversation;

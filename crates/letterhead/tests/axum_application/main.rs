//! Agents in an application of axum: what its layer admits, and what its handlers are given. One promise a file.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

mod support;

mod a_faulty_request_gets_one_answer_that_lists_all;
mod handlers_get_a_context_and_no_raw_header;
mod the_application_says_who_is_calling;
mod what_goes_wrong_is_a_problem_document;

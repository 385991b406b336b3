//! One file per endpoint.

pub mod a2a;
pub mod chat_completions;
pub mod docs;
pub mod health;
pub mod mcp;
pub mod models;
pub mod responses;
pub mod sessions;
pub mod turns;
pub mod ui_chat;
pub mod well_known;

use axum::extract::OriginalUri;
use http::Method;
use letterhead_context::{Code, Problem};

use crate::arrival::Reading;
use crate::error::Failure;

/// What is not there.
pub(crate) async fn nothing_here(reading: Reading, OriginalUri(uri): OriginalUri) -> Failure {
    let hint = match uri.path().trim_end_matches('/') {
        "/chat/completions" | "/completions" | "/v1" => "; OpenAI clients use a base URL that ends with `/v1`",
        _ => "",
    };
    reading.failure(Problem::new(Code::NotFound, format!("there is nothing at this path{hint}")))
}

/// What is there, with another method.
pub(crate) async fn wrong_method(reading: Reading, method: Method) -> Failure {
    reading.failure(Problem::new(Code::MethodNotAllowed, format!("{method} is not allowed here")))
}

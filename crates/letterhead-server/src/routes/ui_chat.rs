//! `POST /api/chat`: the Vercel AI SDK's UI message stream.

mod body;
mod message;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use letterhead_context::Problem;
use serde_json::json;

use crate::app::App;
use crate::arrival::{Arrival, Reading};
use crate::error::Failure;
use crate::idempotency::{self, Stamp};
use crate::model_choice::Asked;
use crate::session_header::say_session;
use crate::stream::{self, UiEncoder};
use crate::turn::{Incoming, SessionChoice, new_message_id};

use body::UiRequest;

/// Answers a UI message, in the chat's own session.
pub async fn chat(State(app): State<Arc<App>>, arrival: Box<Arrival>) -> Response {
    try_chat(&app, arrival).await.unwrap_or_else(IntoResponse::into_response)
}

async fn try_chat(app: &Arc<App>, arrival: Box<Arrival>) -> Result<Response, Failure> {
    let request_id = arrival.request_id.clone();
    let failure = |problem: Problem| Failure::new(problem, request_id.as_str());
    let request = UiRequest::read(&arrival.body).map_err(failure)?;
    let asked =
        Asked::read(&app.registry, &app.aliases, &arrival.identity, request.model.as_deref()).map_err(failure)?;
    let ids = [arrival.identity.session_id.clone(), request.conversation_id, request.chat_id];
    let incoming = Incoming {
        instructions: request.instructions,
        answers: request.answers,
        approvals: request.approvals,
        edit: request.edit,
        tools: request.tools,
        stream: request.stream,
        ..Incoming::new(SessionChoice::first(ids, SessionChoice::New), asked, request.messages)
    };
    let stamp = Stamp {
        // A continued message keeps its id: another one would show the whole message twice.
        id: request.continues.unwrap_or_else(|| new_message_id().to_string()),
        created: app.clock.now_ms().div_euclid(1000),
        request_id: request_id.shared(),
    };
    let begun = idempotency::once(app, arrival, Box::new(incoming), stamp).await;
    let (stamp, mut running) = begun.map_err(|refused| refused.of(request_id.as_str()))?;
    let opened = running.session.clone();
    let failure = |problem| failure(problem).in_session(opened);
    let session = running.session.as_ref().map(ToString::to_string);
    let metadata = |agent: &str| json!({ "sessionId": session, "agent": agent, "requestId": &*stamp.request_id });
    if request.stream {
        let encoder = UiEncoder::new(stamp.id.clone(), metadata(&running.agent));
        return stream::respond(running, encoder, app.timing.keep_alive).await.map_err(failure);
    }
    let ended = stream::ended(&mut running).await;
    if let Some(problem) = ended.problem {
        return Err(failure(problem));
    }
    let usage = &ended.outcome.usage;
    let body = json!({
        "conversationId": session,
        "message": message::of(&stamp.id, &metadata(&ended.outcome.agent), &ended.outcome),
        "usage": { "inputTokens": usage.input_tokens, "outputTokens": usage.output_tokens },
    });
    let mut response = Json(body).into_response();
    say_session(running.session.as_ref(), response.headers_mut());
    Ok(response)
}

/// Resuming: a turn ends with its client, so there is never a stream to go on with. 204 says so; a 404 would put the
/// chat into its error state.
pub async fn resume(_reading: Reading) -> StatusCode {
    StatusCode::NO_CONTENT
}

//! `POST /v1/chat/completions`, and the same below `/api/v1` with named events.

mod body;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use letterhead::run::RunEnd;
use letterhead_context::{Code, Problem, SessionId};
use serde_json::{Value, json};

use crate::app::App;
use crate::arrival::Arrival;
use crate::error::Failure;
use crate::model_choice::Asked;
use crate::stream::{self, ChunkEncoder, Dialect, Head};
use crate::turn::{self, Edit, Ended, Incoming, SessionChoice};

use body::ChatRequest;

/// OpenAI's protocol, strictly. Without a session id nothing is stored.
pub async fn openai(State(app): State<Arc<App>>, arrival: Arrival) -> Response {
    answer(&app, arrival, None, Dialect::Strict).await
}

/// With named events, in the session that a header or the body names, or a new one.
pub async fn with_events(State(app): State<Arc<App>>, arrival: Arrival) -> Response {
    answer(&app, arrival, None, Dialect::WithEvents).await
}

/// With named events, in the session that the path names.
pub async fn with_events_in_session(
    State(app): State<Arc<App>>,
    Path(session): Path<String>,
    arrival: Arrival,
) -> Response {
    answer(&app, arrival, Some(session), Dialect::WithEvents).await
}

async fn answer(app: &Arc<App>, arrival: Arrival, path: Option<String>, dialect: Dialect) -> Response {
    let request_id = arrival.request_id.clone();
    let answered = match path.map(|id| SessionId::parse(&id)).transpose() {
        Ok(path) => try_answer(app, arrival, path, dialect).await,
        Err(problem) => Err(Failure::new(problem, request_id.as_str())),
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

async fn try_answer(
    app: &Arc<App>,
    arrival: Arrival,
    path: Option<SessionId>,
    dialect: Dialect,
) -> Result<Response, Failure> {
    let request_id = arrival.request_id.clone();
    let failure = |problem: Problem| Failure::new(problem, request_id.as_str());
    let request = ChatRequest::read(&arrival.body, app.allow_params.as_deref()).map_err(failure)?;
    let asked = Asked::read(&app.registry, &app.aliases, &arrival.identity, request.model.as_deref()).map_err(failure)?;
    let otherwise = match dialect {
        Dialect::Strict => SessionChoice::Nothing,
        Dialect::WithEvents => SessionChoice::New,
    };
    let session =
        SessionChoice::first([path, arrival.identity.session_id.clone(), request.conversation_id], otherwise);
    let incoming = Incoming {
        session,
        asked,
        messages: request.messages.conversation,
        instructions: request.messages.instructions,
        answers: Vec::new(),
        edit: Edit::Append,
        tools: request.tools,
        tool_choice: request.tool_choice,
        params: request.params,
        stream: request.stream,
    };
    let created = app.clock.now_ms().div_euclid(1000);
    let mut running = turn::begin(app, arrival, incoming).await.map_err(failure)?;
    let head = Head {
        id: format!("chatcmpl-{}", uuid::Uuid::now_v7().simple()),
        object: if request.stream { "chat.completion.chunk" } else { "chat.completion" },
        created,
        model: request.model.unwrap_or_else(|| running.agent.to_string()),
        session_id: running.session.as_ref().map(ToString::to_string),
    };
    if request.stream {
        let encoder = ChunkEncoder::new(dialect, head, request.include_usage);
        return stream::respond(running, encoder, app.timing.keep_alive).await.map_err(failure);
    }
    let ended = stream::ended(&mut running).await;
    if let Some(problem) = ended.problem {
        let failed = failure(problem.clone());
        let limit = problem.code() == Code::MaxTurnsExceeded;
        return Err(if limit { failed.with_output(ended.outcome.output) } else { failed });
    }
    let mut response = Json(completion(&head, &ended)).into_response();
    if let Some(value) = head.session_id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        response.headers_mut().insert("x-session-id", value);
    }
    Ok(response)
}

/// The whole answer in OpenAI's form.
fn completion(head: &Head, ended: &Ended) -> Value {
    let outcome = &ended.outcome;
    let mut message = json!({ "role": "assistant", "content": outcome.output });
    if let Some(message) = message.as_object_mut() {
        if !outcome.refusal.is_empty() {
            message.insert("refusal".to_owned(), outcome.refusal.as_str().into());
        }
        if !outcome.client_calls.is_empty() {
            if outcome.output.is_empty() {
                message.insert("content".to_owned(), Value::Null);
            }
            let calls = outcome.client_calls.iter().map(|(id, name, arguments)| {
                json!({ "id": &**id, "type": "function", "function": { "name": &**name, "arguments": &**arguments } })
            });
            message.insert("tool_calls".to_owned(), calls.collect());
        }
    }
    let finish = match outcome.end {
        RunEnd::Complete(finish) => finish.as_str(),
        _ => "stop",
    };
    let mut body = serde_json::to_value(head).unwrap_or_default();
    if let Some(body) = body.as_object_mut() {
        let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": finish });
        body.insert("choices".to_owned(), Value::Array(vec![choice]));
        body.insert("usage".to_owned(), stream::usage(&outcome.usage));
    }
    body
}

//! `POST /v1/chat/completions`, and the same below `/api/v1` with named events.

mod body;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use letterhead::run::RunEnd;
use letterhead_context::{Code, Problem, SessionId};
use serde::Serialize;

use crate::app::App;
use crate::arrival::{Arrival, InPath};
use crate::error::Failure;
use crate::idempotency::{self, Stamp};
use crate::model_choice::Asked;
use crate::session_header::say_session;
use crate::stream::{self, ChunkEncoder, Dialect, Head, OpenAiUsage, RequiresAction, ToolCall};
use crate::turn::{Ended, Incoming, SessionChoice};

use body::ChatRequest;

/// OpenAI's protocol, strictly. Without a session id nothing is stored.
pub async fn openai(State(app): State<Arc<App>>, arrival: Box<Arrival>) -> Response {
    answer(&app, arrival, None, Dialect::Strict).await
}

/// With named events, in the session that a header or the body names, or a new one.
pub async fn with_events(State(app): State<Arc<App>>, arrival: Box<Arrival>) -> Response {
    answer(&app, arrival, None, Dialect::WithEvents).await
}

/// With named events, in the session that the path names.
pub async fn with_events_in_session(
    State(app): State<Arc<App>>,
    InPath(session): InPath,
    arrival: Box<Arrival>,
) -> Response {
    answer(&app, arrival, Some(session), Dialect::WithEvents).await
}

async fn answer(app: &Arc<App>, arrival: Box<Arrival>, path: Option<String>, dialect: Dialect) -> Response {
    let request_id = arrival.request_id.clone();
    let answered = match path.map(|id| SessionId::parse(&id)).transpose() {
        Ok(path) => try_answer(app, arrival, path, dialect).await,
        Err(problem) => Err(Failure::new(problem, request_id.as_str())),
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

async fn try_answer(
    app: &Arc<App>,
    arrival: Box<Arrival>,
    path: Option<SessionId>,
    dialect: Dialect,
) -> Result<Response, Failure> {
    let request_id = arrival.request_id.clone();
    let failure = |problem: Problem| Failure::new(problem, request_id.as_str());
    let request = ChatRequest::read(&arrival.body, app.allow_params.as_deref()).map_err(failure)?;
    let asked =
        Asked::read(&app.registry, &app.aliases, &arrival.identity, request.model.as_deref()).map_err(failure)?;
    let otherwise = match dialect {
        Dialect::Strict => SessionChoice::Nothing,
        Dialect::WithEvents => SessionChoice::New,
    };
    let session = SessionChoice::first([path, arrival.identity.session_id.clone(), request.conversation_id], otherwise);
    let incoming = Incoming {
        instructions: request.messages.instructions,
        approvals: request.approvals,
        tools: request.tools,
        tool_choice: request.tool_choice,
        params: request.params,
        stream: request.stream,
        ..Incoming::new(session, asked, request.messages.conversation)
    };
    let stamp = Stamp {
        id: format!("chatcmpl-{}", uuid::Uuid::now_v7().simple()),
        created: app.clock.now_ms().div_euclid(1000),
        request_id: request_id.shared(),
    };
    let begun = idempotency::once(app, arrival, Box::new(incoming), stamp).await;
    let (stamp, mut running) = begun.map_err(|refused| refused.of(request_id.as_str()))?;
    let opened = running.session.clone();
    let failure = |problem| failure(problem).in_session(opened);
    let head = Head {
        id: stamp.id,
        object: if request.stream { "chat.completion.chunk" } else { "chat.completion" },
        created: stamp.created,
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
    let mut response = json_response(&Completion::new(&head, &ended));
    say_session(running.session.as_ref(), response.headers_mut());
    Ok(response)
}

/// A body that always serialises.
fn json_response(body: &impl Serialize) -> Response {
    let mut bytes = Vec::with_capacity(1024);
    let _ = serde_json::to_writer(&mut bytes, body);
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The whole answer in OpenAI's form.
#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    choices: [Choice<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    requires_action: Option<RequiresAction<'a>>,
    usage: OpenAiUsage,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u8,
    message: Message<'a>,
    logprobs: (),
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
}

impl<'a> Completion<'a> {
    fn new(head: &'a Head, ended: &'a Ended) -> Self {
        let outcome = &ended.outcome;
        let calls = outcome.client_calls.iter().map(|(id, name, arguments)| ToolCall::new(None, id, name, arguments));
        let has_content = !outcome.output.is_empty() || outcome.client_calls.is_empty();
        let message = Message {
            role: "assistant",
            content: has_content.then_some(outcome.output.as_str()),
            refusal: (!outcome.refusal.is_empty()).then_some(outcome.refusal.as_str()),
            tool_calls: calls.collect(),
        };
        let finish_reason = match outcome.end {
            RunEnd::Complete(finish) => finish.as_str(),
            _ => "stop",
        };
        let choices = [Choice { index: 0, message, logprobs: (), finish_reason }];
        Self {
            id: &head.id,
            object: head.object,
            created: head.created,
            model: &head.model,
            session_id: head.session_id.as_deref(),
            choices,
            requires_action: RequiresAction::of(outcome),
            usage: outcome.usage.into(),
        }
    }
}

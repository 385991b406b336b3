//! The turns of a session: those that run, and how the others ended; and the agents that were asked in them.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use http::Uri;
use letterhead::run::PendingApproval;
use letterhead_context::{Code, Problem};
use letterhead_store::{ChildRun, NewMessage, Owner, Session, SessionKey, TurnFilter, TurnId, TurnStatus, TurnSummary};
use serde_json::{Value, json};

use super::sessions::{self, ListBody, Listing, Said};
use crate::app::App;
use crate::arrival::{InPath, Reading};
use crate::error::{Failure, store_problem};
use crate::turn::asked;

/// The turns of a session, newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    InPath(id): InPath,
    uri: Uri,
    reading: Reading,
) -> Result<Json<ListBody>, Failure> {
    let key = sessions::key(&reading, &id)?;
    let listing =
        Listing::read(&uri, &["limit", "after", "status"]).and_then(|listing| Ok((listing.page()?, listing.status()?)));
    let (page, status) = listing.map_err(|problem| reading.failure(problem))?;
    // Of several that asked the same, one waits: the one that goes on with the others.
    let last_of_task = status == Some(TurnStatus::Paused);
    let filter = TurnFilter { session: Some(key.id.clone()), status, last_of_task, ..TurnFilter::default() };
    let failed = |error| reading.failure(store_problem(&error));
    let turns = app.store.turns(&key.owner(), &filter, &page).await.map_err(failed)?;
    // A session that is there has turns, but perhaps none of these.
    if turns.data.is_empty() && app.store.session(&key).await.map_err(failed)?.is_none() {
        return Err(reading.failure(sessions::not_found()));
    }
    Ok(ListBody::of(turns, |turn| row(&turn)))
}

/// One turn, with what was said in it and the agents that were asked.
pub async fn one(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String)>, PathRejection>,
    reading: Reading,
) -> Result<Json<Value>, Failure> {
    let not_found = || reading.failure(Problem::new(Code::TurnNotFound, "there is no such turn"));
    // What is not UTF-8 names nothing.
    let Ok(Path((session, turn))) = path else { return Err(not_found()) };
    let (Ok(key), Some(id)) = (sessions::key(&reading, &session), TurnId::parse(&turn)) else {
        return Err(not_found());
    };
    let found = app.store.turn(&Owner::from(&reading.caller), id).await;
    let found = found.map_err(|error| reading.failure(store_problem(&error)))?;
    let found = found.filter(|turn| turn.summary.session == key.id).ok_or_else(not_found)?;
    let approvals = approvals(&app, &key, &found.summary).await.map_err(|problem| reading.failure(problem))?;
    let mut body = row(&found.summary);
    if let Some(body) = body.as_object_mut() {
        body.insert("messages".to_owned(), found.messages.iter().map(|message| sessions::message(message)).collect());
        body.insert("children".to_owned(), found.children.iter().map(child).collect());
        if !approvals.is_empty() {
            body.insert("approvals".to_owned(), json!(approvals));
        }
    }
    Ok(Json(body))
}

/// What a turn that waits asks a person.
async fn approvals(app: &App, key: &SessionKey, turn: &TurnSummary) -> Result<Vec<PendingApproval>, Problem> {
    if turn.status != TurnStatus::Paused {
        return Ok(Vec::new());
    }
    let session = app.store.session(key).await.map_err(|error| store_problem(&error))?;
    // The conversation may have gone on since the turn was read. One that paused again asks what was left over before.
    let is_last = |session: &&Session| session.messages.last().is_some_and(|message| message.turn <= turn.number);
    Ok(session.as_deref().filter(is_last).map(|session| asked(session, &app.registry)).unwrap_or_default())
}

fn row(turn: &TurnSummary) -> Value {
    json!({
        "id": turn.id,
        "session_id": turn.session,
        "turn": turn.number,
        "agent": turn.agent.as_deref(),
        "status": turn.status,
        "continues": turn.continues,
        "began_at": sessions::seconds(turn.began_at_ms),
        "ended_at": turn.ended_at_ms.map(sessions::seconds),
        "usage": turn.usage,
        "error": turn.error,
        "has_children": turn.has_children,
    })
}

fn child(run: &ChildRun) -> Value {
    json!({
        "agent": &*run.agent,
        "call_id": &*run.call_id,
        "status": run.status,
        "usage": run.usage,
        "messages": run.messages.iter().map(said).collect::<Vec<_>>(),
        "children": run.children.iter().map(child).collect::<Vec<_>>(),
    })
}

fn said(message: &NewMessage) -> Value {
    let Said { content, tool_calls, tool_call_id } = Said::of(&message.body);
    json!({
        "id": &*message.id,
        "role": message.role,
        "content": content,
        "agent": message.agent.as_deref(),
        "tool_calls": tool_calls,
        "tool_call_id": tool_call_id,
        "usage": message.usage,
        "status": message.status,
    })
}

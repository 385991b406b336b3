//! What is kept: sessions, their messages and their trails. A caller sees its own, and nothing tells of others'.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use http::{StatusCode, Uri};
use letterhead_context::{Code, Problem, SessionId, SessionMode};
use letterhead_store::{List, Message, Owner, Page, SessionFilter, SessionKey, SessionSummary, TurnStatus};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::app::App;
use crate::arrival::{InPath, Reading};
use crate::error::{Failure, shown, store_problem};
use crate::turn::may_reach;

/// A list in OpenAI's form.
#[derive(Debug, Serialize)]
pub struct ListBody {
    object: &'static str,
    data: Vec<Value>,
    has_more: bool,
}

impl ListBody {
    pub(super) fn of<T>(list: List<T>, row: impl Fn(T) -> Value) -> Json<Self> {
        let has_more = list.has_more;
        Json(Self { object: "list", data: list.data.into_iter().map(row).collect(), has_more })
    }
}

/// What a list may be asked for.
#[derive(Debug, Default, Deserialize)]
pub struct Listing {
    limit: Option<String>,
    after: Option<String>,
    mode: Option<String>,
    client_id: Option<String>,
    status: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) shared: Option<String>,
}

impl Listing {
    /// Reads a query that may have these parameters.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let unreadable = |_| Problem::new(Code::InvalidBody, "the query cannot be read: name each parameter once");
        let Query(named) = Query::<Vec<(String, IgnoredAny)>>::try_from_uri(uri).map_err(unreadable)?;
        // One that is misspelt would be passed over, and what was meant be done for others or left out.
        if let Some((name, _)) = named.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let detail = format!("the query parameter `{}` is not known here; there can be {known}", shown(name));
            return Err(Problem::new(Code::InvalidBody, detail));
        }
        Query::try_from_uri(uri).map(|Query(listing)| listing).map_err(unreadable)
    }

    pub(super) fn page(&self) -> Result<Page, Problem> {
        let limit = match self.limit.as_deref().map(str::parse::<usize>) {
            None => 100,
            Some(Ok(limit)) if (1..=letterhead_store::MAX_PAGE).contains(&limit) => limit,
            Some(_) => {
                let detail = "the query parameter `limit` is a number from 1 to 500";
                return Err(Problem::new(Code::InvalidBody, detail).with_param("limit"));
            }
        };
        let page = Page::first(limit);
        Ok(match &self.after {
            Some(after) => page.after(after.as_str()),
            None => page,
        })
    }

    pub(super) fn status(&self) -> Result<Option<TurnStatus>, Problem> {
        let Some(name) = self.status.as_deref() else { return Ok(None) };
        let status = TurnStatus::parse(name).ok_or_else(|| {
            let names = TurnStatus::ALL.map(TurnStatus::as_str).join(", ");
            let detail = format!("the query parameter `status` is one of {names}");
            Problem::new(Code::InvalidBody, detail).with_param("status")
        });
        status.map(Some)
    }

    fn filter(&self) -> Result<SessionFilter, Problem> {
        let mode = match self.mode.as_deref() {
            None => None,
            Some("normal") => Some(SessionMode::Normal),
            Some("evaluation") => Some(SessionMode::Evaluation),
            Some(_) => {
                let detail = "the query parameter `mode` is `normal` or `evaluation`";
                return Err(Problem::new(Code::InvalidBody, detail).with_param("mode"));
            }
        };
        Ok(SessionFilter { mode, client_id: self.client_id.as_deref().map(Arc::from) })
    }
}

/// The caller's sessions, newest first.
pub async fn list(State(app): State<Arc<App>>, uri: Uri, reading: Reading) -> Result<Json<ListBody>, Failure> {
    let listing =
        Listing::read(&uri, &["limit", "after", "mode", "client_id"]).map_err(|problem| reading.failure(problem))?;
    // Strangers have no list: they would share it.
    if reading.stranger {
        return Ok(ListBody::of(List { data: Vec::<SessionSummary>::new(), has_more: false }, |row| session(&row)));
    }
    let (page, filter) = match (listing.page(), listing.filter()) {
        (Ok(page), Ok(filter)) => (page, filter),
        (Err(problem), _) | (_, Err(problem)) => return Err(reading.failure(problem)),
    };
    let owner = Owner::from(&reading.caller);
    let found = app.store.sessions(&owner, &filter, &page).await;
    found.map(|list| ListBody::of(list, |row| session(&row))).map_err(|error| reading.failure(store_problem(&error)))
}

/// One session.
pub async fn one(State(app): State<Arc<App>>, InPath(id): InPath, reading: Reading) -> Result<Json<Value>, Failure> {
    let key = key(&reading, &id)?;
    match app.store.session(&key).await {
        Ok(Some(found)) => Ok(Json(session(&found.summary()))),
        Ok(None) => Err(reading.failure(not_found())),
        Err(error) => Err(reading.failure(store_problem(&error))),
    }
}

/// Deletes a session with everything that belongs to it.
pub async fn delete(State(app): State<Arc<App>>, InPath(id): InPath, reading: Reading) -> Result<StatusCode, Failure> {
    let key = key(&reading, &id)?;
    match app.store.delete(&key).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(reading.failure(not_found())),
        Err(error) => Err(reading.failure(store_problem(&error))),
    }
}

/// The messages of a session, oldest first.
pub async fn messages(
    State(app): State<Arc<App>>,
    InPath(id): InPath,
    uri: Uri,
    reading: Reading,
) -> Result<Json<ListBody>, Failure> {
    let key = key(&reading, &id)?;
    let listing = Listing::read(&uri, &["limit", "after"]);
    let page = listing.and_then(|listing| listing.page()).map_err(|problem| reading.failure(problem))?;
    match app.store.messages(&key, &page).await {
        Ok(Some(list)) => Ok(ListBody::of(list, |row| message(&row))),
        Ok(None) => Err(reading.failure(not_found())),
        Err(error) => Err(reading.failure(store_problem(&error))),
    }
}

/// Which header went where, turn by turn.
pub async fn trail(
    State(app): State<Arc<App>>,
    InPath(id): InPath,
    uri: Uri,
    reading: Reading,
) -> Result<Json<ListBody>, Failure> {
    let key = key(&reading, &id)?;
    let listing = Listing::read(&uri, &["limit", "after"]);
    let page = listing.and_then(|listing| listing.page()).map_err(|problem| reading.failure(problem))?;
    match app.store.trail(&key, &page).await {
        Ok(Some(list)) => {
            let has_more = list.has_more;
            let rows = list.data.into_iter().flat_map(|turn| {
                let number = turn.turn;
                turn.entries.into_iter().map(move |entry| {
                    let mut row = serde_json::to_value(entry).unwrap_or_default();
                    if let Some(row) = row.as_object_mut() {
                        row.insert("turn".to_owned(), number.into());
                        row.entry("reason").or_insert(Value::Null);
                    }
                    row
                })
            });
            Ok(Json(ListBody { object: "list", data: rows.collect(), has_more }))
        }
        Ok(None) => Err(reading.failure(not_found())),
        Err(error) => Err(reading.failure(store_problem(&error))),
    }
}

/// The key of the caller's own session. An id that cannot be one is simply not there.
pub(super) fn key(reading: &Reading, id: &str) -> Result<SessionKey, Failure> {
    let id = SessionId::parse(id).ok().filter(|id| may_reach(reading.stranger, id));
    let id = id.ok_or_else(|| reading.failure(not_found()))?;
    Ok(Owner::from(&reading.caller).session(id))
}

pub(super) fn not_found() -> Problem {
    Problem::new(Code::SessionNotFound, "there is no such session")
}

pub(super) fn seconds(ms: i64) -> i64 {
    ms.div_euclid(1000)
}

fn session(summary: &SessionSummary) -> Value {
    let record = &summary.record;
    json!({
        "id": record.key.id,
        "agent": &*record.agent,
        "mode": record.mode,
        "client_id": record.client_id.as_deref(),
        "created_at": seconds(record.created_at_ms),
        "updated_at": seconds(record.updated_at_ms),
        "headers": summary.headers.iter().map(|name| &**name).collect::<Vec<_>>(),
    })
}

/// What is said in the body of a message.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    #[serde(deserialize_with = "as_far_as_it_goes")]
    pub(super) content: Value,
    #[serde(deserialize_with = "as_far_as_it_goes")]
    pub(super) tool_calls: Value,
    pub(super) tool_call_id: Option<String>,
}

impl Said {
    pub(super) fn of(body: &str) -> Self {
        serde_json::from_str(body).unwrap_or_default()
    }
}

/// JSON may hold what no value does: half a character, a number beyond all bounds, more levels than are read. That is shown
/// as the text it was sent as.
fn as_far_as_it_goes<'de, D: Deserializer<'de>>(raw: D) -> Result<Value, D::Error> {
    let raw = <&RawValue>::deserialize(raw)?.get();
    Ok(serde_json::from_str(raw).unwrap_or_else(|_| raw.into()))
}

pub(super) fn message(message: &Message) -> Value {
    let body = Said::of(&message.body);
    json!({
        "id": &*message.id,
        "role": message.role,
        "content": body.content,
        "agent": message.agent.as_deref(),
        "tool_calls": body.tool_calls,
        "tool_call_id": body.tool_call_id,
        "usage": message.usage,
        "status": message.status,
        "created_at": seconds(message.created_at_ms),
    })
}

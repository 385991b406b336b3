//! A session as a file: all that is kept of it but secrets.

use std::sync::Arc;

use letterhead_context::{TrailEntry, UserId};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{
    ChildRun, KeptVariable, List, MAX_PAGE, Message, NewMessage, Page, Session, SessionKey, Store, StoreError,
    StoredHeader, TurnDetail, TurnError, TurnFilter, TurnId, TurnStatus, TurnSummary, TurnTrail, Usage,
};

/// All that is kept of a session but secrets, to be written as JSON. Secret headers, and variables that were fetched with
/// one, are there by name alone. Times are Unix milliseconds.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use letterhead_context::{Caller, SessionId};
/// use letterhead_store::{Lifetimes, MemoryStore, Owner, SessionExport, Store, SystemClock, TurnRecord};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new(Lifetimes::default(), Arc::new(SystemClock));
/// let key = Owner::from(&Caller::anonymous()).session(SessionId::parse("sess-456")?);
/// let turn = store.begin(&key, Duration::ZERO).await?;
/// store.commit(turn, TurnRecord::new("assistant")).await?;
///
/// let export = SessionExport::read(&store, &key).await?.ok_or("no such session")?;
/// assert_eq!(serde_json::to_value(&export)?["id"], "sess-456");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Serialize)]
pub struct SessionExport {
    /// Of this form: 1. It is another one when a reader of the old form would misunderstand the new one.
    version: u32,
    id: Arc<str>,
    tenant: Arc<str>,
    user: Option<Arc<str>>,
    asked_agent: Arc<str>,
    agent: Arc<str>,
    mode: &'static str,
    client_id: Option<Arc<str>>,
    created_at_ms: i64,
    updated_at_ms: i64,
    turns: u64,
    headers: Vec<Header>,
    variables: Vec<Variable>,
    state: Option<Body>,
    messages: Vec<Said>,
    trail: Vec<Step>,
    turn_list: Vec<Ended>,
}

#[derive(Clone, Serialize)]
struct Header {
    field: Arc<str>,
    secret: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    sent_at_ms: i64,
}

#[derive(Clone, Serialize)]
struct Variable {
    name: Arc<str>,
    secret: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Arc<Value>>,
    fetched_at_ms: i64,
    expires_at_ms: Option<i64>,
}

#[derive(Clone, Serialize)]
struct Said {
    id: Arc<str>,
    turn: u64,
    role: &'static str,
    agent: Option<Arc<str>>,
    status: &'static str,
    created_at_ms: i64,
    usage: Option<Usage>,
    body: Body,
}

/// An element of `turn_list`.
#[derive(Clone, Serialize)]
struct Ended {
    id: TurnId,
    turn: u64,
    agent: Option<Arc<str>>,
    status: TurnStatus,
    continues: Option<TurnId>,
    began_at_ms: i64,
    ended_at_ms: Option<i64>,
    usage: Option<Usage>,
    error: Option<TurnError>,
    children: Vec<Child>,
}

/// The run of an agent that another one has asked.
#[derive(Clone, Serialize)]
struct Child {
    agent: Arc<str>,
    call_id: Arc<str>,
    status: &'static str,
    usage: Usage,
    messages: Vec<ChildSaid>,
    children: Vec<Child>,
}

#[derive(Clone, Serialize)]
struct ChildSaid {
    id: Arc<str>,
    role: &'static str,
    agent: Option<Arc<str>>,
    status: &'static str,
    usage: Option<Usage>,
    body: Body,
}

/// An element of `trail`: what a turn's number is for the entries that follow one another.
#[derive(Clone, Serialize)]
struct Step {
    turn: u64,
    #[serde(flatten)]
    entry: TrailEntry,
}

/// Kept JSON, as it is; as a string where it is none.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum Body {
    Json(Box<RawValue>),
    Text(Arc<str>),
}

impl Body {
    fn of(text: &Arc<str>) -> Self {
        serde_json::from_str(text).map_or_else(|_| Self::Text(text.clone()), Self::Json)
    }
}

impl SessionExport {
    /// Puts it together from a session, all its messages, its whole trail and its turns, each oldest first.
    pub fn new(session: &Session, messages: &[Arc<Message>], trail: Vec<TurnTrail>, turn_list: &[TurnDetail]) -> Self {
        let Session { record, headers, variables, state, turns, .. } = session;
        let SessionKey { tenant, user, id } = &record.key;
        let steps = |TurnTrail { turn, entries }| entries.into_iter().map(move |entry| Step { turn, entry });
        Self {
            version: 1,
            id: id.as_str().into(),
            tenant: tenant.as_str().into(),
            user: user.as_ref().map(UserId::as_str).map(Into::into),
            asked_agent: record.asked_agent.clone(),
            agent: record.agent.clone(),
            mode: record.mode.as_str(),
            client_id: record.client_id.clone(),
            created_at_ms: record.created_at_ms,
            updated_at_ms: record.updated_at_ms,
            turns: *turns,
            headers: headers.iter().map(Header::of).collect(),
            variables: variables.iter().map(Variable::of).collect(),
            state: state.as_ref().map(Body::of),
            messages: messages.iter().map(|message| Said::of(message)).collect(),
            trail: trail.into_iter().flat_map(steps).collect(),
            turn_list: turn_list.iter().map(Ended::of).collect(),
        }
    }

    /// Reads it from a store, a page at a time: what a turn writes meanwhile may be in it in part. None where there is no
    /// such session.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(store: &dyn Store, key: &SessionKey) -> Result<Option<Self>, StoreError> {
        let Some(session) = store.session(key).await? else { return Ok(None) };
        let (mut messages, mut trail): (Vec<Arc<Message>>, Vec<TurnTrail>) = (Vec::new(), Vec::new());
        let mut page = Page::first(MAX_PAGE);
        while let Some(List { mut data, has_more }) = store.messages(key, &page).await? {
            messages.append(&mut data);
            match messages.last() {
                Some(last) if has_more => page = Page::first(MAX_PAGE).after(last.id.clone()),
                _ => break,
            }
        }
        let mut page = Page::first(MAX_PAGE);
        while let Some(List { mut data, has_more }) = store.trail(key, &page).await? {
            trail.append(&mut data);
            match trail.last() {
                Some(last) if has_more => page = Page::first(MAX_PAGE).after(last.turn.to_string()),
                _ => break,
            }
        }
        let turns = ended_turns(store, key).await?;
        Ok(Some(Self::new(&session, &messages, trail, &turns)))
    }
}

/// The turns of a session that have ended, oldest first, without their messages.
async fn ended_turns(store: &dyn Store, key: &SessionKey) -> Result<Vec<TurnDetail>, StoreError> {
    let (owner, mut found) = (key.owner(), Vec::new());
    let filter = TurnFilter { session: Some(key.id.clone()), ..TurnFilter::default() };
    let mut page = Page::first(MAX_PAGE);
    loop {
        let List { data, has_more } = store.turns(&owner, &filter, &page).await?;
        let last = data.last().map(|turn| turn.id);
        for summary in data.into_iter().filter(|turn| turn.status != TurnStatus::Running) {
            let whole = if summary.has_children { store.turn(&owner, summary.id).await? } else { None };
            found.push(whole.unwrap_or_else(|| TurnDetail::begun(summary)));
        }
        match last {
            Some(last) if has_more => page = Page::first(MAX_PAGE).after(last.to_string()),
            _ => break,
        }
    }
    found.reverse();
    Ok(found)
}

impl Ended {
    fn of(turn: &TurnDetail) -> Self {
        let TurnSummary { id, number, agent, status, continues, began_at_ms, ended_at_ms, usage, error, .. } =
            &turn.summary;
        Self {
            id: *id,
            turn: *number,
            agent: agent.clone(),
            status: *status,
            continues: *continues,
            began_at_ms: *began_at_ms,
            ended_at_ms: *ended_at_ms,
            usage: *usage,
            error: error.clone(),
            children: turn.children.iter().map(Child::of).collect(),
        }
    }
}

impl Child {
    fn of(child: &ChildRun) -> Self {
        let said = |message: &NewMessage| ChildSaid {
            id: message.id.clone(),
            role: message.role.as_str(),
            agent: message.agent.clone(),
            status: message.status.as_str(),
            usage: message.usage,
            body: Body::of(&message.body),
        };
        Self {
            agent: child.agent.clone(),
            call_id: child.call_id.clone(),
            status: child.status.as_str(),
            usage: child.usage,
            messages: child.messages.iter().map(said).collect(),
            children: child.children.iter().map(Self::of).collect(),
        }
    }
}

impl Header {
    fn of(header: &StoredHeader) -> Self {
        let StoredHeader { field, value, secret, sent_at_ms } = header;
        let value = (!secret).then(|| value.clone());
        Self { field: field.clone(), secret: *secret, value, sent_at_ms: *sent_at_ms }
    }
}

impl Variable {
    fn of(variable: &KeptVariable) -> Self {
        let KeptVariable { name, value, fetched_at_ms, expires_at_ms, secret, .. } = variable;
        let value = (!secret).then(|| value.clone());
        let (fetched_at_ms, expires_at_ms) = (*fetched_at_ms, *expires_at_ms);
        Self { name: name.clone(), secret: *secret, value, fetched_at_ms, expires_at_ms }
    }
}

impl Said {
    fn of(message: &Message) -> Self {
        Self {
            id: message.id.clone(),
            turn: message.turn,
            role: message.role.as_str(),
            agent: message.agent.clone(),
            status: message.status.as_str(),
            created_at_ms: message.created_at_ms,
            usage: message.usage,
            body: Body::of(&message.body),
        }
    }
}

/// People's words stay out of logs.
impl std::fmt::Debug for SessionExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionExport")
            .field("id", &self.id)
            .field("messages", &self.messages.len())
            .finish_non_exhaustive()
    }
}

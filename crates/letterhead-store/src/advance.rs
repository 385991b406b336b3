//! What a turn's record makes of a session: the rules that all stores share, without any I/O.

use std::collections::HashSet;
use std::sync::Arc;

use letterhead_context::TrailEntry;
use uuid::Uuid;

use crate::lifetimes::Lifetimes;
use crate::secrets::Hidden;
use crate::variable;
use crate::{
    ChildRun, HeaderChange, KeptAnswer, KeptVariable, Message, NewMessage, Role, Session, SessionKey, SessionRecord,
    Status, StoreError, StoredHeader, TurnError, TurnId, TurnRecord, TurnStatus, Usage,
};

/// A turn that is about to be written.
pub(crate) struct Ending<'a> {
    pub(crate) key: &'a SessionKey,
    /// The session as the turn found it, with its secrets.
    pub(crate) base: Option<&'a Session>,
    /// The number that the session's next message gets.
    pub(crate) next_seq: u64,
    pub(crate) id: TurnId,
    pub(crate) began_at_ms: i64,
    pub(crate) now_ms: i64,
}

/// What is to be written.
pub(crate) struct Step {
    /// The session afterwards, without what is hidden of it. A store that encrypts that adds it.
    pub(crate) session: Session,
    /// Its secret headers afterwards, and its variables that were fetched with them.
    pub(crate) hidden: Hidden,
    /// The variables that are new or other than before, hidden ones included.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(dead_code, reason = "in memory variables are written with their session")
    )]
    pub(crate) variables: Vec<KeptVariable>,
    /// Messages from this number on are removed.
    pub(crate) cut_from: Option<u64>,
    /// The messages to store, those of a failed turn included.
    pub(crate) added: Vec<Arc<Message>>,
    pub(crate) next_seq: u64,
    /// Whether the state is another one than before.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(dead_code, reason = "in memory the state is written with its session")
    )]
    pub(crate) state_changed: bool,
    pub(crate) ended: EndedTurn,
    pub(crate) trail: Vec<TrailEntry>,
    pub(crate) answer: Option<KeptAnswer>,
}

/// What is kept of a turn itself.
pub(crate) struct EndedTurn {
    pub(crate) id: TurnId,
    pub(crate) began_at_ms: i64,
    pub(crate) agent: Arc<str>,
    pub(crate) status: TurnStatus,
    /// The number of the turn that it goes on with.
    pub(crate) continues: Option<u64>,
    pub(crate) usage: Option<Usage>,
    pub(crate) error: Option<TurnError>,
    pub(crate) children: Vec<ChildRun>,
}

impl Step {
    /// Whether it stores messages that are no history.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn adds_failed(&self) -> bool {
        self.added.iter().any(|message| !message.is_history())
    }

    /// Adds the hidden headers to the session, for a store that encrypts them.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn reveal_headers(&mut self) {
        self.session.headers.append(&mut self.hidden.headers);
    }

    /// Adds the hidden variables to the session, for a store that encrypts them, or that has no database.
    pub(crate) fn reveal_variables(&mut self) {
        variable::add(&mut self.session.variables, std::mem::take(&mut self.hidden.variables));
    }
}

/// Applies a record.
pub(crate) fn advance(ending: &Ending<'_>, record: TurnRecord) -> Result<Step, StoreError> {
    let base = ending.base;
    let failed = record.status == Status::Failed;
    let turn = base.map_or(0, |session| session.turns) + 1;
    let history = base.map(|session| session.messages.as_slice()).unwrap_or_default();
    let kept = if failed { history.len() } else { record.keep.unwrap_or(history.len()).min(history.len()) };
    let (kept, removed) = history.split_at(kept);

    let added = number(ending, record.messages, turn, failed, kept)?;
    let mut messages = Vec::with_capacity(kept.len() + added.len());
    messages.extend_from_slice(kept);
    messages.extend(added.iter().filter(|message| message.is_history()).cloned());

    let old_state = base.and_then(|session| session.state.clone());
    let state = match base {
        Some(_) if failed => old_state.clone(),
        _ => record.state.or_else(|| old_state.clone()),
    };
    let ended = EndedTurn {
        id: ending.id,
        began_at_ms: ending.began_at_ms,
        agent: record.agent.clone(),
        status: TurnStatus::ended(record.status, record.paused),
        continues: record.continues,
        usage: record.usage,
        error: record.error,
        children: record.children,
    };
    let session_record = match base {
        Some(session) if failed => SessionRecord { updated_at_ms: ending.now_ms, ..session.record.clone() },
        _ => SessionRecord {
            key: ending.key.clone(),
            // Nobody has taken over in a turn that failed.
            agent: if failed { record.asked_agent.clone() } else { record.agent },
            asked_agent: record.asked_agent,
            mode: record.mode,
            client_id: record.client_id,
            created_at_ms: base.map_or(ending.began_at_ms, |session| session.record.created_at_ms),
            updated_at_ms: ending.now_ms,
        },
    };
    let stored = base.map(|session| session.headers.clone()).unwrap_or_default();
    let (secrets, headers) = merge(stored, record.headers, ending.began_at_ms);
    let mut kept = base.map(|session| session.variables.clone()).unwrap_or_default();
    let changed = variable::set(&mut kept, record.variables);
    let (hidden, variables) = kept.into_iter().partition(|variable| variable.secret);

    Ok(Step {
        cut_from: removed.first().map(|message| message.seq),
        next_seq: ending.next_seq + added.len() as u64,
        added,
        state_changed: state != old_state,
        session: Session { record: session_record, headers, variables, state, messages, turns: turn },
        hidden: Hidden { headers: secrets, variables: hidden },
        variables: changed,
        ended,
        trail: record.trail,
        answer: record.answer,
    })
}

/// Gives new messages their turn, place and time, and sees to it that their ids are their own.
fn number(
    ending: &Ending<'_>,
    new: Vec<NewMessage>,
    turn: u64,
    failed: bool,
    kept: &[Arc<Message>],
) -> Result<Vec<Arc<Message>>, StoreError> {
    let mut added: Vec<Arc<Message>> = Vec::with_capacity(new.len());
    // Sets, because a request may bring as many messages as a history has.
    let taken: HashSet<&str> = kept.iter().map(|message| &*message.id).collect();
    let mut ids: HashSet<Arc<str>> = HashSet::with_capacity(new.len());
    for (seq, mut message) in (ending.next_seq..).zip(new) {
        if !ids.insert(Arc::clone(&message.id)) {
            return Err(StoreError::Invalid { reason: "two messages of one turn have the same id" });
        }
        if taken.contains(&*message.id) {
            if !failed {
                return Err(StoreError::Invalid { reason: "a message with this id is in the history already" });
            }
            message.id = fresh_id();
        }
        let status = if failed && !message.lasting { Status::Failed } else { message.status };
        let created_at_ms = if message.role == Role::User { ending.began_at_ms } else { ending.now_ms };
        let NewMessage { id, role, body, agent, usage, .. } = message;
        added.push(Arc::new(Message { id, seq, turn, role, body, agent, usage, status, created_at_ms }));
    }
    Ok(added)
}

/// An id for a failed message that another one has taken the id of.
pub(crate) fn fresh_id() -> Arc<str> {
    Uuid::new_v4().hyphenated().to_string().into()
}

/// The stored headers with the changes made, as secrets and others.
fn merge(
    mut stored: Vec<StoredHeader>,
    changes: Vec<HeaderChange>,
    sent_at_ms: i64,
) -> (Vec<StoredHeader>, Vec<StoredHeader>) {
    for change in changes {
        let place = stored.iter().position(|header| header.field == *change.field());
        match (change, place) {
            (HeaderChange::Set { field, value, secret }, place) => {
                let header = StoredHeader { field, value, secret, sent_at_ms };
                match place.and_then(|place| stored.get_mut(place)) {
                    Some(old) => *old = header,
                    None => stored.push(header),
                }
            }
            (HeaderChange::Clear { .. }, Some(place)) => drop(stored.remove(place)),
            (HeaderChange::Clear { .. }, None) => {}
        }
    }
    stored.into_iter().partition(|header| header.secret)
}

/// The session as a turn finds it: without the headers and variables that have expired, with what is hidden.
pub(crate) fn as_found(session: &Arc<Session>, hidden: Hidden, lifetimes: &Lifetimes, now_ms: i64) -> Arc<Session> {
    let lives = |header: &StoredHeader| lifetimes.header_lives(header, now_ms);
    let is_fresh = |variable: &KeptVariable| variable.is_fresh(now_ms);
    if hidden.is_empty() && session.headers.iter().all(lives) && session.variables.iter().all(is_fresh) {
        return session.clone();
    }
    let mut session = Session::clone(session);
    session.headers.retain(lives);
    session.headers.extend(hidden.headers);
    session.variables.retain(is_fresh);
    variable::add(&mut session.variables, hidden.variables);
    Arc::new(session)
}

//! The sessions of a memory store, in the order of their use and in that of their coming.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use letterhead_context::SessionId;
use lru::LruCache;

use super::turns::PastTurn;
use crate::advance::{Step, fresh_id};
use crate::{List, Message, Owner, Page, Session, SessionFilter, SessionKey, StoreError, TurnTrail};

/// All sessions.
pub(super) struct Kept {
    room: usize,
    bytes: usize,
    sessions: LruCache<SessionKey, Entry>,
    /// Each owner's sessions by [`Entry::ordinal`].
    owners: HashMap<Owner, BTreeMap<u64, SessionId>>,
    next_ordinal: u64,
}

/// One session.
pub(super) struct Entry {
    /// Where it stands in the order of coming.
    ordinal: u64,
    /// Without its secrets.
    pub(super) session: Arc<Session>,
    pub(super) next_seq: u64,
    /// All messages, those of failed turns included, oldest first.
    pub(super) messages: Vec<Arc<Message>>,
    /// The turns that have ended, oldest first.
    pub(super) turns: Vec<PastTurn>,
    trails: Vec<TurnTrail>,
    bytes: usize,
}

impl Kept {
    pub(super) fn with_room(bytes: usize) -> Self {
        Self { room: bytes, bytes: 0, sessions: LruCache::unbounded(), owners: HashMap::new(), next_ordinal: 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Looks at a session, which does not count as using it.
    pub(super) fn peek(&self, key: &SessionKey) -> Option<&Entry> {
        self.sessions.peek(key)
    }

    /// Uses a session.
    pub(super) fn touch(&mut self, key: &SessionKey) -> Option<&Entry> {
        self.sessions.get(key)
    }

    /// Writes what a turn did. Gives the session, without its secrets.
    pub(super) fn write(&mut self, step: Step) -> Arc<Session> {
        let session = Arc::new(step.session);
        let key = &session.record.key;
        let mut entry = match self.sessions.pop(key) {
            Some(entry) => entry,
            None => self.admit(&session),
        };
        entry.session = session.clone();
        entry.next_seq = step.next_seq;
        if let Some(from) = step.cut_from {
            entry.messages.retain(|message| message.seq < from);
        }
        yield_ids(&mut entry.messages, &step.added);
        entry.messages.extend(step.added);
        entry.turns.push(PastTurn::of(step.ended, &session, &entry.turns));
        let last_said = session.messages.last().map(|message| &**message);
        entry.turns.iter_mut().for_each(|turn| turn.goes_on(last_said));
        if !step.trail.is_empty() {
            entry.trails.push(TurnTrail { turn: session.turns, entries: step.trail });
        }
        self.bytes -= entry.bytes;
        entry.bytes = entry.weight();
        self.bytes += entry.bytes;
        self.sessions.push(key.clone(), entry);
        session
    }

    fn admit(&mut self, session: &Arc<Session>) -> Entry {
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        let key = &session.record.key;
        self.owners.entry(key.owner()).or_default().insert(ordinal, key.id.clone());
        let session = session.clone();
        let (messages, turns, trails) = (Vec::new(), Vec::new(), Vec::new());
        Entry { ordinal, session, next_seq: 0, messages, turns, trails, bytes: 0 }
    }

    /// Removes a session. Tells whether there was one.
    pub(super) fn remove(&mut self, key: &SessionKey) -> bool {
        let Some(entry) = self.sessions.pop(key) else { return false };
        self.forget(key, &entry);
        true
    }

    /// Removes the sessions that were used least recently until the rest has room. Gives the keys of those.
    pub(super) fn make_room(&mut self, running: impl Fn(&SessionKey) -> bool) -> Vec<SessionKey> {
        let mut evicted = Vec::new();
        let mut in_use = Vec::new();
        while self.bytes > self.room {
            let Some((key, entry)) = self.sessions.pop_lru() else { break };
            if running(&key) {
                in_use.push((key, entry));
            } else {
                self.forget(&key, &entry);
                evicted.push(key);
            }
        }
        for (key, entry) in in_use {
            self.sessions.push(key, entry);
        }
        evicted
    }

    fn forget(&mut self, key: &SessionKey, entry: &Entry) {
        self.bytes -= entry.bytes;
        let owner = key.owner();
        if let Some(sessions) = self.owners.get_mut(&owner) {
            sessions.remove(&entry.ordinal);
            if sessions.is_empty() {
                self.owners.remove(&owner);
            }
        }
    }

    /// A page of an owner's sessions, and one more if there is one.
    pub(super) fn list(
        &self,
        owner: &Owner,
        filter: &SessionFilter,
        page: &Page,
        horizon_ms: i64,
    ) -> Result<Vec<Arc<Session>>, StoreError> {
        let before = match page.cursor() {
            None => u64::MAX,
            Some(id) => {
                let id = SessionId::parse(id).map_err(|_| StoreError::UnknownCursor)?;
                self.peek(&owner.session(id)).ok_or(StoreError::UnknownCursor)?.ordinal
            }
        };
        let Some(sessions) = self.owners.get(owner) else { return Ok(Vec::new()) };
        let newest_first = sessions.range(..before).rev().filter_map(|(_, id)| self.peek(&owner.session(id.clone())));
        let shown = |session: &&Arc<Session>| {
            session.record.updated_at_ms > horizon_ms
                && filter.mode.is_none_or(|mode| session.record.mode == mode)
                && filter.client_id.as_ref().is_none_or(|client| session.record.client_id.as_ref() == Some(client))
        };
        Ok(newest_first.map(|entry| &entry.session).filter(shown).take(page.limit() + 1).cloned().collect())
    }
}

impl Kept {
    /// All sessions of an owner, in the order of their coming.
    pub(super) fn of_owner(&self, owner: &Owner) -> impl Iterator<Item = &Entry> {
        let sessions = self.owners.get(owner).into_iter().flat_map(BTreeMap::values);
        sessions.filter_map(|id| self.peek(&owner.session(id.clone())))
    }
}

impl Entry {
    pub(super) fn messages(&self, page: &Page) -> Result<List<Arc<Message>>, StoreError> {
        let skip = match page.cursor() {
            None => 0,
            Some(id) => {
                let place = self.messages.iter().position(|message| &*message.id == id);
                place.ok_or(StoreError::UnknownCursor)? + 1
            }
        };
        let data = self.messages.iter().skip(skip).take(page.limit() + 1).cloned().collect();
        Ok(List::cut(data, page.limit()))
    }

    pub(super) fn trail(&self, page: &Page) -> Result<List<TurnTrail>, StoreError> {
        let after = page.cursor().map_or(Ok(0), str::parse::<u64>).map_err(|_| StoreError::UnknownCursor)?;
        let later = self.trails.iter().filter(|trail| trail.turn > after);
        Ok(List::cut(later.take(page.limit() + 1).cloned().collect(), page.limit()))
    }

    fn weight(&self) -> usize {
        const ENTRY: usize = 128;
        let failed = self.messages.iter().filter(|message| !message.is_history());
        let trail = |trail: &TurnTrail| size_of::<TurnTrail>() + trail.entries.iter().map(trail_weight).sum::<usize>();
        self.session.weight()
            + size_of::<Self>()
            + 2 * self.session.record.key.weight()
            + self.messages.len() * size_of::<Arc<Message>>()
            + failed.map(|message| message.weight()).sum::<usize>()
            + self.trails.iter().map(trail).sum::<usize>()
            + self.turns.iter().map(PastTurn::weight).sum::<usize>()
            + ENTRY
    }
}

/// The names in an entry are mostly shared with the configuration; the entry itself is what costs.
fn trail_weight(_: &letterhead_context::TrailEntry) -> usize {
    size_of::<letterhead_context::TrailEntry>()
}

/// Failed messages give up their ids to messages that are added now.
fn yield_ids(messages: &mut [Arc<Message>], added: &[Arc<Message>]) {
    for message in messages.iter_mut().filter(|message| !message.is_history()) {
        if added.iter().any(|new| new.id == message.id) {
            Arc::make_mut(message).id = fresh_id();
        }
    }
}

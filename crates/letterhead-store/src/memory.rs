//! Sessions in memory, as many as there is room for.

mod answers;
mod beside;
mod documents;
mod kept;
mod turns;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use self::answers::Answers;
use self::documents::Shelves;
use self::kept::Kept;
use self::turns::PastTurn;
use crate::advance::{Ending, advance, as_found};
use crate::claims::Claims;
use crate::hold::{Hold, Turns};
use crate::lifetimes::Lifetimes;
use crate::secrets::Secrets;
use crate::turn::Begun;
use crate::turn_id::TurnIds;
use crate::{
    ApiKey, Clock, List, Message, Owner, Page, Session, SessionFilter, SessionKey, SessionSummary, Store, StoreError,
    Turn, TurnRecord, TurnTrail,
};

/// How much a memory store holds, in bytes, unless told otherwise.
pub const MEMORY_BYTES: usize = 64 << 20;

/// Keeps sessions in memory until there is no room; then those that were used least recently go, never one with a
/// turn running. "Durable" means here: until then, or until the process ends.
pub struct MemoryStore {
    lifetimes: Lifetimes,
    clock: Arc<dyn Clock>,
    turns: Arc<Turns>,
    ids: TurnIds,
    secrets: Secrets,
    kept: Mutex<Kept>,
    api_keys: Mutex<Vec<ApiKey>>,
    claims: Arc<Claims>,
    answers: Mutex<Answers>,
    shelves: Mutex<Shelves>,
    closed: AtomicBool,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

/// What a turn of this store holds.
struct MemoryHold {
    hold: Hold,
    next_seq: u64,
}

impl MemoryStore {
    /// An empty store with room for [`MEMORY_BYTES`].
    pub fn new(lifetimes: Lifetimes, clock: Arc<dyn Clock>) -> Self {
        Self::with_room(MEMORY_BYTES, lifetimes, clock)
    }

    /// An empty store with room for about so many bytes.
    pub fn with_room(bytes: usize, lifetimes: Lifetimes, clock: Arc<dyn Clock>) -> Self {
        Self {
            lifetimes,
            clock,
            turns: Arc::new(Turns::default()),
            ids: TurnIds::default(),
            secrets: Secrets::new(lifetimes),
            kept: Mutex::new(Kept::with_room(bytes)),
            api_keys: Mutex::default(),
            claims: Arc::default(),
            answers: Mutex::default(),
            shelves: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// The bytes that its sessions take, roughly.
    pub fn bytes(&self) -> usize {
        self.kept().bytes()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn api_keys_kept(&self) -> MutexGuard<'_, Vec<ApiKey>> {
        self.api_keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what stands beside a session that is gone.
    fn forget(&self, key: &SessionKey) {
        self.secrets.remove(key);
        self.answers().remove_of(key);
    }

    fn open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::SeqCst) { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// The data, without the session of this key if that has expired.
    fn kept_without_expired(&self, key: &SessionKey, now_ms: i64) -> MutexGuard<'_, Kept> {
        let mut kept = self.kept();
        let horizon = self.lifetimes.session_horizon(now_ms);
        if kept.peek(key).is_some_and(|entry| entry.session.record.updated_at_ms <= horizon) {
            kept.remove(key);
            self.forget(key);
        }
        kept
    }

    fn found(&self, key: &SessionKey, session: &Arc<Session>, now_ms: i64) -> Arc<Session> {
        as_found(session, self.secrets.get(key, now_ms), &self.lifetimes, now_ms)
    }

    fn begun(&self, key: &SessionKey, hold: Hold) -> Turn {
        let now_ms = self.clock.now_ms();
        let mut kept = self.kept_without_expired(key, now_ms);
        let (session, next_seq) = match kept.touch(key) {
            Some(entry) => (Some(self.found(key, &entry.session, now_ms)), entry.next_seq),
            None => (None, 0),
        };
        self.running(key, session, now_ms, MemoryHold { hold, next_seq })
    }

    fn running(&self, key: &SessionKey, session: Option<Arc<Session>>, now_ms: i64, held: MemoryHold) -> Turn {
        let id = self.ids.next(now_ms);
        held.hold.began(id, session.as_ref().map_or(0, |session| session.turns) + 1);
        Turn::new(key.clone(), session, id, now_ms, held)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn begin(&self, key: &SessionKey, wait: Duration) -> Result<Turn, StoreError> {
        self.open()?;
        let hold = self.turns.hold(key, wait).await?;
        Ok(self.begun(key, hold))
    }

    async fn begin_new(&self, key: &SessionKey) -> Result<Turn, StoreError> {
        self.open()?;
        let hold = self.turns.try_hold(key)?;
        Ok(self.running(key, None, self.clock.now_ms(), MemoryHold { hold, next_seq: 0 }))
    }

    async fn goes_on(&self, turn: &Turn, number: u64) -> Result<(), StoreError> {
        self.open()?;
        let held: &MemoryHold = turn.hold()?;
        let task = self.kept().peek(turn.key()).and_then(|entry| PastTurn::task_of(&entry.turns, number));
        task.into_iter().for_each(|task| held.hold.goes_on(task));
        Ok(())
    }

    async fn commit(&self, turn: Turn, record: TurnRecord) -> Result<Arc<Session>, StoreError> {
        self.open()?;
        let Begun { key, base, id, began_at_ms, hold: MemoryHold { hold, next_seq } } = turn.into_parts()?;
        let now_ms = self.clock.now_ms();
        let ending = Ending { key: &key, base: base.as_deref(), next_seq, id, began_at_ms, now_ms };
        let mut step = advance(&ending, record)?;
        // There is no file that they must not reach.
        step.reveal_variables();
        let (hidden, answer) = (std::mem::take(&mut step.hidden), step.answer.take());
        let mut kept = self.kept();
        if hold.is_gone() {
            return Err(StoreError::Gone);
        }
        if base.is_none() && kept.peek(&key).is_some() {
            return Err(StoreError::Invalid { reason: "there is a session with this id already" });
        }
        let session = kept.write(step);
        self.secrets.put(&key, hidden, now_ms);
        if let Some(answer) = answer {
            self.answers().keep(answer, Some(&key), now_ms);
        }
        for evicted in kept.make_room(|key| self.turns.is_running(key)) {
            self.forget(&evicted);
        }
        // The turn ends here, when everything of it can be seen.
        drop(kept);
        drop(hold);
        Ok(self.found(&key, &session, now_ms))
    }

    async fn session(&self, key: &SessionKey) -> Result<Option<Arc<Session>>, StoreError> {
        self.open()?;
        let now_ms = self.clock.now_ms();
        let kept = self.kept_without_expired(key, now_ms);
        Ok(kept.peek(key).map(|entry| self.found(key, &entry.session, now_ms)))
    }

    async fn sessions(
        &self,
        owner: &Owner,
        filter: &SessionFilter,
        page: &Page,
    ) -> Result<List<SessionSummary>, StoreError> {
        self.open()?;
        let now_ms = self.clock.now_ms();
        let kept = self.kept();
        let found = kept.list(owner, filter, page, self.lifetimes.session_horizon(now_ms))?;
        let summary = |session: &Arc<Session>| self.found(&session.record.key, session, now_ms).summary();
        let data = found.iter().map(summary).collect();
        Ok(List::cut(data, page.limit()))
    }

    async fn messages(&self, key: &SessionKey, page: &Page) -> Result<Option<List<Arc<Message>>>, StoreError> {
        self.open()?;
        let kept = self.kept_without_expired(key, self.clock.now_ms());
        kept.peek(key).map(|entry| entry.messages(page)).transpose()
    }

    async fn trail(&self, key: &SessionKey, page: &Page) -> Result<Option<List<TurnTrail>>, StoreError> {
        self.open()?;
        let kept = self.kept_without_expired(key, self.clock.now_ms());
        kept.peek(key).map(|entry| entry.trail(page)).transpose()
    }

    async fn delete(&self, key: &SessionKey) -> Result<bool, StoreError> {
        self.open()?;
        let mut kept = self.kept_without_expired(key, self.clock.now_ms());
        let running = self.turns.strike(key);
        self.forget(key);
        Ok(kept.remove(key) || running)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.open()
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.closed.store(true, Ordering::SeqCst);
        self.secrets.clear();
        self.api_keys_kept().clear();
        *self.answers() = Answers::default();
        *self.shelves() = Shelves::default();
        *self.kept() = Kept::with_room(0);
        Ok(())
    }
}

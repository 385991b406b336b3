//! The store's methods: reading in one of the readers, everything else through the writer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::SqliteStore;
use super::answers::AnswerRow;
use super::job::{Commit, Job, Reply, SqliteHold};
use super::told::Told;
use super::{read, turns};
use crate::advance::{Ending, advance};
use crate::hold::Hold;
use crate::turn::Begun;
use crate::{
    List, Message, Owner, Page, Session, SessionFilter, SessionKey, SessionSummary, Store, StoreError, Turn,
    TurnRecord, TurnTrail,
};

impl SqliteStore {
    pub(super) fn open_for_business(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::SeqCst) { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Has the writer do something and waits until it is durable.
    pub(super) async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Reads something of a session that has not expired. None where there is no such session.
    async fn read_of<T: Send + 'static>(
        &self,
        key: &SessionKey,
        read: impl FnOnce(&Connection, i64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        let (key, shared) = (key.clone(), self.shared.clone());
        let now_ms = shared.clock.now_ms();
        let answer = self.readers.read(move |connection| match read::find(connection, &key)? {
            Some((row, updated_at_ms)) if !shared.is_expired(updated_at_ms, now_ms) => read(connection, row).map(Some),
            _ => Ok(None),
        });
        answer.await
    }

    /// Is there surely no such session? A look at the index; whatever goes wrong is for the read that follows to tell.
    fn is_absent(&self, key: &SessionKey) -> bool {
        matches!(self.readers.glance(|connection| read::find(connection, key)), Some(Ok(None)))
    }

    async fn begun(&self, key: &SessionKey, hold: Hold) -> Result<Turn, StoreError> {
        let stored = match self.shared.cached(key) {
            Some(stored) => Some(stored),
            None if self.is_absent(key) => None,
            None => {
                let (wanted, shared) = (key.clone(), self.shared.clone());
                let read = self.readers.read(move |connection| read::load(connection, &wanted, &shared.seals)).await?;
                if let Some(stored) = &read {
                    self.shared.cache_read(key, stored, &hold);
                }
                read
            }
        };
        let now_ms = self.shared.clock.now_ms();
        let Some(stored) = stored else {
            return Ok(self.running(key, None, now_ms, SqliteHold { hold, place: None, expired: None }));
        };
        if self.shared.is_expired(stored.session.record.updated_at_ms, now_ms) {
            self.shared.publish_expiry(key);
            let held = SqliteHold { hold, place: None, expired: Some(stored.place.row) };
            return Ok(self.running(key, None, now_ms, held));
        }
        let session = self.shared.found(key, &stored.session, now_ms);
        let held = SqliteHold { hold, place: Some(stored.place), expired: None };
        Ok(self.running(key, Some(session), now_ms, held))
    }

    fn running(&self, key: &SessionKey, session: Option<Arc<Session>>, now_ms: i64, held: SqliteHold) -> Turn {
        let id = self.shared.ids.next(now_ms);
        held.hold.began(id, session.as_ref().map_or(0, |session| session.turns) + 1);
        Turn::new(key.clone(), session, id, now_ms, held)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn begin(&self, key: &SessionKey, wait: Duration) -> Result<Turn, StoreError> {
        self.open_for_business()?;
        let hold = self.shared.turns.hold(key, wait).await?;
        self.begun(key, hold).await
    }

    async fn begin_new(&self, key: &SessionKey) -> Result<Turn, StoreError> {
        self.open_for_business()?;
        let hold = self.shared.turns.try_hold(key)?;
        let held = SqliteHold { hold, place: None, expired: None };
        Ok(self.running(key, None, self.shared.clock.now_ms(), held))
    }

    async fn goes_on(&self, turn: &Turn, number: u64) -> Result<(), StoreError> {
        self.open_for_business()?;
        let held: &SqliteHold = turn.hold()?;
        let Some(row) = held.place.map(|place| place.row) else { return Ok(()) };
        let task = self.readers.read(move |connection| turns::task_of(connection, row, number)).await?;
        task.into_iter().for_each(|task| held.hold.goes_on(task));
        Ok(())
    }

    async fn commit(&self, turn: Turn, record: TurnRecord) -> Result<Arc<Session>, StoreError> {
        self.open_for_business()?;
        let Begun { key, base, id, began_at_ms, hold: held } = turn.into_parts::<SqliteHold>()?;
        let now_ms = self.shared.clock.now_ms();
        let next_seq = held.place.map_or(0, |place| place.next_seq);
        let ending = Ending { key: &key, base: base.as_deref(), next_seq, id, began_at_ms, now_ms };
        let mut step = advance(&ending, record)?;
        let are_stale = held.place.is_some_and(|place| place.has_stale_secrets);
        // Here, where turns of other sessions need not wait for it.
        let sealed = self.shared.seals.seal_headers(&key, base.as_deref(), &step.hidden.headers, are_stale)?;
        let variables = self.shared.seals.seal_variables(&key, &step.variables)?;
        if self.shared.seals.are_kept() {
            step.reveal_headers();
            step.reveal_variables();
        }
        let answer = step.answer.take().map(|answer| AnswerRow { answer, given_at_ms: now_ms });
        drop(base);
        let commit = |reply| {
            let (key, runtime) = (key.clone(), Told::runtime());
            Job::Commit(Box::new(Commit { key, held, step, sealed, variables, answer, runtime, reply }))
        };
        let session = self.ask(commit).await?;
        Ok(self.shared.found(&key, &session, now_ms))
    }

    async fn session(&self, key: &SessionKey) -> Result<Option<Arc<Session>>, StoreError> {
        self.open_for_business()?;
        let stored = match self.shared.cached(key) {
            Some(stored) => Some(stored),
            None => {
                let (key, shared) = (key.clone(), self.shared.clone());
                self.readers.read(move |connection| read::load(connection, &key, &shared.seals)).await?
            }
        };
        let now_ms = self.shared.clock.now_ms();
        let live = stored.filter(|stored| !self.shared.is_expired(stored.session.record.updated_at_ms, now_ms));
        Ok(live.map(|stored| self.shared.found(key, &stored.session, now_ms)))
    }

    async fn sessions(
        &self,
        owner: &Owner,
        filter: &SessionFilter,
        page: &Page,
    ) -> Result<List<SessionSummary>, StoreError> {
        self.open_for_business()?;
        let now_ms = self.shared.clock.now_ms();
        let horizon_ms = self.shared.lifetimes.session_horizon(now_ms);
        let (owner, filter, page) = (owner.clone(), filter.clone(), page.clone());
        let shared = self.shared.clone();
        let list = self
            .readers
            .read(move |connection| read::list(connection, &owner, &filter, &page, horizon_ms, &shared.seals));
        let List { data, has_more } = list.await?;
        let summary = |session: &Arc<Session>| self.shared.found(&session.record.key, session, now_ms).summary();
        Ok(List { data: data.iter().map(summary).collect(), has_more })
    }

    async fn messages(&self, key: &SessionKey, page: &Page) -> Result<Option<List<Arc<Message>>>, StoreError> {
        self.open_for_business()?;
        let page = page.clone();
        self.read_of(key, move |connection, row| read::messages(connection, row, &page)).await
    }

    async fn trail(&self, key: &SessionKey, page: &Page) -> Result<Option<List<TurnTrail>>, StoreError> {
        self.open_for_business()?;
        let page = page.clone();
        self.read_of(key, move |connection, row| read::trail(connection, row, &page)).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<bool, StoreError> {
        self.open_for_business()?;
        self.ask(|reply| Job::Delete { key: key.clone(), reply }).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.open_for_business()?;
        self.ask(|reply| Job::Probe { reply }).await?;
        self.readers.read(|_| Ok(())).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.ask(|reply| Job::Close { reply }).await
    }
}

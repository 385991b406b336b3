//! The store's methods.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use super::PostgresStore;
use super::begin::{Attempt, abandon, begin};
use super::commit::Commit;
use super::database::{BEGIN, COMMIT, Database, begin_for, broken_off, prepared};
use super::fault::Fault;
use super::key::{ByKey, Key, by_key, form};
use super::lease::{Lease, Subject};
use super::read;
use super::row::{Place, Stored, get};
use super::turns::goes_on;
use crate::Clock as _;
use crate::advance::{Ending, advance, as_found};
use crate::hold::Hold;
use crate::secrets::Hidden;
use crate::turn::Begun;
use crate::{
    List, Message, Owner, Page, Session, SessionFilter, SessionKey, SessionSummary, Store, StoreError, Turn, TurnId,
    TurnRecord, TurnTrail,
};

/// How often a lease that another node has is asked for: first soon, for most turns are short, then less often.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// How long a commit is tried while the database is not there, and how long is waited between two tries.
const COMMIT_PATIENCE: Duration = Duration::from_secs(12);
const COMMIT_PAUSE: Duration = Duration::from_millis(250);
/// How long one try may take: a connection that has gone silent leaves time for others.
const COMMIT_TRY: Duration = Duration::from_secs(4);

/// What a turn of this store holds. The order of the fields is the order in which they are given back: the lease is on
/// its way out when the next turn of this node may ask for it.
struct PostgresHold {
    lease: Arc<Lease>,
    hold: Hold,
    /// Where its session stands; none for a new one.
    place: Option<Place>,
    /// The row of a session of the same key that has expired, to be removed first.
    expired: Option<Uuid>,
}

const END_LEASE: ByKey = by_key!("DELETE FROM leases WHERE", "RETURNING token, node, expires_at > now()");
const DELETE: ByKey = by_key!("DELETE FROM sessions WHERE", "RETURNING updated_at");

impl PostgresStore {
    /// What is hidden of a session in this node's memory, if no other node has written the session since.
    fn hidden(&self, key: &SessionKey, place: Place, now_ms: i64) -> Hidden {
        if self.seals.are_kept() || place.node != self.leases.node {
            return Hidden::default();
        }
        self.secrets.get(key, now_ms)
    }

    fn found(&self, key: &SessionKey, stored: Stored, now_ms: i64) -> Arc<Session> {
        as_found(&Arc::new(stored.session), self.hidden(key, stored.place, now_ms), &self.lifetimes, now_ms)
    }

    fn horizon_ms(&self) -> i64 {
        self.lifetimes.session_horizon(self.clock.now_ms())
    }

    /// Begins a turn for whoever waited longest in this node, and waits for those of other nodes.
    async fn begun(
        &self,
        key: &SessionKey,
        mut hold: Hold,
        deadline: Option<Instant>,
        is_new: bool,
    ) -> Result<Turn, StoreError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let id = self.ids.next(self.clock.now_ms());
            let lease = Arc::new(self.leases.ask(&key.tenant, Subject::Turn, id.uuid()));
            let (wanted, seals) = (key.clone(), self.seals.clone());
            let asked = self.database.run(move |client| {
                Box::pin(async move {
                    let attempt = begin(client, &wanted, &lease, is_new, &seals).await?;
                    if !matches!(attempt, Attempt::Begun(_)) {
                        lease.over();
                    }
                    Ok((attempt, hold, lease))
                })
            });
            match asked.await? {
                (Attempt::Begun(stored), hold, lease) => {
                    return Ok(self.turn(key, id, stored.map(|stored| *stored), hold, lease));
                }
                (Attempt::Abandoned(token), back, _) => {
                    hold = back;
                    let (key, now_ms) = (key.clone(), self.clock.now_ms());
                    let release = self
                        .database
                        .run(move |client| Box::pin(async move { abandon(client, &key, token, now_ms).await }));
                    release.await?;
                }
                (Attempt::Busy, back, _) => {
                    hold = back;
                    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                    let left = left.filter(|left| !left.is_zero()).ok_or(StoreError::Busy)?;
                    tokio::time::sleep(pause.min(left)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn turn(&self, key: &SessionKey, id: TurnId, stored: Option<Stored>, hold: Hold, lease: Arc<Lease>) -> Turn {
        let now_ms = self.clock.now_ms();
        let Some(stored) = stored else {
            let held = PostgresHold { lease, hold, place: None, expired: None };
            return Turn::new(key.clone(), None, id, now_ms, held);
        };
        let place = stored.place;
        if stored.session.record.updated_at_ms <= self.lifetimes.session_horizon(now_ms) {
            self.secrets.remove(key);
            let held = PostgresHold { lease, hold, place: None, expired: Some(place.row) };
            return Turn::new(key.clone(), None, id, now_ms, held);
        }
        let session = self.found(key, stored, now_ms);
        Turn::new(
            key.clone(),
            Some(session),
            id,
            now_ms,
            PostgresHold { lease, hold, place: Some(place), expired: None },
        )
    }
}

/// Writes a turn. While the database is not there, or it is not known whether it has written it, it is asked again.
async fn write(database: &Database, commit: &Arc<Commit>, lease: &Arc<Lease>) -> Result<(), Fault> {
    let deadline = Instant::now() + COMMIT_PATIENCE;
    let database = database.within(COMMIT_TRY);
    let mut may_be_written = false;
    loop {
        let (commit_of, lease_of) = (commit.clone(), lease.clone());
        let tried = database.perform(move |client| {
            Box::pin(async move {
                if may_be_written && commit_of.is_written(client, &lease_of).await? {
                    return Ok(());
                }
                commit_of.write(client, &lease_of).await
            })
        });
        let fault = match tried.await {
            Ok(()) => return Ok(()),
            Err(fault) => fault,
        };
        if matches!(fault, Fault::Unknown(_)) {
            may_be_written = true;
            database.forget_idle();
        }
        let is_passing = match &fault {
            Fault::Unheard(StoreError::Unavailable { .. }) | Fault::Unknown(_) => true,
            other => other.is_collision(),
        };
        if !is_passing || lease.has_run_out() || Instant::now() >= deadline {
            if may_be_written && was_written_after_all(&database, commit, lease).await? {
                return Ok(());
            }
            return Err(fault);
        }
        tokio::time::sleep(COMMIT_PAUSE).await;
    }
}

/// Whether an earlier try was written. A later one that was refused may have been so because of it: it waited until the
/// earlier one had ended its lease. Where this cannot be told, nothing is said of the session.
async fn was_written_after_all(database: &Database, commit: &Arc<Commit>, lease: &Arc<Lease>) -> Result<bool, Fault> {
    let (commit, lease) = (commit.clone(), lease.clone());
    database.perform(move |client| Box::pin(async move { commit.is_written(client, &lease).await })).await
}

/// Why a turn was not written.
async fn refused(database: &Database, fault: Fault, commit: &Arc<Commit>, lease: &Arc<Lease>) -> StoreError {
    if fault.is_guarded() {
        // A node that was suspended does not know by its own clock that its lease has run out.
        let has_run_out = lease.has_run_out() || {
            let (commit, lease) = (commit.clone(), lease.clone());
            let look =
                database.perform(move |client| Box::pin(async move { commit.is_still_there(client, &lease).await }));
            match look.await {
                Ok(is_still_there) => is_still_there,
                Err(fault) => return fault.into(),
            }
        };
        if has_run_out {
            let reason = "the turn was not renewed in time and belongs to this server no more (`sessions.lease`): it stood \
                          still, or did not reach the database";
            return StoreError::Unavailable { reason: reason.into() };
        }
        return StoreError::Gone;
    }
    if fault.is_taken() && commit.before.is_none() {
        return StoreError::Invalid { reason: "there is a session with this id already" };
    }
    fault.into()
}

#[async_trait]
impl Store for PostgresStore {
    async fn begin(&self, key: &SessionKey, wait: Duration) -> Result<Turn, StoreError> {
        self.open_for_business()?;
        let deadline = Instant::now().checked_add(wait);
        let hold = self.turns.hold(key, wait).await?;
        self.begun(key, hold, deadline, false).await
    }

    async fn begin_new(&self, key: &SessionKey) -> Result<Turn, StoreError> {
        self.open_for_business()?;
        let hold = self.turns.try_hold(key)?;
        self.begun(key, hold, None, true).await
    }

    async fn goes_on(&self, turn: &Turn, number: u64) -> Result<(), StoreError> {
        self.open_for_business()?;
        let held: &PostgresHold = turn.hold()?;
        let Some(row) = held.place.map(|place| place.row) else { return Ok(()) };
        let (tenant, token) = (turn.key().tenant.clone(), held.lease.token());
        self.database
            .run(move |client| Box::pin(async move { goes_on(client, &tenant, token, row, number).await }))
            .await
    }

    async fn commit(&self, turn: Turn, record: TurnRecord) -> Result<Arc<Session>, StoreError> {
        self.open_for_business()?;
        let Begun { key, base, id, began_at_ms, hold: held } = turn.into_parts::<PostgresHold>()?;
        let PostgresHold { lease, hold, place: before, expired } = held;
        let now_ms = self.clock.now_ms();
        let next_seq = before.map_or(0, |place| place.next_seq);
        let ending = Ending { key: &key, base: base.as_deref(), next_seq, id, began_at_ms, now_ms };
        let mut step = advance(&ending, record)?;
        let are_stale = before.is_some_and(|place| place.has_stale_secrets);
        let sealed = self.seals.seal_headers(&key, base.as_deref(), &step.hidden.headers, are_stale)?;
        let variables = self.seals.seal_variables(&key, &step.variables)?;
        if self.seals.are_kept() {
            step.reveal_headers();
            step.reveal_variables();
        }
        let hidden = std::mem::take(&mut step.hidden);
        let after = Place {
            row: before.map_or_else(Uuid::now_v7, |place| place.row),
            next_seq: step.next_seq,
            has_failed: before.is_some_and(|place| place.has_failed) || step.adds_failed(),
            has_stale_secrets: false,
            node: self.leases.node,
        };
        let answer = step.answer.take();
        let commit = Commit { key: key.clone(), step, before, after, expired, sealed, variables, answer };
        let (database, secrets) = (self.database.clone(), self.secrets.clone());
        // In a task of its own: whoever asked for it may stop waiting at any time.
        let task = self.database.runtime().spawn(async move {
            let commit = Arc::new(commit);
            let written = write(&database, &commit, &lease).await;
            if let Err(fault) = written {
                return Err(refused(&database, fault, &commit, &lease).await);
            }
            lease.over();
            secrets.put(&commit.key, hidden, now_ms);
            let session =
                Arc::try_unwrap(commit).map_or_else(|shared| shared.step.session.clone(), |commit| commit.step.session);
            // First the turn ends, then its end is told.
            drop((lease, hold));
            Ok::<_, StoreError>(session)
        });
        let session = Arc::new(task.await.map_err(|_| broken_off())??);
        let hidden = if self.seals.are_kept() { Hidden::default() } else { self.secrets.get(&key, now_ms) };
        Ok(as_found(&session, hidden, &self.lifetimes, now_ms))
    }

    async fn session(&self, key: &SessionKey) -> Result<Option<Arc<Session>>, StoreError> {
        self.open_for_business()?;
        let (wanted, seals) = (key.clone(), self.seals.clone());
        let read =
            self.database.run(move |client| Box::pin(async move { read::session(client, &wanted, &seals).await }));
        let Some(stored) = read.await? else { return Ok(None) };
        let now_ms = self.clock.now_ms();
        let is_live = stored.session.record.updated_at_ms > self.lifetimes.session_horizon(now_ms);
        Ok(is_live.then(|| self.found(key, stored, now_ms)))
    }

    async fn sessions(
        &self,
        owner: &Owner,
        filter: &SessionFilter,
        page: &Page,
    ) -> Result<List<SessionSummary>, StoreError> {
        self.open_for_business()?;
        let now_ms = self.clock.now_ms();
        let horizon_ms = self.lifetimes.session_horizon(now_ms);
        let (owner, filter, page, seals) = (owner.clone(), filter.clone(), page.clone(), self.seals.clone());
        let list = self.database.run(move |client| {
            Box::pin(async move { read::list(client, &owner, &filter, &page, horizon_ms, &seals).await })
        });
        let List { data, has_more } = list.await?;
        let summary = |stored: Stored| {
            let key = stored.session.record.key.clone();
            self.found(&key, stored, now_ms).summary()
        };
        Ok(List { data: data.into_iter().map(summary).collect(), has_more })
    }

    async fn messages(&self, key: &SessionKey, page: &Page) -> Result<Option<List<Arc<Message>>>, StoreError> {
        self.open_for_business()?;
        let (key, page, horizon_ms) = (key.clone(), page.clone(), self.horizon_ms());
        self.database
            .run(move |client| Box::pin(async move { read::messages(client, &key, &page, horizon_ms).await }))
            .await
    }

    async fn trail(&self, key: &SessionKey, page: &Page) -> Result<Option<List<TurnTrail>>, StoreError> {
        self.open_for_business()?;
        let (key, page, horizon_ms) = (key.clone(), page.clone(), self.horizon_ms());
        self.database
            .run(move |client| Box::pin(async move { read::trail(client, &key, &page, horizon_ms).await }))
            .await
    }

    async fn delete(&self, key: &SessionKey) -> Result<bool, StoreError> {
        self.open_for_business()?;
        let of = key.clone();
        let deleted = self.database.run(move |client| {
            Box::pin(async move {
                let user = of.user.as_ref();
                let [end_lease, delete] = prepared(client, [form(user, END_LEASE), form(user, DELETE)]).await?;
                let Key { tenant, session, user } = Key::of(&of);
                let begin = begin_for(BEGIN, tenant);
                let done = tokio::join!(biased;
                    client.batch_execute(&begin),
                    async { client.query_opt(&end_lease, &[&tenant, &session, &user]).await },
                    async { client.query_opt(&delete, &[&tenant, &session, &user]).await },
                    client.batch_execute(COMMIT),
                );
                let (begun, lease, deleted, committed) = done;
                begun?;
                let (lease, deleted) = (lease?, deleted?);
                committed?;
                let lease = match &lease {
                    Some(row) => Some((get::<Uuid>(row, 0)?, get::<Uuid>(row, 1)?, get::<bool>(row, 2)?)),
                    None => None,
                };
                Ok((lease, deleted.map(|row| get::<i64>(&row, 0)).transpose()?))
            })
        });
        let (lease, updated_at_ms) = deleted.await?;
        self.secrets.remove(key);
        // One of our own may be a leftover of a turn that was given up.
        let was_running = lease.is_some_and(
            |(token, node, is_live)| {
                if node == self.leases.node { self.leases.has(token) } else { is_live }
            },
        );
        Ok(was_running || updated_at_ms.is_some_and(|at| at > self.horizon_ms()))
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.open_for_business()?;
        let sql = "SELECT current_setting('transaction_read_only')";
        let read_only = self.database.run(move |client| {
            Box::pin(async move {
                let [look] = prepared(client, [sql]).await?;
                Ok(get::<&str>(&client.query_one(&look, &[]).await?, 0)? == "on")
            })
        });
        if read_only.await? {
            return Err(StoreError::Unavailable { reason: "the database takes reads only: is it a standby?".into() });
        }
        Ok(())
    }

    async fn close(&self) -> Result<(), StoreError> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        if let Some(keeper) = self.keeper.get() {
            keeper.abort();
        }
        self.leases.settle().await;
        self.database.close();
        self.secrets.clear();
        Ok(())
    }
}

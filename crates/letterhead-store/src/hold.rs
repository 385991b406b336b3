//! One turn at a time per session, within this process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Owner, SessionKey, StoreError, TurnId, TurnStatus, TurnSummary};

/// The sessions that have a turn running or waiting.
#[derive(Default)]
pub(crate) struct Turns {
    slots: Mutex<HashMap<SessionKey, Slot>>,
}

#[derive(Default)]
struct Slot {
    /// How many have the turn or wait for it.
    holds: usize,
    turn: Arc<OneTurn>,
    running: Option<Running>,
}

/// The turn that runs.
#[derive(Clone, Copy)]
struct Running {
    id: TurnId,
    number: u64,
    continues: Option<TurnId>,
}

struct OneTurn {
    /// One permit, handed on in the order of asking.
    permit: Arc<Semaphore>,
    /// How often the session was deleted since somebody first came for this turn.
    deletions: AtomicU64,
}

impl Turns {
    fn slots(&self) -> MutexGuard<'_, HashMap<SessionKey, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the session's turn, so long at most.
    pub(crate) async fn hold(self: &Arc<Self>, key: &SessionKey, wait: Duration) -> Result<Hold, StoreError> {
        let mut hold = self.join(key);
        if !hold.try_take() {
            // From here on the hold waits in line; dropping it at a timeout leaves the line.
            let permit = hold.turn.permit.clone().acquire_owned();
            let permit = tokio::time::timeout(wait, permit).await.map_err(|_| StoreError::Busy)?;
            hold.take(permit.map_err(|_| StoreError::Closed)?);
        }
        Ok(hold)
    }

    /// Takes the session's turn if nobody has it.
    pub(crate) fn try_hold(self: &Arc<Self>, key: &SessionKey) -> Result<Hold, StoreError> {
        let mut hold = self.join(key);
        if hold.try_take() { Ok(hold) } else { Err(StoreError::Busy) }
    }

    /// Whether a turn of the session runs.
    pub(crate) fn is_running(&self, key: &SessionKey) -> bool {
        self.slots().get(key).is_some_and(|slot| slot.turn.is_taken())
    }

    /// Notes that the session was deleted: the turn that runs, if there is one, is told so by [`Hold::is_gone`].
    /// Tells whether one runs.
    pub(crate) fn strike(&self, key: &SessionKey) -> bool {
        let mut slots = self.slots();
        let Some(slot) = slots.get_mut(key) else { return false };
        slot.turn.deletions.fetch_add(1, Ordering::SeqCst);
        slot.running = None;
        slot.turn.is_taken()
    }

    /// The turns of an owner that run.
    pub(crate) fn running(&self, owner: &Owner) -> Vec<TurnSummary> {
        let slots = self.slots();
        let own = slots.iter().filter(|(key, _)| key.tenant == owner.tenant && key.user == owner.user);
        own.filter_map(|(key, slot)| {
            let Running { id, number, continues } = slot.running?;
            let begun = TurnSummary::begun(id, key.id.clone(), number, TurnStatus::Running);
            Some(TurnSummary { continues, ..begun })
        })
        .collect()
    }

    fn join(self: &Arc<Self>, key: &SessionKey) -> Hold {
        let mut slots = self.slots();
        let slot = slots.entry(key.clone()).or_default();
        slot.holds += 1;
        let turn = slot.turn.clone();
        Hold { turns: Arc::clone(self), key: key.clone(), turn, permit: None, deletions: 0 }
    }

    fn run(&self, key: &SessionKey, running: Option<Running>) {
        if let Some(slot) = self.slots().get_mut(key) {
            slot.running = running;
        }
    }

    fn goes_on(&self, key: &SessionKey, task: TurnId) {
        if let Some(running) = self.slots().get_mut(key).and_then(|slot| slot.running.as_mut()) {
            running.continues = Some(task);
        }
    }

    fn leave(&self, key: &SessionKey) {
        let mut slots = self.slots();
        let Some(slot) = slots.get_mut(key) else { return };
        slot.holds -= 1;
        if slot.holds == 0 {
            slots.remove(key);
        }
    }
}

impl OneTurn {
    fn is_taken(&self) -> bool {
        self.permit.available_permits() == 0
    }
}

impl Default for OneTurn {
    fn default() -> Self {
        Self { permit: Arc::new(Semaphore::new(1)), deletions: AtomicU64::new(0) }
    }
}

/// The right to a session's turn, or a place in the line for it. Dropping it gives it back.
pub(crate) struct Hold {
    turns: Arc<Turns>,
    key: SessionKey,
    turn: Arc<OneTurn>,
    permit: Option<OwnedSemaphorePermit>,
    deletions: u64,
}

impl Hold {
    fn try_take(&mut self) -> bool {
        let permit = self.turn.permit.clone().try_acquire_owned();
        permit.map(|permit| self.take(permit)).is_ok()
    }

    fn take(&mut self, permit: OwnedSemaphorePermit) {
        self.permit = Some(permit);
        self.deletions = self.turn.deletions.load(Ordering::SeqCst);
    }

    /// The turn runs under this id, as the session's turn of this number.
    pub(crate) fn began(&self, id: TurnId, number: u64) {
        self.turns.run(&self.key, Some(Running { id, number, continues: None }));
    }

    /// The turn goes on with this task.
    pub(crate) fn goes_on(&self, task: TurnId) {
        self.turns.goes_on(&self.key, task);
    }

    /// Whether the session was deleted since this turn began.
    pub(crate) fn is_gone(&self) -> bool {
        self.turn.deletions.load(Ordering::SeqCst) != self.deletions
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.permit.is_some() {
            self.turns.run(&self.key, None);
        }
        // Not under the lock: this wakes whoever is next.
        self.permit = None;
        self.turns.leave(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use letterhead_context::{SessionId, TenantId};

    use super::*;

    fn key() -> SessionKey {
        SessionKey { tenant: TenantId::default(), user: None, id: SessionId::parse("s").unwrap() }
    }

    #[tokio::test(start_paused = true)]
    async fn no_slot_outlives_the_turns_and_the_waiting() {
        let turns = Arc::new(Turns::default());
        let first = turns.hold(&key(), Duration::ZERO).await.unwrap();
        assert!(turns.is_running(&key()));
        assert_eq!(turns.hold(&key(), Duration::from_secs(1)).await.err(), Some(StoreError::Busy));
        assert_eq!(turns.try_hold(&key()).err(), Some(StoreError::Busy));
        assert_eq!(turns.slots().len(), 1);
        drop(first);
        assert!(turns.slots().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_deletion_is_told_to_the_running_turn_and_not_to_the_next() {
        let turns = Arc::new(Turns::default());
        let key = key();
        let first = turns.hold(&key, Duration::ZERO).await.unwrap();
        let (second, ()) = tokio::join!(turns.hold(&key, Duration::from_secs(1)), async {
            assert!(turns.strike(&key));
            assert!(first.is_gone());
            drop(first);
        });
        assert!(!second.unwrap().is_gone());
        assert!(!turns.strike(&key));
    }
}

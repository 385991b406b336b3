//! The turns of a memory store.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::MemoryStore;
use crate::advance::EndedTurn;
use crate::turns::{self, TurnDetail, TurnError, TurnFilter, TurnStatus, TurnSummary, Turns};
use crate::{ChildRun, List, Message, Owner, Page, Role, Session, StoreError, TurnId};

/// A turn that has ended.
pub(super) struct PastTurn {
    summary: TurnSummary,
    children: Vec<ChildRun>,
}

impl PastTurn {
    /// The turn that brought its session here, after those before it.
    pub(super) fn of(ended: EndedTurn, session: &Session, before: &[Self]) -> Self {
        let EndedTurn { id, began_at_ms, agent, status, continues, usage, error, children } = ended;
        let summary = TurnSummary {
            id,
            session: session.record.key.id.clone(),
            number: session.turns,
            agent: Some(agent),
            status,
            asked: status == TurnStatus::Paused,
            continues: continues.and_then(|number| Self::task_of(before, number)),
            began_at_ms,
            ended_at_ms: Some(session.record.updated_at_ms),
            usage,
            error,
            has_children: !children.is_empty(),
        };
        Self { summary, children }
    }

    /// The task of the turn of this number.
    pub(super) fn task_of(turns: &[Self], number: u64) -> Option<TurnId> {
        turns.iter().rev().find(|turn| turn.summary.number == number).map(|turn| turn.summary.task())
    }

    /// It waits no longer, where something was said after it, or what it asked was cut off.
    pub(super) fn goes_on(&mut self, last_said: Option<&Message>) {
        let waits = last_said.is_some_and(|said| said.turn <= self.summary.number && said.role != Role::User);
        if self.summary.status == TurnStatus::Paused && !waits {
            self.summary.status = if self.summary.error.is_none() { TurnStatus::Complete } else { TurnStatus::Failed };
        }
    }

    pub(super) fn weight(&self) -> usize {
        let error = self.summary.error.as_ref().map_or(0, TurnError::weight);
        size_of::<Self>() + error + self.children.iter().map(ChildRun::weight).sum::<usize>()
    }
}

#[async_trait]
impl Turns for MemoryStore {
    async fn turn(&self, owner: &Owner, id: TurnId) -> Result<Option<TurnDetail>, StoreError> {
        self.open()?;
        let running = self.turns.running(owner).into_iter().find(|turn| turn.id == id);
        let horizon = self.lifetimes.session_horizon(self.clock.now_ms());
        let kept = self.kept();
        let live = kept.of_owner(owner).filter(|entry| entry.session.record.updated_at_ms > horizon);
        let found = live.flat_map(|entry| entry.turns.iter().map(move |turn| (entry, turn)));
        let found = found.into_iter().find(|(_, turn)| turn.summary.id == id);
        let ended = found.map(|(entry, turn)| {
            let of_turn = |message: &&Arc<Message>| message.turn == turn.summary.number;
            let messages = entry.messages.iter().filter(of_turn).cloned().collect();
            TurnDetail { summary: turn.summary.clone(), messages, children: turn.children.clone() }
        });
        Ok(ended.or_else(|| running.map(TurnDetail::begun)))
    }

    async fn turns(&self, owner: &Owner, filter: &TurnFilter, page: &Page) -> Result<List<TurnSummary>, StoreError> {
        self.open()?;
        let before = turns::before(page)?;
        let running = self.turns.running(owner);
        let horizon = self.lifetimes.session_horizon(self.clock.now_ms());
        let kept = self.kept();
        let one = filter.session.as_ref().and_then(|id| kept.peek(&owner.session(id.clone())));
        let all = filter.session.is_none().then(|| kept.of_owner(owner)).into_iter().flatten();
        let live = one.into_iter().chain(all).filter(|entry| entry.session.record.updated_at_ms > horizon);
        let ended: Vec<_> = live.flat_map(|entry| &entry.turns).map(|turn| &turn.summary).collect();
        let last: HashMap<TurnId, TurnId> = if filter.last_of_task {
            let all = ended.iter().copied().chain(&running);
            all.filter(|turn| turn.continues.is_some()).map(|turn| (turn.task(), turn.id)).collect()
        } else {
            HashMap::new()
        };
        let is_last = |turn: &TurnSummary| last.get(&turn.task()).is_none_or(|last| *last == turn.id);
        let is_behind = |turn: &TurnSummary| before.is_none_or(|before| turn.id < before);
        let shown = |turn: &&&TurnSummary| is_behind(turn) && turn.is_shown(filter) && is_last(turn);
        let stored = ended.iter().filter(shown).map(|turn| TurnSummary::clone(turn)).collect();
        turns::page(stored, running, filter, page)
    }
}

//! The turns of a memory store.

use std::sync::Arc;

use async_trait::async_trait;

use super::MemoryStore;
use crate::advance::EndedTurn;
use crate::turns::{self, TurnDetail, TurnFilter, TurnStatus, TurnSummary, Turns};
use crate::{ChildRun, List, Message, Owner, Page, Session, StoreError, TurnId};

/// A turn that has ended.
pub(super) struct PastTurn {
    summary: TurnSummary,
    children: Vec<ChildRun>,
}

impl PastTurn {
    /// The turn that brought its session here, after those before it.
    pub(super) fn of(ended: EndedTurn, session: &Session, before: &[Self]) -> Self {
        let EndedTurn { id, began_at_ms, agent, status, continues, usage, children } = ended;
        let first = |of: &Self| of.summary.continues.unwrap_or(of.summary.id);
        let summary = TurnSummary {
            id,
            session: session.record.key.id.clone(),
            number: session.turns,
            agent: Some(agent),
            status,
            asked: status == TurnStatus::Paused,
            continues: before.iter().rev().find(|turn| Some(turn.summary.number) == continues).map(first),
            began_at_ms,
            ended_at_ms: Some(session.record.updated_at_ms),
            usage,
            has_children: !children.is_empty(),
        };
        Self { summary, children }
    }

    /// It waits no longer, where the conversation goes on with a later turn than it.
    pub(super) fn goes_on(&mut self, last_said: u64) {
        if self.summary.status == TurnStatus::Paused && self.summary.number < last_said {
            self.summary.status = TurnStatus::Complete;
        }
    }

    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.children.iter().map(ChildRun::weight).sum::<usize>()
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
        let ended = live.flat_map(|entry| &entry.turns).map(|turn| &turn.summary);
        let shown = |turn: &&TurnSummary| before.is_none_or(|before| turn.id < before) && turn.is_shown(filter);
        turns::page(ended.filter(shown).cloned().collect(), running, filter, page)
    }
}

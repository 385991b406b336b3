//! What a memory store keeps beside sessions: API keys, and the answers of requests that may be sent again.

use async_trait::async_trait;

use super::MemoryStore;
use crate::{ApiKey, ApiKeys, Claim, Claimed, Idempotency, IdempotencyKey, KeptAnswer, StoreError};

#[async_trait]
impl ApiKeys for MemoryStore {
    async fn create_api_key(&self, key: ApiKey) -> Result<(), StoreError> {
        self.open()?;
        let mut keys = self.api_keys_kept();
        if keys.iter().any(|old| old.id == key.id) {
            return Err(StoreError::Invalid { reason: "there is an API key with this id already" });
        }
        keys.push(key);
        Ok(())
    }

    async fn api_key(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        self.open()?;
        Ok(self.api_keys_kept().iter().find(|key| &*key.id == id).cloned())
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.open()?;
        Ok(self.api_keys_kept().clone())
    }

    async fn revoke_api_key(&self, id: &str) -> Result<bool, StoreError> {
        self.open()?;
        let now_ms = self.clock.now_ms();
        let mut keys = self.api_keys_kept();
        let Some(key) = keys.iter_mut().find(|key| &*key.id == id) else { return Ok(false) };
        key.revoked_at_ms.get_or_insert(now_ms);
        Ok(true)
    }
}

#[async_trait]
impl Idempotency for MemoryStore {
    async fn claim(&self, key: IdempotencyKey, request: [u8; 32]) -> Result<Claim, StoreError> {
        self.open()?;
        Ok(match self.claims.take(key.clone(), request) {
            Ok(taken) => taken.settle(self.answers().find(&key, self.clock.now_ms())),
            Err(held) => held.into(),
        })
    }

    async fn keep_answer(&self, answer: KeptAnswer) -> Result<(), StoreError> {
        self.open()?;
        let now_ms = self.clock.now_ms();
        // No session goes between the look and the keeping.
        let kept = self.kept();
        match answer.session.clone().filter(|session| kept.peek(session).is_some()) {
            Some(session) => self.answers().keep_with(answer, session),
            None => self.answers().keep(answer, None, now_ms),
        }
        Ok(())
    }

    async fn release(&self, claimed: Claimed) -> Result<(), StoreError> {
        drop(claimed);
        Ok(())
    }
}

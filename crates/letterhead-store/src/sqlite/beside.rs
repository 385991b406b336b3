//! What the store keeps beside sessions: API keys, and the answers of requests that may be sent again.

use async_trait::async_trait;
use rusqlite::Connection;

use super::ageing::Ageing;
use super::answers::AnswerRow;
use super::{SqliteStore, answers, api_keys, errand, read};
use crate::{ApiKey, ApiKeys, Claim, Claimed, Idempotency, IdempotencyKey, KeptAnswer, StoreError};

#[async_trait]
impl ApiKeys for SqliteStore {
    async fn create_api_key(&self, key: ApiKey) -> Result<(), StoreError> {
        self.open_for_business()?;
        let created = self.ask(|reply| errand::job(move |connection| api_keys::create(connection, &key), reply));
        if created.await? { Ok(()) } else { Err(api_keys::taken()) }
    }

    async fn api_key(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        self.open_for_business()?;
        let id = id.to_owned();
        self.readers.read(move |connection| api_keys::find(connection, &id)).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.open_for_business()?;
        self.readers.read(api_keys::list).await
    }

    async fn revoke_api_key(&self, id: &str) -> Result<bool, StoreError> {
        self.open_for_business()?;
        let (id, now_ms) = (id.to_owned(), self.shared.clock.now_ms());
        self.ask(|reply| errand::job(move |connection| api_keys::revoke(connection, &id, now_ms), reply)).await
    }
}

#[async_trait]
impl Idempotency for SqliteStore {
    async fn claim(&self, key: IdempotencyKey, request: [u8; 32]) -> Result<Claim, StoreError> {
        self.open_for_business()?;
        let taken = match self.shared.claims.take(key.clone(), request) {
            Ok(taken) => taken,
            Err(held) => return Ok(held.into()),
        };
        let horizon_ms = Ageing::Answers.horizon(&self.shared.lifetimes, self.shared.clock.now_ms());
        let answered = match self.readers.glance(|connection| answers::find(connection, &key, horizon_ms)) {
            Some(answered) => answered?,
            None => self.readers.read(move |connection| answers::find(connection, &key, horizon_ms)).await?,
        };
        Ok(taken.settle(answered))
    }

    async fn keep_answer(&self, answer: KeptAnswer) -> Result<(), StoreError> {
        self.open_for_business()?;
        let now_ms = self.shared.clock.now_ms();
        let keep = move |connection: &Connection| {
            let session = answer.session.as_ref().map(|key| read::find(connection, key)).transpose()?.flatten();
            // What goes with a session never grows old by itself.
            let given_at_ms = if session.is_some() { i64::MAX } else { now_ms };
            answers::keep(connection, &AnswerRow { answer: answer.clone(), given_at_ms }, session.map(|(row, _)| row))
        };
        self.ask(|reply| errand::job(keep, reply)).await
    }

    async fn release(&self, claimed: Claimed) -> Result<(), StoreError> {
        drop(claimed);
        Ok(())
    }
}

//! Approved calls are made once, whatever happens: what is about to be made is written down first.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use letterhead::run::ApprovedCalls;
use letterhead_context::Problem;
use letterhead_store::{Claim, IdempotencyKey, Owner, SessionKey, Store};

use crate::error::store_problem;

/// Remembers, beside the answers of requests that may be sent again, which approved calls of a session were begun. So they
/// are known to every server that shares the store, and after a crash; for as long as the session is there.
pub(super) struct Begun {
    store: Arc<dyn Store>,
    session: SessionKey,
}

impl Begun {
    pub(super) fn new(store: &Arc<dyn Store>, session: &SessionKey) -> Arc<Self> {
        Arc::new(Self { store: Arc::clone(store), session: session.clone() })
    }
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").field("session", &self.session).finish_non_exhaustive()
    }
}

#[async_trait]
impl ApprovedCalls for Begun {
    async fn begin(&self, approval: &str) -> Result<bool, Problem> {
        let SessionKey { tenant, user, id } = self.session.clone();
        // The space keeps it apart from all that a client can send as an `Idempotency-Key`.
        let key = format!("approved call {approval}").into();
        let key = IdempotencyKey { owner: Owner { tenant, user }, session: Some(id), key };
        let claim = self.store.claim(key, [0; 32]).await.map_err(|error| store_problem(&error))?;
        let Claim::New(claimed) = claim else { return Ok(false) };
        let begun = claimed.answer(*b"begun").with_session(self.session.clone());
        self.store.keep_answer(begun).await.map_err(|error| store_problem(&error))?;
        Ok(true)
    }
}

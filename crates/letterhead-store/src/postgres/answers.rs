//! Requests with an `Idempotency-Key`, over all nodes.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest;
use deadpool_postgres::ClientWrapper;
use letterhead_context::{SessionId, UserId};
use uuid::Uuid;

use super::PostgresStore;
use super::database::{BEGIN, COMMIT, begin_for, bound, prepared};
use super::fault::Fault;
use super::lease::{Lease, Subject};
use super::pipeline::Writing;
use super::row::get;
use crate::Clock as _;
use crate::clock::millis;
use crate::{ANSWERS_KEPT, Claim, Claimed, Idempotency, IdempotencyKey, KeptAnswer, StoreError};

/// Takes a key that is free: never used, given up, or answered too long ago.
const CLAIM: &str = "\
    INSERT INTO answers (tenant_id, scope, request, lease, expires_at) \
    VALUES ($1, $2, $3, $4, now() + $5::float8 * interval '1 millisecond') \
    ON CONFLICT (tenant_id, scope) DO UPDATE SET request = excluded.request, lease = excluded.lease, \
    expires_at = excluded.expires_at, session = NULL, given_at = NULL, body = NULL \
    WHERE CASE WHEN answers.given_at IS NULL THEN answers.expires_at <= now() ELSE answers.given_at <= $6 END";
const LOOK: &str = "SELECT request, lease, body FROM answers WHERE tenant_id = $1 AND scope = $2";
/// Keeps an answer, and refuses where the claim is another one's.
pub(super) const KEEP: &str = "\
    WITH kept AS (UPDATE answers SET given_at = $4, session = $5, body = $6 \
    WHERE tenant_id = $1 AND scope = $2 AND lease = $3 AND given_at IS NULL RETURNING 1) \
    SELECT 1 / count(*) FROM kept";
/// The same beside turns: what is kept with a session that is there goes with it, and never grows old by itself.
const KEEP_BESIDE: &str = "\
    WITH found AS (SELECT id FROM sessions WHERE tenant_id = $1 AND session_id = $5 AND user_id = $6 \
    UNION ALL SELECT id FROM sessions WHERE tenant_id = $1 AND session_id = $5 AND user_id IS NULL AND $6::text IS NULL), \
    kept AS (UPDATE answers SET given_at = CASE WHEN EXISTS (SELECT 1 FROM found) THEN 9223372036854775807 ELSE $4 END, \
    session = (SELECT id FROM found), body = $7 \
    WHERE tenant_id = $1 AND scope = $2 AND lease = $3 AND given_at IS NULL RETURNING 1) \
    SELECT 1 / count(*) FROM kept";
const RELEASE: &str = "DELETE FROM answers WHERE lease = $1 AND given_at IS NULL";

/// The key as bytes that no other key of the tenant has: SHA-256 of its texts, each behind its length, and what may be
/// missing behind a zero or a one.
pub(super) fn scope(key: &IdempotencyKey) -> Vec<u8> {
    let mut hash = digest::Context::new(&digest::SHA256);
    let user = key.owner.user.as_ref().map(UserId::as_str);
    let session = key.session.as_ref().map(SessionId::as_str);
    for text in [user, session, Some(&*key.key)] {
        hash.update(&[u8::from(text.is_some())]);
        let text = text.unwrap_or_default();
        hash.update(&(text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finish().as_ref().to_vec()
}

async fn claim(
    client: &ClientWrapper,
    key: &IdempotencyKey,
    request: [u8; 32],
    lease: Lease,
    horizon_ms: i64,
) -> Result<Claim, Fault> {
    let [take, look] = prepared(client, [CLAIM, LOOK]).await?;
    let (tenant, scope, token, term_ms) = (key.owner.tenant.as_str(), scope(key), lease.token(), lease.term_ms());
    let begin = begin_for(BEGIN, tenant);
    let found = tokio::join!(biased;
        client.batch_execute(&begin),
        async { client.execute(&take, &[&tenant, &scope, &request.as_slice(), &token, &term_ms, &horizon_ms]).await },
        async { client.query_opt(&look, &[&tenant, &scope]).await },
        client.batch_execute(COMMIT),
    );
    let (begun, taken, row, committed) = found;
    begun?;
    taken?;
    let row = row?;
    committed?;
    let Some(row) = row else {
        // Given back between the two statements.
        return Ok(Claim::Running);
    };
    if get::<Uuid>(&row, 1)? == token {
        lease.granted();
        return Ok(Claim::New(Claimed::new(key.clone(), request, token, lease)));
    }
    lease.over();
    if get::<&[u8]>(&row, 0)? != request {
        return Ok(Claim::Mismatch);
    }
    Ok(get::<Option<&[u8]>>(&row, 2)?.map_or(Claim::Running, |body| Claim::Answered(Arc::from(body))))
}

#[async_trait]
impl Idempotency for PostgresStore {
    async fn claim(&self, key: IdempotencyKey, request: [u8; 32]) -> Result<Claim, StoreError> {
        self.open_for_business()?;
        let horizon_ms = self.clock.now_ms().saturating_sub(millis(ANSWERS_KEPT));
        let lease = self.leases.ask(&key.owner.tenant, Subject::Claim, Uuid::new_v4());
        self.database
            .run(move |client| Box::pin(async move { claim(client, &key, request, lease, horizon_ms).await }))
            .await
    }

    async fn keep_answer(&self, answer: KeptAnswer) -> Result<(), StoreError> {
        self.open_for_business()?;
        let now_ms = self.clock.now_ms();
        let kept = self.database.run(move |client| {
            Box::pin(async move {
                let (tenant, scope) = (answer.key.owner.tenant.as_str(), scope(&answer.key));
                let session = answer.session.as_ref().map(|session| session.id.as_str());
                let user = answer.session.as_ref().and_then(|session| session.user.as_ref()).map(UserId::as_str);
                let (lease, body) = (answer.lease, &*answer.body);
                let mut keep = Writing::of(tenant);
                keep.add(KEEP_BESIDE, &[&tenant, &scope, &lease, &now_ms, &session, &user, &body]);
                let kept = keep.commit(client).await;
                // The transaction is undone, and has ended.
                kept.map_err(|fault| if fault.is_guarded() { Fault::Wrong(StoreError::Gone) } else { fault })
            })
        });
        kept.await
    }

    async fn release(&self, claimed: Claimed) -> Result<(), StoreError> {
        self.open_for_business()?;
        let tenant = claimed.key().owner.tenant.clone();
        let lease = claimed.into_hold::<Lease>()?;
        let released = self.database.run(move |client| {
            Box::pin(async move {
                let token = lease.token();
                let work = async {
                    let [release] = prepared(client, [RELEASE]).await?;
                    Ok(client.execute(&release, &[&token]).await?)
                };
                bound(client, BEGIN, &tenant, work).await?;
                lease.over();
                Ok(())
            })
        });
        released.await
    }
}

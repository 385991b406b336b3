//! What goes on in the background: leases are renewed, turns of dead nodes released, and what has expired is removed.
//! Every node does it; what one has done the others find done.

use std::sync::Arc;
use std::time::Duration;

use letterhead_context::{SessionId, TenantId, UserId};
use tokio::time::sleep;
use uuid::Uuid;

use super::agreed::AgreedClock;
use super::begin::abandon;
use super::database::{BEGIN, BEGIN_READ, COMMIT, Database, bound, prepared};
use super::lease::Leases;
use super::row::{get, text};
use crate::clock::millis;
use crate::lifetimes::Lifetimes;
use crate::{ANSWERS_KEPT, Clock, Owner, SessionKey, StoreError};

/// How often what has expired is removed.
const ROUND: Duration = Duration::from_secs(60);
/// How many rows are removed in one transaction, and how many such transactions a tenant has in a round.
const REMOVE: i64 = 500;
const REMOVALS: usize = 20;
/// By how much fewer rows are removed at a time after the database took too long.
const FEWER: i64 = 8;

/// Lets the transaction see what has expired in all tenants; it cannot change any of it.
const LOOK_EVERYWHERE: &str = "SELECT set_config('app.housekeeping', 'on', true)";
const ABANDONED: &str = "SELECT tenant_id, session_id, user_id, token FROM leases WHERE expires_at <= now() LIMIT 100";

pub(super) struct Keeper {
    pub(super) database: Database,
    pub(super) leases: Arc<Leases>,
    pub(super) lifetimes: Lifetimes,
    pub(super) clock: Arc<AgreedClock>,
}

/// Rows that are removed when their time has come, whether anybody looks at them or not.
struct Ageing {
    /// The tenants that have some.
    tenants: &'static str,
    /// Removes some.
    remove: &'static str,
}

const SESSIONS: Ageing = Ageing {
    tenants: "SELECT DISTINCT tenant_id FROM sessions WHERE updated_at <= $1",
    // Not those that have a turn running.
    remove: "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions s WHERE tenant_id = $1 AND updated_at <= $2 \
             AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.tenant_id = s.tenant_id AND l.session_id = s.session_id \
             AND l.user_id IS NOT DISTINCT FROM s.user_id AND l.expires_at > now()) ORDER BY id LIMIT $3)",
};
const SECRETS: Ageing = Ageing {
    tenants: "SELECT DISTINCT tenant_id FROM secrets WHERE sent_at <= $1",
    remove: "DELETE FROM secrets WHERE (session, field) IN (SELECT session, field FROM secrets \
             WHERE tenant_id = $1 AND sent_at <= $2 ORDER BY session, field LIMIT $3)",
};
const VARIABLES: Ageing = Ageing {
    tenants: "SELECT DISTINCT tenant_id FROM variables WHERE expires_at IS NOT NULL AND expires_at <= $1",
    remove: "DELETE FROM variables WHERE (session, name) IN (SELECT session, name FROM variables \
             WHERE tenant_id = $1 AND expires_at IS NOT NULL AND expires_at <= $2 ORDER BY session, name LIMIT $3)",
};
const ANSWERS: Ageing = Ageing {
    tenants: "SELECT DISTINCT tenant_id FROM answers WHERE given_at IS NOT NULL AND given_at <= $1",
    remove: "DELETE FROM answers WHERE tenant_id = $1 AND scope IN (SELECT scope FROM answers \
             WHERE tenant_id = $1 AND given_at IS NOT NULL AND given_at <= $2 ORDER BY scope LIMIT $3)",
};
/// Requests whose node died while it worked on them. The time is an hour ago, so that a claim that was just renewed on
/// another node is not in question.
const CLAIMS: Ageing = Ageing {
    tenants: "SELECT DISTINCT tenant_id FROM answers \
              WHERE given_at IS NULL AND expires_at <= now() - interval '1 hour' AND $1::bigint > 0",
    remove: "DELETE FROM answers WHERE tenant_id = $1 AND scope IN (SELECT scope FROM answers WHERE tenant_id = $1 \
             AND given_at IS NULL AND expires_at <= now() - interval '1 hour' AND $2::bigint > 0 ORDER BY scope LIMIT $3)",
};

impl Keeper {
    /// Works until it is aborted.
    pub(super) async fn run(self) {
        // Nodes that were started together do not all look at the same time.
        let spread = f64::from(Uuid::new_v4().as_bytes().first().copied().unwrap_or_default()) / 256.0;
        // None of the three waits for another: least of all may a long clean-up cost a turn its lease.
        let renewing = async {
            loop {
                sleep(self.leases.round()).await;
                self.leases.renew().await;
            }
        };
        let releasing = async {
            let mut pause = self.leases.term.mul_f64(spread);
            loop {
                sleep(pause.max(self.leases.round())).await;
                pause = self.leases.term;
                note(self.release_abandoned().await);
            }
        };
        let removing = async {
            let mut pause = ROUND.mul_f64(spread);
            loop {
                sleep(pause).await;
                pause = ROUND;
                note(self.clean_up().await);
            }
        };
        tokio::join!(renewing, releasing, removing);
    }

    /// Releases the turns of dead nodes.
    pub(super) async fn release_abandoned(&self) -> Result<(), StoreError> {
        let now_ms = self.clock.now_ms();
        let found = self.database.run(move |client| {
            Box::pin(async move {
                let [look, abandoned] = prepared(client, [LOOK_EVERYWHERE, ABANDONED]).await?;
                client.batch_execute(BEGIN_READ).await?;
                client.execute(&look, &[]).await?;
                let rows = client.query(&abandoned, &[]).await?;
                client.batch_execute(COMMIT).await?;
                let mut found = Vec::with_capacity(rows.len());
                for row in &rows {
                    let id = SessionId::parse(get::<&str>(row, 1)?);
                    let id = id.map_err(|_| StoreError::Corrupt { what: "the id of a session" })?;
                    let user = get::<Option<&str>>(row, 2)?.map(UserId::new);
                    let owner = Owner { tenant: TenantId::new(text(row, 0)?), user };
                    found.push((owner.session(id), get::<Uuid>(row, 3)?));
                }
                Ok(found)
            })
        });
        let found: Vec<(SessionKey, Uuid)> = found.await?;
        for (key, token) in found {
            let released =
                self.database.run(move |client| Box::pin(async move { abandon(client, &key, token, now_ms).await }));
            match released.await {
                Ok(()) => tracing::warn!("a turn whose node is gone was released, and marked as incomplete"),
                failed => note(failed),
            }
        }
        Ok(())
    }

    /// Removes what has expired, if it is sure what time it is.
    pub(super) async fn clean_up(&self) -> Result<(), StoreError> {
        let clock = self.clock.clone();
        let agrees = self.database.run(move |client| Box::pin(async move { Ok(clock.compare(client).await?) }));
        if agrees.await? {
            self.remove_expired().await;
        }
        Ok(())
    }

    /// Removes what has expired. What cannot be removed keeps nothing else from it.
    pub(super) async fn remove_expired(&self) {
        let now_ms = self.clock.now_ms();
        if self.lifetimes.sessions.is_some() {
            note(self.remove(&SESSIONS, self.lifetimes.session_horizon(now_ms)).await);
        }
        note(self.remove(&SECRETS, self.lifetimes.secret_horizon(now_ms)).await);
        note(self.remove(&VARIABLES, now_ms).await);
        note(self.remove(&ANSWERS, now_ms.saturating_sub(millis(ANSWERS_KEPT))).await);
        note(self.remove(&CLAIMS, now_ms).await);
    }

    async fn remove(&self, ageing: &'static Ageing, horizon_ms: i64) -> Result<(), StoreError> {
        let tenants = self.database.run(move |client| {
            Box::pin(async move {
                let [look, tenants] = prepared(client, [LOOK_EVERYWHERE, ageing.tenants]).await?;
                client.batch_execute(BEGIN_READ).await?;
                client.execute(&look, &[]).await?;
                let rows = client.query(&tenants, &[&horizon_ms]).await?;
                client.batch_execute(COMMIT).await?;
                rows.iter().map(|row| Ok(TenantId::new(text(row, 0)?))).collect::<Result<Vec<_>, _>>()
            })
        });
        for tenant in tenants.await? {
            note(self.remove_of(&tenant, ageing, horizon_ms).await);
        }
        Ok(())
    }

    /// Removes what a tenant has of it: less at a time where that took the database too long, for a row may take others
    /// with it.
    async fn remove_of(&self, tenant: &TenantId, ageing: &'static Ageing, horizon_ms: i64) -> Result<(), StoreError> {
        let mut batch = REMOVE;
        for _ in 0..REMOVALS {
            let of = tenant.clone();
            let removed = self.database.perform(move |client| {
                Box::pin(async move {
                    let work = async {
                        let [remove] = prepared(client, [ageing.remove]).await?;
                        Ok(client.execute(&remove, &[&of.as_str(), &horizon_ms, &batch]).await?)
                    };
                    bound(client, BEGIN, &of, work).await
                })
            });
            match removed.await {
                Ok(removed) if removed < batch.cast_unsigned() => break,
                Ok(_) => {}
                Err(fault) if fault.took_too_long() && batch > 1 => batch = (batch / FEWER).max(1),
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    }
}

fn note(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::warn!(reason = %error, "housekeeping in the database failed; it is tried again");
    }
}

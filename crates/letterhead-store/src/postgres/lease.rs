//! One turn at a time over all nodes: a lease for each turn that runs, by the database's clock.
//!
//! The token of a lease is made for one turn, and is the turn's id. Whoever commits deletes the lease with its token in the same transaction, so
//! that a node whose lease was taken over, or has run out, writes nothing: there is nothing to delete.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use letterhead_context::TenantId;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use super::database::{BEGIN, Database, bound, prepared};
use crate::StoreError;

/// Shorter ones could not be renewed in time.
const SHORTEST: Duration = Duration::from_millis(500);

/// What a lease is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A turn of a session.
    Turn,
    /// A request with an `Idempotency-Key`.
    Claim,
}

impl Subject {
    fn renew(self) -> &'static str {
        match self {
            Self::Turn => {
                "UPDATE leases SET expires_at = now() + $2::float8 * interval '1 millisecond' \
                 WHERE token = ANY($1) AND expires_at > now() RETURNING token"
            }
            Self::Claim => {
                "UPDATE answers SET expires_at = now() + $2::float8 * interval '1 millisecond' \
                 WHERE lease = ANY($1) AND given_at IS NULL AND expires_at > now() RETURNING lease"
            }
        }
    }

    fn release(self) -> &'static str {
        match self {
            Self::Turn => "DELETE FROM leases WHERE token = $1",
            Self::Claim => "DELETE FROM answers WHERE lease = $1 AND given_at IS NULL",
        }
    }
}

/// The leases of this node.
pub(super) struct Leases {
    /// Who we are, since this store was opened.
    pub(super) node: Uuid,
    /// How long a lease lasts.
    pub(super) term: Duration,
    database: Database,
    /// Renewals have connections of their own: turns that wait for one must not cost others their lease.
    renewals: Database,
    held: Mutex<HashMap<Uuid, Held>>,
    /// Leases that are being given back.
    releasing: Mutex<JoinSet<()>>,
}

struct Held {
    tenant: TenantId,
    subject: Subject,
    renewed_at: Instant,
    /// Whether the database has said that it is ours. Before that a renewal may not find it.
    is_granted: bool,
}

/// A lease that this node has, or may have had. Dropping it gives it back.
pub(super) struct Lease {
    leases: Arc<Leases>,
    token: Uuid,
    tenant: TenantId,
    subject: Subject,
    is_over: AtomicBool,
}

impl Leases {
    pub(super) fn new(database: Database, renewals: &Database, term: Duration) -> Self {
        let (node, term) = (Uuid::new_v4(), term.max(SHORTEST));
        let renewals = renewals.within((term / 6).max(SHORTEST / 2));
        Self { node, term, database, renewals, held: Mutex::default(), releasing: Mutex::default() }
    }

    /// The term as the database takes it.
    fn term_ms(&self) -> f64 {
        self.term.as_secs_f64() * 1000.0
    }

    /// A lease that is about to be asked for, under a token that nobody had before. Its time counts from now, so that it never ends later than the database
    /// thinks.
    pub(super) fn ask(self: &Arc<Self>, tenant: &TenantId, subject: Subject, token: Uuid) -> Lease {
        let held = Held { tenant: tenant.clone(), subject, renewed_at: Instant::now(), is_granted: false };
        self.held().insert(token, held);
        Lease { leases: Arc::clone(self), token, tenant: tenant.clone(), subject, is_over: AtomicBool::new(false) }
    }

    /// Whether this node has a turn with this token.
    pub(super) fn has(&self, token: Uuid) -> bool {
        self.held().contains_key(&token)
    }

    /// How often leases are looked at.
    pub(super) fn round(&self) -> Duration {
        self.term / 6
    }

    /// Renews those that were not renewed for a while. No tenant waits for another.
    pub(super) async fn renew(self: &Arc<Self>) {
        let mut due: HashMap<(TenantId, bool), Vec<Uuid>> = HashMap::new();
        for (token, held) in self.held().iter() {
            if held.is_granted && held.renewed_at.elapsed() >= self.term / 3 {
                due.entry((held.tenant.clone(), held.subject == Subject::Turn)).or_default().push(*token);
            }
        }
        let mut renewing = JoinSet::new();
        for ((tenant, is_turn), tokens) in due {
            let subject = if is_turn { Subject::Turn } else { Subject::Claim };
            let leases = Arc::clone(self);
            renewing.spawn(async move { leases.renew_some(tenant, subject, tokens).await });
        }
        while let Some(renewed) = renewing.join_next().await {
            if let Ok(Err(error)) = renewed {
                tracing::warn!(reason = %error, "leases of running turns could not be renewed; it is tried again");
            }
        }
    }

    async fn renew_some(&self, tenant: TenantId, subject: Subject, tokens: Vec<Uuid>) -> Result<(), StoreError> {
        let (asked_at, term_ms, asked) = (Instant::now(), self.term_ms(), tokens.clone());
        let renewed = self.renewals.run(move |client| {
            Box::pin(async move {
                let work = async {
                    let [renew] = prepared(client, [subject.renew()]).await?;
                    let rows = client.query(&renew, &[&tokens, &term_ms]).await?;
                    rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<Uuid>, _>>()
                };
                bound(client, BEGIN, &tenant, work).await
            })
        });
        let renewed = renewed.await.inspect_err(|_| self.renewals.forget_idle())?;
        let mut held = self.held();
        for token in asked {
            if renewed.contains(&token) {
                held.entry(token).and_modify(|held| held.renewed_at = asked_at);
            } else {
                // It was taken over, has run out, or its session was deleted.
                held.remove(&token);
            }
        }
        Ok(())
    }

    /// Waits for the leases that are being given back, and renews none any more.
    pub(super) async fn settle(&self) {
        let mut releasing = std::mem::take(&mut *self.releasing());
        while releasing.join_next().await.is_some() {}
        self.renewals.close();
    }

    fn give_back(&self, token: Uuid, tenant: TenantId, subject: Subject) {
        let database = self.database.clone();
        let release = async move {
            let done = database.perform(move |client| {
                Box::pin(async move {
                    let work = async {
                        let [release] = prepared(client, [subject.release()]).await?;
                        Ok(client.execute(&release, &[&token]).await?)
                    };
                    bound(client, BEGIN, &tenant, work).await
                })
            });
            if let Err(fault) = done.await {
                let reason = StoreError::from(fault);
                tracing::debug!(%reason, "a lease could not be given back; it ends by itself");
            }
        };
        let mut releasing = self.releasing();
        while releasing.try_join_next().is_some() {}
        releasing.spawn_on(release, self.database.runtime());
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Uuid, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn releasing(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.releasing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Leases {
    /// What is being given back is given back all the same.
    fn drop(&mut self) {
        self.releasing().detach_all();
    }
}

impl Lease {
    pub(super) fn token(&self) -> Uuid {
        self.token
    }

    /// This node.
    pub(super) fn node(&self) -> Uuid {
        self.leases.node
    }

    /// How long it lasts, in milliseconds.
    pub(super) fn term_ms(&self) -> f64 {
        self.leases.term_ms()
    }

    /// Whether it has run out by this node's clock, or was found to be no longer ours.
    pub(super) fn has_run_out(&self) -> bool {
        let held = self.leases.held();
        held.get(&self.token).is_none_or(|held| held.renewed_at.elapsed() >= self.leases.term)
    }

    /// The database has it.
    pub(super) fn granted(&self) {
        self.leases.held().entry(self.token).and_modify(|held| held.is_granted = true);
    }

    /// The database does not have it any more.
    pub(super) fn over(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.held().remove(&self.token);
        if !self.is_over.load(Ordering::Relaxed) {
            self.leases.give_back(self.token, self.tenant.clone(), self.subject);
        }
    }
}

//! The tokens that were issued, kept until shortly before they expire: one for each subject token, exchange and destination.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use letterhead_context::{RequestContext, SubjectToken};
use letterhead_store::{Clock, Fingerprint, Fingerprints};
use lru::LruCache;

use super::answer::Issued;
use super::fault::NoToken;
use super::prepare::PreparedExchange;
use crate::outbound::TrustedClient;

/// How many are kept.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2047);

/// How long one is used of which nobody said how long it is good for, in seconds.
const UNSAID: i64 = 60;

/// The longest that one is used, in seconds: whoever may do something today may not tomorrow.
const LONGEST: i64 = 24 * 60 * 60;

/// How long before its end one is not used any more, at most, in milliseconds: calls take their time, and clocks differ.
const MARGIN_MS: i64 = 60_000;

/// Gets tokens, and keeps them.
pub(crate) struct Tokens {
    client: TrustedClient,
    clock: Arc<dyn Clock>,
    fingerprints: Arc<Fingerprints>,
    /// By a fingerprint of everything that decides a token: the subject token itself is not kept.
    known: Mutex<LruCache<Fingerprint, Slot>>,
}

/// An exchange that is under way. It is made once, however many wait for it, and given up when nobody does.
type Flight = Shared<Asking>;

/// The work of one.
type Asking = BoxFuture<'static, Result<Arc<Issued>, NoToken>>;

#[derive(Default)]
struct Slot {
    /// A token, and until when it is used, in milliseconds since 1970.
    issued: Option<(Arc<Issued>, i64)>,
    flight: Option<WeakShared<Asking>>,
}

impl Tokens {
    pub(crate) fn new(client: TrustedClient, clock: Arc<dyn Clock>, fingerprints: Arc<Fingerprints>) -> Self {
        Self { client, clock, fingerprints, known: Mutex::new(LruCache::new(MOST)) }
    }

    /// The token for a destination: one that is kept, or a new one.
    pub(super) async fn get(
        self: &Arc<Self>,
        exchange: &Arc<PreparedExchange>,
        context: &RequestContext,
        subject: &SubjectToken,
    ) -> Result<Arc<Issued>, NoToken> {
        let key = self.key(exchange, subject);
        let flight = {
            let mut known = self.known();
            let slot = known.get_or_insert_mut(key, Slot::default);
            let now_ms = self.clock.now_ms();
            match &slot.issued {
                Some((issued, until_ms)) if now_ms < *until_ms => return Ok(Arc::clone(issued)),
                _ => slot.issued = None,
            }
            match slot.flight.as_ref().and_then(WeakShared::upgrade) {
                Some(flight) => flight,
                None => {
                    let flight = self.begin(key, exchange, context, subject);
                    slot.flight = flight.downgrade();
                    flight
                }
            }
        };
        flight.await
    }

    /// Forgets a token that its destination refuses, unless there is another already.
    pub(super) fn refused(&self, exchange: &PreparedExchange, subject: &SubjectToken, refused: &Arc<Issued>) {
        let key = self.key(exchange, subject);
        if let Some(slot) = self.known().peek_mut(&key)
            && slot.issued.as_ref().is_some_and(|(issued, _)| Arc::ptr_eq(issued, refused))
        {
            slot.issued = None;
        }
    }

    fn begin(
        self: &Arc<Self>,
        key: Fingerprint,
        exchange: &Arc<PreparedExchange>,
        context: &RequestContext,
        subject: &SubjectToken,
    ) -> Flight {
        let (tokens, exchange) = (Arc::clone(self), Arc::clone(exchange));
        let (context, subject) = (context.clone(), subject.clone());
        let work = async move {
            // Counted from before the request: so old may the answer be.
            let asked_ms = tokens.clock.now_ms();
            let issued = exchange.ask(&tokens.client, &context, &subject).await.map(Arc::new);
            let mut known = tokens.known();
            sweep(&mut known, asked_ms);
            let slot = known.get_or_insert_mut(key, Slot::default);
            slot.flight = None;
            if let Ok(issued) = &issued {
                slot.issued = Some((Arc::clone(issued), until_ms(asked_ms, issued, &subject)));
            } else {
                known.pop(&key);
            }
            drop(known);
            issued
        };
        work.boxed().shared()
    }

    /// Stands for a subject token and an exchange: without the key of this process or server nobody can look for a token
    /// that has the same.
    pub(crate) fn key(&self, exchange: &PreparedExchange, subject: &SubjectToken) -> Fingerprint {
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(512 + subject.reveal().len()));
        for part in ["token exchange", subject.reveal()].into_iter().chain(exchange.parts()) {
            bytes.extend_from_slice(&part.len().to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        self.fingerprints.of(&bytes, true)
    }

    /// Nothing that panics is done under the lock, so that one that was poisoned is as good as any.
    fn known(&self) -> MutexGuard<'_, LruCache<Fingerprint, Slot>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets go of those that are used no more.
fn sweep(known: &mut LruCache<Fingerprint, Slot>, now_ms: i64) {
    let is_over = |slot: &Slot| matches!(slot.issued, Some((_, until_ms)) if until_ms <= now_ms);
    let over: Vec<Fingerprint> = known.iter().filter(|(_, slot)| is_over(slot)).map(|(key, _)| *key).collect();
    over.iter().for_each(|key| drop(known.pop(key)));
}

/// Until when a token is used: some time before its end, and not after that of the one it was traded for.
fn until_ms(asked_ms: i64, issued: &Issued, subject: &SubjectToken) -> i64 {
    let ms = |seconds: i64| seconds.saturating_mul(1000);
    let by_own_words = issued.expires_at.map(|at| ms(at).saturating_sub(asked_ms));
    let lifetime = match (issued.lifetime.map(ms), by_own_words) {
        (Some(said), Some(own)) => said.min(own),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => ms(UNSAID),
    };
    let lifetime = lifetime.clamp(0, ms(LONGEST));
    let until = asked_ms.saturating_add(lifetime - MARGIN_MS.min(lifetime / 5));
    subject.expires_at().map_or(until, |end| until.min(ms(end)))
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("known", &self.known().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! The keys of an issuer that serves them (`jwks_url`), cached.
//!
//! They are fetched when the first token comes, again when they are [old](STALE_AFTER), and when a token names a key that
//! is not among them. Between two fetches lies a [pause](PAUSE), so that nobody makes this server call the issuer as often
//! as they like; all who wait for a fetch wait for the same one. A fetch that fails changes nothing: what was known
//! stays good, however long the issuer is down.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use letterhead::outbound::{Outgoing, RetryPolicy, Timeouts, TrustedClient, Url};
use tokio::time::{Instant, timeout};

use super::key_set::KeySet;

/// After this the keys are fetched again: so long a key that the issuer has withdrawn is believed.
const STALE_AFTER: Duration = Duration::from_secs(10 * 60);

/// Between the begin of a fetch and that of the next.
const PAUSE: Duration = Duration::from_secs(10);

/// How long a fetch may take in all.
const PATIENCE: Duration = Duration::from_secs(5);

/// The largest answer, in bytes.
const LARGEST: usize = 256 << 10;

/// The keys of an issuer, fetched when they are needed.
#[derive(Clone)]
pub(crate) struct Jwks(Arc<Source>);

struct Source {
    url: Url,
    /// None where TLS cannot be set up: then there are never keys.
    client: Option<TrustedClient>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: Option<(Arc<KeySet>, Instant)>,
    /// When the last fetch began.
    tried: Option<Instant>,
    /// The fetch that runs.
    running: Option<Shared<BoxFuture<'static, ()>>>,
}

impl Jwks {
    pub(crate) fn new(url: Url) -> Self {
        let timeouts = Timeouts { connect: PATIENCE, first_byte: PATIENCE, idle: PATIENCE };
        let client = TrustedClient::new(timeouts, RetryPolicy { retries: 0, ..RetryPolicy::default() });
        let client = client.inspect_err(|error| tracing::error!("{error}")).ok();
        Self(Arc::new(Source { url, client, state: Mutex::default() }))
    }

    /// The keys as they are known. Where none are known they are fetched first; none if that fails, or just has.
    pub(super) async fn keys(&self) -> Option<Arc<KeySet>> {
        let known = self.0.state().known.clone();
        let Some((keys, since)) = known else { return self.fetched().await };
        if since.elapsed() >= STALE_AFTER {
            // Nobody waits for this: it runs by itself, and whoever comes later has the result.
            drop(self.fetch());
        }
        Some(keys)
    }

    /// The keys after a fetch, for a token whose key is not known: it may be a new one. The same ones as before where the
    /// last fetch was a moment ago.
    pub(super) async fn fetched(&self) -> Option<Arc<KeySet>> {
        if let Some(running) = self.fetch() {
            running.await;
        }
        self.0.state().known.as_ref().map(|(keys, _)| Arc::clone(keys))
    }

    /// Begins a fetch, or joins the one that runs; none within the pause.
    fn fetch(&self) -> Option<Shared<BoxFuture<'static, ()>>> {
        let mut state = self.0.state();
        if let Some(running) = &state.running {
            return Some(running.clone());
        }
        if state.tried.is_some_and(|tried| tried.elapsed() < PAUSE) {
            return None;
        }
        state.tried = Some(Instant::now());
        let source = Arc::clone(&self.0);
        // A task of its own: a caller that gives up does not take the fetch along.
        let task = tokio::spawn(async move {
            let _running = Running(&source);
            let fetched = timeout(PATIENCE, source.get()).await.unwrap_or(Err("it did not answer in time".to_owned()));
            match fetched {
                Ok(keys) => source.state().known = Some((Arc::new(keys), Instant::now())),
                Err(reason) => {
                    let kept = source.state().known.is_some();
                    tracing::warn!(host = source.url.host_str(), kept, "the issuer's keys were not fetched: {reason}");
                }
            }
        });
        let running = task.map(drop).boxed().shared();
        state.running = Some(running.clone());
        Some(running)
    }
}

/// A fetch that runs, until this is dropped: however it ends, the next one can begin.
struct Running<'s>(&'s Source);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().running = None;
    }
}

impl Source {
    /// Nothing that panics is done under the lock, so that one that was poisoned is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One fetch. The reason why it failed holds nothing that the issuer said.
    async fn get(&self) -> Result<KeySet, String> {
        let client = self.client.as_ref().ok_or("there is no HTTP client")?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/jwk-set+json, application/json"));
        let request = Outgoing { method: Method::GET, url: self.url.clone(), headers, body: Bytes::new() };
        let answer = client.send(request).await.map_err(|error| error.to_string())?;
        if answer.status != StatusCode::OK {
            return Err(format!("the answer was {}", answer.status.as_u16()));
        }
        let body = answer.body.read(LARGEST).await.map_err(|fault| fault.to_string())?;
        KeySet::from_jwks(&body).map_err(|fault| fault.to_string())
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks").field("host", &self.0.url.host_str()).finish_non_exhaustive()
    }
}

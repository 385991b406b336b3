//! One fetch: the request, repeated where that may help, and the value in its answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, Shared};
use http::Method;
use letterhead_context::{NotSent, RenderedRequest, RequestContext};
use letterhead_store::{Clock, Fingerprint, Fingerprints, SystemClock};
use serde_json::Value;

use super::prepare::PreparedVariable;
use super::recall::Recall;
use super::select::fits;
use crate::outbound::{
    ClientError, Guard, GuardOptions, GuardedClient, OutboundFault, Outgoing, RetryPolicy, Timeouts, TrustedClient,
    WholeAnswer,
};
use crate::registry::{RegistryFault, RegistryPlace};
use crate::token_exchange::{CallFault, Carrying, Pass, PreparedExchange, Tokens};

/// The most bytes of an answer.
const MAX_BODY: usize = 1024 * 1024;

/// The most bytes of memory that a value takes. A list of many small things takes far more there than on the wire.
const MAX_VALUE: usize = 2 * 1024 * 1024;

/// How the exchange of a token is repeated: shortly, for a call waits for it.
const EXCHANGE_RETRY: RetryPolicy =
    RetryPolicy { retries: 1, base: Duration::from_millis(200), max: Duration::from_secs(1) };

/// What fetching needs, for all variables.
pub(crate) struct Fetching {
    pub(crate) client: GuardedClient,
    pub(crate) fingerprints: Arc<Fingerprints>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) retry: RetryPolicy,
    /// Where there is anything that takes tokens.
    pub(crate) tokens: Option<Arc<Tokens>>,
    pub(super) recall: Recall,
}

impl std::fmt::Debug for Fetching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetching").field("client", &self.client).finish_non_exhaustive()
    }
}

/// What fetching needs, as far as a program has chosen it.
#[derive(Default)]
pub(crate) struct FetchingParts {
    pub(crate) client: Option<GuardedClient>,
    pub(crate) fingerprints: Option<Arc<Fingerprints>>,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) retry: RetryPolicy,
}

impl std::fmt::Debug for FetchingParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchingParts").field("client", &self.client).finish_non_exhaustive()
    }
}

impl FetchingParts {
    /// All of it, made where nothing was chosen.
    pub(crate) fn ready(self, exchanges: bool) -> Result<Fetching, RegistryFault> {
        let fault = |message: String| RegistryFault::at(RegistryPlace::Registry, message);
        let client = self.client.map_or_else(|| GuardedClient::new(GuardOptions::default()), Ok);
        let fingerprints = self.fingerprints.map_or_else(|| Fingerprints::new(None).map(Arc::new), Ok);
        let fingerprints = fingerprints.map_err(|error| fault(error.to_string()))?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let tokens = exchanges.then(|| {
            let client = TrustedClient::new(Timeouts::default(), EXCHANGE_RETRY)?;
            Ok::<_, ClientError>(Arc::new(Tokens::new(client, Arc::clone(&clock), Arc::clone(&fingerprints))))
        });
        Ok(Fetching {
            client: client.map_err(|error| fault(error.to_string()))?,
            tokens: tokens.transpose().map_err(|error| fault(error.to_string()))?,
            fingerprints,
            clock,
            retry: self.retry,
            recall: Recall::default(),
        })
    }
}

/// A request on its way. It belongs to the turn, and not to who first waited for it: it is made once, however many give
/// up waiting, and goes on as long as anybody waits.
pub(super) type Sending = Shared<BoxFuture<'static, Arc<Fetched>>>;

/// What came of a request.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Of the last attempt.
    pub(super) outcome: Result<WholeAnswer, CallFault>,
    /// Why no attempt brought anything to the other side, if none did.
    pub(super) unsent: Option<CallFault>,
    /// The request with its token, if it had what it needs.
    sent: Option<Carrying>,
}

impl Fetched {
    fn unsent(fault: CallFault) -> Self {
        Self { outcome: Err(fault.clone()), unsent: Some(fault), sent: None }
    }
}

impl Fetching {
    /// Sends a variable's request. What fails and may pass is repeated where the method is safe.
    pub(super) fn send(
        &self,
        variable: &PreparedVariable,
        request: &RenderedRequest,
        context: &RequestContext,
        pass: Option<Pass>,
    ) -> Sending {
        let is_safe = matches!(request.method, Method::GET | Method::HEAD);
        let retry = if is_safe { self.retry } else { RetryPolicy::never() };
        let trace = context.trace().copied().filter(|_| variable.trace);
        let guard = Guard { timeout: variable.timeout, max_body: MAX_BODY, trace };
        let (client, outgoing) = (self.client.clone(), Outgoing::from(request.clone()));
        let destination = Arc::clone(&variable.destination);
        let sending = async move {
            let mut call = match Carrying::new(outgoing, pass).await {
                Ok(call) => call,
                Err(no) => return Arc::new(Fetched::unsent(CallFault::NoToken(no))),
            };
            let (mut attempt, mut reached) = (0, false);
            let outcome = loop {
                let outcome = client.send(call.request(), guard).await;
                reached |= !outcome.as_ref().is_err_and(OutboundFault::is_before_sending);
                if let Ok(answer) = &outcome
                    && call.is_renewed_after(answer.status).await
                {
                    continue;
                }
                // Who asks for a longer wait than an answer may take asks for too long a one.
                let wait = retry.wait_after(attempt, &outcome).filter(|wait| *wait <= guard.timeout);
                let Some(wait) = wait else { break outcome };
                tracing::info!(
                    variable = &*destination,
                    status = outcome.as_ref().ok().map(|answer| answer.status.as_u16()),
                    fault = outcome.as_ref().err().map(tracing::field::display),
                    wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    "a fetch failed and will be repeated"
                );
                tokio::time::sleep(wait).await;
                attempt += 1;
            };
            if let Err(fault) = &outcome {
                tracing::warn!(variable = &*destination, "a fetch failed: {fault}");
            }
            let outcome = outcome.map_err(CallFault::Outbound);
            let unsent = outcome.as_ref().err().filter(|_| !reached).cloned();
            Arc::new(Fetched { outcome, unsent, sent: Some(call) })
        };
        sending.boxed().shared()
    }

    /// Reads the value from the answer to a variable's request. What was secret in the request is taken out of it.
    ///
    /// # Errors
    ///
    /// In words: no part of the answer is in them, nor of the request.
    pub(super) fn read(
        variable: &PreparedVariable,
        request: &RenderedRequest,
        context: &RequestContext,
        fetched: &Fetched,
    ) -> Result<Value, String> {
        let answer = fetched.outcome.as_ref().map_err(CallFault::reason)?;
        if !answer.status.is_success() {
            return Err(format!("the API answered {}", answer.status.as_u16()));
        }
        let mut value = variable.reading.value(&answer.headers, &answer.body).map_err(|unread| unread.to_string())?;
        let mut carried = variable.request.carried(context, request);
        fetched.sent.iter().for_each(|sent| sent.hide_in(&mut carried));
        if carried.remove_from(&mut value) {
            tracing::warn!(
                variable = &*variable.destination,
                "the API sent a secret of its request back: it was taken out of the value"
            );
        }
        if !fits(&value, &mut { MAX_VALUE }) {
            let most = MAX_VALUE / (1024 * 1024);
            return Err(format!(
                "the value takes more than {most} MiB of memory: name the part that is needed in `select`"
            ));
        }
        Ok(value)
    }

    /// The right of the caller behind a request to get tokens for a destination, if it takes any.
    ///
    /// # Errors
    ///
    /// If it does, and the caller has no token to trade.
    pub(crate) fn pass(
        &self,
        exchange: Option<&Arc<PreparedExchange>>,
        context: &RequestContext,
    ) -> Result<Option<Pass>, NotSent> {
        let Some((exchange, tokens)) = exchange.zip(self.tokens.as_ref()) else { return Ok(None) };
        Pass::new(tokens, exchange, context).map(Some)
    }

    /// The fingerprint of a variable's request. Requests that differ in anything that could change the value differ in
    /// their fingerprints: whose token is traded for theirs, too.
    pub(super) fn fingerprint(
        &self,
        variable: &PreparedVariable,
        request: &RenderedRequest,
        pass: Option<&Pass>,
    ) -> Fingerprint {
        let body = request.body.as_deref();
        let headers = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 16).sum::<usize>();
        let parts = [request.method.as_str().as_bytes(), request.url.as_str().as_bytes(), variable.selected.as_bytes()];
        let length =
            headers + parts.iter().map(|part| part.len() + 8).sum::<usize>() + body.map_or(0, <[u8]>::len) + 16 + 64;
        let mut bytes = Vec::with_capacity(length);
        // Each part stands behind its length, so that no two requests are written the same.
        let mut add = |part: &[u8]| {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        };
        parts.into_iter().for_each(&mut add);
        for (name, value) in &request.headers {
            add(name.as_str().as_bytes());
            add(value.as_bytes());
        }
        if let Some(body) = body {
            add(b"");
            add(body);
        }
        if let Some(pass) = pass {
            add(b"token");
            add(&pass.fingerprint());
        }
        let fingerprint = self.fingerprints.of(&bytes, variable.secret);
        if variable.secret {
            zeroize::Zeroize::zeroize(&mut bytes);
        }
        fingerprint
    }
}

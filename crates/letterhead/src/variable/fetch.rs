//! One fetch: the request, repeated where that may help, and the value in its answer.

use std::sync::Arc;

use http::Method;
use letterhead_context::{RenderedRequest, RequestContext};
use letterhead_store::{Clock, Fingerprint, Fingerprints, SystemClock};
use serde_json::Value;

use super::prepare::PreparedVariable;
use crate::outbound::{Guard, GuardOptions, GuardedClient, OutboundFault, Outgoing, RetryPolicy};
use crate::registry::{RegistryFault, RegistryPlace};

/// The most bytes of an answer.
const MAX_BODY: usize = 1024 * 1024;

/// What fetching needs, for all variables.
pub(crate) struct Fetching {
    pub(crate) client: GuardedClient,
    pub(crate) fingerprints: Arc<Fingerprints>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) retry: RetryPolicy,
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
    pub(crate) fn ready(self) -> Result<Fetching, RegistryFault> {
        let fault = |message: String| RegistryFault::at(RegistryPlace::Registry, message);
        let client = self.client.map_or_else(|| GuardedClient::new(GuardOptions::default()), Ok);
        let fingerprints = self.fingerprints.map_or_else(|| Fingerprints::new(None).map(Arc::new), Ok);
        Ok(Fetching {
            client: client.map_err(|error| fault(error.to_string()))?,
            fingerprints: fingerprints.map_err(|error| fault(error.to_string()))?,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
            retry: self.retry,
        })
    }
}

impl Fetching {
    /// Sends a variable's request and reads the value from its answer. What fails and may pass is repeated where the method
    /// is safe.
    ///
    /// # Errors
    ///
    /// In words: no part of the answer is in them, nor of the request.
    pub(super) async fn fetch(
        &self,
        variable: &PreparedVariable,
        request: &RenderedRequest,
        context: &RequestContext,
    ) -> Result<Value, String> {
        let is_safe = matches!(request.method, Method::GET | Method::HEAD);
        let retry = if is_safe { self.retry } else { RetryPolicy::never() };
        let trace = context.trace().copied().filter(|_| variable.trace);
        let guard = Guard { timeout: variable.timeout, max_body: MAX_BODY, trace };
        let mut attempt = 0;
        let outcome = loop {
            let outgoing = Outgoing {
                method: request.method.clone(),
                url: request.url.clone(),
                headers: request.headers.clone(),
                body: request.body.clone().unwrap_or_default(),
            };
            let outcome = self.client.send(outgoing, guard).await;
            // Who asks for a longer wait than an answer may take asks for too long a one.
            let wait = retry.wait_after(attempt, &outcome).filter(|wait| *wait <= variable.timeout);
            let Some(wait) = wait else { break outcome };
            tracing::info!(
                variable = &*variable.destination,
                status = outcome.as_ref().ok().map(|answer| answer.status.as_u16()),
                fault = outcome.as_ref().err().map(tracing::field::display),
                wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                "a fetch failed and will be repeated"
            );
            tokio::time::sleep(wait).await;
            attempt += 1;
        };
        if let Err(fault) = &outcome {
            tracing::warn!(variable = &*variable.destination, "a fetch failed: {fault}");
        }
        let answer = outcome.map_err(|fault| reason(&fault))?;
        if !answer.status.is_success() {
            return Err(format!("the API answered {}", answer.status.as_u16()));
        }
        variable.reading.value(&answer.headers, &answer.body).map_err(|unread| unread.to_string())
    }

    /// The fingerprint of a variable's request. Requests that differ in anything that could change the value differ in
    /// their fingerprints.
    pub(super) fn fingerprint(&self, variable: &PreparedVariable, request: &RenderedRequest) -> Fingerprint {
        let body = request.body.as_deref();
        let headers = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 16).sum::<usize>();
        let parts = [request.method.as_str().as_bytes(), request.url.as_str().as_bytes(), variable.selected.as_bytes()];
        let length =
            headers + parts.iter().map(|part| part.len() + 8).sum::<usize>() + body.map_or(0, <[u8]>::len) + 16;
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
        let fingerprint = self.fingerprints.of(&bytes, variable.secret);
        if variable.secret {
            zeroize::Zeroize::zeroize(&mut bytes);
        }
        fingerprint
    }
}

/// Why no answer came, for the caller: which hosts there are is the operator's to know, and in the log.
fn reason(fault: &OutboundFault) -> String {
    match fault {
        OutboundFault::Refused(_) => "it is at an address where calls out do not go (see `egress.allow`)".to_owned(),
        OutboundFault::Redirect { fault, .. } => format!("the API {fault}"),
        OutboundFault::Timeout { limit, .. } => format!("the API gave no whole answer within {limit:?}"),
        OutboundFault::TooLarge { limit, .. } => format!("the answer is larger than {limit} bytes"),
        OutboundFault::Failed { fault, .. } => fault.to_string(),
    }
}

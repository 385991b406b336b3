//! What an MCP server and an external agent have in common: an address that is asked by JSON-RPC, again and again, with headers
//! that are rendered for each request; what such a server says of itself is kept for one caller with one set of headers.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method};
use letterhead_context::{
    Caller, CarriedSecrets, Destination, DestinationKind, NotSent, RequestContext, RequestPlace, RequestTemplate,
    Scope, TraceContext, TrailEntry, Values,
};
use letterhead_store::Fingerprint;

use super::json_rpc::AskFault;
use super::kept::Key;
use crate::agent::Text;
use crate::outbound::{Answer, GuardedClient, Outgoing, StreamGuard, Url};
use crate::token_exchange::{Pass, PreparedExchange, open};
use crate::variable::{Fetching, PreviewRequest, RequestParts, needed, shown_headers};

/// Headers that both protocols set, beside those that begin with the protocol's name.
const OWN_HEADERS: [&str; 2] = ["accept", "last-event-id"];

/// What tells one protocol from the other.
pub(super) struct Protocol {
    /// How a fault calls a server's name.
    pub(super) name: &'static str,
    /// How names of destinations begin.
    pub(super) section: &'static str,
    pub(super) destination: DestinationKind,
    /// How the names of its own headers begin.
    pub(super) headers: &'static str,
    /// What takes time.
    pub(super) asked: &'static str,
}

/// Which part of an endpoint a fault is in.
pub(super) enum EndpointPlace {
    Whole,
    Request(RequestPlace),
    Timeout,
}

/// An endpoint as it is defined.
#[derive(Clone, PartialEq)]
pub(super) struct Endpoint {
    pub(super) name: Arc<str>,
    pub(super) request: RequestParts,
    /// Those of the headers that may differ from call to call.
    pub(super) per_call: Vec<String>,
}

impl Endpoint {
    pub(super) fn new(name: Arc<str>, url: Text, method: Method, timeout: Duration) -> Self {
        let request = RequestParts { method: Some(method), timeout, ..RequestParts::new(url) };
        Self { name, request, per_call: Vec::new() }
    }

    /// Checks it. What is wrong goes to `fault`: where, at which line and column of the text there, and what.
    pub(super) fn prepare(
        &self,
        protocol: &Protocol,
        scope: Scope<'_>,
        fault: &mut dyn FnMut(EndpointPlace, Option<(usize, usize)>, String),
    ) -> Option<PreparedEndpoint> {
        if !(1..=48).contains(&self.name.len()) || !self.name.bytes().all(is_name_byte) {
            let message = format!("{} is 1 to 48 letters, digits, `_` or `-`", protocol.name);
            fault(EndpointPlace::Whole, None, message);
        }
        for (name, _) in &self.request.headers {
            let lower = name.to_ascii_lowercase();
            if OWN_HEADERS.contains(&&*lower) || lower.starts_with(protocol.headers) {
                let place = EndpointPlace::Request(RequestPlace::Header(name.clone()));
                fault(place, None, format!("the header `{lower}` belongs to the protocol, which sets it"));
            }
        }
        if self.request.timeout.is_zero() {
            fault(EndpointPlace::Timeout, None, format!("a {} needs more time than none", protocol.asked));
        }
        let destination = Destination::new(format!("{}.{}", protocol.section, self.name), protocol.destination);
        let mut of_request = |place, position, message| fault(EndpointPlace::Request(place), position, message);
        let (request, exchange) = self.request.prepare(&destination.name, scope, &mut of_request);
        let request = request?;
        Some(PreparedEndpoint {
            name: Arc::clone(&self.name),
            destination,
            variables: needed(request.reads().map(|(_, read)| read), scope.variables),
            request,
            literal_url: self.request.url.is_literal(),
            per_call: self.per_call.iter().filter_map(|name| name.parse().ok()).collect(),
            timeout: self.request.timeout,
            trace: self.request.trace,
            exchange,
        })
    }
}

/// May it stand in the name of an endpoint?
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// The builder methods of a definition whose field `endpoint` is an [`Endpoint`].
macro_rules! endpoint_methods {
    (with_timeout: $timeout:literal) => {
        /// A header of every request. The value is a template. Requests with other values share nothing that is kept.
        pub fn with_header(mut self, name: impl Into<String>, value: impl Into<$crate::Text>) -> Self {
            self.endpoint.request.headers.push((name.into(), value.into()));
            self
        }

        /// A header of every request whose value may differ from call to call, such as a request id: what is kept does not
        /// depend on it.
        pub fn with_header_per_call(mut self, name: impl Into<String>, value: impl Into<$crate::Text>) -> Self {
            let name = name.into();
            self.endpoint.per_call.push(name.clone());
            self.with_header(name, value)
        }

        #[doc = $timeout]
        pub fn with_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.endpoint.request.timeout = timeout;
            self
        }

        /// Sends `Authorization: Bearer` and a token that the caller's own was traded for with every request, also with that
        /// for what is kept. Without such a token nothing is sent.
        pub fn with_token_exchange(mut self, exchange: $crate::TokenExchange) -> Self {
            self.endpoint.request.exchange = Some(exchange);
            self
        }

        /// Sends no `traceparent`: what is sent is no part of the turn's trace.
        pub fn without_trace(mut self) -> Self {
            self.endpoint.request.trace = false;
            self
        }

        /// Its name.
        pub fn name(&self) -> &str {
            &self.endpoint.name
        }
    };
}
pub(super) use endpoint_methods;

/// An endpoint, ready to be asked.
#[derive(Debug)]
pub(crate) struct PreparedEndpoint {
    pub(crate) name: Arc<str>,
    /// As a trail names it: `mcp_servers.crm`.
    pub(crate) destination: Destination,
    pub(crate) request: RequestTemplate,
    /// Is its address text that the environment may have a part in?
    literal_url: bool,
    per_call: Vec<HeaderName>,
    pub(super) timeout: Duration,
    trace: bool,
    /// How the token of its requests is got.
    pub(crate) exchange: Option<Arc<PreparedExchange>>,
    /// The context variables that its templates read, by place.
    pub(crate) variables: Vec<usize>,
}

/// An endpoint as one caller has it, for one request.
pub(super) struct Reached {
    /// By what is kept of it.
    pub(super) key: Fingerprint,
    pub(super) line: Line,
    /// The secrets in its requests.
    pub(super) carried: CarriedSecrets,
}

/// The way to an endpoint, as one caller has it: where to, and the headers of the configuration.
#[derive(Clone)]
pub(crate) struct Line {
    pub(super) client: GuardedClient,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) trace: Option<TraceContext>,
    /// What its tokens are got with.
    pub(super) pass: Option<Pass>,
}

impl Line {
    /// Sends a request, and returns with the head of the answer.
    pub(super) async fn open(&self, request: Outgoing, limit: Duration) -> Result<Answer, AskFault> {
        // The whole is bounded: its parts need no bound of their own.
        let part = limit.saturating_add(Duration::from_secs(1));
        let guard = StreamGuard { head: part, idle: part, trace: self.trace };
        Ok(open(&self.client, request, guard, self.pass.as_ref()).await?)
    }
}

impl PreparedEndpoint {
    /// Renders the headers of one request. What goes out, and what stays, is added to the trail. What is kept is `caller`'s
    /// alone; without one, all callers'.
    ///
    /// # Errors
    ///
    /// If a credential or a secret is missing, or the address cannot be made: nothing is sent then.
    pub(super) fn reach(
        &self,
        fetching: &Fetching,
        caller: Option<&Caller>,
        context: &RequestContext,
        values: &Values,
        trail: &mut Vec<TrailEntry>,
    ) -> Result<Reached, NotSent> {
        let note = |no: Option<&NotSent>| {
            self.exchange.as_ref().map(|exchange| exchange.entry(context, &self.destination, no))
        };
        let pass = fetching.pass(self.exchange.as_ref(), context).inspect_err(|no| trail.extend(note(Some(no))))?;
        let request = self.request.render(&self.destination, context, values, trail)?;
        trail.extend(note(None));
        let carried = self.request.carried(context, &request);
        let key = Key {
            destination: &self.destination.name,
            caller,
            request: &request,
            per_call: &self.per_call,
            pass: pass.as_ref(),
        };
        let key = key.fingerprint(&fetching.fingerprints);
        let trace = context.trace().copied().filter(|_| self.trace);
        let line = Line { client: fetching.client.clone(), url: request.url, headers: request.headers, trace, pass };
        Ok(Reached { key, line, carried })
    }

    /// What would be sent first, to look at: secrets stand for themselves. Nothing is sent. `first` is the address that is
    /// asked first. What would go out, and what stays, is added to the trail.
    ///
    /// # Errors
    ///
    /// Where it would not be asked.
    pub(super) fn look(
        &self,
        context: &RequestContext,
        values: &Values,
        trail: &mut Vec<TrailEntry>,
        first: impl FnOnce(&Url) -> Url,
    ) -> Result<PreviewRequest, NotSent> {
        let masked = Values { masked: true, ..values.clone() };
        if let Some(exchange) = &self.exchange {
            let refused = exchange.refuses(context);
            trail.push(exchange.entry(context, &self.destination, refused.as_ref()));
            refused.map_or(Ok(()), Err)?;
        }
        let request = self.request.render(&self.destination, context, &masked, trail)?;
        let origin = request.url.origin().ascii_serialization();
        let url =
            if self.literal_url { format!("{origin}/…") } else { format!("{origin}{}", first(&request.url).path()) };
        Ok(PreviewRequest {
            destination: Arc::clone(&self.destination.name),
            method: request.method,
            url,
            headers: shown_headers(self.request.headers(), &request.headers, self.exchange.as_deref()),
            body: None,
        })
    }
}

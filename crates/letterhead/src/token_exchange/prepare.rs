//! Makes an exchange ready: its addresses and its client's secret checked; and asks the endpoint.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use letterhead_context::{
    Destination, Layer, NotSent, Read, Rendered, RequestContext, RequestPlace, Scope, Sink, SubjectToken, Template,
    TrailEntry, Values, View,
};
use tokio::time;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::answer::{self, Issued};
use super::fault::{NoToken, nothing_to_trade};
use super::{ClientAuthentication, TokenExchange};
use crate::agent::Text;
use crate::outbound::{Outgoing, SendError, TrustedClient, Url, base_url};
use crate::run::PreviewHeader;

/// The most bytes of an answer.
const MAX_ANSWER: usize = 64 * 1024;

/// Where the value of the header comes from, as a trail says it.
const FROM: &str = "auth.token_exchange";

/// The caller's own token, as a map names it.
const SUBJECT: &str = "auth.jwt";

/// The header that the token goes into, as a trail and a map name it.
const HEADER: &str = "Authorization";

/// An exchange, ready to be made.
pub(crate) struct PreparedExchange {
    endpoint: Url,
    audience: Option<Arc<str>>,
    resource: Option<Arc<str>>,
    scope: Option<Arc<str>>,
    client: Option<(Arc<str>, Option<Template>, ClientAuthentication)>,
    subject_type: &'static str,
    timeout: Duration,
    /// As a trail names the destination.
    pub(crate) destination: Arc<str>,
}

impl std::fmt::Debug for PreparedExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedExchange")
            .field("destination", &self.destination)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

/// What is wrong with an exchange: where, at which line and column of the text there, and what.
pub(crate) type ExchangeFault = (RequestPlace, Option<(usize, usize)>, String);

/// Checks the exchange of a destination, which `headers` belong to as well.
pub(crate) fn prepare_exchange<'h>(
    exchange: &TokenExchange,
    destination: &Arc<str>,
    mut headers: impl Iterator<Item = &'h str>,
    scope: Scope<'_>,
) -> Result<Arc<PreparedExchange>, Vec<ExchangeFault>> {
    let mut faults: Vec<ExchangeFault> = Vec::new();
    let mut fault = |key: &'static str, message: String| faults.push((RequestPlace::TokenExchange(key), None, message));
    if let Some(written) = headers.find(|name| name.eq_ignore_ascii_case(HEADER)) {
        let message = format!(
            "the destination has a header `{written}` already: its `Authorization` is the token that is exchanged, or that \
             header, not both"
        );
        fault("", message);
    }
    let endpoint = base_url(&exchange.endpoint).map_err(|error| fault("endpoint", error.to_string())).ok();
    if exchange.audience.is_none() && exchange.resource.is_none() {
        fault("", "it does not say for whom the token is to be: name the `audience`, or the `resource`".to_owned());
    }
    for (key, text) in [("audience", &exchange.audience), ("resource", &exchange.resource), ("scope", &exchange.scope)]
    {
        if let Some(message) = text.as_deref().and_then(unusable) {
            fault(key, message.to_owned());
        }
    }
    let is_uri = |text: &str| Url::parse(text).is_ok_and(|url| url.fragment().is_none());
    if exchange.resource.as_deref().is_some_and(|text| !is_uri(text)) {
        fault(
            "resource",
            "a resource is an absolute URI without a fragment, as `https://orders.example.com`".to_owned(),
        );
    }
    if let Some(message) = exchange.client.as_ref().and_then(|(id, _, _)| unusable(id)) {
        fault("client_id", message.to_owned());
    }
    if exchange.timeout.is_zero() {
        fault("timeout", "an exchange needs more time than none".to_owned());
    }
    let client = exchange.client.as_ref().map(|(id, secret, authentication)| {
        let secret = secret.as_ref().and_then(|secret| compile(secret, scope, &mut faults));
        (Arc::clone(id), secret, *authentication)
    });
    match endpoint {
        Some(endpoint) if faults.is_empty() => Ok(Arc::new(PreparedExchange {
            endpoint,
            audience: exchange.audience.clone(),
            resource: exchange.resource.clone(),
            scope: exchange.scope.clone(),
            client,
            subject_type: exchange.subject.as_str(),
            timeout: exchange.timeout,
            destination: Arc::clone(destination),
        })),
        _ => Err(faults),
    }
}

/// Why a text cannot be a part of the request.
fn unusable(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        Some("there is nothing in it: name it, or leave the key out")
    } else if text.chars().any(char::is_control) {
        Some("it has a line break or another control character in it")
    } else if text.contains("{{") || text.contains("{%") {
        Some("this is no template: it is the same for every caller")
    } else {
        None
    }
}

/// The client's secret. Nothing that a request carries can be a part of it.
fn compile(secret: &Text, scope: Scope<'_>, faults: &mut Vec<ExchangeFault>) -> Option<Template> {
    let place = || RequestPlace::TokenExchange("client_secret");
    if secret.is_literal() {
        return Some(Template::literal(secret.source(), Sink::Text));
    }
    match Template::compile(secret.source(), Sink::Text, scope) {
        Ok(template) if template.reads().iter().all(is_operators) => Some(template),
        Ok(_) => {
            let message = "the client's secret is the operator's own, and nothing of a request: write \
                           `{{ credentials.NAME }}`, and name it under `credentials`";
            faults.push((place(), None, message.to_owned()));
            None
        }
        Err(found) => {
            let found = found.into_iter();
            faults.extend(found.map(|fault| (place(), Some((fault.line, fault.column)), fault.message)));
            None
        }
    }
}

fn is_operators(read: &Read) -> bool {
    matches!(read, Read::Root(path) if path.starts_with("credentials.") || path.starts_with("env."))
}

impl PreparedExchange {
    /// What tells this exchange from all others: everything that decides which token comes back, but whose it is.
    pub(super) fn parts(&self) -> [&str; 7] {
        [
            &self.destination,
            self.endpoint.as_str(),
            self.audience.as_deref().unwrap_or_default(),
            self.resource.as_deref().unwrap_or_default(),
            self.scope.as_deref().unwrap_or_default(),
            self.client.as_ref().map_or("", |(id, _, _)| id),
            self.subject_type,
        ]
    }

    /// The header, its source and whether it is sent, for the trail of a call to this destination.
    pub(crate) fn entry(&self, context: &RequestContext, to: &Destination, no: Option<&NotSent>) -> TrailEntry {
        TrailEntry {
            agent: context.shared_agent(),
            destination: Arc::clone(&to.name),
            kind: to.kind,
            header: Arc::from(HEADER),
            from: Arc::from(FROM),
            part: None,
            layer: Layer::Destination,
            sent: no.is_none(),
            reason: no.map(|no| no.to_string().into()),
        }
    }

    /// The header that the token goes into, and where it comes from, as a map names both.
    pub(crate) fn header() -> (Arc<str>, Arc<str>) {
        (HEADER.into(), FROM.into())
    }

    /// Where the caller's token goes.
    pub(crate) fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// What goes there: the caller's token, and the secret of the client.
    pub(crate) fn reads(&self) -> Vec<Read> {
        let secret = self.client.iter().filter_map(|(_, secret, _)| secret.as_ref());
        let subject = Read::Root(Arc::from(SUBJECT));
        std::iter::once(subject).chain(secret.flat_map(Template::reads).cloned()).collect()
    }

    /// The header as someone may look at it before there is a token.
    pub(crate) fn shown(&self) -> PreviewHeader {
        PreviewHeader { name: HEADER.into(), value: None, from: vec![(FROM.into(), Layer::Destination)] }
    }

    /// Why a caller cannot have a token, where that is known without asking.
    pub(crate) fn refuses(&self, context: &RequestContext) -> Option<NotSent> {
        context.subject_token().is_none().then(|| nothing_to_trade(context.caller().source()))
    }

    /// Asks the endpoint for a token.
    pub(super) async fn ask(
        &self,
        client: &TrustedClient,
        context: &RequestContext,
        subject: &SubjectToken,
    ) -> Result<Issued, NoToken> {
        let request = self.request(context, subject)?;
        let work = async {
            let answer = client.send(request).await.map_err(|SendError { fault, .. }| NoToken::Unanswered(fault))?;
            let status = answer.status;
            let body = match answer.body.read(MAX_ANSWER).await {
                // What counts is that it is no success.
                Err(_) if !status.is_success() => Bytes::new(),
                read => read.map_err(NoToken::Unanswered)?,
            };
            answer::read(status, &body, self.audience.as_deref(), subject.reveal())
        };
        let asked = time::timeout(self.timeout, work).await.unwrap_or(Err(NoToken::Timeout(self.timeout)));
        if let Err(no) = &asked {
            tracing::warn!(
                request_id = context.request_id(),
                destination = &*self.destination,
                endpoint = self.endpoint.host_str(),
                "{no}"
            );
        }
        asked
    }

    fn request(&self, context: &RequestContext, subject: &SubjectToken) -> Result<Outgoing, NoToken> {
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(2048 + subject.reveal().len()));
        form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
        form.append_pair("subject_token", subject.reveal());
        form.append_pair("subject_token_type", self.subject_type);
        form.append_pair("requested_token_type", "urn:ietf:params:oauth:token-type:access_token");
        for (name, value) in [("audience", &self.audience), ("resource", &self.resource), ("scope", &self.scope)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        match &self.client {
            None => {}
            Some((id, None, _)) => {
                form.append_pair("client_id", id);
            }
            Some((id, Some(secret), ClientAuthentication::Post)) => {
                form.append_pair("client_id", id);
                form.append_pair("client_secret", &rendered(secret, context)?);
            }
            Some((id, Some(secret), ClientAuthentication::Basic)) => {
                headers.insert(header::AUTHORIZATION, basic(id, &rendered(secret, context)?)?);
            }
        }
        Ok(Outgoing { method: Method::POST, url: self.endpoint.clone(), headers, body: form.finish().into() })
    }
}

fn rendered(secret: &Template, context: &RequestContext) -> Result<Zeroizing<String>, NoToken> {
    let view = View::of(Sink::Text, context, &Values::default());
    match secret.render(&view) {
        Ok(Rendered::Text(text)) if !text.is_empty() => Ok(Zeroizing::new(text)),
        Ok(_) | Err(_) => Err(NoToken::ClientSecret),
    }
}

/// Both are encoded as in a form before they are joined (RFC 6749, 2.3.1): a colon in an id is none between the two.
fn basic(id: &str, secret: &str) -> Result<HeaderValue, NoToken> {
    let encoded = |text: &str| Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    let pair = Zeroizing::new(format!("{}:{}", *encoded(id), *encoded(secret)));
    let text = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).map_err(|_| NoToken::ClientSecret)?;
    value.set_sensitive(true);
    Ok(value)
}

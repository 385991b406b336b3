//! The request that a definition describes, and the methods that describe it: those of variables and of HTTP tools.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use letterhead_context::{BodySource, RequestFault, RequestPlace, RequestSource, RequestTemplate, Scope, TextSource};

use super::define::VariableBody;
use crate::agent::Text;
use crate::token_exchange::{PreparedExchange, TokenExchange, prepare_exchange};

/// How long one attempt may take, unless a definition says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A request, made from templates, and how it is sent.
#[derive(Clone, PartialEq)]
pub(crate) struct RequestParts {
    pub(crate) method: Option<Method>,
    pub(crate) url: Text,
    pub(crate) headers: Vec<(String, Text)>,
    pub(crate) query: Vec<(String, Text)>,
    pub(crate) body: VariableBody,
    pub(crate) timeout: Duration,
    pub(crate) trace: bool,
    pub(crate) exchange: Option<TokenExchange>,
}

impl RequestParts {
    pub(crate) fn new(url: Text) -> Self {
        Self {
            method: None,
            url,
            headers: Vec::new(),
            query: Vec::new(),
            body: VariableBody::None,
            timeout: TIMEOUT,
            trace: true,
            exchange: None,
        }
    }

    /// Its method, chosen by the body where none is given.
    pub(crate) fn method(&self) -> Method {
        let by_body = if self.body == VariableBody::None { Method::GET } else { Method::POST };
        self.method.clone().unwrap_or(by_body)
    }

    /// Checks its templates, and how its token is got. What is wrong goes to `fault`: where, at which line and column of the
    /// text there, and what.
    pub(crate) fn prepare(
        &self,
        destination: &Arc<str>,
        scope: Scope<'_>,
        fault: &mut dyn FnMut(RequestPlace, Option<(usize, usize)>, String),
    ) -> (Option<RequestTemplate>, Option<Arc<PreparedExchange>>) {
        let request = RequestTemplate::compile(self.source(), scope).map_err(|found| {
            found.into_iter().for_each(|RequestFault { place, position, message, .. }| fault(place, position, message));
        });
        let headers = self.headers.iter().map(|(name, _)| name.as_str());
        let exchange = self.exchange.as_ref().map(|exchange| prepare_exchange(exchange, destination, headers, scope));
        let exchange = exchange.transpose().map_err(|found| {
            found.into_iter().for_each(|(place, position, message)| fault(place, position, message));
        });
        (request.ok(), exchange.ok().flatten())
    }

    /// What its templates are compiled from.
    fn source(&self) -> RequestSource<'_> {
        RequestSource {
            method: self.method(),
            url: text_source(&self.url),
            headers: named(&self.headers),
            query: named(&self.query),
            body: match &self.body {
                VariableBody::None => BodySource::None,
                VariableBody::Json(value) => BodySource::Json(value),
                VariableBody::Form(fields) => BodySource::Form(named(fields)),
            },
        }
    }
}

fn named(all: &[(String, Text)]) -> Vec<(&str, TextSource<'_>)> {
    all.iter().map(|(name, text)| (name.as_str(), text_source(text))).collect()
}

/// A text, as a compiler of templates takes it.
pub(super) fn text_source(text: &Text) -> TextSource<'_> {
    if text.is_literal() { TextSource::Literal(text.source()) } else { TextSource::Template(text.source()) }
}

/// The builder methods of a definition whose field `request` is a [`RequestParts`].
macro_rules! request_methods {
    () => {
        /// The method. Without it, GET, and POST where there is a body.
        pub fn with_method(mut self, method: http::Method) -> Self {
            self.request.method = Some(method);
            self
        }

        /// A header of the request. The value is a template.
        pub fn with_header(mut self, name: impl Into<String>, value: impl Into<$crate::Text>) -> Self {
            self.request.headers.push((name.into(), value.into()));
            self
        }

        /// A parameter of the address's query. The value is a template.
        pub fn with_query(mut self, name: impl Into<String>, value: impl Into<$crate::Text>) -> Self {
            self.request.query.push((name.into(), value.into()));
            self
        }

        /// The body.
        pub fn with_body(mut self, body: $crate::VariableBody) -> Self {
            self.request.body = body;
            self
        }

        /// How long one attempt may take: 10 s. There are up to three where a request may be repeated: that of a variable
        /// with GET or HEAD, and a tool's call that has no effects.
        pub fn with_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.request.timeout = timeout;
            self
        }

        /// Sends `Authorization: Bearer` and a token that the caller's own was traded for. Without such a token the request
        /// is not sent.
        pub fn with_token_exchange(mut self, exchange: $crate::TokenExchange) -> Self {
            self.request.exchange = Some(exchange);
            self
        }

        /// Sends no `traceparent`: what is sent is no part of the turn's trace.
        pub fn without_trace(mut self) -> Self {
            self.request.trace = false;
            self
        }
    };
}
pub(crate) use request_methods;

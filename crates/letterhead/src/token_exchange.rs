//! Tokens for destinations: the caller's own token is traded for one that is meant for a destination (OAuth 2.0 Token
//! Exchange, RFC 8693), and that one goes there.
//!
//! A destination with a [`TokenExchange`] is called with `Authorization: Bearer` and a token that the endpoint issued for it,
//! for this caller. There is no second way: without such a token the call is not made, and the caller's own token goes to
//! the endpoint and nowhere else.

mod answer;
mod carrying;
mod fault;
mod jwt;
mod prepare;
mod tokens;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::agent::Text;

pub(crate) use carrying::{CallFault, Carrying, Pass, open};
pub(crate) use fault::NoToken;
pub(crate) use prepare::{PreparedExchange, prepare_exchange};
pub(crate) use tokens::Tokens;

/// How long one exchange may take, unless a definition says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How a destination's token is got: the caller's own is traded for it (RFC 8693).
///
/// What is traded is the [`SubjectToken`](crate::SubjectToken) of the request behind the run: a caller who has none, for it
/// came with an API key or without a name, is refused what this guards. The token that comes back is used until shortly
/// before it expires, and never longer than the one that it was traded for; when the destination refuses it (401) another
/// is got, once.
///
/// What is wrong with it is found when the [`Runner`](crate::Runner) or [`Registry`](crate::Registry) is built.
///
/// ```
/// use letterhead::{ClientAuthentication, HttpTool, TokenExchange};
///
/// let exchange = TokenExchange::new("https://id.example.com/oauth2/token")
///     .with_audience("orders")
///     .with_scope("orders:read")
///     .with_client("letterhead", "{{ credentials.letterhead_client }}", ClientAuthentication::Basic);
/// let get_order = HttpTool::new("get_order", "https://orders.example.com/orders/{{ args.order_id }}")
///     .with_token_exchange(exchange);
/// assert_eq!(get_order.name(), "get_order");
/// ```
#[derive(Clone, PartialEq)]
#[must_use = "it does nothing until a destination has it"]
pub struct TokenExchange {
    endpoint: Arc<str>,
    audience: Option<Arc<str>>,
    resource: Option<Arc<str>>,
    scope: Option<Arc<str>>,
    client: Option<(Arc<str>, Option<Text>, ClientAuthentication)>,
    subject: SubjectTokenType,
    timeout: Duration,
}

/// How the client shows its secret to the endpoint (RFC 6749, 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// In `Authorization: Basic`.
    #[default]
    Basic,
    /// As fields of the form.
    Post,
}

/// What the endpoint is told that the caller's token is (RFC 8693, 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectTokenType {
    /// An access token, as nearly every endpoint expects it.
    #[default]
    AccessToken,
    /// An OpenID Connect ID token.
    IdToken,
    /// A JWT.
    Jwt,
}

impl SubjectTokenType {
    /// The identifier that stands for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }
}

impl TokenExchange {
    /// An exchange at this endpoint: the token endpoint of the identity provider. It is the operator's own word, and trusted
    /// to its host and port; it is no template, and no redirect is followed.
    pub fn new(endpoint: impl Into<Arc<str>>) -> Self {
        Self {
            endpoint: endpoint.into(),
            audience: None,
            resource: None,
            scope: None,
            client: None,
            subject: SubjectTokenType::default(),
            timeout: TIMEOUT,
        }
    }

    /// For whom the token is to be: the destination, by the name that the identity provider has for it. A JWT that comes back
    /// with another audience, or with claims that cannot be read, is refused.
    pub fn with_audience(self, audience: impl Into<Arc<str>>) -> Self {
        Self { audience: Some(audience.into()), ..self }
    }

    /// The same as the destination's address, an absolute URI (RFC 8707). It is for the endpoint alone: servers write many
    /// things into `aud` for it, so that without an audience a token's `aud` is compared with nothing.
    pub fn with_resource(self, resource: impl Into<Arc<str>>) -> Self {
        Self { resource: Some(resource.into()), ..self }
    }

    /// What the token is to be good for: scopes with blanks between them.
    pub fn with_scope(self, scope: impl Into<Arc<str>>) -> Self {
        Self { scope: Some(scope.into()), ..self }
    }

    /// As which client the endpoint is asked. The secret is a template that reads the operator's credentials
    /// (`{{ credentials.NAME }}`) or the listed environment, and nothing of the request.
    pub fn with_client(
        self,
        id: impl Into<Arc<str>>,
        secret: impl Into<Text>,
        authentication: ClientAuthentication,
    ) -> Self {
        Self { client: Some((id.into(), Some(secret.into()), authentication)), ..self }
    }

    /// As which client the endpoint is asked, where that client has no secret.
    pub fn with_public_client(self, id: impl Into<Arc<str>>) -> Self {
        Self { client: Some((id.into(), None, ClientAuthentication::Post)), ..self }
    }

    /// What the endpoint is told that the caller's token is: an access token, unless this says otherwise.
    pub fn with_subject_token_type(self, subject: SubjectTokenType) -> Self {
        Self { subject, ..self }
    }

    /// How long one exchange may take: 10 s.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

/// The audience alone: the rest may hold keys.
impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange").field("audience", &self.audience).finish_non_exhaustive()
    }
}

//! The scripted token endpoint of an identity provider that exchanges tokens (RFC 8693).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::wire::Recorded;
use crate::{Answer, ScriptedApi};

/// What an endpoint says of how long a token is good for, unless it is told otherwise.
const EXPIRES_IN: u64 = 300;

/// A token endpoint that issues a new opaque token for each exchange, or answers as it was told. Gone when dropped.
///
/// ```
/// use letterhead_testkit::{Answer, ScriptedTokens};
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let tokens = ScriptedTokens::start().await;
/// tokens.then(Answer::error(400, &json!({ "error": "invalid_target" }))); // the first exchange is refused
/// assert!(tokens.url().ends_with("/token"));
/// assert!(tokens.exchanges().is_empty());
/// # });
/// ```
#[derive(Debug)]
pub struct ScriptedTokens {
    api: ScriptedApi,
    expires_in: Arc<AtomicU64>,
}

/// One request for a token, as it came.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The form's fields, in their order.
    pub form: Vec<(String, String)>,
    /// Every `Authorization` header.
    pub authorization: Vec<String>,
    /// The `Content-Type`.
    pub content_type: String,
}

impl Exchange {
    /// The only value of a field; none if it is not there.
    ///
    /// # Panics
    ///
    /// If it is there twice.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.form.iter().filter(|(known, _)| known == name).map(|(_, value)| &**value);
        let value = values.next();
        assert!(values.next().is_none(), "the field `{name}` is there twice");
        value
    }
}

impl ScriptedTokens {
    /// Starts an endpoint on a free port of 127.0.0.1. The token of the exchange `n` (from 1) for an audience is
    /// [`token(audience, n)`](Self::token).
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn start() -> Self {
        let (api, expires_in) = (ScriptedApi::start().await, Arc::new(AtomicU64::new(EXPIRES_IN)));
        let (issued, lifetime) = (AtomicUsize::new(0), Arc::clone(&expires_in));
        api.on("POST /token").always(move |request| {
            let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
            let exchange = read(request);
            let audience = exchange.field("audience").or_else(|| exchange.field("resource")).unwrap_or_default();
            Answer::json(&Self::answer(&Self::token(audience, number), lifetime.load(Ordering::SeqCst)))
        });
        Self { api, expires_in }
    }

    /// The token that is issued for an audience in the exchange `number`, of those that nothing else was scripted for.
    pub fn token(audience: &str, number: usize) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        format!("issued-canary-{}-{number}", audience.chars().map(plain).collect::<String>())
    }

    /// An answer of the standard with this token.
    pub fn answer(token: &str, expires_in: u64) -> Value {
        json!({
            "access_token": token,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": expires_in,
        })
    }

    /// The address.
    pub fn url(&self) -> String {
        self.api.url("/token")
    }

    /// Answers the next exchange for which nothing is scripted yet.
    pub fn then(&self, answer: Answer) -> &Self {
        self.api.on("POST /token").then(answer);
        self
    }

    /// How many seconds the tokens are good for that are issued from now on.
    pub fn expire_in(&self, seconds: u64) {
        self.expires_in.store(seconds, Ordering::SeqCst);
    }

    /// The exchanges so far.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.api.requests_to("POST /token").iter().map(read).collect()
    }

    /// Everything that was asked, at whatever path.
    pub fn requests(&self) -> Vec<Recorded> {
        self.api.requests()
    }

    /// Waits until so many requests have come.
    pub async fn received(&self, count: usize) {
        self.api.received(count).await;
    }

    /// Waits until `count` clients have closed their connection in the middle of an answer.
    pub async fn left(&self, count: usize) {
        self.api.left(count).await;
    }
}

fn read(request: &Recorded) -> Exchange {
    let header = |name: &str| request.header(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
    Exchange {
        form: url::form_urlencoded::parse(&request.body).into_owned().collect(),
        authorization: header("authorization"),
        content_type: header("content-type").concat(),
    }
}

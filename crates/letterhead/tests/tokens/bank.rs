//! An API that takes tokens, the endpoint that issues them, and callers who have one to trade.

use std::sync::Arc;
use std::time::Duration;

use letterhead::outbound::{EgressAllow, GuardOptions, GuardedClient, RetryPolicy};
use letterhead::run::{Events, Outcome, RunInput};
use letterhead::{
    Caller, CallerSource, ClientAuthentication, Headers, HttpTool, Limits, Registry, RegistryBuilder, RequestContext,
    SubjectToken, TenantId, TokenExchange, UserId,
};
use letterhead_context::{Credentials, Secret};
use letterhead_store::{FixedClock, KeptVariable};
use letterhead_testkit::{ScriptedApi, ScriptedTokens};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::script::{Answer, Script};
use crate::support::{agent, said_in};

/// The time when a test begins, in seconds since 1970.
pub(crate) const NOW: i64 = 1_900_000_000;

/// The own token of a user. Only the endpoint may see it.
pub(crate) fn own(user: &str) -> String {
    format!("own-canary-{user}")
}

/// The secret of the client. Only the endpoint may see it.
pub(crate) const CLIENT_SECRET: &str = "client canary:%&+/";

pub(crate) struct Bank {
    pub(crate) tokens: ScriptedTokens,
    pub(crate) api: ScriptedApi,
    pub(crate) clock: Arc<FixedClock>,
}

impl Bank {
    pub(crate) async fn start() -> Self {
        let (tokens, api) = (ScriptedTokens::start().await, ScriptedApi::start().await);
        Self { tokens, api, clock: Arc::new(FixedClock::at(NOW * 1000)) }
    }

    /// An exchange for `orders`, as the client `letterhead`.
    pub(crate) fn exchange(&self) -> TokenExchange {
        TokenExchange::new(self.tokens.url()).with_audience("orders").with_client(
            "letter:head",
            "{{ credentials.client }}",
            ClientAuthentication::Basic,
        )
    }

    /// A tool `get_order` whose calls carry a token for `orders`.
    pub(crate) fn tool(&self) -> HttpTool {
        self.plain_tool().with_token_exchange(self.exchange())
    }

    pub(crate) fn plain_tool(&self) -> HttpTool {
        HttpTool::new("get_order", self.api.url("/orders")).with_description("Looks an order up.")
    }

    /// A client that may call 127.0.0.1, and this bank's clock.
    pub(crate) fn builder(&self, script: &Script) -> RegistryBuilder {
        let allow = EgressAllow::parse(&["127.0.0.1"]).unwrap();
        let client = GuardedClient::new(GuardOptions { allow, ..GuardOptions::default() }).unwrap();
        let retry =
            RetryPolicy { base: Duration::from_millis(1), max: Duration::from_millis(2), ..RetryPolicy::default() };
        Registry::builder()
            .provider(script.provider())
            .guarded_client(client)
            .fetch_retry(retry)
            .credentials(vec!["client".to_owned()])
            .clock(Arc::clone(&self.clock) as _)
    }

    /// An agent with the tool, whose model calls it once in each of so many turns.
    pub(crate) fn desk(&self, tool: HttpTool, turns: usize) -> Registry {
        let script = calling(turns);
        let agent = agent("a").with_tool_named("get_order");
        self.builder(&script).http_tool(tool).agent(agent).build().unwrap()
    }
}

/// A model that calls `get_order` in each of so many turns, and says `done`.
pub(crate) fn calling(turns: usize) -> Script {
    (0..turns).fold(Script::default(), |script, _| {
        script.on("a", [Answer::calls([("get_order", json!({}))]), Answer::text("done")])
    })
}

/// A request of this user, with a token that is good for an hour.
pub(crate) fn user(name: &str) -> RequestContext {
    user_until(name, Some(NOW + 3600))
}

pub(crate) fn user_until(name: &str, expires_at: Option<i64>) -> RequestContext {
    of(CallerSource::Token, Some(name), Some(SubjectToken::new(own(name), expires_at)))
}

pub(crate) fn of(source: CallerSource, user: Option<&str>, token: Option<SubjectToken>) -> RequestContext {
    let caller = Caller::new(TenantId::default(), user.map(UserId::new), source);
    let credentials: Credentials = [("client", Secret::new(CLIENT_SECRET.into()))].into_iter().collect();
    let builder = RequestContext::builder(caller, Headers::none()).credentials(credentials);
    match token {
        Some(token) => builder.subject_token(token).build("a"),
        None => builder.build("a"),
    }
}

/// A turn, with what an earlier one kept.
pub(crate) async fn turn(registry: &Registry, context: RequestContext, kept: Vec<KeptVariable>) -> Outcome {
    let message: Arc<str> = json!({ "role": "user", "content": "Hello" }).to_string().into();
    let mut input = RunInput::new([message]);
    input.kept = kept;
    let outcome = registry.run(context, input, Limits::default(), CancellationToken::new(), Events::none()).await;
    let said: Vec<&str> = outcome.messages.iter().map(|message| &*message.body).collect();
    let shown = format!("{outcome:?} {:?} {:?} {said:?} {:?}", outcome.end, outcome.trail, outcome.kept);
    assert!(!shown.contains("canary"), "{shown}");
    outcome
}

/// What the model is told of its call of the tool.
pub(crate) async fn told(registry: &Registry, context: RequestContext) -> String {
    let outcome = turn(registry, context, Vec::new()).await;
    let told = said_in(&outcome);
    let text = told.iter().find_map(|said| said.strip_prefix("tool: ")).unwrap_or_else(|| panic!("{told:?}"));
    text.to_owned()
}

/// The `Authorization` headers that the API has got.
pub(crate) fn carried(api: &ScriptedApi) -> Vec<String> {
    api.requests().iter().map(|request| request.header("authorization").join(", ")).collect()
}

/// Nothing that came to the API holds this.
pub(crate) fn never_got(api: &ScriptedApi, secret: &str) {
    for request in api.requests() {
        let shown = format!("{} {:?} {}", request.path, request.headers, String::from_utf8_lossy(&request.body));
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// A good answer of the API.
pub(crate) fn order() -> Value {
    json!({ "state": "shipped" })
}

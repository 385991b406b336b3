//! What the tests of context variables share.

use std::sync::Arc;
use std::time::Duration;

use letterhead::outbound::{EgressAllow, GuardOptions, GuardedClient, RetryPolicy};
use letterhead::run::{Events, Outcome, RunEnd, RunInput};
use letterhead::{
    Agent, Caller, HeaderSchema, Limits, Problem, Registry, RegistryBuilder, RequestContext, Sent, TrailEntry, Variable,
};
use letterhead_store::KeptVariable;
use letterhead_testkit::ScriptedApi;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::script::{Answer, Script};

/// The declared headers: a user, an organisation, a plan, and a token that is secret.
pub(crate) fn schema() -> HeaderSchema {
    HeaderSchema::compile(&json!({ "properties": {
        "user_id": {}, "org_name": {}, "plan": {}, "auth_token": { "writeOnly": true },
    } }))
    .unwrap()
}

/// A context with these headers.
pub(crate) fn context(agent: &str, headers: &[(&str, &str)]) -> RequestContext {
    let values: Vec<(&str, Value)> = headers.iter().map(|(name, value)| (*name, json!(value))).collect();
    let stored = values.iter().map(|(name, value)| (*name, value));
    let headers = schema().merge(stored, &Sent::nothing(), &[]).unwrap();
    RequestContext::builder(Caller::anonymous(), headers).build(agent)
}

/// The client that may call this API, and nothing else that is near.
pub(crate) fn client(api: &ScriptedApi) -> GuardedClient {
    GuardedClient::new(GuardOptions { allow: EgressAllow::parse(&[api.host()]).unwrap(), ..GuardOptions::default() })
        .unwrap()
}

/// Models that always answer, an API that may be called, and fetches that are repeated at once.
pub(crate) fn builder(api: &ScriptedApi, script: &Script) -> RegistryBuilder {
    let retry = RetryPolicy { base: Duration::from_millis(1), max: Duration::from_millis(2), ..RetryPolicy::default() };
    Registry::builder().schema(schema()).provider(script.provider()).guarded_client(client(api)).fetch_retry(retry)
}

/// A script in which the model `a` has many answers.
pub(crate) fn script() -> Script {
    Script::default().on("a", std::iter::repeat_n(Answer::text("Hi."), 20))
}

/// The agent `a` with these instructions.
pub(crate) fn agent(instructions: &str) -> Agent {
    Agent::new("a").with_model("test:a").with_instructions(instructions)
}

/// `user`, fetched from this address.
pub(crate) fn user(url: impl Into<String>) -> Variable {
    Variable::new("user", url.into())
}

/// A turn with a message.
pub(crate) async fn turn(registry: &Registry, context: RequestContext, kept: Vec<KeptVariable>) -> Outcome {
    turn_until(registry, context, kept, CancellationToken::new()).await
}

pub(crate) async fn turn_until(
    registry: &Registry,
    context: RequestContext,
    kept: Vec<KeptVariable>,
    cancelled: CancellationToken,
) -> Outcome {
    let message: Arc<str> = json!({ "role": "user", "content": "Hello" }).to_string().into();
    let mut input = RunInput::new([message]);
    input.kept = kept;
    registry.run(context, input, Limits::default(), cancelled, Events::none()).await
}

/// What the model of agent `a` was told last.
pub(crate) fn told(script: &Script) -> String {
    script.calls_of("a").pop().unwrap().instructions
}

/// The problem that a run failed with.
pub(crate) fn problem(outcome: &Outcome) -> &Problem {
    let RunEnd::Failed(problem) = &outcome.end else { panic!("the run should have failed: {:?}", outcome.end) };
    problem
}

/// The reasons that the trail gives for a destination.
pub(crate) fn reasons<'a>(outcome: &'a Outcome, destination: &str) -> Vec<&'a str> {
    entries(outcome, destination).filter_map(|entry| entry.reason.as_deref()).collect()
}

/// The entries of the trail for a destination.
pub(crate) fn entries<'a>(outcome: &'a Outcome, destination: &str) -> impl Iterator<Item = &'a TrailEntry> {
    outcome.trail.iter().filter(move |entry| &*entry.destination == destination)
}

//! Whatever a request carries, a child's context is the same in everything but the agent and its model.

#![cfg(test)]

use std::collections::BTreeMap;

use letterhead_context::{
    Caller, CallerSource, HeaderSchema, ListedEnv, Rendered, RequestContext, RuntimeHeaders, Scope, Sent, SessionId,
    SessionMode, Sink, Template, TenantId, UserId, View,
};
use proptest::prelude::*;
use serde_json::json;

/// All that a context says, but for agent and model; secrets and environment as a destination would read them.
fn all_of(context: &RequestContext) -> Vec<String> {
    let secret = context.headers().secret("auth_token").map(|secret| secret.reveal().to_string());
    let runtime: Vec<_> =
        context.runtime().iter().map(|(name, value)| format!("{name}:{:?}", value.as_bytes())).collect();
    let env = ["REGION".to_owned()];
    let scope = Scope { env: &env, ..Scope::of(context.headers().schema()) };
    let template = Template::compile("{{ env.REGION | default('none') }}", Sink::Header, scope).unwrap();
    let Ok(Rendered::Text(region)) = template.render(&View::new(Sink::Header, context)) else { panic!("no region") };
    vec![
        format!("{:?} {:?}", context.caller(), context.caller().source()),
        format!("{:?}", context.headers().get("org_name")),
        format!("{:?}", context.headers().origin("org_name")),
        format!("{secret:?}"),
        format!("{runtime:?} {:?}", context.runtime().removed()),
        format!("{:?} {:?}", context.session(), context.mode()),
        format!("{:?} {}", context.client_id(), context.request_id()),
        context.claims().to_string(),
        region,
    ]
}

prop_compose! {
    fn a_context()(
        tenant in "[a-z]{1,8}", user in proptest::option::of("[a-z]{1,8}"), org in proptest::option::of("[ -~]{1,20}"),
        token in "[ -~]{1,20}", session in proptest::option::of("[a-zA-Z0-9_:-]{1,20}"), evaluation in any::<bool>(),
        client in proptest::option::of("[a-z]{1,8}"), request in "[a-z0-9]{1,8}", claim in "[a-z]{0,8}", region in "[a-z]{1,4}",
        runtime in proptest::collection::vec(("x-[a-z]{1,6}", "[!-~]{1,10}"), 0..4), removed in "[a-z]{1,6}",
        model in proptest::option::of("[a-z]{1,6}:[a-z]{1,6}"),
    ) -> RequestContext {
        let schema = HeaderSchema::compile(&json!({ "properties": { "org_name": {}, "auth_token": { "writeOnly": true } } })).unwrap();
        let stored: Vec<_> = org.map(|org| ("org_name", json!(org))).into_iter().chain([("auth_token", json!(token))]).collect();
        let headers = schema.merge(stored.iter().map(|(name, value)| (*name, value)), &Sent::nothing(), &[]).unwrap();
        let mut run = RuntimeHeaders::new();
        runtime.iter().for_each(|(name, value)| run.set(name, value).unwrap());
        run.remove(&removed).ok();
        let caller = Caller::new(TenantId::new(tenant), user.map(UserId::new), CallerSource::Token);
        let mut builder = RequestContext::builder(caller, headers)
            .runtime(run)
            .request_id(request)
            .claims(json!({ "sub": claim }))
            .env(ListedEnv::new(BTreeMap::from([("REGION".to_owned(), region)])));
        if let Some(session) = session {
            let mode = if evaluation { SessionMode::Evaluation } else { SessionMode::Normal };
            builder = builder.session(SessionId::parse(&session).unwrap(), mode);
        }
        if let Some(client) = client {
            builder = builder.client_id(client);
        }
        if let Some(model) = model {
            builder = builder.model(model);
        }
        builder.build("assistant")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn children_of_children_inherit_everything(context in a_context(), agents in proptest::collection::vec("[a-z]{1,8}", 1..5)) {
        let before = all_of(&context);
        let mut child = context.clone();
        for agent in &agents {
            child = child.child(agent, None);
            prop_assert_eq!(all_of(&child), before.clone());
            prop_assert_eq!(child.agent(), agent.as_str());
            prop_assert_eq!(child.model(), None, "a model chosen for the run is the parent's alone");
        }
        let chosen = context.child("a", Some("m:n"));
        prop_assert_eq!(chosen.model(), Some("m:n"));
        prop_assert_eq!(all_of(&context), before);
        prop_assert_eq!(context.agent(), "assistant");
    }

    #[test]
    fn the_agent_that_takes_over_keeps_the_model_of_the_run(context in a_context()) {
        let next = context.handed_to("billing");
        prop_assert_eq!(all_of(&next), all_of(&context));
        prop_assert_eq!(next.agent(), "billing");
        prop_assert_eq!(next.model(), context.model());
    }
}

//! Fetches go by the guarded client: not to this machine or network unless that is listed, and with a trace.

use letterhead::outbound::{GuardOptions, GuardedClient};
use letterhead::{Caller, Headers, RequestContext, TraceContext};
use letterhead_testkit::ScriptedApi;
use serde_json::json;

use crate::support::{agent, builder, context, problem, script, turn, user};

#[tokio::test]
async fn an_address_of_this_machine_is_refused_unless_it_is_listed() {
    let (api, script) = (ScriptedApi::start().await, script());
    let open = GuardedClient::new(GuardOptions::default()).unwrap();
    for url in
        [api.url("/me"), format!("http://localhost:{}/me", api.port()), format!("http://2130706433:{}/", api.port())]
    {
        let registry =
            builder(&api, &script).guarded_client(open.clone()).variable(user(url)).agent(agent("{{ user }}"));
        let outcome = turn(&registry.build().unwrap(), context("a", &[]), Vec::new()).await;
        let expected = "`context.user` could not be fetched: it would go to a place where calls out do not go (see \
                        `egress.allow`)";
        assert_eq!(problem(&outcome).detail(), expected);
    }
    assert!(api.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_and_the_answer_is_there() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("/me").always(|_| letterhead_testkit::Answer::redirect(302, "/users/1"));
    api.on("/users/1").json(&json!("Ada"));
    let registry = builder(&api, &script).variable(user(api.url("/me"))).agent(agent("{{ user }}")).build().unwrap();
    turn(&registry, context("a", &[]), Vec::new()).await;
    assert_eq!(crate::support::told(&script), "Ada");
}

#[tokio::test]
async fn requests_are_a_part_of_the_turns_trace_unless_they_are_not_to_be() {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (sends, variable) in [(true, user as fn(String) -> _), (false, |url: String| user(url).without_trace())] {
        let (api, script) = (ScriptedApi::start().await, script());
        api.on("/me").json(&json!("Ada"));
        let registry = builder(&api, &script).variable(variable(api.url("/me"))).agent(agent("{{ user }}"));
        let context = RequestContext::builder(Caller::anonymous(), Headers::none())
            .trace(TraceContext::parse(trace).unwrap())
            .build("a");
        turn(&registry.build().unwrap(), context, Vec::new()).await;
        let request = api.last();
        let sent = request.header("traceparent");
        assert_eq!(sent.len(), usize::from(sends));
        assert!(sent.iter().all(|sent| sent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && *sent != trace));
    }
}

#[tokio::test]
async fn a_value_stays_in_its_place() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.always(|_| letterhead_testkit::Answer::json(&json!("Ada")));
    let registry = builder(&api, &script)
        .variable(user(api.url("/users/{{ headers.user_id }}/profile")).optional())
        .agent(agent("{{ user }}"))
        .build()
        .unwrap();
    for id in ["../admin", "1/../../admin", "1?admin=1", "1#", "{{ headers.auth_token }}", "..", "%2e%2e"] {
        turn(&registry, context("a", &[("user_id", id), ("auth_token", "t_abc")]), Vec::new()).await;
    }
    for request in api.requests() {
        let path = &request.path;
        assert!(path.starts_with("/users/") && path.ends_with("/profile"), "{path}");
        assert!(path.matches('/').count() == 3 && !path.contains("t_abc"), "{path}");
    }
}

//! What an API may do, and what comes of it: two repetitions where they may help, then the default, or nothing, or one
//! clear error before any model is called. The answer's body is never in it.

use std::time::Duration;

use http::Method;
use letterhead::Variable;
use letterhead::run::RunEnd;
use letterhead_testkit::{Answer as Reply, ScriptedApi};
use serde_json::json;
use tokio::time;

use crate::support::{agent, builder, context, entries, problem, reasons, script, told, turn, user};

/// In every answer of the API, and nowhere else.
const CANARY: &str = "canary-of-the-body";

/// Something that an API does: how the variable is defined, what is answered, how often it is asked, the reason given.
struct Fault {
    what: &'static str,
    variable: fn(Variable) -> Variable,
    reply: fn() -> Reply,
    asked: usize,
    reason: &'static str,
}

fn plain(variable: Variable) -> Variable {
    variable
}

fn faults() -> Vec<Fault> {
    let fault = |what, variable, reply, asked, reason| Fault { what, variable, reply, asked, reason };
    vec![
        fault("404", plain, || Reply::error(404, &json!({ "m": CANARY })), 1, "the API answered 404"),
        fault("401", plain, || Reply::error(401, &json!({ "m": CANARY })), 1, "the API answered 401"),
        fault("500", plain, || Reply::error(500, &json!({ "m": CANARY })), 3, "the API answered 500"),
        fault("429", plain, || Reply::error(429, &json!({ "m": CANARY })), 3, "the API answered 429"),
        fault("a wait of an hour", plain, || Reply::status(503).header("retry-after", "3600"), 1, "answered 503"),
        fault("closed", plain, Reply::close, 3, "the connection ended before the answer did"),
        fault("cut", plain, || Reply::cut("application/json", CANARY), 3, "the connection ended before the answer did"),
        fault("large", plain, || Reply::large(50 << 20), 1, "the answer is larger than 1048576 bytes"),
        fault("endless", plain, Reply::endless, 1, "the answer is larger than 1048576 bytes"),
        fault("a bomb", plain, || Reply::gzip_bomb(50 << 20), 1, "the answer is larger than 1048576 bytes"),
        fault("no JSON", |v| v.with_select("a"), || Reply::text(CANARY), 1, "the answer is not JSON"),
        fault(
            "no JSON for the schema",
            |v| v.with_response_schema(json!({})),
            || Reply::text(CANARY),
            1,
            "the answer is not JSON",
        ),
        fault(
            "no JSON, which it says it is",
            plain,
            || Reply::bytes("application/json", CANARY),
            1,
            "the answer is not JSON",
        ),
        fault("bytes", plain, || Reply::bytes("image/png", &b"\xff\xd8"[..]), 1, "the answer is neither JSON nor text"),
        fault(
            "another type",
            |v| v.with_response_schema(json!({ "properties": { "name": { "type": "string" } } })),
            || Reply::json(&json!({ "name": [CANARY], CANARY: 1 })),
            1,
            "the answer does not meet `response_schema` (at `/properties/name/type`)",
        ),
        fault(
            "nothing there",
            |v| v.with_select("user.name"),
            || Reply::json(&json!({ "user": CANARY })),
            1,
            "`select` finds nothing in the answer",
        ),
        fault(
            "GraphQL",
            |v| v.with_method(Method::POST).with_select("data"),
            || Reply::json(&json!({ "errors": [{ "message": CANARY }], "data": {} })),
            1,
            "the answer reports errors, as GraphQL does",
        ),
        fault(
            "a list that is small on the wire",
            plain,
            || Reply::json(&json!(vec![0; 100_000])),
            1,
            "the value takes more than 2 MiB of memory: name the part that is needed in `select`",
        ),
        fault("500 to a POST", |v| v.with_method(Method::POST), || Reply::status(500), 1, "the API answered 500"),
        fault(
            "a redirect elsewhere",
            plain,
            || Reply::redirect(302, "http://169.254.169.254/latest/"),
            1,
            "the other side redirects to another origin, where calls do not follow: configure the final URL",
        ),
        fault("304", plain, || Reply::status(304), 1, "the other side answers with status 304, which holds no answer"),
    ]
}

#[tokio::test]
async fn it_ends_the_turn_before_the_model_with_one_clear_error() {
    for Fault { what, variable, reply, asked, reason } in faults() {
        let (api, script) = (ScriptedApi::start().await, script());
        api.on("/me").always(move |_| reply());
        let registry = builder(&api, &script).variable(variable(user(api.url("/me")))).agent(agent("{{ user }}"));
        let registry = registry.build().unwrap();
        let outcome = turn(&registry, context("a", &[]), Vec::new()).await;
        let problem = problem(&outcome);
        assert_eq!((problem.status().as_u16(), problem.code().as_str()), (502, "context_unavailable"), "{what}");
        assert_eq!(problem.should_retry(), Some(false), "{what}");
        let detail = problem.detail();
        assert!(detail.starts_with("`context.user` could not be fetched: "), "{what}: {detail}");
        assert!(detail.contains(reason), "{what}: {detail}");
        assert_eq!(api.requests().len(), asked, "{what}");
        assert!(script.calls().is_empty(), "{what}: no model was called");
        let shown = format!("{outcome:?}");
        assert!(!shown.contains(CANARY), "{what}: {shown}");
        let told = reasons(&outcome, "context.user");
        assert!(told.iter().any(|told| told.contains(reason)), "{what}: {told:?}");
    }
}

#[tokio::test]
async fn nobody_listens_and_a_name_has_no_address() {
    for (url, reason) in [
        (ScriptedApi::nowhere().await, "the connection was refused"),
        ("http://api.invalid".to_owned(), "its name has no address"),
    ] {
        let (api, script) = (ScriptedApi::start().await, script());
        let allow = letterhead::outbound::EgressAllow::parse(&["127.0.0.0/8".to_owned()]).unwrap();
        let options = letterhead::outbound::GuardOptions { allow, ..Default::default() };
        let client = letterhead::outbound::GuardedClient::new(options).unwrap();
        let variable = user(format!("{url}/{{{{ headers.user_id }}}}"))
            .with_header("Authorization", "Bearer {{ headers.auth_token }}");
        let registry = builder(&api, &script).guarded_client(client).variable(variable);
        let registry = registry.agent(agent("{{ user }}")).build().unwrap();
        let outcome = turn(&registry, context("a", &[("user_id", "u_1"), ("auth_token", "t_1")]), Vec::new()).await;
        let expected = format!("`context.user` could not be fetched: {reason}");
        assert_eq!(problem(&outcome).detail(), expected);
        assert!(entries(&outcome, "context.user").all(|entry| !entry.sent), "{:?}", outcome.trail);
        let told = format!("nothing was sent: {reason}");
        assert_eq!(reasons(&outcome, "context.user").iter().filter(|reason| **reason == told).count(), 2);
    }
}

#[tokio::test]
async fn what_somebody_was_sent_stays_sent_though_nothing_came_back() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.always(|_| Reply::close());
    let registry = builder(&api, &script).variable(user(api.url("/{{ headers.user_id }}"))).agent(agent("{{ user }}"));
    let outcome = turn(&registry.build().unwrap(), context("a", &[("user_id", "u_1")]), Vec::new()).await;
    assert_eq!(entries(&outcome, "context.user").filter(|entry| entry.sent).count(), 1, "{:?}", outcome.trail);
}

#[tokio::test]
async fn the_default_stands_for_it_or_nothing_where_it_is_optional() {
    for Fault { what, variable, reply, .. } in faults() {
        let (api, script) = (ScriptedApi::start().await, script());
        api.always(move |_| reply());
        let registry = builder(&api, &script)
            .variable(variable(user(api.url("/me"))).with_default(json!({ "name": "Guest" })))
            .variable(variable(Variable::new("more", api.url("/more"))).optional())
            .agent(agent("{{ user.name }}[{{ more }}]"))
            .build()
            .unwrap();
        let outcome = turn(&registry, context("a", &[]), Vec::new()).await;
        assert!(matches!(outcome.end, RunEnd::Complete(_)), "{what}: {:?}", outcome.end);
        assert_eq!(told(&script), "Guest[]", "{what}");
        assert!(outcome.kept.is_empty(), "{what}: the next turn tries again");
        assert!(reasons(&outcome, "context.user").iter().any(|told| told.ends_with("the default stands for it")));
        assert!(reasons(&outcome, "context.more").iter().any(|told| told.ends_with("it is missing")));
    }
}

#[tokio::test]
async fn what_passes_is_not_noticed() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("/me").then(Reply::status(500)).then(Reply::close()).json(&json!("Ada"));
    let registry = builder(&api, &script).variable(user(api.url("/me"))).agent(agent("{{ user }}")).build().unwrap();
    let outcome = turn(&registry, context("a", &[]), Vec::new()).await;
    assert!(matches!(outcome.end, RunEnd::Complete(_)), "{:?}", outcome.end);
    assert_eq!((told(&script).as_str(), api.requests().len()), ("Ada", 3));
}

#[tokio::test]
async fn what_is_selected_may_be_a_part_of_much() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("/me").json(&json!({ "name": "Ada", "all": vec![0; 100_000] }));
    let variable = user(api.url("/me")).with_select("name");
    let registry = builder(&api, &script).variable(variable).agent(agent("{{ user }}")).build().unwrap();
    turn(&registry, context("a", &[]), Vec::new()).await;
    assert_eq!(told(&script), "Ada");
}

#[tokio::test]
async fn each_attempt_has_ten_seconds_or_what_the_variable_says() {
    for (timeout, limit) in [(None, 10), (Some(Duration::from_secs(3)), 3)] {
        let (api, script) = (ScriptedApi::start().await, script());
        api.on("/me").always(|_| Reply::hang());
        let mut variable = user(api.url("/me"));
        if let Some(timeout) = timeout {
            variable = variable.with_timeout(timeout);
        }
        let registry = builder(&api, &script).variable(variable).agent(agent("{{ user }}")).build().unwrap();
        let running = tokio::spawn(async move { turn(&registry, context("a", &[]), Vec::new()).await });
        for attempt in 1..=3 {
            api.received(attempt).await;
            time::pause();
            time::advance(Duration::from_secs(limit - 1)).await;
            assert_eq!(api.requests().len(), attempt, "not yet given up");
            time::advance(Duration::from_secs(2)).await;
            time::resume();
        }
        let outcome = running.await.unwrap();
        let reason = format!("`context.user` could not be fetched: no whole answer within {limit}s");
        assert_eq!(problem(&outcome).detail(), reason);
    }
}

#[tokio::test]
async fn a_fault_of_what_a_variable_needs_is_its_own_unless_something_stands_for_it() {
    let api = ScriptedApi::start().await;
    api.on("/me").always(|_| Reply::status(404));
    let plan = || Variable::new("plan", api.url("/plans/{{ user.plan }}"));
    let run = async |plan: Variable| {
        let script = script();
        let registry =
            builder(&api, &script).variable(user(api.url("/me"))).variable(plan).agent(agent("[{{ plan }}]"));
        (turn(&registry.build().unwrap(), context("a", &[]), Vec::new()).await, script)
    };
    let (outcome, _) = run(plan()).await;
    assert_eq!(problem(&outcome).detail(), "`context.user` could not be fetched: the API answered 404");
    let (outcome, script) = run(plan().with_default(json!("free"))).await;
    assert_eq!(told(&script), "[free]");
    let why =
        "could not be fetched: `context.user` could not be fetched: the API answered 404; the default stands for it";
    assert_eq!(reasons(&outcome, "context.plan"), [why]);
    let (_, script) = run(plan().optional()).await;
    assert_eq!(told(&script), "[]");
}

//! A value of `when: conversation` is fetched again only when its own request would differ, or its time is over; one of
//! `when: turn` is fetched once each turn. What stood in for a value is not kept.

use std::sync::Arc;
use std::time::Duration;

use letterhead::run::RunResult;
use letterhead::{Runner, Text, Variable, VariableBody, When};
use letterhead_store::{Fingerprints, FixedClock, KeptVariable, Vault, VaultKey};
use letterhead_testkit::{Answer as Reply, ScriptedApi};
use serde_json::json;

use crate::support::{agent, builder, client, context, entries, problem, reasons, schema, script, told, turn, user};

/// What a session has after a turn.
fn after(mut kept: Vec<KeptVariable>, new: Vec<KeptVariable>) -> Vec<KeptVariable> {
    kept.retain(|old| new.iter().all(|new| new.name != old.name));
    kept.extend(new);
    kept
}

#[tokio::test]
async fn only_a_change_of_its_own_request_fetches_it_again() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.always(|request| Reply::json(&json!({ "path": request.path, "plan": request.header("x-plan") })));
    let registry = builder(&api, &script)
        .variable(user(api.url("/{{ headers.user_id }}")).with_header("X-Plan", "{{ headers.plan }}"))
        .agent(agent("{{ user.path }}{{ user.plan }}"))
        .build()
        .unwrap();
    let mut kept = Vec::new();
    for (at, (headers, requests, expected)) in [
        (&[("user_id", "1"), ("org_name", "A")][..], 1, "/1[]"),
        // Another header, which the request is not made of.
        (&[("user_id", "1"), ("org_name", "B")], 1, "/1[]"),
        (&[("user_id", "1"), ("plan", "free")], 2, r#"/1["free"]"#),
        (&[("user_id", "2"), ("plan", "free")], 3, r#"/2["free"]"#),
        (&[("user_id", "2"), ("plan", "free"), ("auth_token", "t")], 3, r#"/2["free"]"#),
        // Back again: only the latest is kept.
        (&[("user_id", "1")], 4, "/1[]"),
    ]
    .into_iter()
    .enumerate()
    {
        let outcome = turn(&registry, context("a", headers), kept.clone()).await;
        assert_eq!(told(&script), expected, "turn {at}");
        assert_eq!(api.requests().len(), requests, "turn {at}");
        kept = after(kept, outcome.kept);
        assert_eq!(kept.len(), 1);
    }
}

#[tokio::test]
async fn the_trail_says_what_was_kept() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("/me").json(&json!({ "name": "Ada" }));
    let registry = builder(&api, &script)
        .variable(user(api.url("/me")).with_header("Authorization", "Bearer {{ headers.auth_token }}"))
        .agent(agent("{{ user.name }}"))
        .build()
        .unwrap();
    let headers = [("auth_token", "t_abc")];
    let first = turn(&registry, context("a", &headers), Vec::new()).await;
    let sent: Vec<_> =
        entries(&first, "context.user").map(|entry| (&*entry.header, &*entry.from, entry.sent)).collect();
    assert_eq!(sent, [("Authorization", "headers.auth_token", true)]);
    let second = turn(&registry, context("a", &headers), first.kept).await;
    assert!(entries(&second, "context.user").all(|entry| !entry.sent), "nothing of the request went out");
    assert_eq!(reasons(&second, "context.user"), ["kept from an earlier turn"]);
    assert!(second.kept.is_empty(), "nothing new is to be written");
}

#[tokio::test]
async fn every_turn_means_once_in_every_turn() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("/me").json(&json!({ "name": "Ada" }));
    let registry = builder(&api, &script)
        .variable(user(api.url("/me")).with_when(When::Turn))
        .agent(agent("{{ user.name }}"))
        .build()
        .unwrap();
    for turns in 1..=3 {
        let outcome = turn(&registry, context("a", &[]), Vec::new()).await;
        assert!(outcome.kept.is_empty());
        assert_eq!(api.requests().len(), turns);
    }
}

#[tokio::test]
async fn a_value_ends_with_its_time() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("/me").json(&json!({ "name": "Ada" }));
    let clock = Arc::new(FixedClock::at(1_000));
    let registry = builder(&api, &script)
        .clock(Arc::clone(&clock) as Arc<_>)
        .variable(user(api.url("/me")).with_ttl(Duration::from_secs(60)))
        .agent(agent("{{ user.name }}"))
        .build()
        .unwrap();
    let kept = turn(&registry, context("a", &[]), Vec::new()).await.kept;
    assert_eq!((kept[0].fetched_at_ms, kept[0].expires_at_ms), (1_000, Some(61_000)));
    clock.advance(Duration::from_millis(59_999));
    turn(&registry, context("a", &[]), kept.clone()).await;
    assert_eq!(api.requests().len(), 1);
    clock.advance(Duration::from_millis(1));
    let again = turn(&registry, context("a", &[]), kept).await.kept;
    assert_eq!((api.requests().len(), again[0].fetched_at_ms), (2, 61_000));

    // The configuration has become stricter than it was when the value was kept.
    let clock = Arc::new(FixedClock::at(61_000));
    let registry = builder(&api, &script)
        .clock(Arc::clone(&clock) as Arc<_>)
        .variable(user(api.url("/me")).with_ttl(Duration::from_secs(1)))
        .agent(agent("{{ user.name }}"))
        .build()
        .unwrap();
    clock.advance(Duration::from_secs(1));
    turn(&registry, context("a", &[]), again).await;
    assert_eq!(api.requests().len(), 3);
}

#[tokio::test]
async fn another_selection_is_another_value() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("/me").json(&json!({ "name": "Ada", "city": "London" }));
    let registry = |select: &str| {
        let variable = user(api.url("/me")).with_select(select);
        builder(&api, &script).variable(variable).agent(agent("{{ user }}")).build().unwrap()
    };
    let kept = turn(&registry("name"), context("a", &[]), Vec::new()).await.kept;
    turn(&registry("city"), context("a", &[]), kept).await;
    assert_eq!(told(&script), "London");
}

#[tokio::test]
async fn a_default_and_a_skipped_variable_are_not_kept() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("/me").then(Reply::status(404)).json(&json!("Ada"));
    let registry = builder(&api, &script)
        .variable(user(api.url("/me")).with_default(json!("Guest")))
        .variable(
            Variable::new("plan", api.url("/plan")).with_required("{{ headers.plan }}").with_default(json!("none")),
        )
        .agent(agent("{{ user }}, {{ plan }}"))
        .build()
        .unwrap();
    let first = turn(&registry, context("a", &[]), Vec::new()).await;
    assert_eq!((told(&script).as_str(), first.kept.len()), ("Guest, none", 0));
    turn(&registry, context("a", &[]), first.kept).await;
    assert_eq!(told(&script), "Ada, none");
}

#[tokio::test]
async fn what_was_fetched_is_kept_when_the_turn_fails() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("/me").json(&json!({ "id": 1 }));
    api.on("/plan/1").always(|_| Reply::status(404));
    let registry = builder(&api, &script)
        .variable(user(api.url("/me")))
        .variable(Variable::new("plan", api.url("/plan/{{ user.id }}")))
        .agent(agent("{{ plan }}"))
        .build()
        .unwrap();
    let outcome = turn(&registry, context("a", &[]), Vec::new()).await;
    assert!(problem(&outcome).detail().contains("`context.plan`"));
    assert_eq!(outcome.kept.iter().map(|kept| &*kept.name).collect::<Vec<_>>(), ["user"]);
}

#[tokio::test]
async fn what_a_secret_fetched_is_marked_and_so_is_what_was_fetched_with_that() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.always(|_| Reply::json(&json!({ "id": 1 })));
    let registry = builder(&api, &script)
        .variable(user(api.url("/me")).with_header("Authorization", "Bearer {{ headers.auth_token }}"))
        .variable(Variable::new("orders", api.url("/orders/{{ user.id }}")))
        .variable(Variable::new("weather", api.url("/weather/{{ headers.org_name }}")))
        .agent(agent("{{ orders }}{{ weather }}"))
        .build()
        .unwrap();
    let headers = [("auth_token", "t_abc"), ("org_name", "Acme")];
    let mut kept = turn(&registry, context("a", &headers), Vec::new()).await.kept;
    kept.sort_by(|one, two| one.name.cmp(&two.name));
    let marks: Vec<_> = kept.iter().map(|kept| (&*kept.name, kept.secret)).collect();
    assert_eq!(marks, [("orders", true), ("user", true), ("weather", false)]);
}

#[tokio::test]
async fn a_credential_that_was_written_down_is_a_secret_too() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.always(|_| Reply::json(&json!({ "id": 1 })));
    let url = |name: &str| api.url(&format!("/{name}"));
    let json = |body| VariableBody::Json(body);
    let variables = [
        (Variable::new("a", url("a")).with_header("Authorization", "Bearer sk-1"), true),
        (Variable::new("b", url("b")).with_header("X-Crm", Text::literal("sk-1")), true),
        (Variable::new("c", url("c")).with_header("X-Team-Key", "sk-1"), true),
        (Variable::new("d", url("d")).with_query("of", Text::literal("sk-1")), true),
        (Variable::new("e", Text::literal(url("e"))), true),
        (Variable::new("f", url("f")).with_body(VariableBody::Form(vec![("of".into(), Text::literal("sk-1"))])), true),
        (Variable::new("g", url("g")).with_body(json(json!({ "of": ["sk-1{{ '' }}"] }))), true),
        (Variable::new("h", url("h")).with_body(json(json!({ "token": "sk-1" }))), true),
        (Variable::new("i", url("i?token=sk-1")), true),
        (
            Variable::new("j", url("j?of=1")).with_header("X-Of", "1").with_body(json(json!({ "of": "1", "n": 1 }))),
            false,
        ),
    ];
    let reads: String = variables.iter().map(|(variable, _)| format!("{{{{ {}.id }}}}", variable.name())).collect();
    let expected: Vec<(String, bool)> = variables.iter().map(|(v, secret)| (v.name().to_owned(), *secret)).collect();
    let builder = variables.into_iter().fold(builder(&api, &script), |builder, (v, _)| builder.variable(v));
    let registry = builder.agent(agent(&reads)).build().unwrap();
    let mut kept = turn(&registry, context("a", &[]), Vec::new()).await.kept;
    kept.sort_by(|one, two| one.name.cmp(&two.name));
    let marks: Vec<_> = kept.iter().map(|kept| (kept.name.to_string(), kept.secret)).collect();
    assert_eq!(marks, expected);
}

/// A restart without a key: what was kept in memory is gone, and were it not, its fingerprint would be of another process.
#[tokio::test]
async fn fingerprints_hold_over_a_restart_with_a_key_and_else_where_there_is_no_secret() {
    for (key, secret, requests) in [(true, true, 1), (true, false, 1), (false, false, 1), (false, true, 2)] {
        let (api, script) = (ScriptedApi::start().await, script());
        api.on("/me").json(&json!("Ada"));
        let registry = || {
            let vault = key.then(|| Arc::new(Vault::new(VaultKey::parse(&"5e".repeat(32)).unwrap(), None)));
            let name = if secret { "auth_token" } else { "plan" };
            builder(&api, &script)
                .fingerprints(Arc::new(Fingerprints::new(vault).unwrap()))
                .variable(user(api.url("/me")).with_header("X-Of", format!("{{{{ headers.{name} }}}}")))
                .agent(agent("{{ user }}"))
                .build()
                .unwrap()
        };
        let headers = [("auth_token", "t"), ("plan", "free")];
        let kept = turn(&registry(), context("a", &headers), Vec::new()).await.kept;
        turn(&registry(), context("a", &headers), kept).await;
        assert_eq!(api.requests().len(), requests, "key: {key}, secret: {secret}");
    }
}

#[tokio::test]
async fn a_result_goes_on_with_what_its_conversation_keeps() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.always(|_| Reply::json(&json!({ "name": "Ada" })));
    let runner = Runner::with_agents([agent("{{ user.name }} {{ secret.name }}")])
        .provider(script.provider())
        .headers(schema())
        .guarded_client(client(&api))
        .variable(user(api.url("/me")))
        .variable(Variable::new("secret", api.url("/mine")).with_header("X-Token", "{{ headers.auth_token }}"))
        .build()
        .unwrap();
    let first = runner.run("Hello").context_header("auth_token", "t_abc").await.unwrap();
    assert_eq!(api.requests().len(), 2);
    let second = runner.run("And?").previous(&first).context_header("auth_token", "t_abc").await.unwrap();
    assert_eq!((api.requests().len(), second.kept.len()), (2, 2));

    // Serialised, what was fetched with a secret is not there.
    let text = serde_json::to_string(&second).unwrap();
    assert!(!text.contains("t_abc") && !text.contains(r#""name":"secret""#), "{text}");
    let later: RunResult = serde_json::from_str(&text).unwrap();
    let third = runner.run("And?").previous(&later).context_header("auth_token", "t_abc").await.unwrap();
    assert_eq!(third.current_agent, second.current_agent);
    assert_eq!(api.requests_to("/me").len(), 1);
    assert_eq!(api.requests_to("/mine").len(), 2);
}

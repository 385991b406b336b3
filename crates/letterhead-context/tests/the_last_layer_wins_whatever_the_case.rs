//! Headers of an LLM call: provider < agent < run, name by name; one credential at most; what goes out is in the trail.

#![cfg(test)]

mod a_call;

use a_call::{Call, lines};
use http::HeaderMap;
use letterhead_context::{
    Code, HeaderBudget, HeaderSchema, HeaderTemplates, Layer, RuntimeHeaders, RuntimeNames, Scope, TextSource,
};
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn the_three_examples_of_the_first_seed_give_exactly_their_final_headers() {
    let basic = Call::new().agent(&[("X-Custom-ID", "agent-123"), ("X-Environment", "production")]);
    assert_eq!(lines(&basic.headers()), ["x-custom-id: agent-123", "x-environment: production"]);

    let runtime = Call::new().run(&[("X-Request-ID", "req-456"), ("X-User-ID", "user-789")]);
    assert_eq!(lines(&runtime.headers()), ["x-request-id: req-456", "x-user-id: user-789"]);

    let both = Call::new()
        .agent(&[("X-Environment", "staging"), ("X-Agent-ID", "agent-001")])
        .run(&[("X-Environment", "production"), ("X-Request-ID", "req-123")]);
    assert_eq!(lines(&both.headers()), ["x-agent-id: agent-001", "x-environment: production", "x-request-id: req-123"]);
}

#[test]
fn names_are_one_whatever_their_case_and_dashes_are_not_underscores_here() {
    let call = Call::new()
        .provider(&[("X-Env", "provider"), ("x_env", "underscore")])
        .agent(&[("x-env", "agent")])
        .run(&[("X-ENV", "run")]);
    assert_eq!(lines(&call.headers()), ["x-env: run", "x_env: underscore"]);
}

#[test]
fn lists_are_joined_over_the_layers() {
    let call = Call::new()
        .provider(&[("Anthropic-Beta", "tools-1")])
        .agent(&[("anthropic-beta", "cache-2")])
        .run(&[("ANTHROPIC-BETA", "files-3")]);
    assert_eq!(lines(&call.headers()), ["anthropic-beta: tools-1,cache-2,files-3"]);
    let removed = call.without("anthropic-beta");
    assert!(removed.headers().is_empty(), "a run that removes the list removes what it set, too");
}

#[test]
fn a_credential_of_any_layer_removes_the_providers_own_whatever_its_name() {
    let own = Call::new().key("sk-own");
    assert_eq!(lines(&own.headers()), ["authorization: Bearer sk-own"]);
    for name in ["Authorization", "x-api-key", "api-key"] {
        let expected = [format!("{}: theirs", name.to_lowercase())];
        assert_eq!(lines(&Call::new().key("sk-own").provider(&[(name, "theirs")]).headers()), expected);
        assert_eq!(lines(&Call::new().key("sk-own").agent(&[(name, "theirs")]).headers()), expected);
        assert_eq!(lines(&Call::new().key("sk-own").run(&[(name, "theirs")]).headers()), expected);
        assert_eq!(lines(&Call::new().key_in("x-own-key", "sk-own").agent(&[(name, "theirs")]).headers()), expected);
    }
    let layered = Call::new()
        .key("sk-own")
        .provider(&[("x-api-key", "provider")])
        .agent(&[("api-key", "agent")])
        .run(&[("Authorization", "run")]);
    assert_eq!(lines(&layered.headers()), ["authorization: run"]);
}

#[test]
fn a_run_that_sets_two_credentials_means_the_last() {
    let call = Call::new().run(&[("Authorization", "first"), ("x-api-key", "second")]);
    assert_eq!(lines(&call.headers()), ["x-api-key: second"]);
}

#[test]
fn two_credentials_in_one_layer_are_a_fault() {
    let schema = HeaderSchema::empty();
    let set = [("Authorization", TextSource::Literal("a")), ("X-Api-Key", TextSource::Literal("b"))];
    let faults = HeaderTemplates::compile(set, Scope::of(&schema)).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].message.contains("a call has one"), "{faults:?}");
}

#[test]
fn a_removed_default_is_as_if_it_had_not_been_set() {
    let call = Call::new().key("sk-own").provider(&[("X-A", "1")]).agent(&[("X-A", "2"), ("x-api-key", "agent")]);
    assert_eq!(lines(&call.clone().without("X-a").headers()), ["x-api-key: agent"]);
    assert_eq!(lines(&call.clone().without("X-Api-Key").headers()), ["authorization: Bearer sk-own", "x-a: 2"]);
    let set_after = call.without("x-a").run(&[("x-a", "3")]);
    assert_eq!(lines(&set_after.headers()), ["x-a: 3", "x-api-key: agent"]);
}

#[test]
fn reserved_headers_are_refused_the_same_way_at_every_level() {
    let schema = HeaderSchema::empty();
    let reserved = [
        "Host",
        "Content-Length",
        "Content-Type",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Cookie",
    ];
    for name in reserved {
        let faults = HeaderTemplates::compile([(name, TextSource::Literal("x"))], Scope::of(&schema)).unwrap_err();
        assert!(faults[0].to_string().contains(name), "{faults:?}");
        let mut runtime = RuntimeHeaders::new();
        assert!(runtime.set(name, "x").unwrap_err().to_string().contains(name));
        assert!(runtime.remove(name).is_err());
        assert!(RuntimeNames::new([name]).unwrap_err()[0].message.contains(name));
        assert!(!RuntimeNames::new([&format!("{}*", &name[..2])[..]]).unwrap().allows(&name.parse().unwrap()));
    }
}

#[test]
fn invalid_names_and_values_are_errors_before_any_call() {
    let schema = HeaderSchema::empty();
    for (name, value) in [
        ("X A", "x"),
        ("", "x"),
        ("X:A", "x"),
        ("X-A", "a\r\nB: c"),
        ("X-A", "a\nb"),
        ("X-A", "a\0"),
        ("X-A", "a\u{85}"),
    ] {
        assert!(HeaderTemplates::compile([(name, TextSource::Literal(value))], Scope::of(&schema)).is_err());
        assert!(HeaderTemplates::compile([(name, TextSource::Template(value))], Scope::of(&schema)).is_err());
        let told = RuntimeHeaders::new().set(name, value).unwrap_err().to_string();
        assert!(!told.contains("B: c"), "{told}");
    }
    assert!(RuntimeHeaders::new().set("X-A", "gr\u{fc}n").is_ok());
}

#[test]
fn the_budget_is_told_before_the_provider_would() {
    let mut call = Call::new().agent(&[("a", "12345678"), ("b", "1")]);
    call.budget = HeaderBudget { max_headers: Some(2), max_bytes: Some(11) };
    assert_eq!(lines(&call.headers()), ["a: 12345678", "b: 1"]);
    for tight in [
        HeaderBudget { max_headers: Some(1), max_bytes: None },
        HeaderBudget { max_headers: None, max_bytes: Some(10) },
    ] {
        call.budget = tight;
        let (refused, trail) = call.outcome();
        let problem = refused.unwrap_err();
        assert_eq!(problem.code(), Code::HeaderTooLarge);
        assert!(problem.detail().contains("2 headers of 11 bytes"), "{problem}");
        assert!(trail.iter().all(|entry| !entry.sent), "nothing left, and the trail does not say that it did");
    }
}

#[test]
fn the_trail_says_what_left_from_which_layer_and_what_stayed_and_why() {
    let call = Call::new()
        .key("sk-own")
        .provider(&[("X-A", "1"), ("X-B", "2")])
        .agent(&[("X-A", "3"), ("X-Missing", "{{ headers.plan }}"), ("X-Org", "{{ headers.org_name }}")])
        .run(&[("x-b", "4"), ("authorization", "theirs")]);
    let (headers, trail) = call.outcome();
    assert_eq!(lines(&headers.unwrap()), ["authorization: theirs", "x-a: 3", "x-b: 4", "x-org: Acme Corp"]);
    let mut told: Vec<_> = trail
        .iter()
        .map(|e| format!("{} {} {:?} {}", e.header, e.from, e.layer, e.reason.as_deref().unwrap_or("sent")))
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "X-A literal Agent sent",
            "X-A literal Provider overridden by a later layer",
            "X-B literal Provider overridden by a later layer",
            "X-Missing headers.plan Agent a value it names is missing",
            "X-Org headers.org_name Agent sent",
            "authorization api_key Credential another layer sets the credential",
            "authorization runtime_headers Runtime sent",
            "x-b runtime_headers Runtime sent",
        ]
    );
    assert!(trail.iter().all(|entry| entry.sent == entry.reason.is_none()));
    assert!(trail.iter().all(|entry| &*entry.destination == "providers.test" && &*entry.agent == "assistant"));
}

/// Names that differ by case alone, credentials, and others.
fn a_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "X-A",
        "x-a",
        "X-a",
        "X-B",
        "x-b",
        "x_b",
        "Authorization",
        "AUTHORIZATION",
        "X-Api-Key",
        "x-api-key",
        "Api-Key",
        "X-C",
    ])
}

fn a_layer() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    vec((a_name(), "[a-z0-9]{1,8}"), 0..6)
}

/// What one layer says, as a configuration has it: no name twice, one credential at most.
fn as_configured(layer: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    let mut kept: Vec<(&'static str, String)> = Vec::new();
    for (name, value) in layer {
        let clashes =
            kept.iter().any(|(other, _)| other.eq_ignore_ascii_case(name) || (credential(other) && credential(name)));
        if !clashes {
            kept.push((name, value));
        }
    }
    kept
}

fn credential(name: &str) -> bool {
    ["authorization", "x-api-key", "api-key"].iter().any(|known| known.eq_ignore_ascii_case(name))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_random_layers_the_highest_wins_each_name(
        provider in a_layer().prop_map(as_configured),
        agent in a_layer().prop_map(as_configured),
        run in a_layer().prop_map(as_configured),
        removed in vec(a_name(), 0..2),
        own in any::<bool>(),
    ) {
        let mut call = Call::new();
        if own {
            call = call.key("own");
        }
        for name in &removed {
            call = call.without(name);
        }
        let call = call.provider_owned(&provider).agent_owned(&agent).run_owned(&run);

        // The law, said another way: walk the layers from the lowest, each one overwriting.
        let gone = |name: &str| removed.iter().any(|r| r.eq_ignore_ascii_case(name)) && !run.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut expected: Vec<(String, String)> = Vec::new();
        let own_layer = if own { vec![("authorization", "Bearer own".to_owned())] } else { Vec::new() };
        for layer in [&own_layer, &provider, &agent, &run] {
            let set: Vec<_> = layer.iter().filter(|(name, _)| !gone(name)).collect();
            let set: Vec<_> = set.into_iter().filter(|(name, _)| {
                // A removed name that the run sets again comes from the run alone.
                std::ptr::eq(layer, &run) || !removed.iter().any(|r| r.eq_ignore_ascii_case(name))
            }).collect();
            if set.iter().any(|(name, _)| credential(name)) {
                expected.retain(|(name, _)| !credential(name));
            }
            for (name, value) in set {
                let name = name.to_lowercase();
                expected.retain(|(other, _)| *other != name);
                expected.push((name, value.clone()));
            }
        }
        let mut expected: Vec<_> = expected.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        expected.sort();

        let before = format!("{:?}", call.context().runtime());
        let (headers, trail) = call.outcome();
        let headers: HeaderMap = headers.unwrap();
        prop_assert_eq!(lines(&headers), expected);
        prop_assert!(headers.keys().filter(|name| credential(name.as_str())).count() <= 1);
        prop_assert_eq!(before, format!("{:?}", call.context().runtime()));
        prop_assert_eq!(trail.iter().filter(|entry| entry.sent).count(), headers.len());
        prop_assert!(trail.iter().all(|entry| entry.layer != Layer::Destination));
        // The same again gives the same: nothing was used up.
        prop_assert_eq!(call.outcome().0.unwrap(), headers);
    }
}

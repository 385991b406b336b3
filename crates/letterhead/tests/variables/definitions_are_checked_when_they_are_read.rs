//! What can be wrong with context variables is found when a registry is built, all of it at once, each with its place.

use std::time::Duration;

use letterhead::{
    Agent, Registry, RegistryBuilder, RegistryFault, RegistryPlace, Variable, VariableBody, VariablePlace,
};
use letterhead_context::RequestPlace;
use serde_json::json;

use crate::support::schema;

/// The faults of variables together with an agent.
fn faults(variables: impl IntoIterator<Item = Variable>, instructions: &str) -> Vec<RegistryFault> {
    let agent = Agent::new("a").with_instructions(instructions);
    let builder = Registry::builder().schema(schema()).env(vec!["REGION".to_owned()]).agent(agent);
    variables
        .into_iter()
        .fold(builder, RegistryBuilder::variable)
        .build()
        .err()
        .map(|error| error.0)
        .unwrap_or_default()
}

fn of(variable: Variable) -> Vec<RegistryFault> {
    faults([variable], "")
}

fn at(name: &str, url: &str) -> Variable {
    Variable::new(name, url)
}

fn plain(name: &str) -> Variable {
    at(name, "https://api.example.com/me")
}

#[test]
fn a_name_is_one_that_templates_read_and_have_no_other_meaning_for() {
    let roots = ["headers", "caller", "claims", "session", "request", "agent", "state", "args", "credentials", "env"];
    for name in roots.into_iter().chain(["loop"]) {
        let found = of(plain(name));
        assert!(found[0].message.contains("has a meaning of its own in templates"), "{name}: {found:?}");
        assert_eq!(found[0].place, RegistryPlace::Variable(name.into(), VariablePlace::Whole));
    }
    for name in ["user-info", "2fa", "", "user.name", "if", "not", "none", "true", "a b", "na\u{ef}ve"] {
        let found = of(plain(name));
        assert!(found[0].message.contains("is letters, digits and `_`"), "{name}: {found:?}");
    }
    for name in ["user", "userName", "_x", "user_2", "header", "iff"] {
        assert_eq!(of(plain(name)), [], "{name}");
    }
    let found = faults([plain("user"), plain("user")], "");
    assert!(found[0].message.contains("two context variables of this name"), "{found:?}");
}

#[test]
fn a_circle_is_told_with_the_way_around_it() {
    let found = faults(
        [
            at("a", "https://x.example/{{ b.id }}"),
            at("b", "https://x.example/").with_header("X-C", "{{ c.id }}"),
            at("c", "https://x.example/").with_body(VariableBody::Json(json!({ "of": ["{{ d }}"] }))),
            plain("d").with_required("{{ a.id }}"),
            at("e", "https://x.example/{{ a.id }}"),
        ],
        "",
    );
    assert_eq!(found.len(), 1, "{found:?}");
    let expected = "context variable `a`: `a` needs `b`, which needs `c`, which needs `d`, which needs `a`: \
                    a variable cannot wait for itself";
    assert_eq!(found[0].to_string(), expected);
    let found = of(at("user", "https://x.example/{{ user.id }}"));
    assert!(found[0].message.starts_with("`user` needs `user`:"), "{found:?}");
}

#[test]
fn a_variable_that_is_not_there_is_named_with_the_nearest() {
    let found = faults([plain("user")], "Hello {{ usr.name }}");
    assert_eq!(found[0].place, RegistryPlace::Instructions("a".into()));
    assert_eq!(found[0].position, Some((1, 10)));
    assert!(found[0].message.contains("did you mean `user`?"), "{found:?}");
    let found = faults([plain("user"), at("orders", "https://x.example/{{ usre.id }}")], "");
    assert!(found[0].message.contains("did you mean `user`?"), "{found:?}");
    assert_eq!(found[0].place, RegistryPlace::Variable("orders".into(), VariablePlace::Request(RequestPlace::Url)));
}

#[test]
fn every_fault_of_a_definition_is_told_with_its_place() {
    let variable = Variable::new("user", "https://api.example.com/{{ headers.user_idd }}/{{ env.SECRET }}")
        .with_header("X-Thing", "{{ headers.plann }}")
        .with_header("Content-Type", "text/plain")
        .with_query("q", "{{ nothing }}")
        .with_body(VariableBody::Json(json!({ "a": ["{{ headers.auth_tokn }}"] })))
        .with_required("{{ headers.planet }}")
        .with_required("nothing")
        .with_select("user..")
        .with_response_schema(json!({ "properties": { "a": { "type": "strin" } } }))
        .with_timeout(Duration::ZERO);
    let found = of(variable);
    let places: Vec<_> = found
        .iter()
        .map(|fault| match &fault.place {
            RegistryPlace::Variable(name, place) if &**name == "user" => place.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    for place in [
        VariablePlace::Request(RequestPlace::Url),
        VariablePlace::Request(RequestPlace::Header("X-Thing".to_owned())),
        VariablePlace::Request(RequestPlace::Header("Content-Type".to_owned())),
        VariablePlace::Request(RequestPlace::Query("q".to_owned())),
        VariablePlace::Request(RequestPlace::Body("/a/0".to_owned())),
        VariablePlace::Requires(0),
        VariablePlace::Requires(1),
        VariablePlace::Select,
        VariablePlace::ResponseSchema("/properties/a/type".to_owned()),
        VariablePlace::Timeout,
    ] {
        assert!(places.contains(&place), "{place:?} is not among {found:#?}");
    }
    assert_eq!(places.iter().filter(|place| **place == VariablePlace::Request(RequestPlace::Url)).count(), 2);
}

#[test]
fn an_address_is_the_operators_to_choose() {
    for url in [
        "https://{{ headers.user_id }}.example.com/",
        "{{ headers.user_id }}",
        "https://api.example.com:{{ headers.plan }}/",
        "ftp://api.example.com/",
        "/users",
        "https://user:pass@api.example.com/",
    ] {
        assert!(!of(at("user", url)).is_empty(), "{url}");
    }
    for url in [
        "https://{{ env.REGION }}.example.com/users/{{ headers.user_id }}",
        "http://api.example.com:8080?a={{ headers.plan }}",
    ] {
        assert_eq!(of(at("user", url)), [], "{url}");
    }
}

#[test]
fn instructions_may_read_a_variable_that_was_fetched_with_a_secret_but_not_the_secret() {
    let with_secret = || plain("user").with_header("Authorization", "Bearer {{ headers.auth_token }}");
    assert_eq!(faults([with_secret()], "{{ user.name }}"), []);
    assert_eq!(faults([with_secret()], "{{ headers.auth_token }}").len(), 1);
}

#[test]
fn a_schema_fetches_nothing_and_matches_in_linear_time() {
    let schema = json!({ "$ref": "https://schemas.example.com/user.json" });
    assert!(!of(plain("user").with_response_schema(schema)).is_empty());
    let backtracking = json!({ "properties": { "a": { "pattern": "(?=x)x" } } });
    assert!(!of(plain("user").with_response_schema(backtracking)).is_empty());
    let api_formats = json!({ "properties": { "a": { "type": "integer", "format": "int64" } } });
    assert_eq!(of(plain("user").with_response_schema(api_formats)), []);
}

//! A value that a request needs and that is missing: `requires` skips the request, a plain header is left out, and
//! anything else is a fault that names what is missing.

use letterhead::run::RunEnd;
use letterhead::{Variable, VariableBody};
use letterhead_testkit::ScriptedApi;
use serde_json::json;

use crate::support::{agent, builder, context, entries, problem, reasons, script, told, turn, user};

#[tokio::test]
async fn without_what_it_requires_it_is_skipped_and_never_an_error() {
    for (default, expected, instead) in
        [(Some(json!({ "name": "Guest" })), "Guest.", "the default stands for it"), (None, ".", "it is missing")]
    {
        let (api, script) = (ScriptedApi::start().await, script());
        api.on("/users/1").json(&json!({ "name": "Ada" }));
        let mut variable = user(api.url("/users/{{ headers.user_id }}"))
            .with_required("{{ headers.user_id }}")
            .with_required("{{ headers.auth_token }}");
        if let Some(default) = default {
            variable = variable.with_default(default);
        }
        let registry = builder(&api, &script).variable(variable).agent(agent("{{ user.name }}.")).build().unwrap();
        for headers in [&[][..], &[("user_id", "1")], &[("auth_token", "t")]] {
            let outcome = turn(&registry, context("a", headers), Vec::new()).await;
            assert!(matches!(outcome.end, RunEnd::Complete(_)), "{:?}", outcome.end);
            assert_eq!(told(&script), expected);
            let why = format!("skipped, for something that it requires is missing; {instead}");
            assert_eq!(reasons(&outcome, "context.user"), [why.as_str()]);
        }
        assert!(api.requests().is_empty());
        turn(&registry, context("a", &[("user_id", "1"), ("auth_token", "t")]), Vec::new()).await;
        assert_eq!(told(&script), "Ada.");
    }
}

#[tokio::test]
async fn a_variable_may_require_another() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("/me").json(&json!({ "name": "Ada" }));
    let registry = builder(&api, &script)
        .variable(user(api.url("/me")))
        .variable(Variable::new("team", api.url("/teams/{{ user.team }}")).with_required("{{ user.team }}"))
        .agent(agent("[{{ team }}]"))
        .build()
        .unwrap();
    turn(&registry, context("a", &[]), Vec::new()).await;
    assert_eq!(told(&script), "[]");
    assert_eq!(api.requests().len(), 1);
}

#[tokio::test]
async fn in_the_url_the_query_or_a_body_it_is_a_fault_that_names_it() {
    let api = ScriptedApi::start().await;
    api.always(|_| letterhead_testkit::Answer::json(&json!("x")));
    let url = |path: &str| user(api.url(path));
    let form = VariableBody::Form(vec![("id".to_owned(), "{{ headers.user_id }}".into())]);
    let json = VariableBody::Json(json!({ "text": "user {{ headers.user_id }}" }));
    for (variable, place) in [
        (url("/users/{{ headers.user_id }}"), "the URL"),
        (url("/users?id={{ headers.user_id }}"), "the URL"),
        (url("/users").with_query("id", "{{ headers.user_id }}"), "the query parameter `id`"),
        (url("/users").with_body(form), "the form's `id`"),
        (url("/users").with_body(json), "the body's `/text`"),
    ] {
        let script = script();
        let registry = builder(&api, &script).variable(variable).agent(agent("{{ user }}")).build().unwrap();
        let outcome = turn(&registry, context("a", &[]), Vec::new()).await;
        let detail = problem(&outcome).detail();
        let expected =
            format!("`context.user` could not be fetched: {place} needs `headers.user_id`, which is missing");
        assert_eq!(detail, expected);
        assert!(script.calls().is_empty(), "no model was called");
    }
    assert!(api.requests().is_empty());
}

#[tokio::test]
async fn a_header_is_left_out_unless_it_is_a_credential_or_names_a_secret() {
    for (name, value, sent) in [
        ("X-Plan", "{{ headers.plan }}", true),
        ("X-Api-Key", "{{ headers.plan }}", false),
        ("X-Thing", "{{ headers.auth_token }}", false),
        ("Authorization", "Bearer {{ headers.auth_token }}", false),
    ] {
        let (api, script) = (ScriptedApi::start().await, script());
        api.on("/me").json(&json!("Ada"));
        let registry = builder(&api, &script)
            .variable(user(api.url("/me")).with_header(name, value))
            .agent(agent("{{ user }}"))
            .build()
            .unwrap();
        let outcome = turn(&registry, context("a", &[]), Vec::new()).await;
        assert_eq!(api.requests().len(), usize::from(sent), "{name}");
        assert!(entries(&outcome, "context.user").any(|entry| &*entry.header == name && !entry.sent), "{name}");
        if sent {
            assert!(api.last().header(name).is_empty());
        } else {
            assert_eq!(problem(&outcome).code().as_str(), "context_unavailable", "{name}");
            assert!(problem(&outcome).detail().contains("headers."), "{}", problem(&outcome).detail());
        }
    }
}

#[tokio::test]
async fn a_fault_of_that_kind_has_a_default_too() {
    let (api, script) = (ScriptedApi::start().await, script());
    let registry = builder(&api, &script)
        .variable(user(api.url("/users/{{ headers.user_id }}")).with_default(json!("Guest")))
        .variable(Variable::new("plan", api.url("/plans/{{ headers.plan }}")).optional())
        .agent(agent("{{ user }}[{{ plan }}]"))
        .build()
        .unwrap();
    turn(&registry, context("a", &[]), Vec::new()).await;
    assert_eq!(told(&script), "Guest[]");
    assert!(api.requests().is_empty());
}

//! What would be sent can be looked at before anything is: unfetched values stand for themselves, and so do secrets.

use std::collections::BTreeMap;

use letterhead::run::{Preview, RunInput};
use letterhead::{Registry, RegistryBuilder, Text, Variable, VariableBody};
use letterhead_context::{Caller, ListedEnv, RequestContext, Secret, Sent};
use letterhead_testkit::{Answer as Reply, ScriptedApi};
use serde_json::json;

use crate::support::{agent, builder, context, schema, script};

fn requests(preview: &Preview) -> Vec<(String, String)> {
    preview.requests.iter().map(|request| (request.destination.to_string(), request.url.clone())).collect()
}

fn headers<'a>(preview: &'a Preview, destination: &str) -> Vec<(&'a str, Option<&'a str>)> {
    let request = preview.requests.iter().find(|request| &*request.destination == destination).unwrap();
    request.headers.iter().map(|header| (&*header.name, header.value.as_deref())).collect()
}

fn chain(api: &ScriptedApi) -> [Variable; 3] {
    [
        Variable::new("orders", api.url("/orders?user={{ user.id }}&key={{ headers.auth_token }}")),
        Variable::new("user", api.url("/users/{{ headers.user_id }}"))
            .with_header("Authorization", "Bearer {{ headers.auth_token }}")
            .with_header("X-Plan", "{{ headers.plan }}"),
        Variable::new("unneeded", api.url("/unneeded")),
    ]
}

fn registry(api: &ScriptedApi) -> Registry {
    let agent =
        agent("{{ user.name | upper }}: {{ orders[0].id }} {% for order in orders %}({{ order.id }}){% endfor %}")
            .with_header("X-User", "{{ user.name }}");
    chain(api).into_iter().fold(builder(api, &script()), RegistryBuilder::variable).agent(agent).build().unwrap()
}

#[tokio::test]
async fn without_fetching_each_value_stands_for_itself() {
    let api = ScriptedApi::start().await;
    let headers_sent = [("user_id", "u 1"), ("auth_token", "t_abc"), ("plan", "free")];
    let preview = registry(&api).preview(context("a", &headers_sent), RunInput::default()).unwrap();
    let told = "\u{2039}user.name\u{203a}: \u{2039}orders[0].id\u{203a} (\u{2039}orders[*].id\u{203a})";
    assert_eq!(preview.instructions.as_deref(), Some(told));
    assert_eq!(
        requests(&preview),
        [
            ("context.user".to_owned(), api.url("/users/u%201")),
            (
                "context.orders".to_owned(),
                api.url("/orders?user=\u{2039}user.id\u{203a}&key=\u{2039}headers.auth_token\u{203a}")
            ),
        ]
    );
    assert_eq!(headers(&preview, "context.user"), [("Authorization", None), ("X-Plan", Some("free"))]);
    let to_model = preview.headers.iter().find(|header| &*header.name == "X-User").unwrap();
    assert_eq!(to_model.value.as_deref(), Some("\u{2039}user.name\u{203a}"));
    assert!(api.requests().is_empty());
    assert!(!format!("{preview:?}").contains("t_abc"));
}

#[tokio::test]
async fn with_fetching_the_values_are_there_and_the_requests_too() {
    let api = ScriptedApi::start().await;
    api.on("/users/1").json(&json!({ "id": 7, "name": "Ada" }));
    api.on("/orders").json(&json!([{ "id": 8 }]));
    let headers_sent = [("user_id", "1"), ("auth_token", "t_abc")];
    let preview = registry(&api).preview_fetched(context("a", &headers_sent), RunInput::default()).await.unwrap();
    assert_eq!(preview.instructions.as_deref(), Some("ADA: 8 (8)"));
    assert_eq!(
        requests(&preview),
        [
            ("context.user".to_owned(), api.url("/users/1")),
            (
                "context.orders".to_owned(),
                api.url("/orders?user=\u{2039}user.id\u{203a}&key=\u{2039}headers.auth_token\u{203a}")
            ),
        ]
    );
    assert_eq!(api.requests().len(), 2);
    assert!(!format!("{preview:?}").contains("t_abc"));
}

#[tokio::test]
async fn with_fetching_what_a_secret_fetched_is_masked_in_requests() {
    let api = ScriptedApi::start().await;
    api.on("POST /login").json(&json!({ "sid": "canary" }));
    api.on("/region").json(&json!({ "name": "eu" }));
    let registry = builder(&api, &script())
        .variable(
            Variable::new("oauth", api.url("/login"))
                .with_body(VariableBody::Form(vec![("t".to_owned(), "{{ headers.auth_token }}".into())])),
        )
        .variable(Variable::new("region", api.url("/region")))
        .variable(Variable::new("skipped", api.url("/{{ oauth.none }}")).optional())
        .variable(
            Variable::new("me", api.url("/{{ region.name }}/{{ oauth.sid }}"))
                .with_header("X-Session", "{{ oauth.sid }}")
                .with_query("s", "{{ oauth.sid }}")
                .with_body(VariableBody::Json(json!({ "sid": "{{ oauth.sid }}" }))),
        )
        .agent(agent("{{ me.name }}{{ skipped }}"))
        .build()
        .unwrap();
    api.on("POST /eu/canary?s=canary").json(&json!({ "name": "Ada" }));
    let preview =
        registry.preview_fetched(context("a", &[("auth_token", "t_abc")]), RunInput::default()).await.unwrap();
    assert_eq!(preview.instructions.as_deref(), Some("Ada"));
    assert!(!format!("{:?}", preview.requests).contains("canary"), "{:#?}", preview.requests);
    let shown = preview.requests.iter().find(|request| &*request.destination == "context.me").unwrap();
    assert_eq!(shown.url, api.url("/eu/\u{2039}oauth.sid\u{203a}?s=\u{2039}oauth.sid\u{203a}"));
    assert_eq!(shown.body.as_deref(), Some("{\"sid\":\"\u{2039}oauth.sid\u{203a}\"}"));
    assert_eq!(headers(&preview, "context.me"), [("X-Session", Some("\u{2039}oauth.sid\u{203a}"))]);
    assert!(preview.requests.iter().all(|request| &*request.destination != "context.skipped"), "it would not be sent");
}

#[tokio::test]
async fn it_ends_as_the_turn_would() {
    let api = ScriptedApi::start().await;
    let problem = registry(&api).preview(context("a", &[]), RunInput::default()).unwrap_err();
    assert!(problem.detail().contains("`context.user`") && problem.detail().contains("headers."), "{problem}");
    api.always(|_| Reply::status(404));
    let sent = context("a", &[("user_id", "1"), ("auth_token", "t_abc")]);
    let problem = registry(&api).preview_fetched(sent, RunInput::default()).await.unwrap_err();
    assert_eq!(problem.detail(), "`context.user` could not be fetched: the API answered 404");

    let variable = |default: &str| {
        Variable::new("user", api.url("/me")).with_required("{{ headers.user_id }}").with_default(json!(default))
    };
    let registry = builder(&api, &script()).variable(variable("Guest")).agent(agent("{{ user }}")).build().unwrap();
    let preview = registry.preview(context("a", &[]), RunInput::default()).unwrap();
    assert_eq!(preview.instructions.as_deref(), Some("Guest"));
    assert!(preview.requests.is_empty());
    assert!(preview.trail[0].reason.as_deref().unwrap().starts_with("skipped"), "{:?}", preview.trail);
}

#[tokio::test]
async fn nothing_that_may_be_a_secret_is_shown_wherever_it_is_put() {
    let api = ScriptedApi::start().await;
    let form = VariableBody::Form(vec![
        ("token".to_owned(), "canary".into()),
        ("id".to_owned(), Text::literal("canary")),
        ("of".to_owned(), "{{ headers.auth_token }}".into()),
    ]);
    let json = VariableBody::Json(json!({
        "mine": "{{ headers.auth_token }}", "in": ["{{ credentials.crm }} and {{ env.CANARY }}"],
        "api_key": "canary", "literal": "{{ 'canary' }}", "open": "{{ headers.plan }}", "fixed": 7,
    }));
    let variables = [
        Variable::new("a", api.url("/a?token=canary&plan={{ headers.plan }}")).with_query("k", Text::literal("canary")),
        Variable::new("b", api.url("/b")).with_body(form).with_header("X-Env", "{{ env.CANARY }}"),
        Variable::new("c", api.url("/c")).with_body(json).with_header("X-Literal", Text::literal("canary")),
        Variable::new("d", Text::literal(api.url("/canary"))),
    ];
    let builder = builder(&api, &script()).env(vec!["CANARY".to_owned()]).credentials(vec!["crm".to_owned()]);
    let registry = variables.into_iter().fold(builder, RegistryBuilder::variable);
    let registry = registry.agent(agent("{{ a }}{{ b }}{{ c }}{{ d }}")).build().unwrap();
    let sent = [("auth_token", json!("canary")), ("plan", json!("free"))];
    let stored = sent.iter().map(|(name, value)| (*name, value));
    let context = RequestContext::builder(Caller::anonymous(), schema().merge(stored, &Sent::nothing(), &[]).unwrap())
        .env(ListedEnv::new(BTreeMap::from([("CANARY".to_owned(), "canary".to_owned())])))
        .credentials([("crm", Secret::new(json!("canary")))].into_iter().collect())
        .build("a");
    let preview = registry.preview(context, RunInput::default()).unwrap();
    assert!(!format!("{preview:?}").contains("canary"), "{preview:#?}");
    let body = |name: &str| {
        let request = preview.requests.iter().find(|request| &*request.destination == name);
        request.unwrap().body.clone().unwrap()
    };
    assert_eq!(body("context.b"), "token=********&id=********&of=\u{2039}headers.auth_token\u{203a}");
    let shown: serde_json::Value = serde_json::from_str(&body("context.c")).unwrap();
    assert_eq!(
        shown,
        json!({
            "mine": "\u{2039}headers.auth_token\u{203a}",
            "in": ["\u{2039}credentials.crm\u{203a} and \u{2039}env.CANARY\u{203a}"],
            "api_key": "********", "literal": "********", "open": "free", "fixed": 7,
        })
    );
    let url = |at: usize| preview.requests[at].url.clone();
    assert_eq!(url(0), api.url("/a?token=********&plan=free&k=********"));
    assert_eq!(url(3), api.url("/\u{2026}"));
}

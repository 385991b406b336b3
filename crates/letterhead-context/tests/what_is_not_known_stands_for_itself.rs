//! In a dry run a context variable that was not fetched stands for itself, whatever a template does with it, and so do
//! secrets, credentials and the environment where they are masked. What is missing stays missing.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use letterhead_context::{
    Caller, HeaderSchema, ListedEnv, Rendered, RequestContext, Scope, Secret, Sent, Sink, Template, Values,
    VariableValues, View,
};
use serde_json::json;

/// A template rendered with an unfetched `user`, and with secrets masked.
fn rendered(source: &str, sink: Sink) -> Rendered {
    let schema = HeaderSchema::compile(&json!({ "properties": {
        "token": { "writeOnly": true }, "other": { "writeOnly": true }, "plan": {},
    } }));
    let (schema, variables) = (schema.unwrap(), ["user".to_owned(), "known".to_owned()]);
    let (env, credentials) = (["REGION".to_owned(), "NONE".to_owned()], ["crm".to_owned()]);
    let scope = Scope { variables: &variables, env: &env, credentials: &credentials, ..Scope::of(&schema) };
    let stored = [("token", &json!("canary")), ("plan", &json!("free"))];
    let context = RequestContext::builder(Caller::anonymous(), schema.merge(stored, &Sent::nothing(), &[]).unwrap())
        .env(ListedEnv::new(BTreeMap::from([("REGION".to_owned(), "canary".to_owned())])))
        .credentials([("crm", Secret::new(json!("canary")))].into_iter().collect())
        .build("a");
    let known = Arc::new(json!({ "name": "Ada", "items": [1, 2] }));
    let variables = VariableValues::new([(Arc::from("user"), None), (Arc::from("known"), Some(known))]);
    let values = Values { variables, masked: true, ..Values::default() };
    let template = Template::compile(source, sink, scope).unwrap();
    template.render(&View::of(sink, &context, &values)).unwrap()
}

fn told(source: &str) -> String {
    let Rendered::Text(text) = rendered(source, Sink::Instructions) else { return "missing".to_owned() };
    text
}

#[test]
fn every_path_of_an_unfetched_variable_is_its_own_name() {
    for (source, expected) in [
        ("{{ user }}", "\u{2039}user\u{203a}"),
        ("{{ user.name }}", "\u{2039}user.name\u{203a}"),
        ("{{ user['first name'] }}", "\u{2039}user.first name\u{203a}"),
        ("{{ user.orders[0].id }}", "\u{2039}user.orders[0].id\u{203a}"),
        ("{{ user.name | upper }}", "\u{2039}user.name\u{203a}"),
        ("{{ user.name | default('Guest') }}", "\u{2039}user.name\u{203a}"),
        ("{{ user.orders | length }}", "\u{2039}user.orders\u{203a}"),
        ("{{ user.orders | join(', ') }}", "\u{2039}user.orders\u{203a}"),
        ("{{ user.age | int }}", "\u{2039}user.age\u{203a}"),
        ("{{ user | tojson }}", "\u{2039}user\u{203a}"),
        ("{{ user.id | part(0, 8) }}", "\u{2039}user.id\u{203a}"),
        ("{{ 'abc' | part(0, user.n) }}", "\u{2039}user.n\u{203a}"),
        ("{{ [1, 2] | join(user.by) }}", "\u{2039}user.by\u{203a}"),
        ("{{ 'Hi NAME' | replace('NAME', user.name) }}", "Hi \u{2039}user.name\u{203a}"),
        ("{{ 'a\nb' | indent(width=user.n) }}", "\u{2039}user.n\u{203a}"),
        ("{% if user.vip %}vip{% else %}not{% endif %}", "vip"),
        ("{% for order in user.orders %}[{{ order.id }}]{% endfor %}", "[\u{2039}user.orders[*].id\u{203a}]"),
        ("{% set u = user %}{{ u.name }}", "\u{2039}user.name\u{203a}"),
    ] {
        assert_eq!(told(source), expected, "{source}");
    }
}

#[test]
fn a_fetched_one_is_as_always() {
    assert_eq!(told("{{ known.name }}{{ known.items }}{{ known.nothing }}"), "Ada[1,2]");
}

#[test]
fn what_is_masked_is_there_or_not_and_never_shown() {
    for (source, expected) in [
        ("{{ headers.token }}", Some("\u{2039}headers.token\u{203a}")),
        ("Bearer {{ headers.token | upper }}", Some("Bearer \u{2039}headers.token\u{203a}")),
        ("{{ credentials.crm }}", Some("\u{2039}credentials.crm\u{203a}")),
        ("{{ env.REGION }}", Some("\u{2039}env.REGION\u{203a}")),
        ("{{ headers.plan }}", Some("free")),
        ("{{ headers.other }}", None),
        ("{{ env.NONE }}", None),
    ] {
        let expected = expected.map_or(Rendered::Missing, |text| Rendered::Text(text.to_owned()));
        assert_eq!(rendered(source, Sink::Header), expected, "{source}");
    }
    let shown = Rendered::Text(r#""‹user.id›""#.to_owned());
    assert_eq!(rendered("{{ user.id }}", Sink::Json), shown);
}

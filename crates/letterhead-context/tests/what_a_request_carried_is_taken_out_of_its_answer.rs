//! An API may send back what it was sent. The secrets of a request are known again in its answer, wherever they stand.

#![cfg(test)]

use std::collections::BTreeMap;

use http::Method;
use letterhead_context::{
    BodySource, Caller, Destination, DestinationKind, HeaderSchema, ListedEnv, RequestContext, RequestSource,
    RequestTemplate, Scope, Secret, Sent, TextSource, Values,
};
use serde_json::{Value, json};

const TOKEN: &str = "tok/c4n4ry \"1\"";

fn schema() -> HeaderSchema {
    HeaderSchema::compile(&json!({ "properties": {
        "plan": {}, "auth_token": { "writeOnly": true }, "pin": { "type": "integer", "writeOnly": true }, "short": { "writeOnly": true },
    } }))
    .unwrap()
}

fn request<'a>() -> RequestSource<'a> {
    let url = TextSource::Template("https://api.example.com/");
    RequestSource { method: Method::GET, url, headers: Vec::new(), query: Vec::new(), body: BodySource::None }
}

fn compiled(source: RequestSource<'_>) -> RequestTemplate {
    let env = ["HOST".to_owned(), "BASE".to_owned(), "SECRET".to_owned()];
    let (variables, credentials, schema) = (["user".to_owned()], ["crm".to_owned()], schema());
    let scope = Scope { schema: &schema, variables: &variables, env: &env, credentials: &credentials, args: true };
    RequestTemplate::compile(source, scope).unwrap()
}

/// An answer without what its request carried, and whether anything was taken out.
fn cleaned(source: RequestSource<'_>, mut answer: Value) -> (Value, bool) {
    let sent = [
        ("plan", json!("free-of-charge")),
        ("auth_token", json!(TOKEN)),
        ("pin", json!(904_140_915)),
        ("short", json!("c4n4ry")),
    ];
    let headers = schema().merge(sent.iter().map(|(name, value)| (*name, value)), &Sent::nothing(), &[]).unwrap();
    let env = [("HOST", "api.example.com"), ("BASE", "https://api.example.com/v1/"), ("SECRET", "env-c4n4ry")];
    let context = RequestContext::builder(Caller::anonymous(), headers)
        .env(ListedEnv::new(BTreeMap::from(env.map(|(name, value)| (name.to_owned(), value.to_owned())))))
        .credentials([("crm", Secret::new(json!({ "key": "crm-c4n4ry" })))].into_iter().collect())
        .build("a");
    let values = Values {
        variables: [("user".into(), json!({ "key": "var-c4n4ry" }).into())].into_iter().collect(),
        args: Some(json!({ "key": "args-of-a-model" }).into()),
        ..Values::default()
    };
    let template = compiled(source);
    let to = Destination::new("context.user", DestinationKind::Fetcher);
    let rendered = template.render(&to, &context, &values, &mut Vec::new()).unwrap();
    let carried = template.carried(&context, &rendered);
    assert!(!format!("{carried:?}").contains("c4n4ry"));
    let found = carried.remove_from(&mut answer);
    (answer, found)
}

fn template<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(&'a str, TextSource<'a>)> {
    pairs.iter().map(|(name, text)| (*name, TextSource::Template(text))).collect()
}

#[test]
fn a_secret_is_found_in_texts_names_and_numbers() {
    let headers = template(&[("X-T", "{{ headers.auth_token }}{{ headers.pin }}")]);
    let (answer, found) = cleaned(
        RequestSource { headers, ..request() },
        json!({
            "text": format!("you sent {TOKEN}, {TOKEN}!"), "n": [904_140_915, 9_041_409_150_i64, "pin 904140915"],
            (format!("by {TOKEN}")): 1, "path": "/tok%2Fc4n4ry%20%221%22", "raw": json!({ "t": TOKEN }).to_string(),
            "plan": "free-of-charge",
        }),
    );
    assert!(found);
    let removed = "\u{2039}removed\u{203a}";
    let expected = json!({
        "text": format!("you sent {removed}, {removed}!"), "n": [removed, 9_041_409_150_i64, format!("pin {removed}")],
        (format!("by {removed}")): 1, "path": format!("/{removed}"), "raw": json!({ "t": removed }).to_string(),
        "plan": "free-of-charge",
    });
    assert_eq!(answer, expected);
}

#[test]
fn every_kind_of_secret_is_known_again() {
    let json = json!({ "a": [{ "t": "{{ headers.auth_token }}" }] });
    let from_environment = json!({ "a": "lit-c4n4ry{{ '' }}" });
    let named = json!({ "api_key": "lit-c4n4ry" });
    let literal = || vec![("x", TextSource::Literal("lit-c4n4ry"))];
    let cases = [
        (RequestSource { headers: template(&[("X-C", "{{ credentials.crm.key }}")]), ..request() }, "crm-c4n4ry"),
        (RequestSource { query: template(&[("q", "{{ env.SECRET }}")]), ..request() }, "env-c4n4ry"),
        (RequestSource { body: BodySource::Json(&json), ..request() }, TOKEN),
        (RequestSource { headers: template(&[("Authorization", "Bearer {{ user.key }}")]), ..request() }, "var-c4n4ry"),
        (RequestSource { headers: template(&[("Authorization", "Bearer lit-c4n4ry")]), ..request() }, "lit-c4n4ry"),
        (RequestSource { headers: template(&[("X-Team-Key", "lit-c4n4ry")]), ..request() }, "lit-c4n4ry"),
        (RequestSource { headers: literal(), ..request() }, "lit-c4n4ry"),
        (RequestSource { query: literal(), ..request() }, "lit-c4n4ry"),
        (RequestSource { query: template(&[("token", "lit-c4n4ry")]), ..request() }, "lit-c4n4ry"),
        (RequestSource { body: BodySource::Form(literal()), ..request() }, "lit-c4n4ry"),
        (RequestSource { body: BodySource::Json(&from_environment), ..request() }, "lit-c4n4ry"),
        (RequestSource { body: BodySource::Json(&named), ..request() }, "lit-c4n4ry"),
        (
            RequestSource { url: TextSource::Template("https://api.example.com/?key=lit-c4n4ry&x=1"), ..request() },
            "lit-c4n4ry",
        ),
    ];
    for (source, secret) in cases {
        let case = format!("{source:?}");
        assert!(compiled(source.clone()).names_secret(), "{case}");
        assert_eq!(cleaned(source, json!(secret)), (json!("\u{2039}removed\u{203a}"), true), "{case}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    let headers = template(&[
        ("X-Plan", "{{ headers.plan }}"),
        ("X-Fixed", "the-same-for-all"),
        ("X-Idempotency-Key", "{{ args.key }}"),
        ("X-S", "{{ headers.short }}"),
    ]);
    let query = template(&[("page_token", "{{ args.key }}"), ("order", "by-creation-date")]);
    let url = TextSource::Template("https://{{ env.HOST }}/a");
    let answer = json!({
        "seen": ["free-of-charge", "the-same-for-all", "args-of-a-model", "by-creation-date"],
        "next": "https://api.example.com/v1/orders", "short": "c4n4ry",
    });
    let source = RequestSource { url, headers, query, ..request() };
    assert_eq!(cleaned(source, answer.clone()), (answer.clone(), false));
    let source = RequestSource { url: TextSource::Template("{{ env.BASE }}a"), ..request() };
    assert_eq!(cleaned(source, answer.clone()), (answer, false));
    let open = RequestSource { headers: template(&[("X-Fixed", "the-same-for-all")]), ..request() };
    assert!(!compiled(open).names_secret());
}

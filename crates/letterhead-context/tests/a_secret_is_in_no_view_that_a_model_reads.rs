//! Whatever source compiles for a model's eyes, no secret comes out of it; and were the check to miss one, the view that
//! it is rendered with does not hold it.

#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::Arc;

use letterhead_context::{
    BodySource, Caller, Credentials, HeaderSchema, InstructionsDestination, ListedEnv, RenderError, Rendered,
    RequestContext, RequestSource, RuntimeHeaders, Scope, Secret, Sent, Sink, Template, TextSource, Values,
    VariableValues, View,
};
use proptest::prelude::*;
use serde_json::json;

const SECRET: &str = "s3cr3t-c4n4ry";

fn schema(secret: bool) -> HeaderSchema {
    HeaderSchema::compile(&json!({
        "properties": {
            "auth_token": { "writeOnly": secret },
            "keys": { "type": "array", "writeOnly": secret },
            "vault": { "type": "object", "writeOnly": secret },
            "user_id": {}, "obj": { "type": "object" },
        },
    }))
    .unwrap()
}

fn context() -> RequestContext {
    let stored = [
        ("auth_token", json!(SECRET)),
        ("keys", json!([SECRET])),
        ("vault", json!({ "key": SECRET })),
        ("user_id", json!("auth_token")),
        ("obj", json!({ "name": "auth_token" })),
    ];
    let stored = stored.iter().map(|(name, value)| (*name, value));
    let headers = schema(true).merge(stored, &Sent::nothing(), &[]).unwrap();
    let mut runtime = RuntimeHeaders::new();
    runtime.set("Authorization", SECRET).unwrap();
    RequestContext::builder(Caller::anonymous(), headers)
        .runtime(runtime)
        .env(ListedEnv::new(BTreeMap::from([("TOKEN".to_owned(), SECRET.to_owned())])))
        .credentials(Credentials::from_iter([("TOKEN", Secret::new(SECRET.into()))]))
        .build("assistant")
}

fn scope(schema: &HeaderSchema) -> Scope<'_> {
    static VARIABLES: std::sync::LazyLock<[String; 1]> = std::sync::LazyLock::new(|| ["user".to_owned()]);
    static ENV: std::sync::LazyLock<[String; 1]> = std::sync::LazyLock::new(|| ["TOKEN".to_owned()]);
    Scope { schema, variables: &*VARIABLES, env: &*ENV, credentials: &*ENV, args: true }
}

fn view(sink: Sink, context: &RequestContext) -> View {
    let user = json!({ "auth_token": "harmless", "name": "headers" });
    let values = Values {
        state: Some(Arc::new(json!({ "n": 1 }))),
        variables: VariableValues::from_iter([(Arc::from("user"), Arc::new(user))]),
        args: Some(Arc::new(json!({ "TOKEN": SECRET, "keys": [SECRET] }))),
        ..Values::default()
    };
    View::of(sink, context, &values)
}

/// Ways to write a root.
fn root() -> impl Strategy<Value = &'static str> {
    let others = ["env", "credentials", "args", "user", "state", "caller", "claims", "self", "loop", "h", "(headers)"];
    prop_oneof![4 => Just("headers"), 1 => prop::sample::select(others.to_vec())]
}

/// Ways to write a member.
fn member() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        ".auth_token",
        ".AUTH_TOKEN",
        ".auth-token",
        ".Auth-Token",
        "['auth_token']",
        "[\"auth\" \"_token\"]",
        "['auth' + '_token']",
        "[headers.user_id]",
        "[user.name]",
        "[h]",
        "[:]",
        "[0]",
        ".keys",
        ".keys[0]",
        ".vault",
        ".vault.key",
        "['vault']['key']",
        ".user_id",
        ".obj",
        ".obj.name",
        ".TOKEN",
        "['TOKEN']",
        "",
    ])
}

/// Ways to do something with a value.
fn filter() -> impl Strategy<Value = &'static str> {
    let some = [
        " | tojson",
        " | items",
        " | list",
        " | first",
        " | last",
        " | join",
        " | upper",
        " | default(headers)",
        " | dictsort",
        " | default(headers.auth_token)",
        " | replace('a', headers.auth_token)",
        " | sort",
        " | length",
        " | string",
        " | reverse",
        " is defined",
        " == 'x'",
        " in headers",
        " or headers.keys",
        " if headers.vault else headers.keys",
        " + headers.auth_token",
    ];
    prop_oneof![1 => Just(""), 1 => prop::sample::select(some.to_vec())]
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = (root(), member(), filter()).prop_map(|(root, member, filter)| format!("{root}{member}{filter}"));
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|e| format!("[{e}]")),
            inner.clone().prop_map(|e| format!("{{'k': {e}}}")),
            inner.clone().prop_map(|e| format!("({e})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} if {b} else {a}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}][0]")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{{'a': {a}, 'b': {b}}}['b']")),
        ]
    })
}

fn source() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        expression().prop_map(|e| format!("{{{{ {e} }}}}")),
        expression().prop_map(|e| format!("{{% set h = {e} %}}")),
        (expression(), expression())
            .prop_map(|(a, b)| format!("{{% for h in {a} %}}{{{{ h }}}}{{{{ {b} }}}}{{% endfor %}}")),
        (expression(), expression())
            .prop_map(|(a, b)| format!("{{% for k, h in {a} %}}{{{{ h }}}}{{{{ {b} }}}}{{% endfor %}}")),
        (expression(), expression()).prop_map(|(a, b)| format!("{{% if {a} %}}{{{{ {b} }}}}{{% endif %}}")),
    ];
    prop::collection::vec(piece, 1..3).prop_map(|pieces| pieces.concat())
}

/// What a model would be told. `Debug` would not say.
fn shown(rendered: Result<Rendered, RenderError>) -> String {
    match rendered {
        Ok(Rendered::Text(text)) => text,
        other => format!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_source_that_compiles_shows_one(source in source(), sink in prop::sample::select(vec![Sink::Instructions, Sink::Description])) {
        let schema = schema(true);
        if let Ok(template) = Template::compile(&source, sink, scope(&schema)) {
            let context = context();
            let shown = shown(template.render(&view(sink, &context)));
            prop_assert!(!shown.contains(SECRET), "{source}: {shown}");
            prop_assert!(template.reads().iter().all(|read| !read.is_secret()));
        }
    }

    #[test]
    fn a_check_that_misses_one_would_find_nothing_to_show(source in source()) {
        // Compiled as if nothing were secret, and rendered where it is.
        let lax = schema(false);
        if let Ok(template) = Template::compile(&source, Sink::Instructions, scope(&lax)) {
            let context = context();
            let shown = shown(template.render(&view(Sink::Instructions, &context)));
            prop_assert!(!shown.contains(SECRET), "{source}: {shown}");
        }
    }

    #[test]
    fn errors_and_debug_show_none_in_any_sink(source in source()) {
        let schema = schema(true);
        let context = context();
        for sink in [Sink::Instructions, Sink::Description, Sink::Header, Sink::Url, Sink::Text, Sink::Json] {
            match Template::compile(&source, sink, scope(&schema)) {
                Ok(template) => {
                    if let Err(error) = template.render(&view(sink, &context)) {
                        prop_assert!(!error.to_string().contains(SECRET));
                    }
                    let shown = format!("{template:?}");
                    prop_assert!(!shown.contains(SECRET));
                }
                Err(faults) => {
                    let shown = format!("{faults:?}");
                    prop_assert!(!shown.contains(SECRET));
                }
            }
        }
    }
}

#[test]
fn the_generator_does_reach_secrets_where_they_may_be_read() {
    // Otherwise the properties above would say little.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (schema, context) = (schema(true), context());
    let mut shown = 0;
    for _ in 0..500 {
        let source = proptest::strategy::ValueTree::current(&source().new_tree(&mut runner).unwrap());
        if let Ok(template) = Template::compile(&source, Sink::Header, scope(&schema)) {
            let rendered = template.render(&view(Sink::Header, &context));
            shown += usize::from(matches!(rendered, Ok(Rendered::Text(text)) if text.contains(SECRET)));
        }
    }
    assert!(shown > 20, "{shown}");
}

#[test]
fn debug_shows_names_and_no_values() {
    let context = context();
    let shown = format!("{context:?} {:?} {:?}", view(Sink::Header, &context), context.headers().secret("auth_token"));
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(shown.contains("auth_token"));
}

#[test]
fn the_trail_names_what_instructions_read() {
    let (schema, context) = (schema(true), context());
    let source = "{{ headers.user_id }}{{ user.name }}{{ headers.obj.name }}";
    let template = Template::compile(source, Sink::Instructions, scope(&schema)).unwrap();
    let mut trail = Vec::new();
    InstructionsDestination::new(context.agent(), &template).note(&context, &mut trail);
    let told: Vec<_> =
        trail.iter().map(|entry| (&*entry.destination, &*entry.header, &*entry.from, entry.sent)).collect();
    let destination = "agents.assistant.instructions";
    assert_eq!(told, [(destination, "user_id", "headers.user_id", true), (destination, "obj", "headers.obj", true)]);
}

/// What a destination is told holds the secret; `Debug` of it does not.
#[test]
fn what_was_rendered_and_what_it_is_rendered_with_is_not_shown() {
    let (schema, context) = (schema(true), context());
    let template = Template::compile("Bearer {{ headers.auth_token }}", Sink::Header, Scope::of(&schema)).unwrap();
    let view = View::new(Sink::Header, &context);
    let rendered = template.render(&view).unwrap();
    assert_eq!(rendered, Rendered::Text(format!("Bearer {SECRET}")));
    let written = json!({ "key": SECRET });
    let source = RequestSource {
        method: http::Method::POST,
        url: TextSource::Literal(SECRET),
        headers: vec![("X-Key", TextSource::Literal(SECRET))],
        query: vec![("key", TextSource::Literal(SECRET))],
        body: BodySource::Json(&written),
    };
    let shown = format!("{rendered:?} {view:?} {template:?} {context:?} {source:?}");
    assert!(!shown.contains(SECRET), "{shown}");
}

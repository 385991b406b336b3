//! The roots `credentials` and `args`, requirements, and descriptions: who may read what, and what it comes to.

#![cfg(test)]

use std::sync::Arc;

use letterhead_context::{
    Caller, Credentials, HeaderSchema, Read, Rendered, RequestContext, Requirement, Scope, Secret, Sent, Sink,
    Template, TextSource, Values, VariableValues, View,
};
use serde_json::{Value, json};

const DESTINATIONS: [Sink; 4] = [Sink::Header, Sink::Url, Sink::Text, Sink::Json];
const MODELS: [Sink; 2] = [Sink::Instructions, Sink::Description];

fn schema() -> HeaderSchema {
    HeaderSchema::compile(
        &json!({ "properties": { "plan": {}, "flag": { "type": "boolean" }, "auth_token": { "writeOnly": true } } }),
    )
    .unwrap()
}

fn compiled(source: &str, sink: Sink, args: bool) -> Result<Template, String> {
    let (credentials, variables) = (["crm".to_owned(), "billing".to_owned()], ["user".to_owned()]);
    let schema = schema();
    let scope = Scope { credentials: &credentials, variables: &variables, args, ..Scope::of(&schema) };
    Template::compile(source, sink, scope)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn context(headers: &[(&str, Value)]) -> RequestContext {
    let headers = headers.iter().map(|(name, value)| (*name, value));
    RequestContext::builder(Caller::anonymous(), schema().merge(headers, &Sent::nothing(), &[]).unwrap())
        .credentials(Credentials::from_iter([("crm", Secret::new("sk-1".into()))]))
        .build("assistant")
}

#[test]
fn credentials_are_named_one_by_one_and_only_for_destinations() {
    for sink in DESTINATIONS {
        let template = compiled("{{ credentials.crm }}", sink, false).unwrap();
        assert_eq!(template.reads(), [Read::Root("credentials.crm".into())]);
        assert!(template.names_secret());
        let rendered = template.render(&View::new(sink, &context(&[]))).unwrap();
        let text = if sink == Sink::Json { r#""sk-1""# } else { "sk-1" };
        assert_eq!(rendered, Rendered::Text(text.to_owned()));
        for (source, told) in [
            ("{{ credentials }}", "1:4: `credentials` can be used only as `credentials.NAME`"),
            ("{{ credentials[headers.plan] }}", "1:4: `credentials` can be used only as `credentials.NAME`"),
            (
                "{{ credentials.bilings }}",
                "1:4: there is no `credentials.bilings`: did you mean `credentials.billing`?",
            ),
            ("{{ credentials['x'] }}", "1:4: there is no `credentials.x`: add `x` to `credentials:`"),
            ("{% set credentials = 1 %}", "1:8: `credentials` is a root and cannot be assigned: choose another name"),
        ] {
            assert_eq!(compiled(source, sink, false).unwrap_err(), told);
        }
    }
    for sink in MODELS {
        let told = compiled("{{ credentials.crm }}", sink, false).unwrap_err();
        assert!(
            told.starts_with("1:4: `credentials` is not for what a model reads: write it into the `headers`"),
            "{told}"
        );
    }
}

#[test]
fn arguments_are_for_tools() {
    for sink in DESTINATIONS {
        let template = compiled("{{ args.order_id }}", sink, true).unwrap();
        assert_eq!(template.reads(), [Read::Root("args.order_id".into())]);
        assert!(!template.names_secret());
        assert!(compiled("{{ args }}", sink, true).is_ok());
        let told = compiled("{{ order_id }}", sink, true).unwrap_err();
        assert_eq!(told, "1:4: there is no `order_id`: did you mean `args.order_id`?");
        let told = compiled("{{ args.order_id }}", sink, false).unwrap_err();
        assert_eq!(told, "1:4: `args` is not available here: only a tool has arguments");
    }
    for sink in MODELS {
        assert!(compiled("{{ args.order_id }}", sink, true).unwrap_err().contains("for the requests of tools"));
    }
}

#[test]
fn a_description_is_written_as_instructions_are() {
    let source = "For {{ headers.plan }}{{ headers.flag }}{{ user.name.first }}, {{ user.note }}.";
    let headers = [("plan", json!("a\nb\u{202e}\u{7}"))];
    let values = Values {
        variables: VariableValues::from_iter([(
            Arc::from("user"),
            Arc::new(json!({ "name": "Guest", "note": "x\ny\u{e0041}" })),
        )]),
        ..Values::default()
    };
    for sink in MODELS {
        let rendered =
            compiled(source, sink, false).unwrap().render(&View::of(sink, &context(&headers), &values)).unwrap();
        assert_eq!(rendered, Rendered::Text("For a b, x\ny.".to_owned()));
        assert!(compiled("{{ headers.auth_token }}", sink, false).unwrap_err().contains("a model would read it"));
    }
}

#[test]
fn a_requirement_is_met_by_a_value_that_is_there_and_not_empty() {
    let schema = schema();
    let variables = ["user".to_owned()];
    let scope = Scope { variables: &variables, ..Scope::of(&schema) };
    let met = |source: &str, headers: &[(&str, Value)], user: Value| {
        let requirement = Requirement::compile(TextSource::Template(source), scope).unwrap();
        let variables = VariableValues::from_iter([(Arc::from("user"), Arc::new(user))]);
        requirement.is_met(&context(headers), &Values { variables, ..Values::default() })
    };
    for (source, present) in [
        ("{{ headers.plan }}", true),
        ("{{ headers.auth_token }}", true),
        ("{{ headers.flag }}", true),
        ("{{headers.PLAN}} {{ user.id }}", true),
        ("{{ user.zero }}", true),
        ("{{ user.id.deeper }}", false),
        ("{{ user.none }}", false),
        ("{{ user.empty }}", false),
        ("{{ headers.plan + 1 }}", false),
        ("{% if user.none %}x{% endif %}", false),
    ] {
        let user = json!({ "id": "u", "zero": 0, "none": null, "empty": " " });
        let headers = [("plan", json!("free")), ("auth_token", json!("t")), ("flag", json!(false))];
        assert_eq!(met(source, &headers, user), present, "{source}");
        assert!(!met(source, &[], json!("Guest User")), "{source}");
    }
    assert!(Requirement::compile(TextSource::Template("headers.plan"), scope).is_err());
    assert!(Requirement::compile(TextSource::Literal("{{ headers.plan }}"), scope).is_err());
    assert!(Requirement::compile(TextSource::Template("{{ headers.nope }}"), scope).is_err());
    let requirement = Requirement::compile(TextSource::Template("{{ headers.plan }}"), scope).unwrap();
    assert_eq!(requirement.reads(), [Read::Header { name: "plan".into(), secret: false }]);
}

#[test]
fn debug_shows_names_of_credentials_alone() {
    let shown = format!("{:?} {:?}", context(&[]), context(&[]).credentials());
    assert!(shown.contains("crm") && !shown.contains("sk-1"), "{shown}");
}

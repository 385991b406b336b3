//! A declaration may be a type of the program, and the headers of a turn are then a value of it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests say what they expect by panicking")]

use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::value::Kind;
use letterhead_context::{
    Field, HeaderLimits, HeaderSchema, Headers, HeadersUnfit, Ingress, RuntimeNames, Scope, Secret, Sink, Template,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Plan {
    Free,
    Paid,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
enum Tier {
    /// The first.
    One,
    /// The second.
    Two,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct App {
    /// Whom the agent works for.
    user_id: u32,
    #[schemars(length(max = 8))]
    org_name: Option<String>,
    plan: Option<Plan>,
    tier: Option<Tier>,
    #[serde(default)]
    tags: Vec<u8>,
    #[serde(rename = "x-trace")]
    trace: Option<bool>,
    #[serde(default)]
    note: Option<String>,
    share: Option<f64>,
    auth_token: Secret,
    #[schemars(extend("writeOnly" = true))]
    pin: Option<u16>,
}

fn headers(sent: &[(&str, &str)]) -> Result<Headers, String> {
    let schema = HeaderSchema::of::<App>().unwrap();
    let ingress = Ingress::new(schema.clone(), RuntimeNames::default(), HeaderLimits::default());
    let mut raw = HeaderMap::new();
    for (name, value) in sent {
        raw.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let admitted = ingress.admit(raw).map_err(|rejected| rejected.problem(&schema, [], &[]).to_string())?;
    let faults = |faults: Vec<letterhead_context::Fault>| faults[0].to_string();
    schema.merge([], &admitted.sent, &[]).map_err(faults)
}

#[test]
fn the_fields_are_the_headers() {
    let schema = HeaderSchema::of::<App>().unwrap();
    let field = |name: &str| schema.field(name).unwrap();
    let kinds = ["userId", "orgName", "tags", "x_trace", "share", "authToken", "pin"].map(|name| field(name).kind());
    let expected = [Kind::Integer, Kind::String, Kind::Array, Kind::Boolean, Kind::Number, Kind::String, Kind::Integer];
    assert_eq!(kinds, expected);
    let required: Vec<_> = schema.fields().iter().filter(|field| field.is_required()).map(Field::name).collect();
    assert_eq!(required, ["userid", "authtoken"]);
    let secret: Vec<_> = schema.fields().iter().filter(|field| field.is_secret()).map(Field::name).collect();
    assert_eq!(secret, ["authtoken", "pin"], "by type, and by `writeOnly`");
    assert_eq!(field("tags").default_value(), Some(&json!([])));
    assert_eq!(field("note").default_value(), None, "a default of nothing is none");
}

#[test]
fn what_is_sent_comes_as_the_type() {
    let sent = [
        ("UserId", "7"),
        ("orgname", "Acme"),
        ("plan", "paid"),
        ("tier", "Two"),
        ("tags", "1, 2"),
        ("X_Trace", "yes"),
        ("share", "0.5"),
        ("authtoken", "t0p"),
        ("pin", "12"),
    ];
    let app: App = headers(&sent).unwrap().typed().unwrap();
    let expected = App {
        user_id: 7,
        org_name: Some("Acme".to_owned()),
        plan: Some(Plan::Paid),
        tier: Some(Tier::Two),
        tags: vec![1, 2],
        trace: Some(true),
        note: None,
        share: Some(0.5),
        auth_token: Secret::new("t0p".into()),
        pin: Some(12),
    };
    assert_eq!(app, expected);
    assert_eq!(app.auth_token.reveal_text(), "t0p");
    assert!(!format!("{app:?}").contains("t0p"), "a secret by type shows itself to nobody");

    let app: App = headers(&[("userid", "7"), ("authtoken", "t")]).unwrap().typed().unwrap();
    assert_eq!((app.org_name, app.plan, app.tags, app.pin), (None, None, vec![], None));
}

#[test]
fn what_the_type_says_is_asserted_and_no_value_is_shown() {
    let refused = |name, value| headers(&[("authtoken", "t"), ("userid", "7"), (name, value)][1..]).unwrap_err();
    let token = ("authtoken", "t");
    for (name, value) in [
        ("userid", "4294967296"),
        ("userid", "-1"),
        ("orgname", "too-long-a-name"),
        ("plan", "gratis"),
        ("tier", "Three"),
        ("tags", "1,300"),
        ("pin", "70000"),
        ("share", "half"),
    ] {
        let user = ("userid", "7");
        let sent: Vec<_> = if name == "userid" { vec![token] } else { vec![token, user] };
        let fault = headers(&[sent, vec![(name, value)]].concat()).unwrap_err();
        assert!(fault.contains(&format!("`{name}`")) && !fault.contains(value), "{name}: {fault}");
    }
    assert!(refused("tags", "1").contains("`authtoken`"), "a required one is missing");
}

#[test]
fn the_headers_of_another_declaration_are_read_as_far_as_they_fit() {
    #[derive(Debug, Deserialize)]
    struct Wants {
        user_id: u32,
    }
    let merged = |schema: serde_json::Value, sent: &[(&'static str, &str)]| {
        let schema = HeaderSchema::compile(&schema).unwrap();
        let mut raw = HeaderMap::new();
        sent.iter().for_each(|(name, value)| drop(raw.insert(*name, HeaderValue::from_str(value).unwrap())));
        let ingress = Ingress::new(schema.clone(), RuntimeNames::default(), HeaderLimits::default());
        schema.merge([], &ingress.admit(raw).unwrap().sent, &[]).unwrap()
    };
    let both = json!({ "properties": { "user-id": { "type": "integer" }, "more": {} } });
    let found: Wants = merged(both.clone(), &[("user_id", "7"), ("more", "x")]).typed().unwrap();
    assert_eq!(found.user_id, 7, "`-` and `_` are one");
    let missing = merged(both, &[]).typed::<Wants>().unwrap_err();
    assert_eq!(missing, HeadersUnfit::Missing("user_id".to_owned()));
    let text = json!({ "properties": { "user_id": {} } });
    let unfit = merged(text, &[("user_id", "canary")]).typed::<Wants>().unwrap_err();
    assert_eq!(unfit, HeadersUnfit::Type("user_id".to_owned()));
    assert!(!format!("{unfit} {unfit:?}").contains("canary"));
    assert_eq!(Headers::none().typed::<Vec<String>>().unwrap_err(), HeadersUnfit::Shape);
    let whole: std::collections::BTreeMap<String, String> =
        merged(json!({ "properties": { "a": {}, "b": {}, "c": {} } }), &[("a", "1"), ("c", "3")]).typed().unwrap();
    assert_eq!(whole.into_iter().collect::<Vec<_>>(), [("a".into(), "1".into()), ("c".into(), "3".into())]);
}

#[test]
fn a_type_that_is_no_declaration_is_refused_with_its_places() {
    #[derive(JsonSchema)]
    struct Bad {
        #[expect(dead_code, reason = "its name is what the test is about")]
        authorization: String,
        #[expect(dead_code, reason = "its name is what the test is about")]
        content_type: String,
    }
    let faults = HeaderSchema::of::<Bad>().unwrap_err();
    assert_eq!(
        faults.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>(),
        ["/properties/authorization", "/properties/content_type"]
    );
    assert!(faults.to_string().contains("`authorization` cannot be declared: it says who is calling"), "{faults}");
    assert!(HeaderSchema::of::<String>().unwrap_err().to_string().contains("`type: object`"));
    assert!(HeaderSchema::of::<Plan>().is_err());
}

#[test]
fn templates_are_checked_against_it() {
    let schema = HeaderSchema::of::<App>().unwrap();
    let compile = |source| Template::compile(source, Sink::Instructions, Scope::of(&schema));
    assert!(compile("{{ headers.userId }} {{ headers.plan }}").is_ok());
    let faults = compile("{{ headers.usrId }} {{ headers.authToken }}").unwrap_err();
    assert_eq!(faults.len(), 2);
    assert!(faults[0].message.contains("did you mean `headers.userid`?"), "{}", faults[0].message);
    assert!(faults[1].message.contains("secret"), "{}", faults[1].message);
}

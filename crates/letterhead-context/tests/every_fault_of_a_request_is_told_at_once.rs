//! One answer lists every fault of a request's headers, with what is missing besides; 431 wins, and lists all.

#![cfg(test)]

use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::{Code, HeaderLimits, HeaderSchema, Ingress, Place, Problem, RuntimeNames};
use serde_json::{Value, json};

fn rules(schema: &Value) -> Ingress {
    let schema = HeaderSchema::compile(schema).unwrap();
    let runtime = RuntimeNames::new(["X-Trace-Label"]).unwrap().with_declared(&schema).unwrap();
    Ingress::new(schema, runtime, HeaderLimits::default())
}

fn refused(rules: &Ingress, headers: &[(&str, &[u8])], stored: &[(&str, &Value)], requires: &[&str]) -> Problem {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    let requires: Vec<_> = requires.iter().map(|name| (*name).into()).collect();
    rules.admit(map).unwrap_err().problem(rules.schema(), stored.iter().copied(), &requires)
}

fn told(problem: &Problem) -> Vec<(String, Code)> {
    let name = |place: &Place| match place {
        Place::Header(name) => name.to_string(),
        other => panic!("not a header: {other:?}"),
    };
    let mut told: Vec<_> = problem.errors().iter().map(|fault| (name(&fault.place), fault.code)).collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    told
}

fn schema() -> Value {
    json!({
        "required": ["user_id", "auth_token", "region", "age"],
        "properties": {
            "user_id": {}, "auth_token": { "writeOnly": true }, "region": {}, "age": { "type": "integer" },
            "note": {}, "tags": { "type": "array" }, "twice": {}, "plan": {},
        },
    })
}

#[test]
fn all_kinds_of_faults_stand_in_one_answer() {
    let headers: &[(&str, &[u8])] = &[
        ("age", b"old"),
        ("note", b"\xff"),
        ("twice", b"a"),
        ("twice", b"b"),
        ("x-user-id", b"a"),
        ("x-user-id", b"b"),
        ("x-trace-label", b"a"),
        ("x-trace-label", b"b"),
    ];
    let problem = refused(&rules(&schema()), headers, &[("region", &json!("eu"))], &["plan"]);
    let expected = [
        ("X-User-Id", Code::AmbiguousHeader),
        ("age", Code::InvalidHeader),
        ("auth_token", Code::MissingHeader),
        ("note", Code::InvalidHeaderValue),
        ("plan", Code::MissingHeader),
        ("twice", Code::AmbiguousHeader),
        ("user_id", Code::MissingHeader),
        ("x-trace-label", Code::AmbiguousHeader),
    ];
    assert_eq!(told(&problem), expected.map(|(name, code)| (name.to_owned(), code)));
    assert_eq!(problem.status(), 400);
}

#[test]
fn a_431_wins_and_lists_the_others_too() {
    let headers: &[(&str, &[u8])] = &[("age", b"old"), ("note", &[b'x'; 5000])];
    let problem = refused(&rules(&schema()), headers, &[], &[]);
    assert_eq!(problem.code(), Code::HeaderTooLarge);
    assert_eq!(problem.status(), 431);
    assert_eq!(problem.param(), Some("note"), "the parameter is the one that the code is about");
    let names: Vec<_> = told(&problem).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["age", "auth_token", "note", "region", "user_id"]);
}

#[test]
fn a_header_that_was_sent_badly_is_not_called_missing_as_well() {
    let rules = rules(&json!({ "required": ["age"], "properties": { "age": { "type": "integer" } } }));
    assert_eq!(told(&refused(&rules, &[("age", b"x")], &[], &[])), [("age".to_owned(), Code::InvalidHeader)]);
    // Even if the session has a good one: what was sent counts.
    let stored = json!(3);
    let problem = refused(&rules, &[("age", b"x")], &[("age", &stored)], &[]);
    assert_eq!(told(&problem), [("age".to_owned(), Code::InvalidHeader)]);
}

#[test]
fn dependent_fields_are_told_too_and_shadows_of_other_faults_are_not() {
    let rules = rules(&json!({
        "properties": { "a": { "type": "integer" }, "b": {}, "c": {} },
        "dependentRequired": { "B": ["A", "C"] },
        "anyOf": [{ "required": ["a"] }],
    }));
    let problem = refused(&rules, &[("a", b"x"), ("b", b"y")], &[], &[]);
    assert_eq!(told(&problem), [("a".to_owned(), Code::InvalidHeader), ("c".to_owned(), Code::MissingHeader)]);
}

#[test]
fn no_answer_holds_a_value() {
    const CANARY: &str = "c4n4ry";
    let value = format!("{CANARY}-\u{e9}");
    let headers: Vec<(&str, &[u8])> = vec![
        ("age", value.as_bytes()),
        ("tags", b"[\"c4n4ry\""),
        ("user_id", b"=?base64?c4n4ry?="),
        ("x-is-eval", value.as_bytes()),
        ("x-session-id", value.as_bytes()),
    ];
    let problem = refused(&rules(&schema()), &headers, &[], &[]);
    assert!(problem.errors().len() >= 5);
    assert!(!format!("{problem} {problem:?}").contains(CANARY));
}

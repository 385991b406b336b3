//! What is remembered per session: effective = stored ∪ sent, field by field; then defaults; then the whole is checked.

#![cfg(test)]

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::{
    Code, Fault, Field, HeaderLimits, HeaderSchema, Headers, Ingress, Origin, RuntimeNames, Sent,
};
use serde_json::{Value, json};

fn schema() -> HeaderSchema {
    HeaderSchema::compile(&json!({
        "required": ["user_id"],
        "properties": {
            "user_id": { "maxLength": 5 },
            "org_name": {},
            "locale": { "default": "en" },
            "auth_token": { "writeOnly": true },
            "seats": { "type": "integer", "minimum": 1 },
        },
    }))
    .unwrap()
}

fn sent(schema: &HeaderSchema, headers: &[(&str, &str)]) -> Sent {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    Ingress::new(schema.clone(), RuntimeNames::default(), HeaderLimits::default()).admit(map).unwrap().sent
}

fn merge(stored: &[(&str, Value)], headers: &[(&str, &str)], requires: &[&str]) -> Result<Headers, Vec<Fault>> {
    let schema = schema();
    let requires: Vec<_> = requires.iter().map(|name| (*name).into()).collect();
    schema.merge(stored.iter().map(|(name, value)| (*name, value)), &sent(&schema, headers), &requires)
}

#[test]
fn the_sent_value_wins_over_the_stored_one_and_the_others_stay() {
    let stored = [("user_id", json!("u_1")), ("org_name", json!("Acme")), ("auth_token", json!("t_old"))];
    let headers = merge(&stored, &[("Org-Name", "Initech"), ("auth-token", "t_new")], &[]).unwrap();
    assert_eq!(headers.get("user_id"), Some(&json!("u_1")));
    assert_eq!(headers.get("org_name"), Some(&json!("Initech")));
    assert_eq!(headers.secret("auth_token").unwrap().reveal(), "t_new");
    assert_eq!(headers.get("locale"), Some(&json!("en")));
    let origins = ["user_id", "org_name", "auth_token", "locale", "seats"].map(|name| headers.origin(name));
    assert_eq!(origins, [Origin::Stored, Origin::Sent, Origin::Sent, Origin::Default, Origin::Absent]);
    let present: Vec<_> = headers.present().map(Field::name).collect();
    assert_eq!(present, ["user_id", "org_name", "locale", "auth_token"]);
}

#[test]
fn a_required_field_is_fine_if_it_is_stored() {
    assert!(merge(&[("user_id", json!("u_1"))], &[], &[]).is_ok());
    let faults = merge(&[], &[], &[]).unwrap_err();
    assert_eq!(faults[0], Fault::header("user_id", Code::MissingHeader, "required, and neither sent nor stored"));
}

#[test]
fn an_empty_field_clears_the_stored_one_and_then_required_and_default_apply() {
    let stored = [("user_id", json!("u_1")), ("org_name", json!("Acme")), ("locale", json!("de"))];
    let headers = merge(&stored, &[("org_name", ""), ("locale", "")], &[]).unwrap();
    assert_eq!(headers.get("org_name"), None);
    assert_eq!(headers.get("locale"), Some(&json!("en")), "the default stands in for what was cleared");
    assert_eq!(merge(&stored, &[("user_id", "")], &[]).unwrap_err()[0].code, Code::MissingHeader);
}

#[test]
fn what_an_agent_requires_is_required_in_any_spelling() {
    let stored = [("user_id", json!("u_1"))];
    let faults = merge(&stored, &[], &["Org-Name", "auth_token"]).unwrap_err();
    let names: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "header `org_name`: required, and neither sent nor stored",
            "header `auth_token`: required, and neither sent nor stored"
        ]
    );
    assert!(merge(&stored, &[("org_name", "Acme"), ("auth_token", "t")], &["org_name", "auth-token"]).is_ok());
    assert!(merge(&stored, &[], &["locale"]).is_ok(), "a default is enough");
}

#[test]
fn a_stored_value_that_no_longer_fits_is_told_without_itself() {
    let faults = merge(&[("user_id", json!("c4n4ry-too-long"))], &[], &[]).unwrap_err();
    assert_eq!(faults[0].code, Code::InvalidHeader);
    assert!(faults[0].detail.contains("send it again") && !format!("{faults:?}").contains("c4n4ry"));
    // Sent again, the stored one does not matter.
    assert!(merge(&[("user_id", json!("c4n4ry-too-long"))], &[("user_id", "u_2")], &[]).is_ok());
}

#[test]
fn stored_fields_that_are_no_longer_declared_are_left_behind() {
    let headers = merge(&[("user_id", json!("u_1")), ("old_field", json!("x"))], &[], &[]).unwrap();
    assert!(!headers.has("old_field") && headers.get("old_field").is_none());
}

#[test]
fn merging_changes_neither_of_its_inputs() {
    let schema = schema();
    let stored: HashMap<&str, Value> = HashMap::from([("user_id", json!("u_1")), ("locale", json!("de"))]);
    let before = stored.clone();
    let sent = sent(&schema, &[("locale", "fr"), ("seats", "3")]);
    let sent_before = sent.clone();
    let merged = schema.merge(stored.iter().map(|(name, value)| (*name, value)), &sent, &[]).unwrap();
    assert_eq!(merged.get("locale"), Some(&json!("fr")));
    assert!(stored == before && sent == sent_before);
}

//! What a template makes of something missing is missing too: no list, no map and no argument of a filter turns it into a
//! value that is sent.

#![cfg(test)]

mod a_request;

use a_request::{CANARY, Request};
use letterhead_context::NotSentReason;
use serde_json::json;

fn with_header(source: &str) -> Request {
    Request::to("https://h.example/").headers(&[("X-Any", source)])
}

/// The header that the template makes, as it is sent.
fn header(source: &str, plan: &str) -> String {
    let request = with_header(source).sent("plan", plan).sent("auth_token", CANARY).user(json!({ "list": [1, null] }));
    String::from_utf8(request.rendered().headers["x-any"].as_bytes().to_vec()).unwrap()
}

/// Is the call not made for want of the token that the template names?
fn lacks_token(source: &str) -> bool {
    let refused = with_header(source).refused();
    refused.reason == NotSentReason::MissingCredential && refused.missing_headers().any(|name| name == "auth_token")
}

/// Is the header that names no secret left out?
fn left_out(source: &str) -> bool {
    with_header(source).rendered().headers.is_empty()
}

#[test]
fn in_part() {
    assert_eq!(header("{{ headers.plan | part(1, 3) }}", "gr\u{f6}\u{df}er"), "r\u{f6}");
    for (source, expected) in [
        ("{{ headers.plan | part(2) }}", "cdef"),
        ("{{ headers.plan | part(-2) }}", "ef"),
        ("{{ headers.plan | part(0, -4) }}", "ab"),
        ("{{ headers.plan | part(-9, 99) }}", "abcdef"),
        ("{{ headers.plan | part(4, 2) }}", ""),
        ("{{ headers.plan | part(9) }}", ""),
        ("{{ headers.plan | list | part(1, 3) }}", r#"["b","c"]"#),
        ("{{ user.list | part(-2) }}", "[1,null]"),
        ("{{ 12345 | part(0, 2) }}", "12"),
    ] {
        let request = with_header(&format!("<{source}>")).sent("plan", "abcdef").user(json!({ "list": [0, 1, null] }));
        assert_eq!(request.rendered().headers["x-any"], format!("<{expected}>"), "{source}");
    }
    assert!(lacks_token("{{ headers.auth_token | part(0, 16) }}"));
    assert!(left_out("v{{ headers.plan | part(0, 1) }}"));
    let refused = Request::to("https://h.example/users/{{ user.id | part(0, 8) }}").user(json!({})).refused();
    assert_eq!(refused.to_string(), "the URL needs `user.id`, which is missing");
    let refused =
        Request::post(json!({ "a": "{{ headers.meta | part(0) }}" })).sent("meta", json!({ "k": 1 })).refused();
    assert_eq!(refused.reason, NotSentReason::TemplateFailed, "a map has no order to count by");
}

#[test]
fn in_a_list_or_a_map() {
    let sources = [
        "{{ {'t': headers.auth_token} | tojson }}",
        "{{ {headers.auth_token: 1} | tojson }}",
        "{{ {'t': headers.auth_token} }}",
        "{{ [headers.auth_token] }}",
        "{{ ['a', [{'b': (headers.auth_token, 1)}]] | tojson }}",
        "{{ [headers.auth_token] | reverse | list }}",
        "{{ [headers.auth_token] | upper }}",
        "{{ 'ab' | replace('a', [headers.auth_token]) }}",
        "{{ [[headers.auth_token]] | join }}",
        "{% set t = {'t': headers.auth_token} %}{{ t | tojson | trim }}",
    ];
    for source in sources {
        assert!(lacks_token(source), "{source}");
        assert!(!header(source, "free").is_empty(), "{source}");
    }
    assert!(left_out("{{ {'p': headers.plan} | tojson }}"));
    assert!(left_out("{% for p in [headers.plan] %}{{ [p] }}{% endfor %}"));
    assert_eq!(Request::post(json!({ "a": "{{ [headers.plan] }}", "b": 1 })).text(), r#"{"b":1}"#);
    let refused = Request::post(json!(["{{ {'p': headers.plan} }}"])).refused();
    assert_eq!(refused.to_string(), "the body's `/0` needs `headers.plan`, which is missing");
    assert_eq!(header("{{ {'p': headers.org_name | default('-')} }}", ""), r#"{"p":"-"}"#);
}

#[test]
fn null_that_was_fetched_is_a_value_in_its_list() {
    assert_eq!(header("{{ user.list }}", ""), "[1,null]");
    assert_eq!(header("{{ user | tojson }}", ""), r#"{"list":[1,null]}"#);
    assert_eq!(header("{{ user.list | reverse | list }}", ""), "[null,1]");
    // A root that is used whole has null for the members that there are not.
    let request = Request::post(json!({ "a": "{{ [request][0] }}" }));
    assert_eq!(request.json()["a"]["client_id"], json!(null));
}

#[test]
fn in_an_argument_of_a_filter() {
    for source in [
        "{{ 'Bearer TOKEN' | replace('TOKEN', headers.auth_token) }}",
        "{{ ['a', 'b'] | join(headers.auth_token) }}",
        "{{ 'a b' | split(headers.auth_token) | first }}",
        "{{ ' a ' | trim(headers.auth_token) }}",
        "{{ 'a' | indent(width=headers.auth_token | length) }}",
        "{{ 'x' | int(default=headers.auth_token) }}",
        "{{ headers.plan | int(headers.auth_token) }}",
        "{{ headers.plan | float(default=headers.auth_token) }}",
        "{{ 'abc' | part(headers.auth_token | length) }}",
    ] {
        assert!(lacks_token(source), "{source}");
    }
    assert_eq!(header("{{ 'Plan P' | replace('P', headers.plan) }}", "x"), "xlan x");
    assert!(left_out("{{ 'Plan P' | replace('P', headers.plan) }}"));
    assert_eq!(header("{{ headers.org_name | default(headers.plan) }}", "free"), "free");
}

#[test]
fn what_a_filter_puts_together_is_bounded_before_it_is_made() {
    for source in ["{{ user.text | replace('a', user.text) | length }}", "{{ user.list | join(user.text) | length }}"] {
        let long = json!({ "text": "a".repeat(200_000), "list": vec![0; 200_000] });
        let refused = with_header(source).user(long).refused();
        assert_eq!(refused.reason, NotSentReason::TemplateFailed, "{source}");
        assert!(refused.to_string().contains("too large"), "{refused}");
    }
}

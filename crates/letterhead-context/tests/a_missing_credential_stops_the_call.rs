//! Missing values in headers of an LLM call: left out and said; for secrets and credentials the call is not made, and no
//! lower layer fills in. And what a request sends cannot break out of a header.

#![cfg(test)]

mod a_call;

use a_call::{Call, lines};
use letterhead_context::{Code, Place};

#[test]
fn an_optional_value_that_is_missing_leaves_its_header_out() {
    // Each of these has no plan to say, whatever is done to it on the way.
    let sources = [
        "{{ headers.plan }}",
        "plan-{{ headers.plan }}",
        "{{ headers.plan | upper }}",
        "{{ headers.plan | trim | lower }}",
        "{{ headers.plan.deeper[0].still }}",
        "{{ headers.plan | tojson }}",
        "{{ headers.plan | length }}",
        "{{ headers.tags | join(',') }}",
        "{{ [headers.org_name, headers.plan] | join('/') }}",
        "{{ 'a' + headers.plan }}",
        "{{ headers.seats + 1 }}",
        "{{ headers.seats | int }}",
        "{{ headers.org_name if headers.plan }}",
        "{% if headers.plan %}{{ headers.plan }}{% endif %}",
        "{% for tag in headers.tags %}{{ tag }};{% endfor %}",
        "{% set p = headers.plan %}{{ p }}",
        "{{ headers.plan | default(headers.seats) }}",
        "{{ none }}",
    ];
    for source in sources {
        let (headers, trail) = Call::new().provider(&[("X-Plan", source)]).outcome();
        let headers = headers.unwrap_or_else(|problem| panic!("{source}: {problem}"));
        assert!(headers.is_empty(), "{source}: {headers:?}");
        assert_eq!(trail[0].reason.as_deref(), Some("a value it names is missing"), "{source}");
    }
}

#[test]
fn a_default_is_a_value() {
    let call = Call::new().agent(&[
        ("A", "{{ headers.plan | default('free') }}"),
        ("B", "{{ headers.plan | upper | default('none') }}"),
        ("C", "{{ headers.plan or headers.org_name }}"),
        ("D", "{{ headers.seats | int(5) }}"),
        ("E", "{% if headers.plan %}paid{% else %}free{% endif %}"),
        ("F", "{{ headers.plan.name | d('x') }}"),
    ]);
    assert_eq!(lines(&call.headers()), ["a: free", "b: none", "c: Acme Corp", "d: 5", "e: free", "f: x"]);
}

#[test]
fn a_secret_or_credential_that_is_missing_stops_the_call_and_nothing_lower_fills_in() {
    let templates = [
        ("Authorization", "Bearer {{ headers.auth_token }}"),
        ("Authorization", "Bearer {{ headers.auth_token | trim }}"),
        ("X-Api-Key", "{{ headers.plan }}"),
        ("api-key", "{{ headers.auth_token }}"),
        ("X-Forwarded-Token", "{{ headers.auth_token }}"),
        ("X-Both", "{{ headers.plan }}:{{ headers.auth_token }}"),
        ("X-Both", "{{ [headers.org_name, headers.auth_token] | join(':') }}"),
        ("X-Added", "{{ 'Bearer ' + headers.auth_token }}"),
        ("X-Region", "{{ env.REGION }}{{ headers.plan }}"),
    ];
    for (name, source) in templates {
        let call = Call::new().key("sk-own").provider(&[(name, "lower")]).agent(&[(name, source)]);
        let (refused, trail) = call.outcome();
        let problem = refused.unwrap_err();
        assert_eq!((problem.code(), problem.status().as_u16()), (Code::MissingCredential, 400), "{source}");
        assert!(trail.iter().all(|entry| !entry.sent), "{source}: {trail:?}");
    }
}

#[test]
fn the_answer_names_the_header_that_is_missing() {
    let problem = Call::new().agent(&[("Authorization", "Bearer {{ headers.auth_token }}")]).outcome().0.unwrap_err();
    assert_eq!(problem.errors()[0].place, Place::Header("auth_token".into()));
    assert!(problem.detail().contains("providers.test") && problem.detail().contains("Authorization"), "{problem}");
}

#[test]
fn a_key_of_ones_own_may_come_with_the_request() {
    let call = Call::new().key("{{ headers.auth_token }}");
    assert_eq!(call.outcome().0.unwrap_err().code(), Code::MissingCredential);
    assert_eq!(lines(&call.sent("auth_token", "sk-mine").headers()), ["authorization: Bearer sk-mine"]);
    let blank = Call::new().key("{{ headers.plan | default('') }}");
    assert_eq!(blank.outcome().0.unwrap_err().code(), Code::MissingCredential);
    assert_eq!(Call::new().key(" ").outcome().0.unwrap_err().code(), Code::MissingCredential, "a blank key is none");
    assert_eq!(lines(&Call::new().agent(&[("X-Empty", "")]).headers()), ["x-empty: "], "an empty header may be meant");
    let elsewhere = Call::new().key_in("x-goog-api-key", "{{ headers.auth_token }}");
    assert_eq!(elsewhere.outcome().0.unwrap_err().code(), Code::MissingCredential);
}

#[test]
fn a_line_break_in_a_value_never_reaches_a_header() {
    for smuggled in ["=?base64?YQ0KWC1BZG1pbjogeWVz?=", "=?base64?YQpi?=", "=?base64?YQo=?="] {
        let call = Call::new().sent("plan", smuggled).agent(&[("X-Plan", "{{ headers.plan }}")]);
        let (refused, trail) = call.outcome();
        let problem = refused.unwrap_err();
        assert_eq!(problem.code(), Code::InvalidHeaderValue);
        assert!(!problem.detail().contains("X-Admin"), "{problem}");
        assert!(trail.iter().all(|entry| !entry.sent));
    }
    // In JSON the line break is escaped, and may go.
    let call = Call::new().sent("tags", "=?base64?WyJhXG5iIl0=?=").agent(&[("X-Tags", "{{ headers.tags }}")]);
    assert_eq!(lines(&call.headers()), [r#"x-tags: ["a\nb"]"#]);
}

#[test]
fn debug_shows_no_value_of_a_header() {
    let call = Call::new()
        .key("c4n4ry-key")
        .agent(&[
            ("X-Org", "{{ headers.org_name }}"),
            ("X-Region", "{{ env.REGION }}"),
            ("X-Literal", "c4n4ry-literal"),
        ])
        .run(&[("X-Run", "c4n4ry-run")])
        .sent("org_name", "c4n4ry-org");
    let headers = call.headers();
    let shown = format!("{headers:?}");
    assert!(!shown.contains("c4n4ry") && shown.contains("x-literal"), "{shown}");
    assert!(!format!("{:?}", call.context()).contains("c4n4ry"));
}

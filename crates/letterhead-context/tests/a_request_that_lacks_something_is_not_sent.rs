//! What stops a request, and how it is told: places and names, and never a value.

#![cfg(test)]

mod a_request;

use a_request::{CANARY, Request};
use letterhead_context::{NotSentReason, RequestPlace};
use serde_json::json;

#[test]
fn a_missing_value_in_url_query_or_body_is_named() {
    let at = "https://h.example/";
    let cases = [
        (Request::to("https://h.example/{{ headers.plan }}"), "the URL needs `headers.plan`, which is missing"),
        (
            Request::to("https://h.example/?q={{ user.address.city }}"),
            "the URL needs `user.address.city`, which is missing",
        ),
        (
            Request::to("https://h.example/{{ headers['PLAN'] | upper }}-{{ user.id }}"),
            "the URL needs `headers.plan`, `user.id`, which are missing",
        ),
        (
            Request::to("https://h.example/{{ headers.plan or user.name }}/{{ user.x }}"),
            "the URL needs `user.x`, which is missing",
        ),
        (
            Request::to("https://h.example/{% if headers.plan %}{{ headers.plan }}{% endif %}x/{{ user.x }}"),
            "the URL needs `user.x`, which is missing",
        ),
        (Request::to("{{ env.UNSET }}/x"), "the URL needs `env.UNSET`, which is missing"),
        (
            Request::to(at).query(&[("q", "{{ headers.plan }}")]),
            "the query parameter `q` needs `headers.plan`, which is missing",
        ),
        (Request::to(at).form(&[("f", "{{ headers.plan }}")]), "the form's `f` needs `headers.plan`, which is missing"),
        (
            Request::post(json!({ "a/b": ["x", "{{ headers.plan }}"] })),
            "the body's `/a~1b/1` needs `headers.plan`, which is missing",
        ),
        (
            Request::post(json!({ "a": "plan {{ headers.plan }}" })),
            "the body's `/a` needs `headers.plan`, which is missing",
        ),
        (Request::post(json!("{{ headers.plan }}")), "the body needs `headers.plan`, which is missing"),
        (Request::post(json!([["{{ [][0] }}"]])), "the body's `/0/0` needs a value that is missing"),
    ];
    for (request, told) in cases {
        let request = request.user(json!({ "name": "Zoe", "address": "nowhere" }));
        assert_eq!(request.refused().to_string(), told);
    }
}

#[test]
fn what_fills_a_gap_itself_is_sent() {
    let url = "https://h.example/{{ headers.plan | default('free') }}/{{ user.address.city | default('nowhere') }}";
    assert_eq!(Request::to(url).user(json!("Guest User")).url(), "https://h.example/free/nowhere");
    assert_eq!(Request::to("https://h.example/?p={{ headers.plan | d('') }}").url(), "https://h.example/?p=");
    assert_eq!(Request::post(json!(["{% if headers.plan %}{{ headers.plan }}{% endif %}"])).text(), r#"[""]"#);
}

#[test]
fn a_missing_credential_or_secret_stops_the_request_wherever_it_is() {
    let at = || Request::to("https://h.example/");
    let cases = [
        at().headers(&[("Authorization", "Bearer {{ headers.plan }}")]),
        at().headers(&[("x-api-key", "{{ headers.plan | default(' ') }}")]),
        at().headers(&[("X-Any", "{{ headers.auth_token }}")]),
        at().headers(&[("X-Any", "{{ credentials.gone }}")]),
        Request::to("https://h.example/{{ headers.auth_token }}"),
        at().query(&[("t", "{{ credentials.gone }}")]),
        at().form(&[("t", "{{ headers.auth_token }}")]),
        Request::post(json!({ "token": "{{ headers.auth_token }}" })),
        Request::post(json!({ "token": "{{ credentials.gone }}" })),
    ];
    for request in cases {
        let refused = request.refused();
        assert_eq!(refused.reason, NotSentReason::MissingCredential, "{refused}");
    }
    let refused = at().headers(&[("X-Any", "{{ headers.auth_token }}")]).refused();
    assert_eq!(refused.place, RequestPlace::Header("X-Any".to_owned()));
    assert_eq!(refused.missing_headers().collect::<Vec<_>>(), ["auth_token"]);
    assert_eq!(refused.to_string(), "the header `X-Any` needs `headers.auth_token`, which is missing");
}

#[test]
fn the_trail_says_that_nothing_was_sent() {
    let request = Request::to("https://h.example/{{ headers.user_id }}/{{ headers.plan }}")
        .headers(&[
            ("Authorization", "Bearer {{ headers.auth_token }}"),
            ("X-Plan", "{{ headers.plan }}"),
            ("X-Fixed", "1"),
        ])
        .sent("user_id", "u")
        .sent("auth_token", CANARY);
    assert_eq!(request.refused().reason, NotSentReason::MissingValue);
    let expected = [
        "user_id from headers.user_id in the url: the call was not made",
        "plan from headers.plan in the url: neither sent nor stored",
        "Authorization from headers.auth_token: the call was not made",
        "X-Plan from headers.plan: a value it names is missing",
        "X-Fixed from literal: the call was not made",
    ];
    assert_eq!(request.trail(), expected);
}

#[test]
fn a_segment_that_some_server_takes_for_a_step_is_refused() {
    let of = |url: &str, value: &str| Request::to(url).sent("plan", value);
    for value in [
        "..",
        ".",
        "/",
        "%2e%2e",
        ".%2E",
        "%252e%252e",
        "..;",
        "..;/x",
        "..\\",
        "a/../b",
        "a\\..\\b",
        "%2e%2e%2fadmin",
        "\u{ff0e}\u{ff0e}",
        " ",
        ".. ",
    ] {
        for url in ["https://h.example/users/{{ headers.plan }}", "https://h.example/a/{{ headers.plan }}/b?x=1"] {
            let refused = of(url, value).refused();
            assert_eq!(
                (refused.reason, refused.reason.as_str()),
                (NotSentReason::UnsafePath, "unsafe_path"),
                "{url} {value}"
            );
            assert!(!format!("{refused} {refused:?}").contains("admin"));
        }
        // In a query they are values as others are.
        of("https://h.example/?x={{ headers.plan }}", value).url();
    }
    // Segments that literal text and values make together.
    for (url, value) in [
        ("https://h.example/.{{ headers.plan }}", "."),
        ("https://h.example/{{ headers.plan }}{{ headers.plan }}", "."),
        ("https://h.example/%{{ headers.plan }}", "2e"),
        ("https://h.example/%2{{ headers.plan }}", "fadmin"),
        ("https://h.example/%2{% if headers.plan %}{{ headers.plan }}{% endif %}", "fadmin"),
        ("https://h.example/?a=%{{ headers.plan }}", "26b=c"),
        ("https://h.example/a/{{ headers.tags | default('') }}/b", "x"),
        ("https://h.example/a/{% if headers.tags %}{{ headers.tags }}{% endif %}/b", "x"),
        ("https://h.example/a/{% for tag in headers.tags %}{{ tag }}{% endfor %}", "x"),
        ("https://h.example/a/{{ headers.plan }}..", ";"),
    ] {
        assert_eq!(of(url, value).refused().reason, NotSentReason::UnsafePath, "{url}");
    }
    // And those that are names for all that.
    for (url, value, sent) in [
        ("https://h.example/v{{ headers.plan }}", "..", "https://h.example/v.."),
        ("https://h.example/{{ headers.plan }}", "group/project", "https://h.example/group%2Fproject"),
        ("https://h.example/{{ headers.plan }}", "100%", "https://h.example/100%25"),
        ("https://h.example/.{{ headers.plan }}", "well-known", "https://h.example/.well-known"),
    ] {
        assert_eq!(of(url, value).url(), sent);
    }
}

#[test]
fn an_address_that_the_environment_gets_wrong_is_refused() {
    for (url, base) in [
        ("{{ env.X }}/x", "api.example.com"),
        ("{{ env.X }}/x", "ftp://api.example.com"),
        ("{{ env.X }}/x", "https://api.example.com?key="),
        ("{{ env.X }}/x", "https://api.example.com#"),
        ("{{ env.X }}/x", "https://user:s3cr3t-c4n4ry@api.example.com"),
        ("{{ env.X }}/x", "https://"),
        ("{{ env.X }}/x", ""),
        ("https://{{ env.X }}/x", "evil.example/a#"),
        ("https://{{ env.X }}.example.com/x", "a\\b"),
    ] {
        let refused = Request::to(url).env("X", base).refused();
        assert_eq!(refused.reason, NotSentReason::InvalidUrl, "{base}");
        assert!(!format!("{refused} {refused:?}").contains("c4n4ry"));
    }
}

#[test]
fn what_is_too_large_or_no_header_is_refused() {
    let long = "x".repeat(20_000);
    assert_eq!(
        Request::to("https://h.example/{{ headers.plan }}").sent("plan", &*long).refused().reason,
        NotSentReason::TooLarge
    );
    let huge = "x".repeat(600_000);
    let body =
        json!({ "a": "{{ headers.plan }}", "b": "{{ headers.plan }}", "c": "{{ headers.plan }}{{ headers.plan }}" });
    assert_eq!(Request::post(body).sent("plan", &*huge).refused().reason, NotSentReason::TemplateFailed);
    let leaves = json!(vec!["{{ headers.plan }}"; 8]);
    assert_eq!(Request::post(leaves).sent("plan", &*huge).refused().reason, NotSentReason::TooLarge);
    let header = Request::to("https://h.example/").headers(&[("X-A", "{{ headers.plan }}")]);
    assert_eq!(header.sent("plan", "a\r\nX-B: c").refused().reason, NotSentReason::InvalidValue);
}

#[test]
fn nothing_that_is_printed_holds_a_value() {
    let request = Request::to("https://h.example/{{ headers.auth_token }}")
        .headers(&[("X-A", "{{ headers.auth_token }}")])
        .query(&[("q", "{{ credentials.crm }}")])
        .body(json!({ "a": "{{ headers.auth_token }}", "b": "{{ user.key }}", "c": "{{ args.key }}" }))
        .user(json!({ "key": CANARY }))
        .args(json!({ "key": CANARY }))
        .sent("auth_token", CANARY);
    let (rendered, trail) = request.outcome();
    let rendered = rendered.unwrap();
    assert!(rendered.url.as_str().contains(CANARY));
    let template = request.compiled().unwrap();
    let printed = format!("{rendered:?} {trail:?} {template:?} {}", serde_json::to_string(&trail).unwrap());
    assert!(!printed.contains("c4n4ry"), "{printed}");
    assert!(template.names_secret());

    // Whatever goes wrong, with the value at hand.
    for source in [
        "{{ headers.auth_token / 2 }}",
        "{{ headers.auth_token | int }}",
        "{{ headers.auth_token | abs }}",
        "{{ [headers.auth_token] | sort(attribute=1) }}",
        "{{ headers.auth_token is divisibleby }}",
    ] {
        let request = Request::to("https://h.example/").query(&[("q", source)]).sent("auth_token", CANARY);
        let printed = match request.compiled() {
            Ok(_) => format!("{0} {0:?}", request.refused()),
            Err(faults) => format!("{faults:?}"),
        };
        assert!(!printed.contains("c4n4ry"), "{printed}");
    }
}

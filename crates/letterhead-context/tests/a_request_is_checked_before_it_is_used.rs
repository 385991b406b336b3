//! Faults of a request's templates, told when they are read: all at once, each with its place.

#![cfg(test)]

mod a_request;

use a_request::Request;
use letterhead_context::{Read, RequestPlace};
use serde_json::json;

fn fault(url: &str) -> (Option<(usize, usize)>, String) {
    let mut faults = Request::to(url).compiled().map(drop).unwrap_err();
    assert_eq!(faults.len(), 1, "{url}: {faults:?}");
    assert_eq!(faults[0].place, RequestPlace::Url, "{url}");
    let fault = faults.remove(0);
    (fault.position, fault.message)
}

#[test]
fn every_fault_of_every_part_is_told_with_its_place() {
    let request = Request::to("https://h.example/{{ headers.nope }}")
        .headers(&[("Content-Type", "a"), ("X-A", "{{ x }}")])
        .query(&[("q", "a\n{{ credentials.other }}")])
        .body(json!({ "a~b": [1, "{{ args.x }}", "{% include 'x' %}"] }));
    let faults = request.compiled().map(drop).unwrap_err();
    let told: Vec<_> = faults.iter().map(|fault| (fault.to_string(), fault.position)).collect();
    let expected = [
        ("the URL: the header `nope` is not declared: declare it under `headers.properties`", Some((1, 22))),
        ("the header `Content-Type`: it is reserved: `Content-*` headers follow from the body", None),
        (
            "the header `X-A`: there is no `x`: roots are headers, env, credentials, caller, session, request, agent, claims, state, user",
            Some((1, 4)),
        ),
        ("the query parameter `q`: there is no `credentials.other`: add `other` to `credentials:`", Some((2, 4))),
        ("the body's `/a~0b/1`: `args` is not available here: only a tool has arguments", Some((1, 4))),
        (
            "the body's `/a~0b/2`: `include` is not allowed: templates have `if`, `for`, `set`, `raw` and expressions",
            Some((1, 4)),
        ),
    ];
    assert_eq!(told, expected.map(|(text, at)| (text.to_owned(), at)));
}

#[test]
fn no_value_chooses_the_address() {
    for (url, column) in [
        ("{{ headers.plan }}", 1),
        ("{{ headers.plan }}/users", 1),
        ("https://{{ headers.plan }}/x", 9),
        ("https://{{ headers.plan }}.example.com/x", 9),
        ("https://api{{ headers.plan }}/x", 12),
        ("https://api.example.com{{ headers.plan }}", 24),
        ("https://api.example.com:{{ headers.seats }}/x", 25),
        ("{{ headers.plan }}://api.example.com/x", 1),
        ("{{ env.BASE }}{{ headers.plan }}/x", 15),
        ("{{ env.BASE | upper }}/x", 1),
        ("{{ env.BASE | default(headers.plan) }}/x", 1),
        ("{{ env.BASE if headers.plan else 'x' }}/x", 1),
        ("{{ credentials.crm }}/x", 1),
        ("{{ user.url }}", 1),
        ("{% if headers.plan %}https://a.example{% endif %}/x", 1),
        ("{% set base = headers.plan %}{{ base }}/x", 1),
        ("https://{% raw %}a{% endraw %}{{ headers.plan }}/", 31),
    ] {
        let (at, message) = fault(url);
        assert!(message.contains("literal text or `{{ env.NAME }}`"), "{url}: {message}");
        assert_eq!(at, Some((1, column)), "{url}");
    }
}

#[test]
fn a_url_is_absolute_and_says_nothing_that_parsers_disagree_about() {
    for (url, told, at) in [
        ("/users", "absolute", Some((1, 1))),
        ("//api.example.com/x", "absolute", Some((1, 1))),
        ("", "absolute", Some((1, 1))),
        ("ftp://api.example.com/x", "neither `http` nor `https`", None),
        ("file:///etc/passwd", "neither", None),
        ("https://user:pass@api.example.com/", "header", None),
        ("https:///x", "address", None),
        ("https://h.example/a b", "%20", Some((1, 20))),
        ("https://h.example/a\\b", "%5C", Some((1, 20))),
        ("https://h.example\\@evil.example/", "%5C", Some((1, 18))),
        ("https://h.example/{{ headers.plan }}#x", "%23", Some((1, 37))),
        ("https://h.example/\n{{ headers.plan }}", "controls", Some((1, 19))),
        ("https://h.example/\u{1}{{ headers.plan }}", "controls", Some((1, 19))),
    ] {
        let (position, message) = fault(url);
        assert!(message.contains(told), "{url}: {message}");
        assert_eq!(position, at, "{url}");
    }
}

#[test]
fn what_it_reads_and_what_it_needs_is_known_from_the_source() {
    let request = Request::to("{{ env.BASE }}/{{ user.address.city }}/{{ headers.plan | default('x') }}")
        .headers(&[("Authorization", "{{ headers.org_name }}"), ("X-A", "{{ headers.seats }}"), ("X-B", "{{ headers.auth_token }}")])
        .query(&[("q", "{{ user.tags[0].name }}{{ user[headers.plan].x }}")])
        .body(json!({ "a": "{{ headers.flag }}", "b": "{{ headers.meta }}!", "c": ["{% if user.x %}{{ user.x.y }}{% endif %}"], "d": "{{ credentials.crm }}" }));
    let template = request.compiled().unwrap();
    let needs: Vec<_> = template.needs().map(|(place, used)| format!("{place}: {}", used.path)).collect();
    let expected = [
        "the header `Authorization`: headers.org_name",
        "the header `X-B`: headers.auth_token",
        "the URL: env.BASE",
        "the URL: user.address.city",
        "the query parameter `q`: user.tags.0.name",
        "the query parameter `q`: user",
        "the query parameter `q`: headers.plan",
        "the body's `/b`: headers.meta",
        "the body's `/c/0`: user.x.y",
        "the body's `/d`: credentials.crm",
    ];
    assert_eq!(needs, expected);
    let secrets: Vec<_> =
        template.reads().filter(|(_, read)| read.is_secret()).map(|(_, read)| read.label().to_string()).collect();
    assert_eq!(secrets, ["headers.auth_token", "env.BASE", "credentials.crm"]);
    assert!(template.names_secret() && template.address().is_none());
    assert!(template.reads().any(|(place, read)| place == RequestPlace::Url && *read == Read::Variable("user".into())));

    let plain = Request::to("https://h.example:8443/a/{{ headers.plan }}").compiled().unwrap();
    assert!(!plain.names_secret());
    assert_eq!(plain.address().unwrap().as_str(), "https://h.example:8443/");
}

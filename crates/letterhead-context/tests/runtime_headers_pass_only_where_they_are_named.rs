//! Inbound headers that a caller may set on the LLM call, for its run: only those that the configuration names.

#![cfg(test)]

use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::{Code, HeaderLimits, HeaderSchema, Ingress, Rejected, RuntimeHeaders, RuntimeNames};
use serde_json::json;

fn schema() -> HeaderSchema {
    HeaderSchema::compile(&json!({
        "properties": { "x-plan": {}, "x_tags": { "type": "array" }, "x-secret": { "writeOnly": true } },
    }))
    .unwrap()
}

fn admit(names: &[&str], headers: &[(&str, &[u8])]) -> Result<Vec<String>, Box<Rejected>> {
    let schema = schema();
    let names = RuntimeNames::new(names.iter().copied()).unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    // Not even told of the declared headers, it keeps them apart.
    let admitted = Ingress::new(schema, names, HeaderLimits::default()).admit(map)?;
    let line =
        |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    let mut lines: Vec<_> = admitted.runtime.iter().map(line).collect();
    lines.sort();
    Ok(lines)
}

#[test]
fn names_and_prefixes_match_whatever_the_case_and_dashes_stay_dashes() {
    let lines = admit(
        &["X-Request-ID", "X-Team-*"],
        &[
            ("x-request-id", b"r"),
            ("X-TEAM-Color", b"red"),
            ("x-other", b"1"),
            ("x_request_id", b"no"),
            ("x_team_a", b"no"),
        ],
    );
    assert_eq!(lines.unwrap(), ["x-request-id: r", "x-team-color: red"]);
}

#[test]
fn a_prefix_matches_nothing_that_has_a_meaning_of_its_own() {
    let own = [
        "x-user-id",
        "x-tenant-id",
        "x-session-id",
        "x-agent-schema",
        "x-model-name",
        "x-is-eval",
        "x-client-id",
        "authorization",
        "x-api-key",
        "api-key",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-real-ip",
        "via",
        "host",
        "content-type",
        "cookie",
        "connection",
        "te",
        "transfer-encoding",
        "traceparent",
        "tracestate",
        "baggage",
        "b3",
        "x-b3-traceid",
        "accept",
        "accept-language",
        "user-agent",
        "sec-fetch-site",
        "idempotency-key",
        "mcp-session-id",
        "mcp-protocol-version",
        "x-stainless-lang",
        "x-plan",
        "x-secret",
        "x-goog-api-key",
        "expect",
    ];
    let prefixes: Vec<String> = ('a'..='z').map(|letter| format!("{letter}*")).collect();
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    for name in own {
        let value: &[u8] = if name == "x-is-eval" { b"1" } else { b"v" };
        assert_eq!(admit(&prefixes, &[(name, value)]).unwrap(), [""; 0], "{name}");
    }
    assert_eq!(admit(&prefixes, &[("x-environment", b"v"), ("openai-organization", b"o")]).unwrap().len(), 2);
}

#[test]
fn what_cannot_be_named_is_a_load_error_with_its_place_in_the_list() {
    for (name, reason) in [
        ("*", "every header"),
        ("Authorization", "credential"),
        ("x-api-key", "credential"),
        ("API-Key", "credential"),
        ("Cookie", "never sent"),
        ("Host", "URL"),
        ("content-length", "body"),
        ("a b", "not a header name"),
        ("a b*", "not a prefix"),
        ("", "not a header name"),
    ] {
        let faults = RuntimeNames::new(["X-Fine", name]).unwrap_err();
        assert_eq!((faults.len(), faults[0].index), (1, 1), "{name}");
        assert!(faults[0].message.contains(reason), "{name}: {}", faults[0].message);
    }
    for spelling in ["X-Secret", "x_secret"] {
        let faults =
            RuntimeNames::new(["X-Prefix-*", "X-Fine", spelling]).unwrap().with_declared(&schema()).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].index, 2, "the position is that in the list, patterns included");
        assert!(faults[0].message.contains("writeOnly"));
    }
    assert_eq!(RuntimeNames::new(["*", "Cookie", "a b"]).unwrap_err().len(), 3, "all at once");
}

#[test]
fn a_secret_does_not_pass_even_if_nobody_checked_the_list() {
    assert_eq!(admit(&["X-Secret", "x-*"], &[("x-secret", b"s")]).unwrap(), [""; 0]);
}

#[test]
fn a_declared_header_passes_only_if_it_is_named_whole() {
    assert_eq!(admit(&["x-*"], &[("x-plan", b"p")]).unwrap(), [""; 0]);
    assert_eq!(admit(&["X-Plan"], &[("x-plan", b"p")]).unwrap(), ["x-plan: p"]);
    assert_eq!(
        admit(&["X_Tags"], &[("x_tags", b"a"), ("x_tags", b"b")]).unwrap(),
        ["x_tags: a, b"],
        "a list is joined"
    );
    let rejected = admit(&["X-Plan"], &[("x-plan", b"p"), ("x-plan", b"q")]).unwrap_err();
    assert_eq!(rejected.faults.len(), 1, "told once, as the declared header that it is");
}

#[test]
fn an_identity_header_that_is_named_does_not_pass_as_it_was_sent() {
    let names = RuntimeNames::new(["X-User-Id", "X-Request-ID"]).unwrap();
    assert_eq!(names.identity().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-user-id"]);
    assert_eq!(admit(&["X-User-Id"], &[("x-user-id", b"claimed")]).unwrap(), [""; 0]);
}

#[test]
fn the_rules_of_values_are_those_of_declared_headers() {
    let code = |headers: &[(&str, &[u8])]| admit(&["x-run", "x-more-*"], headers).unwrap_err().faults[0].code;
    assert_eq!(code(&[("x-run", b"a"), ("x-run", b"b")]), Code::AmbiguousHeader);
    assert_eq!(code(&[("x-run", b"\xff")]), Code::InvalidHeaderValue);
    assert_eq!(code(&[("x-run", b"a\tb")]), Code::InvalidHeaderValue);
    assert_eq!(code(&[("x-run", &[b'a'; 4097])]), Code::HeaderTooLarge);
    let full = [b'a'; 4096];
    assert_eq!(
        code(&[("x-more-1", &full), ("x-more-2", &full), ("x-more-3", &full), ("x-more-4", &full), ("x-plan", b"p")]),
        Code::HeaderTooLarge
    );
    assert_eq!(admit(&["x-run"], &[("x-run", "gr\u{fc}n".as_bytes())]).unwrap(), ["x-run: gr\u{fc}n"]);
}

#[test]
fn a_set_header_is_no_longer_removed_and_a_removed_one_no_longer_set() {
    let mut headers = RuntimeHeaders::new();
    headers.set("X-A", "1").unwrap();
    headers.remove("x-a").unwrap();
    headers.remove("X-A").unwrap();
    assert_eq!((headers.iter().count(), headers.removed().len()), (0, 1));
    headers.set("x-A", "2").unwrap();
    assert_eq!((headers.iter().count(), headers.removed().len()), (1, 0));
}

#[test]
fn a_pattern_matches_no_reserved_name_in_any_spelling() {
    let names = RuntimeNames::new(["X-*"]).unwrap();
    for name in ["x-user_id", "x-api_key", "x-tenant_id", "x-real_ip", "x-goog_api_key", "x_user-id", "x-forwarded_for"]
    {
        assert!(!names.allows(&name.parse().unwrap()), "{name}");
    }
    assert!(names.allows(&"x-team_color".parse().unwrap()));
}

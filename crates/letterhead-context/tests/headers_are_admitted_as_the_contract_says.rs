//! Admission, row by row: names, twice the same, values, limits, types; and nothing else comes through.

#![cfg(test)]
#![expect(clippy::needless_pass_by_value, reason = "what a case needs is written where it is used")]

use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::{
    Admitted, Code, Fault, HeaderLimits, HeaderSchema, IdentityClaims, Ingress, Place, Rejected, RuntimeNames,
    SentValue, SessionMode,
};
use serde_json::{Value, json};

fn map(headers: &[(&str, &[u8])]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    map
}

fn ingress(properties: Value) -> Ingress {
    let schema = HeaderSchema::compile(&json!({ "properties": properties })).unwrap();
    Ingress::new(schema, RuntimeNames::default(), HeaderLimits::default())
}

/// What a lone field `x` of this declaration reads a value as; or the code and the words of the fault.
fn read(declaration: Value, value: &[u8]) -> Result<Option<Value>, (Code, String)> {
    match ingress(json!({ "x": declaration })).admit(map(&[("x", value)])) {
        Ok(admitted) => Ok(match admitted.sent.iter().next().unwrap().1 {
            SentValue::Value(value) => Some(value.clone()),
            SentValue::Cleared => None,
        }),
        Err(rejected) => {
            assert_eq!(rejected.faults.len(), 1, "{:?}", rejected.faults);
            Err((rejected.faults[0].code, rejected.faults[0].detail.clone()))
        }
    }
}

fn names_and_codes(rejected: &Rejected) -> Vec<(String, Code)> {
    rejected.faults.iter().map(|fault| (named(fault), fault.code)).collect()
}

fn named(fault: &Fault) -> String {
    match &fault.place {
        Place::Header(name) => name.to_string(),
        other => panic!("not a header: {other:?}"),
    }
}

fn sent(admitted: &Admitted) -> Vec<usize> {
    admitted.sent.iter().map(|(at, _)| at).collect()
}

#[test]
fn case_and_dashes_make_no_difference_to_declared_names() {
    for spelling in ["user_id", "user-id", "User-Id", "USER_ID"] {
        let admitted = ingress(json!({ "User_Id": {} })).admit(map(&[(spelling, b"u_1")])).unwrap();
        assert_eq!(sent(&admitted), [0], "{spelling}");
    }
}

#[test]
fn what_is_not_declared_is_gone() {
    let admitted = ingress(json!({ "user_id": {} }))
        .admit(map(&[("authorization", b"Bearer x"), ("cookie", b"a=b"), ("userid", b"u"), ("x-other", b"1")]))
        .unwrap();
    assert!(admitted.sent.is_empty());
    assert_eq!(admitted.runtime.iter().count(), 0);
}

#[test]
fn the_same_field_twice_is_ambiguous_in_one_spelling_or_two() {
    for second in ["user_id", "user-id"] {
        let rejected = ingress(json!({ "user_id": {} })).admit(map(&[("user_id", b"a"), (second, b"b")])).unwrap_err();
        assert_eq!(names_and_codes(&rejected), [("user_id".to_owned(), Code::AmbiguousHeader)]);
    }
}

#[test]
fn lists_that_came_in_several_lines_are_joined_and_checked_as_one() {
    let rules = ingress(json!({ "roles": { "type": "array", "items": { "type": "integer" }, "maxItems": 4 } }));
    let admitted = rules.admit(map(&[("roles", b"1, 2"), ("Roles", b"[3]"), ("roles", b"")])).unwrap();
    let (_, SentValue::Value(value)) = admitted.sent.iter().next().unwrap() else { panic!("cleared") };
    assert_eq!(*value, json!([1, 2, 3]));
    let rejected = rules.admit(map(&[("roles", b"1,2,3"), ("roles", b"4,5")])).unwrap_err();
    assert_eq!(names_and_codes(&rejected), [("roles".to_owned(), Code::InvalidHeader)]);
    let cleared = rules.admit(map(&[("roles", b""), ("roles", b"")])).unwrap();
    assert!(matches!(cleared.sent.iter().next(), Some((0, SentValue::Cleared))));
}

#[test]
fn values_are_trimmed_text_without_controls() {
    assert_eq!(read(json!({}), b"  Acme Corp\t ").unwrap(), Some(json!("Acme Corp")));
    assert_eq!(
        read(json!({}), "gr\u{fc}n \u{65e5}\u{672c}".as_bytes()).unwrap(),
        Some(json!("gr\u{fc}n \u{65e5}\u{672c}"))
    );
    assert_eq!(read(json!({}), b"").unwrap(), None, "empty clears");
    assert_eq!(read(json!({}), b" \t ").unwrap(), None, "blank clears");
    for bad in [&b"\xff\xfe"[..], b"a\tb", "a\u{85}b".as_bytes(), "a\u{9b}b".as_bytes(), b"caf\xe9"] {
        assert_eq!(read(json!({}), bad).unwrap_err().0, Code::InvalidHeaderValue, "{bad:?}");
    }
}

#[test]
fn the_base64_marker_is_decoded_where_the_whole_value_matches() {
    let text = |value: &[u8]| read(json!({}), value);
    assert_eq!(text(b"=?base64?SGFsbG8=?=").unwrap(), Some(json!("Hallo")));
    assert_eq!(text(b"=?base64?YQpiDQpj?=").unwrap(), Some(json!("a\nb\r\nc")), "line breaks may be inside");
    assert_eq!(text(b"=?base64?IGEg?=").unwrap(), Some(json!(" a ")), "blanks inside are kept");
    assert_eq!(text(b"=?base64??=").unwrap(), None, "nothing inside is nothing");
    for as_it_stands in
        ["=?BASE64?SGFsbG8=?=", "x=?base64?SGFsbG8=?=", "=?base64?SGFsbG8=", "=?base64?=", "=?utf-8?q?a?="]
    {
        assert_eq!(text(as_it_stands.as_bytes()).unwrap(), Some(json!(as_it_stands)));
    }
    // No padding, the URL alphabet, bits left over, not UTF-8, a bell, a tab.
    for bad in ["SGFsbG8", "_-8=", "YR==", "/w==", "Bw==", "YQli", "YQ==YQ==", "Y Q=="] {
        assert_eq!(text(format!("=?base64?{bad}?=").as_bytes()).unwrap_err().0, Code::InvalidHeaderValue, "{bad}");
    }
}

#[test]
fn four_kibibytes_fit_and_one_byte_more_does_not() {
    assert!(read(json!({}), &[b'a'; 4096]).is_ok());
    let rejected = ingress(json!({ "Note": {} })).admit(map(&[("note", &[b'a'; 4097])])).unwrap_err();
    assert_eq!(names_and_codes(&rejected), [("note".to_owned(), Code::HeaderTooLarge)]);
    // The limit is on what was sent: 3,000 bytes are 4,000 in base64, which fits; 3,200 do not.
    let encoded = |length: usize| format!("=?base64?{}?=", "YWFh".repeat(length / 3)).into_bytes();
    assert!(read(json!({}), &encoded(3000)).is_ok());
    assert_eq!(read(json!({}), &encoded(3200)).unwrap_err().0, Code::HeaderTooLarge);
}

#[test]
fn sixteen_kibibytes_together_fit_and_more_is_told_of_the_largest_by_its_declared_name() {
    let rules = ingress(json!({ "a_1": {}, "a_2": {}, "a_3": {}, "a_4": {}, "a_5": {} }));
    let full = [b'a'; 4096];
    let four: Vec<(&str, &[u8])> = vec![("a-1", &full), ("a-2", &full), ("a-3", &full), ("a-4", &full)];
    assert!(rules.admit(map(&four)).is_ok());
    let five: Vec<(&str, &[u8])> = four.iter().copied().chain([("a-5", &b"b"[..])]).collect();
    let rejected = rules.admit(map(&five)).unwrap_err();
    assert_eq!(rejected.faults.len(), 1);
    assert_eq!(rejected.faults[0].code, Code::HeaderTooLarge);
    assert!(rejected.faults[0].detail.contains("16384"));
    assert!(named(&rejected.faults[0]).starts_with("a_"));
    // What is not declared does not count, and neither do identity headers.
    let others: Vec<(&str, &[u8])> = four.iter().copied().chain([("cookie", &full[..]), ("x-user-id", b"u")]).collect();
    assert!(rules.admit(map(&others)).is_ok());
}

#[test]
fn integers() {
    let kind = json!({ "type": "integer" });
    for (text, value) in [
        ("0", 0),
        ("-0", 0),
        ("42", 42),
        ("-7", -7),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ] {
        assert_eq!(read(kind.clone(), text.as_bytes()).unwrap(), Some(json!(value)), "{text}");
    }
    for bad in ["007", "+1", "1.0", "1e3", "--1", "-", "9223372036854775808", "1 2", "0x1f", "\u{663}", "true", "null"]
    {
        assert_eq!(
            read(kind.clone(), bad.as_bytes()).unwrap_err(),
            (Code::InvalidHeader, "expected an integer".to_owned()),
            "{bad}"
        );
    }
}

#[test]
fn numbers() {
    let kind = json!({ "type": "number" });
    for (text, value) in
        [("0.75", json!(0.75)), ("-1e3", json!(-1000.0)), ("18446744073709551615", json!(u64::MAX)), ("5", json!(5))]
    {
        assert_eq!(read(kind.clone(), text.as_bytes()).unwrap(), Some(value), "{text}");
    }
    for bad in ["1e999", "-1e999", "NaN", "Infinity", ".5", "1.", "01", "+1", "1,5"] {
        assert_eq!(read(kind.clone(), bad.as_bytes()).unwrap_err().0, Code::InvalidHeader, "{bad}");
    }
}

#[test]
fn booleans() {
    for (text, value) in
        [("true", true), ("TRUE", true), ("1", true), ("Yes", true), ("false", false), ("0", false), ("nO", false)]
    {
        assert_eq!(read(json!({ "type": "boolean" }), text.as_bytes()).unwrap(), Some(json!(value)));
    }
    for bad in ["on", "y", "2", "truee"] {
        assert_eq!(read(json!({ "type": "boolean" }), bad.as_bytes()).unwrap_err().0, Code::InvalidHeader);
    }
}

#[test]
fn lists() {
    let of = |items: Value| json!({ "type": "array", "items": items });
    assert_eq!(read(of(json!({})), b"a, b ,,c,").unwrap(), Some(json!(["a", "b", "c"])));
    assert_eq!(read(of(json!({ "type": "integer" })), b"1,2").unwrap(), Some(json!([1, 2])));
    assert_eq!(read(of(json!({ "type": "boolean" })), b"[\"yes\", false]").unwrap(), Some(json!([true, false])));
    assert_eq!(read(of(json!({ "type": "array" })), b"[[1],[2]]").unwrap(), Some(json!([[1], [2]])));
    assert_eq!(read(of(json!(true)), b"a,b").unwrap(), Some(json!(["a", "b"])));
    assert_eq!(
        read(json!({ "type": "array", "prefixItems": [{ "const": "a" }] }), b"a,b").unwrap(),
        Some(json!(["a", "b"]))
    );
    assert_eq!(read(of(json!({ "type": "integer" })), b"1,x").unwrap_err().0, Code::InvalidHeader);
    assert_eq!(read(of(json!({ "type": "string" })), b"[1]").unwrap_err().0, Code::InvalidHeader);
    assert_eq!(read(of(json!(false)), b"a").unwrap_err().0, Code::InvalidHeader);
    assert_eq!(read(of(json!({})), b"[1,").unwrap_err().0, Code::InvalidHeader);
    assert_eq!(read(of(json!({})), b",,").unwrap(), Some(json!([])), "a list without items is not nothing");
}

#[test]
fn objects() {
    let kind = json!({ "type": "object", "required": ["a"], "additionalProperties": false, "properties": { "a": { "type": "integer" } } });
    assert_eq!(read(kind.clone(), br#"{"a":1}"#).unwrap(), Some(json!({ "a": 1 })));
    for bad in [&br#"{"a":"x"}"#[..], br#"{"b":1}"#, b"[1]", b"a=1", b"{", b"null"] {
        assert_eq!(read(kind.clone(), bad).unwrap_err().0, Code::InvalidHeader, "{bad:?}");
    }
    // As deep as 4 KiB can go: refused by the reader's own limit, not by the stack.
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(2000), "]".repeat(2000));
    assert_eq!(read(json!({ "type": "object" }), deep.as_bytes()).unwrap_err().0, Code::InvalidHeader);
}

#[test]
fn null_is_a_value_only_where_the_type_says_so() {
    assert_eq!(read(json!({ "type": ["integer", "null"] }), b"null").unwrap(), Some(Value::Null));
    assert_eq!(read(json!({ "type": ["null", "boolean"] }), b"yes").unwrap(), Some(json!(true)));
    assert_eq!(read(json!({ "type": ["string", "null"] }), b"null").unwrap(), Some(json!("null")));
}

#[test]
fn constraints_are_told_in_words_and_never_with_the_value() {
    let cases = [
        (json!({ "maxLength": 3 }), "SENTINEL", "expected at most 3 characters"),
        (json!({ "enum": ["a", "b"] }), "SENTINEL", r#"expected one of ["a","b"]"#),
        (json!({ "const": "a" }), "SENTINEL", r#"expected "a""#),
        (json!({ "pattern": "^[0-9]+$" }), "SENTINEL", "expected a match of the pattern ^[0-9]+$"),
        (json!({ "format": "email" }), "SENTINEL", "expected the format `email`"),
        (json!({ "type": "integer", "maximum": 9 }), "99", "expected at most 9"),
        (json!({ "type": "integer", "multipleOf": 5 }), "7", "expected a multiple of 5"),
        (json!({ "type": "array", "minItems": 2, "uniqueItems": true }), "a", "expected at least 2 items"),
        (
            json!({ "type": "object", "additionalProperties": false }),
            r#"{"SENTINEL":1}"#,
            "expected no member or item beyond the declared ones",
        ),
        (json!({ "anyOf": [{ "const": "a" }, { "const": "b" }] }), "SENTINEL", "expected a value that meets `anyOf`"),
        (
            json!({ "type": "array", "items": { "type": "integer" } }),
            r#"["1", "SENTINEL"]"#,
            "expected a list, separated by commas or as a JSON array",
        ),
        (
            json!({ "type": "array", "items": { "maxLength": 2 } }),
            "ok,SENTINEL",
            "expected at most 2 characters (inside the value)",
        ),
    ];
    for (declaration, value, expected) in cases {
        assert_eq!(read(declaration, value.as_bytes()).unwrap_err(), (Code::InvalidHeader, expected.to_owned()));
    }
}

#[test]
fn what_a_secret_may_be_is_not_told_either() {
    let (_, told) = read(json!({ "writeOnly": true, "enum": ["open-sesame", "friend"] }), b"wrong").unwrap_err();
    assert_eq!(told, "expected another value");
}

#[test]
fn identity_headers_match_their_exact_name() {
    let rules = ingress(json!({ "user_id": {} }));
    let admitted = rules
        .admit(map(&[
            ("x-user-id", b" u_1 "),
            ("x_tenant_id", b"t"),
            ("x-is-eval", b"YES"),
            ("x-session-id", b"sess-456"),
            ("x-client-id", b""),
            ("x-model-name", b"openai:gpt-4.1"),
        ]))
        .unwrap();
    let identity = admitted.identity;
    assert_eq!(identity.user_id.as_deref(), Some("u_1"));
    assert_eq!(identity.tenant_id, None, "an underscore makes it another header");
    assert_eq!(identity.client_id, None, "empty is absent");
    assert_eq!(identity.session_id.unwrap().as_str(), "sess-456");
    assert_eq!(identity.model.as_deref(), Some("openai:gpt-4.1"));
    assert_eq!(identity.mode, SessionMode::Evaluation);
    assert!(admitted.sent.is_empty(), "an identity header fills no declared field");
}

#[test]
fn faulty_identity_headers_are_all_told() {
    let headers = map(&[
        ("x-user-id", b"a"),
        ("x-user-id", b"b"),
        ("x-tenant-id", &[b't'; 257]),
        ("x-client-id", b"a\xff"),
        ("x-session-id", b"../etc"),
        ("x-is-eval", b"maybe"),
    ]);
    let problem = IdentityClaims::read(&headers).unwrap_err();
    let told: Vec<_> = problem.errors().iter().map(|fault| (named(fault), fault.code)).collect();
    let expected = [
        ("X-User-Id", Code::AmbiguousHeader),
        ("X-Tenant-Id", Code::InvalidHeader),
        ("X-Client-Id", Code::InvalidHeaderValue),
        ("X-Session-Id", Code::InvalidSessionId),
        ("X-Is-Eval", Code::InvalidHeader),
    ];
    assert_eq!(told, expected.map(|(name, code)| (name.to_owned(), code)));
    assert_eq!(problem.status(), 400);
    assert!(IdentityClaims::read(&map(&[("x-user-id", &[b'u'; 256])])).is_ok());
}

#[test]
fn an_identity_header_comes_once_and_an_empty_one_counts() {
    for values in [[b"".as_slice(), b"a"], [b"a", b""], [b"", b""], [b" ", b"a"]] {
        let problem = IdentityClaims::read(&map(&values.map(|value| ("x-user-id", value)))).unwrap_err();
        assert_eq!(problem.errors()[0].code, Code::AmbiguousHeader, "{values:?}");
    }
    assert_eq!(IdentityClaims::read(&map(&[("x-user-id", b"")])).unwrap().user_id, None);
}

#[test]
fn an_identity_loses_https_blanks_and_no_others() {
    let read = |value: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert("x-user-id", HeaderValue::from_bytes(value).unwrap());
        letterhead_context::IdentityClaims::read(&headers).unwrap().user_id
    };
    assert_eq!(read(b" alice ").as_deref(), Some("alice"));
    for other in ["alice\u{a0}", "\u{3000}alice", "alice\u{2028}", "\u{a0}"] {
        assert_eq!(read(other.as_bytes()).as_deref(), Some(other));
    }
}

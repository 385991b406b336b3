//! Whatever a value holds, the request that it is put into has the shape that its templates give it: parsed by others, it
//! means what was meant.

#![cfg(test)]

mod a_request;

use a_request::Request;
use letterhead_context::{NotSentReason, Url};
use percent_encoding::percent_decode_str;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Values that try to leave.
fn a_value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec![
            "../", "..", ".", "/", "//", "\\", "..\\", "%2e", "%2E%2e", "%252e", "%2f", "%5c", "%00", "%0d%0a", ";", "..;", "%3b", "%u002e", "%", "%2",
            "\r\n", "\n", "\r", "\0", "\t", " ", "\u{1}", "\u{7f}", "\u{85}", "\"", "'", "`", "<", ">", "{{", "}}", "{{ headers.auth_token }}", "{%", "#}", "${X}",
            "#", "?", "&", "=", ":", "@", "+", ",", "|", "^", "[", "]", "http://evil.example", "@evil.example", "://", "X-Evil: 1", "\u{202e}",
            "\u{2066}", "\u{e0041}", "\u{feff}", "\u{ff0e}", "\u{ff0f}", "\u{2025}", "\u{2028}", "\u{65e5}\u{672c}", "\u{1f468}\u{200d}\u{1f469}", "null", "true", "-1", "\\u0000", "\",\"x\":\"",
        ]).prop_map(str::to_owned),
        3 => "[a-zA-Z0-9._~-]{1,8}",
        2 => any::<char>().prop_map(|c| c.to_string()),
        1 => (0..3000_usize).prop_map(|length| "x".repeat(length)),
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

fn object(members: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(Map::from_iter(members))
}

/// All that a server of any kind may take a segment for, in its crudest form.
fn steps(segment: &str) -> bool {
    let mut text = segment.to_owned();
    for _ in 0..12 {
        text = percent_decode_str(&text).decode_utf8_lossy().into_owned();
    }
    text.split(['/', '\\']).any(|part| matches!(part.split(';').next().unwrap(), "." | ".."))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_a_url(id in a_value(), name in a_value(), term in a_value(), filter in a_value()) {
        let request = Request::to("https://api.example.com:8443/v1/{{ headers.user_id }}/x{{ headers.plan }}/end?q={{ headers.org_name }}&fixed=1")
            .query(&[("f", "{{ user.f }}")])
            .sent("user_id", &*id)
            .sent("plan", &*name)
            .sent("org_name", &*term)
            .user(json!({ "f": filter }));
        match request.outcome().0 {
            Ok(rendered) => {
                // Once more from its text, as the next hop reads it.
                let url = Url::parse(rendered.url.as_str()).unwrap();
                prop_assert_eq!(url.origin().ascii_serialization(), "https://api.example.com:8443");
                prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
                let segments: Vec<_> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 4, "{}", url);
                prop_assert_eq!((segments[0], segments[3]), ("v1", "end"));
                prop_assert_eq!(decoded(segments[1]), id);
                prop_assert_eq!(decoded(segments[2]), format!("x{name}"));
                prop_assert!(!steps(segments[1]) && !steps(segments[2]) && !segments[1].is_empty(), "{}", url);
                let pairs: Vec<_> = url.query_pairs().collect();
                let meant = [("q", term.as_str()), ("fixed", "1"), ("f", filter.as_str())];
                prop_assert_eq!(pairs.len(), 3);
                for ((name, value), meant) in pairs.iter().zip(meant) {
                    prop_assert_eq!((&**name, &**value), meant);
                }
                prop_assert!(rendered.url.as_str().bytes().all(|b| b.is_ascii_graphic()));
            }
            Err(refused) => {
                let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
                match refused.reason {
                    NotSentReason::UnsafePath => prop_assert!(!plain(&id) || !plain(&name), "{}: {} {}", refused, id, name),
                    NotSentReason::TooLarge => prop_assert!(id.len() + name.len() + term.len() + filter.len() > 1300),
                    _ => prop_assert!(false, "{}", refused),
                }
            }
        }
    }

    #[test]
    fn in_a_json_body(text in a_value(), key in a_value(), n in any::<i64>(), f in any::<f64>(), flag in any::<bool>(), list in vec(a_value(), 0..3)) {
        prop_assume!(f.is_finite());
        let user = json!({ "text": text, "n": n, "f": f, "flag": flag, "list": list, "object": object([(key.clone(), json!(text))]) });
        let members = [
            ("text", "{{ user.text }}"), ("n", "{{ user.n }}"), ("flag", "{{ user.flag }}"), ("list", "{{ user.list }}"), ("object", "{{ user.object }}"),
            ("mixed", "<{{ user.text }}|{{ user.n }}>"), ("first", "{{ user.list[0] }}"), ("f", "{{ user.f }}"), ("said", "{% for x in user.list %}{{ x }},{% endfor %}"),
        ];
        let body = object(members.map(|(name, source)| (name.to_owned(), json!(source))).into_iter().chain([(key.clone() + "!", json!([1, "{{ user.text }}"]))]));
        let sent = Request::post(body).user(user.clone()).json();
        for name in ["text", "n", "flag", "list", "object"] {
            prop_assert_eq!(&sent[name], &user[name], "{}", name);
        }
        prop_assert_eq!(sent["f"].as_f64(), Some(f));
        prop_assert_eq!(&sent["mixed"], &json!(format!("<{text}|{n}>")));
        prop_assert_eq!(sent.get("first"), user["list"].get(0));
        prop_assert_eq!(&sent["said"], &json!(list.iter().map(|item| format!("{item},")).collect::<String>()));
        prop_assert_eq!(&sent[key + "!"], &json!([1, text]));
        prop_assert_eq!(sent.as_object().map(Map::len), Some(if list.is_empty() { 9 } else { 10 }));
    }

    #[test]
    fn in_a_form(a in a_value(), b in a_value()) {
        let request = Request::to("https://h.example/").form(&[("a", "{{ user.a }}"), ("b c", "<{{ user.b }}>")]).user(json!({ "a": a, "b": b }));
        let text = request.text();
        // A query and a form are written alike.
        let url = Url::parse(&format!("https://h.example/?{text}")).unwrap();
        let pairs: Vec<_> = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        prop_assert_eq!(pairs, [("a".to_owned(), a), ("b c".to_owned(), format!("<{b}>"))]);
    }

    #[test]
    fn in_a_header(value in a_value()) {
        let request = Request::to("https://h.example/").headers(&[("X-A", "<{{ user.a }}>"), ("X-B", "b")]).user(json!({ "a": value }));
        match request.outcome().0 {
            Ok(rendered) => {
                prop_assert_eq!(rendered.headers.len(), 2);
                prop_assert_eq!(rendered.headers["x-a"].as_bytes(), [b"<", value.as_bytes(), b">"].concat());
                prop_assert!(!value.chars().any(char::is_control));
            }
            Err(refused) => {
                prop_assert_eq!(refused.reason, NotSentReason::InvalidValue);
                prop_assert!(value.chars().any(char::is_control));
            }
        }
    }

    #[test]
    fn arguments_of_any_shape_reach_a_tool_unchanged(a in a_value(), b in a_value(), n in any::<u32>()) {
        let args = json!({ "a": a, "b": [{ "c": b }, n, null, true] });
        let request = Request::post(json!({ "args": "{{ args }}", "c": "{{ args.b[0].c }}" })).args(args.clone());
        let sent: Value = request.json();
        prop_assert_eq!(&sent["args"], &args);
        prop_assert_eq!(&sent["c"], &args["b"][0]["c"]);
    }
}

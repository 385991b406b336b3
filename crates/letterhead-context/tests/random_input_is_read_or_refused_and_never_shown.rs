//! Arbitrary bytes in headers and arbitrary templates: no panic, no value in an answer, nothing that leaves its place.

#![cfg(test)]

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::value::{Kind, coerce, read_text};
use letterhead_context::{
    BodySource, Caller, Destination, DestinationKind, HeaderLimits, HeaderSchema, HeaderTemplates, Ingress,
    LlmDestination, Rendered, RequestContext, RequestSource, RequestTemplate, RuntimeNames, Scope, Sent, Sink,
    Template, TextSource, Values, View,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

const SINKS: [Sink; 6] = [Sink::Instructions, Sink::Description, Sink::Header, Sink::Url, Sink::Text, Sink::Json];

const CANARY: &[u8] = b"c4n4ry";

fn rules() -> Ingress {
    let schema = HeaderSchema::compile(&json!({
        "required": ["text", "number"],
        "properties": {
            "text": { "maxLength": 20, "pattern": "^[a-z]*$" }, "integer": { "type": "integer" },
            "number": { "type": ["number", "null"] }, "flag": { "type": "boolean" },
            "list": { "type": "array", "items": { "type": "integer" }, "uniqueItems": true },
            "object": { "type": "object", "additionalProperties": { "type": "integer" } },
            "choice": { "enum": ["a"] }, "mail": { "format": "email" }, "secret": { "writeOnly": true, "maxLength": 3 },
        },
        "dependentRequired": { "flag": ["mail"] },
    }))
    .unwrap();
    let runtime = RuntimeNames::new(["x-run", "x-label-*", "text"]).unwrap().with_declared(&schema).unwrap();
    Ingress::new(schema, runtime, HeaderLimits { value: 64, total: 256 })
}

fn a_name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "text", "integer", "number", "flag", "list", "object", "choice", "mail", "secret", "x-run", "x-label-a", "x-user-id",
            "x-session-id", "x-is-eval", "cookie", "authorization",
        ]).prop_map(str::to_owned),
        1 => "[a-z][a-z0-9_-]{0,12}",
    ]
}

/// Bytes that a header can hold, often with the canary among them.
fn a_value() -> impl Strategy<Value = Vec<u8>> {
    let bytes = vec(prop_oneof![3 => 0x20_u8..0x7f, 1 => 0x80_u8..=0xff, 1 => Just(b'\t')], 0..40);
    let shapes = prop::sample::select(vec![
        ("", ""),
        ("[", "]"),
        ("{\"", "\":1}"),
        ("=?base64?", "?="),
        ("", ","),
        ("-", ""),
        ("\"", "\""),
    ]);
    (bytes, shapes, any::<bool>()).prop_map(|(bytes, (before, after), marked)| {
        let canary = if marked { CANARY } else { b"" };
        [before.as_bytes(), &bytes, canary, after.as_bytes()].concat()
    })
}

fn holds_canary(shown: &str) -> bool {
    shown.contains("c4n4ry")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ingress_never_panics_and_never_reports_a_value(headers in vec((a_name(), a_value()), 0..12)) {
        let mut map = HeaderMap::new();
        for (name, value) in &headers {
            map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        let rules = rules();
        match rules.admit(map) {
            Ok(admitted) => {
                let shown = format!("{admitted:?}");
                prop_assert!(!holds_canary(&shown));
                if let Err(faults) = rules.schema().merge([], &admitted.sent, &[]) {
                    let shown = format!("{faults:?}");
                prop_assert!(!holds_canary(&shown));
                }
            }
            Err(rejected) => {
                let shown = format!("{rejected:?}");
                prop_assert!(!holds_canary(&shown));
                let problem = rejected.problem(rules.schema(), [], &[]);
                let shown = format!("{problem} {problem:?}");
                prop_assert!(!holds_canary(&shown));
                prop_assert!(problem.status().is_client_error() && !problem.errors().is_empty());
            }
        }
    }

    #[test]
    fn what_is_read_as_text_holds_no_control(bytes in vec(any::<u8>(), 0..60)) {
        if let Ok(text) = read_text(&bytes) {
            prop_assert!(text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r')));
        }
    }

    #[test]
    fn coercion_never_panics(text in any::<String>(), kind in 0..6_usize, items in 0..6_usize) {
        let kinds = [Kind::String, Kind::Integer, Kind::Number, Kind::Boolean, Kind::Array, Kind::Object];
        if let Some(Value::Number(number)) = coerce(&text, kinds[kind], kinds[items]) {
            prop_assert!(number.as_f64().unwrap().is_finite());
        }
    }

    #[test]
    fn no_value_brings_a_line_break_into_a_header_or_hides_in_instructions(value in any::<String>(), inner in any::<char>()) {
        let value = format!("{value}{inner}{{{{ headers.other }}}}");
        let schema = HeaderSchema::compile(&json!({ "properties": { "v": {}, "other": {}, "list": { "type": "array" }, "object": { "type": "object" } } })).unwrap();
        let (text, list, object, other) = (json!(value), json!([value]), json!({ value.clone(): value }), json!("c4n4ry"));
        let stored = [("v", &text), ("list", &list), ("object", &object), ("other", &other)];
        let headers = schema.merge(stored, &Sent::nothing(), &[]).unwrap();
        let context = RequestContext::builder(Caller::anonymous(), headers).build("a");

        for source in ["{{ headers.v }}", "{{ headers.list }}", "{{ headers.list[0] }}", "{{ headers.object }}",
            "{% for k, v in headers.object | items %}{{ k }}{{ v }}{% endfor %}", "{{ headers.v | trim | upper }}"] {
            let template = Template::compile(source, Sink::Instructions, Scope::of(&schema)).unwrap();
            let Rendered::Text(shown) = template.render(&View::new(Sink::Instructions, &context)).unwrap() else { panic!() };
            let breaks = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
            let hides = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{e0000}'..='\u{e007f}');
            prop_assert!(!shown.chars().any(|c| breaks(c) || hides(c)), "{source}: {shown:?}");
            prop_assert!(!holds_canary(&shown), "a value was evaluated: {shown}");

            let set = HeaderTemplates::compile([("X-V", TextSource::Template(source))], Scope::of(&schema)).unwrap();
            let none = HeaderTemplates::default();
            let name = "providers.test".into();
            let destination = LlmDestination { name: &name, credential: None, provider: &none, agent: &set, budget: Default::default() };
            match destination.headers(&context, &View::new(Sink::Header, &context), &mut Vec::new()) {
                Ok(headers) => {
                    for value in headers.values() {
                        let text = std::str::from_utf8(value.as_bytes()).unwrap();
                        prop_assert!(!text.chars().any(char::is_control), "{source}: {text:?}");
                        prop_assert!(!holds_canary(text));
                    }
                }
                Err(problem) => prop_assert!(!holds_canary(&problem.to_string())),
            }
        }
    }
}

/// Pieces of templates, well and badly put together.
fn a_source() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        2 => prop::sample::select(vec![
            "{{", "}}", "{%", "%}", "{#", "#}", "{%-", "-%}", "{{-", "-}}", " ", "\n", "\r\n", "'", "\"", "\\", "|", ".", "-", "(", ")",
            "[", "]", "{", "}", ",", ":", "=", "==", "~", "*", "**", "/", "//", "+", "<", ">", "!", "1", "0x", "1e", "1_", "9999999999999999999999",
            "if", "else", "elif", "endif", "for", "in", "endfor", "set", "raw", "endraw", "not", "and", "or", "is", "none", "true",
            "headers", "headers.v", "headers.v-w-2fa", "user", "state", "loop", "default", "upper", "join", "tojson", "\u{65e5}", "\u{1f468}", "\0",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_source_panics(source in a_source(), tagged in 0..3_usize) {
        let source = match tagged {
            0 => source,
            1 => format!("{{{{ {source} }}}}"),
            _ => format!("{{% {source} %}}{{% endif %}}{{% endfor %}}"),
        };
        let schema = HeaderSchema::compile(&json!({ "properties": { "v": { "default": "x" }, "v-w-2fa": {} } })).unwrap();
        let context = RequestContext::builder(Caller::anonymous(), schema.merge([], &Sent::nothing(), &[]).unwrap()).build("a");
        let variables = ["user".to_owned()];
        for sink in SINKS {
            match Template::compile(&source, sink, Scope { variables: &variables, ..Scope::of(&schema) }) {
                Ok(template) => {
                    let _ = template.render(&View::new(sink, &context));
                }
                Err(faults) => {
                    let lines = source.split('\n').count();
                    prop_assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.line) && fault.column >= 1), "{source:?}: {faults:?}");
                }
            }
        }
    }

    #[test]
    fn no_request_panics_and_none_goes_elsewhere(source in a_source(), kind in 0..4_usize, name in a_source()) {
        let url = match kind {
            0 => source.clone(),
            1 => format!("https://h.example{source}"),
            2 => format!("https://h.example/{source}"),
            _ => format!("https://h.example/?{source}"),
        };
        let schema = HeaderSchema::compile(&json!({ "properties": { "v": { "default": "@evil.example/" } } })).unwrap();
        let context = RequestContext::builder(Caller::anonymous(), schema.merge([], &Sent::nothing(), &[]).unwrap()).build("a");
        let body = json!({ "a": source, "b": [source, { name: format!("{{{{ {source} }}}}") }] });
        let fixed = "https://h.example/x";
        let destination = Destination::new("tools.t", DestinationKind::Tool);
        for (url, text, body) in [(&*url, "x", &Value::Null), (fixed, &*source, &Value::Null), (fixed, "x", &body)] {
            let text = TextSource::Template(text);
            let request = RequestSource {
                method: http::Method::POST,
                url: TextSource::Template(url),
                headers: vec![("X-A", text)],
                query: vec![("q", text)],
                body: BodySource::Json(body),
            };
            let Ok(request) = RequestTemplate::compile(request, Scope::of(&schema)) else { continue };
            if let Ok(sent) = request.render(&destination, &context, &Values::default(), &mut Vec::new()) {
                let address = request.address().expect("an address without the environment is literal");
                prop_assert_eq!(sent.url.host_str(), address.host_str(), "{}", url);
                prop_assert!(kind < 2 || address.as_str() == "https://h.example/");
                prop_assert!(serde_json::from_slice::<Value>(&sent.body.expect("a body")).is_ok());
            }
        }
    }

    #[test]
    fn plain_templates_say_what_the_engine_would(
        parts in vec((".{0,6}", prop::sample::select(vec![
            "{{ headers.s }}", "{{headers.n}}", "{{ headers.gone }}", "{{- headers.l }}", "{{ headers.o -}}", "{{ headers.S | default('x') }}",
            "{{ headers.gone | d('y\u{202e}\nz') }}", "{{ headers.null | default('') }}", "{{ headers.b }}", "{# - #}",
            "{{ user }}", "{{ user.name }}", "{{ user.k.deep }}", "{{ user.k.deeper.still }}", "{{ user.gone | default('x') }}", "{{ text.name }}",
            "{{ none }}", "{{ none.name | d('y') }}", "{{ state.n }}", "{{ state.l }}", "{{ caller.user_id }}", "{{ caller.tenant_id }}", "{{ agent }}", "{% raw %}{{{% endraw %}", "\n",
        ])), 1..6),
        text in any::<String>(), number in any::<f64>(),
    ) {
        prop_assume!(parts.iter().any(|(_, tag)| tag.contains("{{ ")));
        let source: String = parts.iter().map(|(text, tag)| text.replace(['{', '}', '%', '#'], "") + tag).collect();
        let schema = HeaderSchema::compile(&json!({ "properties": {
            "s": {}, "n": { "type": "number" }, "b": { "type": "boolean" }, "l": { "type": "array" }, "o": { "type": "object" }, "gone": {},
            "null": { "type": ["integer", "null"] },
        } })).unwrap();
        let number = if number.is_finite() { json!(number) } else { json!(0) };
        let (s, l, o, b, null) = (json!(text), json!([text, number]), json!({ "k": text }), json!(true), Value::Null);
        let stored = [("s", &s), ("n", &number), ("l", &l), ("o", &o), ("b", &b), ("null", &null)];
        let context = RequestContext::builder(Caller::anonymous(), schema.merge(stored, &Sent::nothing(), &[]).unwrap()).build("a");
        let names = ["user", "text", "none"].map(str::to_owned);
        let scope = Scope { variables: &names, ..Scope::of(&schema) };
        let user = json!({ "name": text, "k": { "deep": [number, null, text] }, "l": [text] });
        let fetched = [("user", user), ("text", json!(text)), ("none", Value::Null)];
        let values = Values {
            state: Some(Arc::new(json!({ "n": number, "l": [text, true] }))),
            variables: fetched.into_iter().map(|(name, value)| (Arc::from(name), Arc::new(value))).collect(),
            ..Values::default()
        };
        for sink in SINKS {
            let view = View::of(sink, &context, &values);
            let plain = Template::compile(&source, sink, scope).unwrap().render(&view);
            // A statement that does nothing is enough to need the engine.
            let engine = Template::compile(&format!("{{% if 0 %}}{{% endif %}}{source}"), sink, scope).unwrap().render(&view);
            prop_assert_eq!(plain, engine, "{}", source);
        }
    }
}

//! Faults of a declaration are load errors, all at once, each with a pointer into the declaration as it was written.

#![cfg(test)]
#![expect(clippy::needless_pass_by_value, reason = "a declaration is written where it is used")]

use letterhead_context::{HeaderSchema, MAX_FIELDS, Sent, misspelt_keywords};
use serde_json::{Map, Value, json};

fn faults(schema: Value) -> Vec<(String, String)> {
    match HeaderSchema::compile(&schema) {
        Ok(compiled) => panic!("compiled: {compiled:?}"),
        Err(faults) => faults.into_iter().map(|fault| (fault.pointer, fault.message)).collect(),
    }
}

/// The one fault of a declaration.
fn fault(schema: Value) -> (String, String) {
    let mut faults = faults(schema);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.remove(0)
}

fn of_property(property: Value) -> (String, String) {
    fault(json!({ "properties": { "x": property } }))
}

fn compiles(schema: Value) -> HeaderSchema {
    HeaderSchema::compile(&schema).unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[test]
fn names_are_lower_cased_and_a_collision_is_told_where_it_stands() {
    assert_eq!(compiles(json!({ "properties": { "Org-Name": {} } })).fields()[0].name(), "org-name");
    for second in ["USER_ID", "user-id"] {
        let (pointer, message) = fault(json!({ "properties": { "user_id": {}, second: {} } }));
        assert_eq!(pointer, format!("/properties/{second}"));
        assert!(message.contains("same header"), "{message}");
    }
}

#[test]
fn names_that_are_not_declarable_say_what_to_use_instead() {
    let refused = [
        ("X-User-Id", "caller.user_id"),
        ("x_tenant_id", "caller.tenant_id"),
        ("X-Session-Id", "session.id"),
        ("X-Agent-Schema", "agent.name"),
        ("X-Model-Name", "model"),
        ("X-Is-Eval", "session.mode"),
        ("X-Client-Id", "request.client_id"),
        ("Authorization", "auth"),
        ("proxy-authorization", "connection"),
        ("Cookie", "cookies"),
        ("host", "declare"),
        ("Content-Type", "body"),
        ("content_language", "body"),
        ("forwarded", "proxies"),
        ("x-forwarded-for", "proxies"),
        ("Transfer-Encoding", "connection"),
        ("te", "connection"),
    ];
    for (name, instead) in refused {
        let (pointer, message) = fault(json!({ "properties": { name: {} } }));
        assert_eq!(pointer, format!("/properties/{name}"));
        assert!(message.contains(instead), "{name}: {message}");
    }
    for ordinary in ["x-request-id", "x-api-key", "x-client-version", "accept-language", "tenant_id"] {
        compiles(json!({ "properties": { ordinary: {} } }));
    }
    assert!(fault(json!({ "properties": { "user id": {} } })).1.contains("not a header name"));
}

#[test]
fn at_most_thirty_two_fields() {
    let fields = |count: usize| -> Map<String, Value> { (0..count).map(|n| (format!("f_{n}"), json!({}))).collect() };
    assert_eq!(compiles(json!({ "properties": fields(MAX_FIELDS) })).fields().len(), 32);
    assert!(fault(json!({ "properties": fields(MAX_FIELDS + 1) })).1.contains("at most 32"));
}

#[test]
fn a_type_is_one_name_or_one_and_null_perhaps_by_reference() {
    for good in
        [json!({}), json!({ "type": "integer" }), json!({ "type": ["integer", "null"] }), json!({ "type": ["string"] })]
    {
        compiles(json!({ "properties": { "x": good } }));
    }
    for bad in [json!("null"), json!(["string", "integer"]), json!(["null"]), json!(["string", "integer", "null"])] {
        let (pointer, message) = of_property(json!({ "type": bad }));
        assert_eq!(pointer, "/properties/x/type");
        assert!(message.contains("one of string"), "{message}");
    }
    let (pointer, message) = of_property(json!({ "type": "strng" }));
    assert_eq!(pointer, "/properties/x/type");
    assert!(message.contains("did you mean `string`?"), "{message}");
}

#[test]
fn a_reference_is_local_and_leads_to_an_end() {
    let schema = compiles(json!({
        "properties": { "a": { "$ref": "#/$defs/n/allOf/0" }, "b": { "$ref": "#/definitions/s~1t" } },
        "$defs": { "n": { "allOf": [{ "type": "integer", "maximum": 5 }] } },
        "definitions": { "s/t": { "$ref": "#/$defs/n/allOf/0", "default": 3 } },
    }));
    assert!(schema.fields()[0].read("4").is_ok());
    assert!(schema.fields()[0].read("6").is_err());
    assert_eq!(schema.fields()[1].default_value(), Some(&json!(3)));

    let circle = json!({ "properties": { "x": { "$ref": "#/$defs/a" } },
        "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } });
    assert!(fault(circle).1.contains("to an end"));
    for elsewhere in [
        "https://example.com/schema.json",
        "other.json#/a",
        "#/properties/y",
        "#anchor",
        "#/$defs/none",
        "#",
        "file:///etc/passwd",
    ] {
        let (pointer, message) = of_property(json!({ "$ref": elsewhere }));
        assert_eq!(pointer, "/properties/x/$ref", "{elsewhere}");
        assert!(message.contains("#/$defs/"), "{elsewhere}: {message}");
    }
    // Deeper inside, where only the validator looks: no network, no file, a fault.
    for elsewhere in ["https://example.com/schema.json", "file:///etc/passwd", "urn:example:x"] {
        assert_eq!(of_property(json!({ "allOf": [{ "$ref": elsewhere }] })).0, "/properties/x");
    }
}

#[test]
fn siblings_of_a_reference_hold_as_well() {
    let schema = compiles(json!({
        "properties": { "x": { "$ref": "#/$defs/text", "maxLength": 3 } },
        "$defs": { "text": { "type": "string", "minLength": 2 } },
    }));
    let x = &schema.fields()[0];
    assert!(x.read("abc").is_ok());
    assert_eq!(x.read("a").unwrap_err(), "expected at least 2 characters");
    assert_eq!(x.read("abcd").unwrap_err(), "expected at most 3 characters");
}

#[test]
fn write_only_makes_a_secret_wherever_it_is_said() {
    let secret = [
        json!({ "writeOnly": true }),
        json!({ "$ref": "#/$defs/direct" }),
        json!({ "$ref": "#/$defs/second" }),
        json!({ "allOf": [{ "$ref": "#/$defs/direct" }] }),
        json!({ "anyOf": [{ "type": "string" }, { "writeOnly": true }] }),
        json!({ "type": "object", "properties": { "key": { "writeOnly": true } } }),
        json!({ "type": "array", "items": { "$ref": "#/$defs/direct" } }),
        json!({ "$ref": "#/$defs/direct", "writeOnly": false }),
    ];
    for property in secret {
        let schema = compiles(json!({
            "properties": { "x": property },
            "$defs": {
                "direct": { "type": "string", "writeOnly": true },
                "second": { "$ref": "#/$defs/third", "writeOnly": true },
                "third": { "type": "string" },
            },
        }));
        assert!(schema.fields()[0].is_secret(), "{property}");
    }
    let open = [
        json!({ "writeOnly": false }),
        json!({ "enum": [{ "writeOnly": true }] }),
        json!({ "examples": [{ "writeOnly": true }] }),
    ];
    for property in open {
        assert!(!compiles(json!({ "properties": { "x": property } })).fields()[0].is_secret(), "{property}");
    }
}

#[test]
fn a_keyword_that_nobody_knows_is_a_fault_with_the_nearest_one() {
    for (wrong, right) in [("writeonly", "writeOnly"), ("maxLenght", "maxLength"), ("requried", "required")] {
        let (pointer, message) = of_property(json!({ wrong: 1 }));
        assert_eq!(pointer, format!("/properties/x/{wrong}"));
        assert!(message.contains(&format!("did you mean `{right}`?")), "{message}");
    }
    assert_eq!(of_property(json!({ "items": { "patern": "x" } })).0, "/properties/x/items/patern");
    assert_eq!(fault(json!({ "propertys": {} })).0, "/propertys");
    compiles(json!({ "x-owner": "billing", "properties": { "x": { "x-note": 1, "items": {} } } }));
}

#[test]
fn where_other_keywords_may_stand_only_slips_are_told() {
    let slips = |schema| misspelt_keywords(&schema).into_iter().map(|slip| slip.pointer).collect::<Vec<_>>();
    let wrong = json!({ "propertys": {}, "items": { "anyOf": [{ "MaxLength": 1 }, { "requierd": [] }] } });
    assert_eq!(slips(wrong), ["/propertys", "/items/anyOf/0/MaxLength", "/items/anyOf/1/requierd"]);
    for known_elsewhere in [
        "example",
        "note",
        "nullable",
        "discriminator",
        "xml",
        "externalDocs",
        "enumNames",
        "id",
        "propertyOrdering",
        "$recursiveRef",
        "dependencies",
        "optional",
        "strict",
        "unit",
        "label",
        "x-maxLenght",
    ] {
        assert!(slips(json!({ known_elsewhere: true })).is_empty(), "{known_elsewhere}");
    }
    // Names of properties, and values, are no keywords.
    assert!(
        slips(json!({ "properties": { "titel": {} }, "enum": [{ "typ": 1 }], "default": { "typ": 1 } })).is_empty()
    );
}

#[test]
fn formats_are_asserted_and_unknown_ones_refused() {
    let known = [
        "date",
        "date-time",
        "time",
        "duration",
        "email",
        "idn-email",
        "hostname",
        "idn-hostname",
        "ipv4",
        "ipv6",
        "uri",
        "uri-reference",
        "iri",
        "iri-reference",
        "uuid",
        "uri-template",
        "json-pointer",
        "relative-json-pointer",
        "regex",
    ];
    for format in known {
        let schema = compiles(json!({ "properties": { "x": { "format": format } } }));
        assert!(schema.fields()[0].read("\u{7f}{%% not one of them ://").is_err(), "{format} is asserted");
    }
    assert_eq!(of_property(json!({ "format": "e-mail" })).0, "/properties/x/format");
}

#[test]
fn patterns_take_linear_time_or_are_refused() {
    let schema = compiles(json!({ "properties": { "x": { "pattern": "^(a+)+$" }, "y": { "pattern": "^(a|a)*b$" } } }));
    let text = "a".repeat(4000) + "!";
    // A backtracking engine would not come back from these.
    assert!(schema.fields()[0].read(&text).is_err());
    assert!(schema.fields()[1].read(&text).is_err());
    for refused in ["(?=look)ahead", "(a)\\1", "(a{1000}){1000}{1000}", "["] {
        assert!(of_property(json!({ "pattern": refused })).0.starts_with("/properties/x"), "{refused}");
    }
}

#[test]
fn defaults_meet_their_own_declaration() {
    for bad in [
        json!({ "type": "integer", "default": "5" }),
        json!({ "maxLength": 2, "default": "abc" }),
        json!({ "enum": ["a"], "default": "b" }),
    ] {
        assert_eq!(of_property(bad).0, "/properties/x/default");
    }
    let schema = compiles(json!({ "properties": { "x": { "type": "array", "default": ["a"] } } }));
    let headers = schema.merge([], &Sent::nothing(), &[]).unwrap();
    assert_eq!(headers.get("x"), Some(&json!(["a"])));
}

#[test]
fn required_names_what_is_declared_in_any_spelling() {
    let schema = compiles(json!({ "required": ["User-Id"], "properties": { "user_id": {} } }));
    assert!(schema.fields()[0].is_required());
    let (pointer, message) =
        fault(json!({ "required": ["user_id", "usr_name"], "properties": { "user_id": {}, "user_name": {} } }));
    assert_eq!(pointer, "/required/1");
    assert!(message.contains("did you mean `user_name`?"), "{message}");
}

#[test]
fn keywords_about_several_headers_use_declared_names_and_are_checked() {
    let schema = compiles(json!({
        "properties": { "user_id": {}, "org-name": {}, "plan": {} },
        "anyOf": [{ "required": ["User-Id"] }, { "required": ["ORG_NAME"] }],
        "dependentRequired": { "Plan": ["Org_Name"] },
        "if": { "properties": { "PLAN": { "const": "free" } }, "required": ["plan"] },
        "then": { "properties": { "user_id": { "maxLength": 3 } } },
    }));
    let merge = |stored: &[(&str, &Value)]| schema.merge(stored.iter().copied(), &Sent::nothing(), &[]);
    let (text, free) = (json!("abcd"), json!("free"));
    assert!(merge(&[("user_id", &text)]).is_ok());
    assert!(merge(&[("org-name", &text)]).is_ok());
    let nothing = merge(&[]).unwrap_err();
    assert!(nothing[0].detail.contains("anyOf"), "{nothing:?}");
    let alone = merge(&[("user_id", &text), ("plan", &text)]).unwrap_err();
    assert!(alone[0].to_string().starts_with("header `org-name`: required together"), "{alone:?}");
    let long = merge(&[("user_id", &text), ("org-name", &text), ("plan", &free)]).unwrap_err();
    assert_eq!(long[0].to_string(), "header `user_id`: expected at most 3 characters");

    assert_eq!(
        fault(json!({ "properties": { "a": {} }, "anyOf": [{ "required": ["a"] }, { "required": ["b"] }] })).0,
        "/anyOf/1/required/0"
    );
}

#[test]
fn headers_are_declared_by_name_at_the_root() {
    assert_eq!(fault(json!({ "type": "array" })).0, "/type");
    assert_eq!(fault(json!({ "patternProperties": { "^x-": {} } })).0, "/patternProperties");
    assert_eq!(fault(json!({ "$ref": "#/$defs/a", "$defs": { "a": {} } })).0, "/$ref");
    assert_eq!(fault(json!("string")).0, "");
    assert!(of_property(json!(true)).1.contains("needs a schema"));
    assert_eq!(
        compiles(json!({ "additionalProperties": true })).fields().len(),
        0,
        "nothing declared, nothing through"
    );
}

#[test]
fn all_faults_come_at_once() {
    let told = faults(json!({
        "required": ["nobody"],
        "properties": { "cookie": {}, "a": { "type": "null" }, "b": { "default": 1 }, "c": { "pattern": "(" }, "d": { "$ref": "#/x" } },
    }));
    let pointers: Vec<_> = told.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/properties/cookie",
            "/required/0",
            "/properties/a/type",
            "/properties/b/default",
            "/properties/c/pattern",
            "/properties/d/$ref"
        ]
    );
}

#[test]
fn a_secret_cannot_be_declared_where_only_some_readers_look() {
    let declarations = [
        json!({ "$defs": { "S": { "writeOnly": true } }, "properties": { "tok": { "$dynamicRef": "#/$defs/S" } } }),
        json!({ "$defs": { "S": { "$anchor": "S", "writeOnly": true } }, "properties": { "tok": { "anyOf": [{ "$ref": "#S" }] } } }),
        json!({ "$defs": { "a b": { "writeOnly": true } }, "properties": { "tok": { "allOf": [{ "$ref": "#/$defs/a%20b" }] } } }),
        json!({ "properties": { "tok": {} }, "allOf": [{ "properties": { "tok": { "writeOnly": true } } }] }),
        json!({ "properties": { "tok": {} }, "if": {}, "then": { "properties": { "tok": { "writeOnly": true } } } }),
    ];
    for declaration in declarations {
        assert!(HeaderSchema::compile(&declaration).is_err(), "{declaration}");
    }
}

#[test]
fn a_pattern_that_would_cost_seconds_a_header_is_refused() {
    let costly = json!({ "properties": { "x": { "pattern": "^(\\w{1,100}){1,100}$" } } });
    assert!(HeaderSchema::compile(&costly).is_err());
    let usual = json!({ "properties": { "x": { "pattern": "^org_[a-z0-9]{4,32}$" } } });
    assert!(HeaderSchema::compile(&usual).is_ok());
}

//! Requests of fetchers and tools: the parts that templates make, with their types, their encodings, and what is left out.

#![cfg(test)]

mod a_request;

use a_request::{CANARY, Request};
use http::header::CONTENT_TYPE;
use letterhead_context::NotSentReason;
use serde_json::{Value, json};

#[test]
fn the_first_example_of_the_document_asks_for_the_user() {
    let request = Request::to("https://api.example.com/users/{{headers.user_id}}")
        .headers(&[("Authorization", "Bearer {{headers.auth_token}}")])
        .sent("user_id", "u_123")
        .sent("auth_token", CANARY);
    let rendered = request.rendered();
    assert_eq!(rendered.url.as_str(), "https://api.example.com/users/u_123");
    assert_eq!(rendered.headers["authorization"], format!("Bearer {CANARY}"));
    assert!(rendered.body.is_none() && rendered.headers.len() == 1);
    let expected = ["user_id from headers.user_id in the url: sent", "Authorization from headers.auth_token: sent"];
    assert_eq!(request.trail(), expected);
}

#[test]
fn the_second_example_of_the_document_sends_a_body_and_leaves_a_header_out() {
    let request = Request::to("https://api.example.com/users/{{headers.user_id}}/profile")
        .headers(&[("Authorization", "Bearer {{headers.auth_token}}"), ("X-Organization", "{{headers.org_name}}")])
        .body(json!({ "includePreferences": true, "userId": "{{headers.user_id}}" }))
        .sent("user_id", "u_123")
        .sent("auth_token", "t_abc");
    let rendered = request.rendered();
    assert_eq!(rendered.url.as_str(), "https://api.example.com/users/u_123/profile");
    assert_eq!(request.text(), r#"{"includePreferences":true,"userId":"u_123"}"#);
    assert_eq!(rendered.headers[CONTENT_TYPE], "application/json");
    assert!(!rendered.headers.contains_key("x-organization"));
    let expected = [
        "user_id from headers.user_id in the url: sent",
        "user_id from headers.user_id in the body: sent",
        "Authorization from headers.auth_token: sent",
        "X-Organization from headers.org_name: a value it names is missing",
    ];
    assert_eq!(request.trail(), expected);
}

#[test]
fn the_operators_own_text_may_hold_structure_and_a_value_may_not() {
    let url = |url: &str| Request::to(url).sent("plan", "a/b?c=d&e#f").sent("user_id", "u").url();
    assert_eq!(url("https://h.example/a//b/../c/?x=1&y=%20"), "https://h.example/a//c/?x=1&y=%20");
    assert_eq!(url("https://h.example/{{ headers.plan }}/"), "https://h.example/a%2Fb%3Fc%3Dd%26e%23f/");
    assert_eq!(
        url("https://h.example/v{{ headers.user_id }}.json?p={{ headers.plan }}&q"),
        "https://h.example/vu.json?p=a%2Fb%3Fc%3Dd%26e%23f&q"
    );
    assert_eq!(url("HTTPS://H.example:443"), "https://h.example/");
    assert_eq!(url("https://h.example?x={{ headers.user_id }}"), "https://h.example/?x=u");
    assert_eq!(
        url("https://h.example/a{% if headers.plan %}/x{% endif %}{% if headers.tags %}/y{% endif %}"),
        "https://h.example/a/x"
    );
    assert_eq!(
        url("https://h.example/{% for c in ['a', 'b/c'] %}{{ c }}/{% endfor %}x"),
        "https://h.example/a/b%2Fc/x"
    );
    assert_eq!(url("https://h.example/{{ caller.user_id }}/{{ 2.0 }}/{{ true }}"), "https://h.example/zoe/2/true");
    // A text that is no template goes out as it stands.
    assert_eq!(Request::to("https://h.example/{{x}}?a={%").literal().url(), "https://h.example/%7B%7Bx%7D%7D?a={%");
}

#[test]
fn an_address_may_come_from_the_environment() {
    let url = |url: &str| {
        let request = Request::to(url)
            .env("SCHEME", "http")
            .env("HOST", "127.0.0.1")
            .env("PORT", "8080")
            .env("ALL", "https://a.example/b?c=d");
        request.sent("user_id", "a/b").url()
    };
    assert_eq!(url("{{ env.BASE }}/users/{{ headers.user_id }}"), "https://env.example.com/v2/users/a%2Fb");
    assert_eq!(url("{{ env.BASE }}"), "https://env.example.com/v2/");
    assert_eq!(url("{{env.SCHEME}}://{{env.HOST}}:{{env.PORT}}/{{ headers.user_id }}"), "http://127.0.0.1:8080/a%2Fb");
    assert_eq!(url("{{ env.SCHEME }}://api.example.com/x"), "http://api.example.com/x");
    assert_eq!(url("https://{{ env.HOST }}/x?u=http://y"), "https://127.0.0.1/x?u=http://y");
    assert_eq!(url("{{ env.UNSET | default('https://d.example') }}/x"), "https://d.example/x");
    assert_eq!(url("{{ env.ALL }}"), "https://a.example/b?c=d");
    // Behind the address the environment is a value as others are.
    assert_eq!(url("https://h.example/{{ env.ALL }}"), "https://h.example/https%3A%2F%2Fa.example%2Fb%3Fc%3Dd");
}

#[test]
fn an_address_is_that_of_the_environment_of_each_time() {
    let to = |base: &str| Request::to("{{ env.X }}/users").env("X", base);
    let template = to("https://one.example").compiled().unwrap();
    let url =
        |base: &str| to(base).outcome_of(&template).0.map(|rendered| rendered.url.to_string()).map_err(|no| no.reason);
    assert_eq!(url("https://one.example"), Ok("https://one.example/users".to_owned()));
    assert_eq!(url("https://two.example"), Ok("https://two.example/users".to_owned()));
    assert_eq!(url("https://one.example?key=1"), Err(NotSentReason::InvalidUrl));
    assert_eq!(url("https://one.example"), Ok("https://one.example/users".to_owned()));
}

#[test]
fn parameters_are_added_to_the_query() {
    let url = |url: &str| {
        Request::to(url).query(&[("a b", "{{ headers.tags }}"), ("n", "{{ headers.seats }} of 5"), ("e", "")])
    };
    let added = "a%20b=%5B%22x%22%2C1%5D&n=3%20of%205&e=";
    let url = |at: &str| url(at).sent("tags", json!(["x", 1])).sent("seats", 3).url();
    assert_eq!(url("https://h.example/x"), format!("https://h.example/x?{added}"));
    assert_eq!(url("https://h.example/x?y=z"), format!("https://h.example/x?y=z&{added}"));
    assert_eq!(url("https://h.example/x?"), format!("https://h.example/x?{added}"));
    assert_eq!(url("https://h.example"), format!("https://h.example/?{added}"));
}

#[test]
fn a_leaf_that_is_one_expression_keeps_its_type_and_everything_else_stays_as_it_is_written() {
    let request = Request::post(json!({
        "text": "{{ headers.user_id }}", "whole": "{{ headers.seats }}", "number": "{{ headers.ratio }}", "flag": "{{ headers.flag }}",
        "list": "{{ headers.tags }}", "object": "{{ headers.meta }}", "folded": "{{ headers.seats }}\n", "constant": "{{ '{{ x }}' }}",
        "mixed": "{{ headers.seats }}!", "two": "{{ headers.seats }}{{ headers.flag }}", "said": "{% if headers.flag %}yes{% endif %}",
        "literal": "  {a}} \n", "{{ key }}": [null, 1.50, "{{ headers.tags[0] }}", []], "big": 12_345_678_901_234_567_890_u64,
    }));
    let request = request
        .sent("user_id", "u\"\\\n{{ 7 * 7 }}")
        .sent("seats", 3)
        .sent("ratio", 2.0)
        .sent("flag", true)
        .sent("tags", json!(["a", 1]))
        .sent("meta", json!({ "b": 1, "a": null }));
    let expected = json!({
        "text": "u\"\\\n{{ 7 * 7 }}", "whole": 3, "number": 2, "flag": true, "list": ["a", 1], "object": { "b": 1, "a": null }, "folded": 3,
        "constant": "{{ x }}", "mixed": "3!", "two": "3true", "said": "yes", "literal": "  {a}} \n", "{{ key }}": [null, 1.5, "a", []],
        "big": 12_345_678_901_234_567_890_u64,
    });
    assert_eq!(request.json(), expected);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&request.json()), keys(&expected), "in the order in which they are written");
}

#[test]
fn a_member_that_is_one_missing_expression_is_left_out() {
    let body = json!({ "a": "{{ headers.plan }}", "b": { "c": "{{ user.name.first }}", "d": 1 }, "e": "{{ user.none }}", "f": "{{ headers.plan | default(none) }}" });
    let request = Request::post(body).user(json!({ "name": "Zoe", "none": null }));
    assert_eq!(request.text(), r#"{"b":{"d":1}}"#);
    assert_eq!(request.trail(), ["plan from headers.plan in the body: neither sent nor stored"]);
    assert_eq!(Request::post(json!({ "a": "{{ headers.plan }}" })).text(), "{}");
    assert_eq!(Request::post(json!(["x"])).text(), r#"["x"]"#);
    assert_eq!(Request::post(json!("{{ headers.seats }}")).sent("seats", 3).text(), "3");
}

#[test]
fn a_form_is_encoded_as_forms_are() {
    let request = Request::to("https://h.example/").form(&[
        ("grant type", "{{ headers.plan }}"),
        ("k", "a&b=c"),
        ("s", "{{ credentials.crm }}"),
    ]);
    let request = request.sent("plan", "x&y=z+ü");
    assert_eq!(request.text(), format!("grant%20type=x%26y%3Dz%2B%C3%BC&k=a%26b%3Dc&s={CANARY}"));
    assert_eq!(request.rendered().headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
}

#[test]
fn a_tools_arguments_and_the_operators_credentials_go_where_templates_say() {
    let request = Request::to("https://h.example/orders/{{ args.order_id }}")
        .headers(&[("X-Api-Key", "{{ credentials.crm }}")])
        .query(&[("fields", "{{ args['fields'] | join(',') }}")])
        .body(json!({ "all": "{{ args }}" }))
        .args(json!({ "order_id": 7, "fields": ["a", "b"] }));
    let rendered = request.rendered();
    assert_eq!(rendered.url.as_str(), "https://h.example/orders/7?fields=a%2Cb");
    assert_eq!(rendered.headers["x-api-key"], CANARY);
    assert_eq!(request.json(), json!({ "all": { "order_id": 7, "fields": ["a", "b"] } }));
    assert_eq!(request.trail(), ["X-Api-Key from credentials.crm: sent"]);
}

#[test]
fn a_masked_request_shows_what_would_be_sent_and_no_secret() {
    let request = Request::to("{{ env.BASE }}/x/{{ headers.auth_token }}")
        .headers(&[
            ("Authorization", "Bearer {{ headers.auth_token }}"),
            ("X-Org", "{{ headers.org_name }}"),
            ("X-Plan", "{{ headers.plan }}"),
        ])
        .query(&[("key", "{{ credentials.crm }}")])
        .body(json!({ "token": "{{ headers.auth_token }}", "base": "at {{ env.BASE }}" }))
        .sent("auth_token", CANARY)
        .sent("org_name", "Acme")
        .masked();
    let rendered = request.rendered();
    assert_eq!(
        rendered.url.as_str(),
        "https://env.example.com/%E2%80%B9env.BASE%E2%80%BA/x/%E2%80%B9headers.auth_token%E2%80%BA?key=%E2%80%B9credentials.crm%E2%80%BA"
    );
    assert_eq!(rendered.headers["authorization"].as_bytes(), "Bearer \u{2039}headers.auth_token\u{203a}".as_bytes());
    assert_eq!(rendered.headers["x-org"], "Acme");
    assert!(!rendered.headers.contains_key("x-plan"));
    assert_eq!(
        request.json(),
        json!({ "token": "\u{2039}headers.auth_token\u{203a}", "base": "at \u{2039}env.BASE\u{203a}" })
    );
}

//! An HTTP tool sends what its templates say, and gives the model what its path selects.

use http::Method;
use letterhead::variable::VariableBody;
use letterhead::{Text, Variable};
use letterhead_testkit::{Answer, ScriptedApi};
use serde_json::{Value, json};

use crate::shop::{TOKEN, calling, result, run, shop, tool, trace};
use crate::support::said;

#[tokio::test]
async fn arguments_and_headers_go_where_the_templates_put_them() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::json(&json!({ "order": { "state": "shipped" } })));
    let tool = tool(&api, "/users/{{ headers.user_id }}/orders/{{ args.order_id }}")
        .with_header("Authorization", "Bearer {{ headers.token }}")
        .with_header("X-Org", "{{ headers.org }}")
        .with_query("note", "{{ args.note | default('none') }}")
        .with_select("order.state");
    assert_eq!(result(tool, json!({ "order_id": "7/8?x=1", "note": "a&b" })).await, "shipped");
    let seen = api.last();
    assert_eq!((&*seen.method, &*seen.path), ("GET", "/users/u_1/orders/7%2F8%3Fx%3D1?note=a%26b"));
    assert_eq!(seen.header("authorization"), [format!("Bearer {TOKEN}")]);
    assert!(seen.header("x-org").is_empty(), "a header without its value is left out");
}

#[tokio::test]
async fn a_body_is_built_of_its_leaves() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::text("Done."));
    let body = json!({ "id": "{{ args.order_id }}", "limit": "{{ args.limit }}", "by": "user {{ headers.user_id }}" });
    let json_tool = tool(&api, "/orders").with_body(VariableBody::Json(body));
    let arguments = json!({ "order_id": "\"}, \"admin\": true, {\"", "limit": 5 });
    assert_eq!(result(json_tool, arguments).await, "Done.");
    assert_eq!(api.last().method, "POST");
    assert_eq!(api.last().header("content-type"), ["application/json"]);
    assert_eq!(api.last().json(), json!({ "id": "\"}, \"admin\": true, {\"", "limit": 5, "by": "user u_1" }));

    let form = VariableBody::Form(vec![("id".into(), Text::template("{{ args.order_id }}"))]);
    result(tool(&api, "/orders").with_body(form).with_method(Method::PUT), json!({ "order_id": "1&b=2" })).await;
    assert_eq!((&*api.last().method, &*api.last().body), ("PUT", &b"id=1%26b%3D2"[..]));
    assert_eq!(api.last().header("content-type"), ["application/x-www-form-urlencoded"]);
}

#[tokio::test]
async fn a_result_is_text_as_it_stands_or_json() {
    let order = json!({ "order": { "state": "shipped", "items": [{ "id": 1 }, { "id": 2 }] } });
    for (answer, select, expected) in [
        (Answer::json(&order), None, order.to_string()),
        (Answer::json(&order), Some("order.items[*].id"), "[1,2]".to_owned()),
        (Answer::json(&order), Some("$.order.items[0]"), r#"{"id":1}"#.to_owned()),
        (Answer::text("It is on its way."), None, "It is on its way.".to_owned()),
        (Answer::text("").with_status(204), None, "Done: the API answered with status 204 and no content.".to_owned()),
    ] {
        let api = ScriptedApi::start().await;
        api.then(answer);
        let tool = tool(&api, "/o");
        let tool = if let Some(path) = select { tool.with_select(path) } else { tool };
        assert_eq!(result(tool, json!({ "order_id": "7" })).await, expected);
    }
}

#[tokio::test]
async fn a_long_result_is_cut_and_says_so() {
    let api = ScriptedApi::start().await;
    api.then(Answer::text(&"ü".repeat(40_000)));
    let told = result(tool(&api, "/o"), json!({ "order_id": "7" })).await;
    assert!(told.ends_with("\n[Cut here: these are the first 65536 of 80000 bytes.]"), "{}", &told[told.len() - 80..]);
    assert!(told.len() < 66_000);
}

#[tokio::test]
async fn context_variables_are_fetched_when_a_tool_first_needs_them() {
    let api = ScriptedApi::start().await;
    api.on("/me").json(&json!({ "customer": "c_9" }));
    api.on("/customers/c_9/orders/7").json(&json!({ "state": "open" }));
    let script = calling([json!({ "order_id": "7" }), json!({ "order_id": "7" })]);
    let shop =
        shop(&script, tool(&api, "/customers/{{ me.customer }}/orders/{{ args.order_id }}").with_select("state"));
    let result = run(shop.variable(Variable::new("me", api.url("/me")))).await;
    assert_eq!(said(&result.messages)[2], "tool: open");
    assert_eq!((api.requests_to("/me").len(), api.requests_to("/customers/c_9/orders/7").len()), (1, 2));
    assert_eq!(api.connections(), 1, "fetches and tools share connections");
}

#[tokio::test]
async fn the_trail_says_what_went_to_the_tool() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::text("x"));
    let script = calling([json!({ "order_id": "7" })]);
    let tool = tool(&api, "/{{ headers.user_id }}")
        .with_header("Authorization", "Bearer {{ headers.token }}")
        .with_header("X-Org", "{{ headers.org }}");
    let result = run(shop(&script, tool)).await;
    let entries: Vec<Value> = result
        .trail
        .iter()
        .filter(|entry| &*entry.destination == "tools.get_order")
        .map(|entry| json!([entry.kind, entry.header, entry.from, entry.part, entry.sent]))
        .collect();
    assert_eq!(
        entries,
        [
            json!(["tool", "user_id", "headers.user_id", "url", true]),
            json!(["tool", "Authorization", "headers.token", null, true]),
            json!(["tool", "X-Org", "headers.org", null, false]),
        ]
    );
    assert!(!format!("{result:?}").contains(TOKEN));
}

#[tokio::test]
async fn a_call_is_part_of_the_turns_trace_unless_it_shall_not_be() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::text("x"));
    for (tool, traced) in [(tool(&api, "/"), true), (tool(&api, "/").without_trace(), false)] {
        let script = calling([json!({ "order_id": "7" })]);
        let runner = shop(&script, tool).build().unwrap();
        let schema = runner.registry().schema().clone();
        let headers = schema.merge([], &letterhead::Sent::nothing(), &[]).unwrap();
        let context = letterhead::RequestContext::builder(letterhead::Caller::anonymous(), headers).trace(trace());
        runner.run("Hello").request(context.build("a")).await.unwrap();
        let sent = api.last().header("traceparent").concat();
        assert_eq!(sent.contains("0af7651916cd43dd8448eb211c80319c"), traced, "{sent}");
    }
}

#[tokio::test]
async fn a_description_may_be_a_template_and_the_trail_says_what_it_read() {
    let api = ScriptedApi::start().await;
    let script = calling([]);
    let described = tool(&api, "/").with_description("Orders of {{ headers.user_id }}. {{ headers.org }}");
    let result = run(shop(&script, described)).await;
    assert_eq!(script.call_of("a").descriptions, ["Orders of u_1. "]);
    let told: Vec<_> = result
        .trail
        .iter()
        .filter(|entry| &*entry.destination == "agents.a.tools.get_order.description")
        .map(|entry| (&*entry.header, entry.sent))
        .collect();
    assert_eq!(told, [("user_id", true), ("org", false)]);
}

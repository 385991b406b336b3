//! What a model, an error or a log could show of an HTTP tool: names.

use letterhead::{HttpTool, VariableBody};
use letterhead_testkit::{Answer, ScriptedApi};
use serde_json::json;

use crate::shop::{TOKEN, calling, run, shop, tool};

#[tokio::test]
async fn a_model_is_shown_nothing_of_the_request() {
    let api = ScriptedApi::start().await;
    api.always(|_| Answer::status(500).body(TOKEN).header("x-secret", TOKEN));
    let made = tool(&api, "/{{ headers.token }}")
        .with_header("Authorization", "Bearer {{ headers.token }}")
        .with_query("key", "{{ headers.token }}")
        .with_effects(true);
    let script = calling([json!({ "order_id": "7" })]);
    let result = run(shop(&script, made)).await;
    assert!(api.last().path.contains(TOKEN), "it went to the API");
    for call in script.calls() {
        assert!(!format!("{:?}{:?}{}", call.messages, call.descriptions, call.instructions).contains(TOKEN));
    }
    assert!(!format!("{result:?}").contains(TOKEN));
    assert!(!serde_json::to_string(&result).unwrap().contains(TOKEN));
}

#[tokio::test]
async fn what_an_api_sends_back_of_the_request_is_taken_out() {
    for select in [None, Some("seen"), Some("log[*]")] {
        let api = ScriptedApi::start().await;
        api.always(|request| {
            let seen = format!("{} {:?} {}", request.path, request.headers, request.text());
            Answer::json(&json!({ "seen": seen, "log": [{ (seen.as_str()): 1 }], "state": "open" }))
        });
        let made = tool(&api, "/{{ headers.token }}/{{ args.order_id }}")
            .with_header("Authorization", "Bearer {{ headers.token }}")
            .with_header("X-Crm", letterhead::Text::literal("crm-canary"))
            .with_body(VariableBody::Json(json!({ "t": "{{ headers.token }}", "api_key": "key-canary" })));
        let made = select.into_iter().fold(made, HttpTool::with_select);
        let script = calling([json!({ "order_id": "7-canned" })]);
        let result = run(shop(&script, made)).await;
        assert!(api.last().path.contains(TOKEN) && api.last().text().contains("key-canary"), "it went to the API");
        let told = script.calls().last().unwrap().said().join("\n");
        assert!(told.contains("\u{2039}removed\u{203a}") && told.contains("7-canned"), "{told}");
        for text in [told, format!("{result:?}"), serde_json::to_string(&result).unwrap()] {
            assert!(!text.contains("canary"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_text_is_rid_of_them_before_it_is_cut() {
    let api = ScriptedApi::start().await;
    // The end of what a model is told falls into the token.
    api.always(|_| Answer::text(&format!("{}{TOKEN}{}", "x".repeat(64 * 1024 - 10), "y".repeat(99))));
    let made = tool(&api, "/").with_header("X-T", "{{ headers.token }}");
    let script = calling([json!({ "order_id": "7" })]);
    run(shop(&script, made)).await;
    let told = script.calls().last().unwrap().said().join("\n");
    assert!(told.contains("Cut here") && !told.contains(&TOKEN[..8]), "{}", &told[told.len() - 200..]);
}

#[test]
fn debug_shows_the_name() {
    let made = HttpTool::new("get_order", "https://api.example.com/?key=canary").with_header("X-Key", "canary");
    assert_eq!(format!("{made:?}"), "HttpTool { name: \"get_order\", .. }");
    let runner = letterhead::Runner::with_agents([letterhead::Agent::new("a").with_tool_named("get_order")])
        .http_tool(made)
        .build()
        .unwrap();
    assert!(!format!("{runner:?}").contains("canary"));
}

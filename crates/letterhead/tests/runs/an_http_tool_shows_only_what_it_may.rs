//! What a model, an error or a log could show of an HTTP tool: names.

use letterhead::HttpTool;
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

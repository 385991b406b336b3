//! DESIGN's `tools:`: the model chooses the arguments, the request behind the turn brings who asks, and neither can be the other.

use letterhead_testkit::{Answer, Reply, ScriptedApi, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{House, Send};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
headers:
  properties:
    user_id:    { type: string }
    auth_token: { type: string, writeOnly: true }
tools:
  get_order:
    description: "Look an order of {{ headers.user_id }} up."
    parameters: { type: object, required: [order_id], properties: { order_id: { type: string } } }
    url: https://api.example.com/orders/{{ args.order_id }}
    headers: { Authorization: "Bearer {{ headers.auth_token }}" }
    select: order.state
  cancel_order:
    parameters: { type: object, required: [order_id], properties: { order_id: { type: string }, reason: { type: string } } }
    url: https://api.example.com/cancellations
    body: { order: "{{ args.order_id }}", reason: "{{ args.reason }}", by: "{{ headers.user_id }}" }
agents:
  assistant: { instructions: Be brief., tools: [get_order, cancel_order] }
"#;

async fn scene() -> (ScriptedLlm, ScriptedApi, House) {
    let (llm, api) = (ScriptedLlm::start().await, ScriptedApi::start().await);
    let yaml =
        format!("{YAML}egress: {{ allow: [\"{}\"] }}\n", api.host()).replace("https://api.example.com", &api.url(""));
    let house = House::open(&llm, &yaml).await;
    (llm, api, house)
}

fn asked(house: &House) -> reqwest::RequestBuilder {
    house.say_in("s", "Hi").header("user_id", "u_1").header("auth_token", "t_abc")
}

/// What the model was told of its last call.
fn result(llm: &ScriptedLlm) -> String {
    llm.last().json()["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_callers_token_goes_along_and_the_model_never_sees_it() {
    let (llm, api, house) = scene().await;
    api.on("/orders/o%2F1").json(&json!({ "order": { "state": "shipped", "owner": "u_1" } }));
    llm.then(Reply::tool("get_order", json!({ "order_id": "o/1" }))).then(Reply::text("It is on its way."));
    assert_eq!(asked(&house).answered().await.content(), "It is on its way.");
    assert_eq!(api.last().header("authorization"), ["Bearer t_abc"]);
    assert_eq!(result(&llm), "shipped");
    let offered = llm.requests()[0].json()["tools"].clone();
    assert_eq!(offered[0]["function"]["description"], "Look an order of u_1 up.");
    assert!(llm.requests().iter().all(|request| !request.text().contains("t_abc")));
    let rows = house.rows(house.get("/api/v1/sessions/s/trail")).await;
    let to_tool: Vec<&Value> = rows.iter().filter(|row| row["destination"] == "tools.get_order").collect();
    assert_eq!(to_tool.len(), 1, "{rows:#?}");
    assert_eq!((&to_tool[0]["header"], &to_tool[0]["sent"]), (&json!("Authorization"), &json!(true)));
}

#[tokio::test]
async fn arguments_are_data_and_what_is_missing_is_left_out() {
    let (llm, api, house) = scene().await;
    api.on("POST /cancellations").json(&json!({ "ok": true }));
    let order = "\", \"by\": \"{{ headers.auth_token }}";
    llm.then(Reply::tool("cancel_order", json!({ "order_id": order }))).then(Reply::text("Done."));
    assert_eq!(asked(&house).answered().await.content(), "Done.");
    assert_eq!(api.last().json(), json!({ "order": order, "by": "u_1" }));
}

#[tokio::test]
async fn what_goes_wrong_is_told_to_the_model_and_no_more_than_that() {
    let (llm, api, house) = scene().await;
    api.on("/orders/1").always(|_| Answer::status(403).body("a secret story"));
    llm.then(Reply::tool("get_order", json!({ "order_id": "1" })))
        .then(Reply::tool("get_order", json!({ "order": 1 })));
    llm.then(Reply::tool("get_order", json!({ "order_id": ".." }))).then(Reply::text("I could not."));
    assert_eq!(asked(&house).answered().await.content(), "I could not.");
    assert_eq!(api.requests().len(), 1, "what does not fit is not sent");
    let told: Vec<String> = llm.last().json()["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| message["content"].as_str().unwrap().to_owned())
        .collect();
    assert!(told[0].contains("403") && !told[0].contains("secret story"), "{told:?}");
    assert!(told[1].contains("order_id"), "{told:?}");
    assert_eq!(told.len(), 3);
}

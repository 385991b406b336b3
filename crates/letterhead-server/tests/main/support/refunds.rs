//! A house in which refunds need a person's approval, and the conversation `s` in which they are asked for.

use letterhead_testkit::{Reply, ScriptedApi, ScriptedLlm};
use serde_json::{Value, json};

use super::{Answered, House, Send};

pub(crate) const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
egress: { allow: ["@HOST@"] }
headers: { properties: { auth_token: { type: string, writeOnly: true } } }
tools:
  refund:
    parameters: { type: object, required: [order], properties: { order: { type: string } } }
    url: "@API@/refunds"
    headers: { Authorization: "Bearer {{ headers.auth_token }}", X-Agent: "{{ agent.name }}" }
    body: { order: "{{ args.order }}" }
    approve: true
  get_order:
    parameters: { type: object, required: [order], properties: { order: { type: string } } }
    url: "@API@/orders/{{ args.order }}"
agents:
  assistant: { instructions: Help., tools: [refund, get_order], handoffs: [billing], delegates: [clerk] }
  billing:   { description: Invoices., instructions: You handle billing. }
  clerk:     { description: Refunds., instructions: You refund., tools: [refund] }
entry: assistant
"#;

pub(crate) struct Scene {
    pub(crate) llm: ScriptedLlm,
    pub(crate) api: ScriptedApi,
    pub(crate) house: House,
}

impl Scene {
    pub(crate) async fn set() -> Self {
        let (llm, api) = (ScriptedLlm::start().await, ScriptedApi::start().await);
        let house = House::open(&llm, &yaml(&api, YAML)).await;
        api.on("POST /refunds").json(&json!({ "refunded": true }));
        api.on("/orders/7").json(&json!({ "state": "lost" }));
        Self { llm, api, house }
    }

    /// A turn that pauses: the model wants this.
    pub(crate) async fn pause(&self, wanted: Reply) -> Vec<Value> {
        self.llm.then(wanted);
        let paused = self.house.say_in("s", "Do it").header("auth_token", "t_1").answered().await;
        approvals(&paused)
    }

    /// The turns that wait now.
    pub(crate) async fn waiting(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for row in self.house.rows(self.house.get("/api/v1/sessions/s/turns?status=paused")).await {
            found.push(self.turn(&row["id"]).await);
        }
        found
    }

    pub(crate) async fn turn(&self, id: &Value) -> Value {
        self.house.get(&format!("/api/v1/sessions/s/turns/{}", id.as_str().unwrap())).answered().await.json()
    }

    pub(crate) async fn answer(&self, approvals: Value) -> Answered {
        self.send(&json!({ "approvals": approvals })).await
    }

    pub(crate) async fn send(&self, body: &Value) -> Answered {
        self.house.post("/api/v1/chat/completions/s", body).answered().await
    }

    pub(crate) fn refunds(&self) -> usize {
        self.api.requests_to("/refunds").len()
    }

    /// The results that the model was told last, by call.
    pub(crate) fn told(&self) -> Vec<(String, String)> {
        let messages = self.llm.last().json()["messages"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let results = messages.iter().filter(|message| message["role"] == "tool");
        results.map(|result| (text(&result["tool_call_id"]), text(&result["content"]))).collect()
    }
}

pub(crate) fn yaml(api: &ScriptedApi, yaml: &str) -> String {
    yaml.replace("@HOST@", &api.host()).replace("@API@", &api.url(""))
}

/// What a paused answer asks.
#[track_caller]
pub(crate) fn approvals(paused: &Answered) -> Vec<Value> {
    assert_eq!(paused.status, 200, "{}", paused.text);
    let body = paused.json();
    assert_eq!(body["requires_action"]["type"], "approval", "{body:#}");
    body["requires_action"]["approvals"].as_array().unwrap().clone()
}

#[track_caller]
pub(crate) fn is_over(answered: &Answered) {
    assert!(answered.json().get("requires_action").is_none(), "{}", answered.text);
}

pub(crate) fn refund(order: &str) -> Reply {
    Reply::tool("refund", json!({ "order": order }))
}

pub(crate) fn yes(approval: &Value) -> Value {
    json!({ "id": approval["id"], "approved": true })
}

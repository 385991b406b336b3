//! A house in which refunds need approval, asked over A2A: a task that waits.

use std::sync::Arc;

use letterhead_store::Store;
use letterhead_testkit::{Reply, ScriptedApi, ScriptedLlm};
use serde_json::{Value, json};

use super::a2a::{ids, message_in, state};
use super::{Answered, House, PATIENCE, Send, app, memory};

pub(crate) const YAML: &str = r#"
auth: { trust_identity_headers: loopback }
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
egress: { allow: ["@HOST@"] }
tools:
  refund:
    parameters: { type: object, required: [order], properties: { order: { type: string } } }
    url: "@API@/refunds"
    body: { order: "{{ args.order }}" }
    approve: true
agents:
  assistant: { instructions: Help., tools: [refund] }
"#;

pub(crate) struct Scene {
    pub(crate) llm: ScriptedLlm,
    pub(crate) api: ScriptedApi,
}

impl Scene {
    pub(crate) async fn set() -> Self {
        let scene = Self { llm: ScriptedLlm::start().await, api: ScriptedApi::start().await };
        scene.api.on("POST /refunds").json(&json!({ "refunded": true }));
        scene
    }

    pub(crate) async fn house(&self, yaml: &str, store: impl FnOnce() -> Arc<dyn Store>) -> House {
        let yaml = yaml.replace("@HOST@", &self.api.host()).replace("@API@", &self.api.url(""));
        House::serve(app(&self.llm.openai_url(), &yaml, store), PATIENCE).await
    }

    /// A task that waits, and the approvals that it asks for.
    pub(crate) async fn paused(&self, house: &House, orders: &[&str]) -> (Value, Vec<Value>) {
        let refund = |order: &&str| json!({ "order": order });
        let mut wanted = Reply::text("I will refund. ");
        for order in orders {
            wanted = wanted.and_tool("refund", refund(order));
        }
        self.llm.then(wanted);
        let task = house.tell(&message_in("My money!", "contextId", "c")).answered().await.task();
        let asked = asked(&task);
        (task, asked)
    }

    pub(crate) fn refunds(&self) -> usize {
        self.api.requests_to("/refunds").len()
    }
}

/// A house with a task that waits for the approval of one call.
pub(crate) struct Waits {
    pub(crate) scene: Scene,
    pub(crate) house: House,
    pub(crate) task: Value,
    pub(crate) id: String,
    pub(crate) call: Value,
}

impl Waits {
    pub(crate) async fn begun() -> Self {
        let scene = Scene::set().await;
        let house = scene.house(YAML, memory).await;
        let (task, asked) = scene.paused(&house, &["7"]).await;
        Self { scene, house, id: ids(&task).0, task, call: asked[0].clone() }
    }

    /// Sends a message.
    pub(crate) async fn told(&self, message: &Value) -> Answered {
        self.house.tell(message).answered().await
    }

    /// Approves the call, in a message on the task.
    pub(crate) fn approval(&self) -> Value {
        answering(&self.id, &yes(&self.call))
    }

    /// The task as it is kept.
    pub(crate) async fn kept(&self) -> Value {
        self.house.about("GetTask", &self.id).answered().await.task()
    }
}

/// What a task that waits asks.
#[track_caller]
pub(crate) fn asked(task: &Value) -> Vec<Value> {
    assert_eq!(state(task), "INPUT_REQUIRED", "{task:#}");
    let parts = task["status"]["message"]["parts"].as_array().unwrap();
    assert_eq!(task["status"]["message"]["role"], "ROLE_AGENT");
    assert!(parts[0]["text"].as_str().unwrap().contains("`refund`"), "{task:#}");
    parts[1]["data"]["approvals"].as_array().unwrap().clone()
}

/// A message on a task that answers its question.
pub(crate) fn answering(task: &str, approvals: &Value) -> Value {
    let parts = json!([{ "data": { "approvals": approvals } }]);
    json!({ "messageId": "m-2", "role": "ROLE_USER", "taskId": task, "parts": parts })
}

pub(crate) fn yes(approval: &Value) -> Value {
    json!([{ "id": approval["id"], "approved": true }])
}

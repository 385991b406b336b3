//! CONTRACT 9, Approvals, over A2A: a task that needs one is `INPUT_REQUIRED` and asks in a part with data; the answer is a message
//! on the same task, and the task goes on, after a restart too.

use std::sync::Arc;
use std::time::Duration;

use letterhead_store::sqlite::SqliteOptions;
use letterhead_store::{SqliteStore, Store, SystemClock};
use letterhead_testkit::{Answer, Reply, ScriptedApi, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::a2a::{added_up, artifacts, ids, message_in, state};
use crate::support::tasks::done;
use crate::support::{Answered, House, PATIENCE, Send, app, memory, sqlite, tidy};

const YAML: &str = r#"
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

struct Scene {
    llm: ScriptedLlm,
    api: ScriptedApi,
}

impl Scene {
    async fn set() -> Self {
        let scene = Self { llm: ScriptedLlm::start().await, api: ScriptedApi::start().await };
        scene.api.on("POST /refunds").json(&json!({ "refunded": true }));
        scene
    }

    async fn house(&self, yaml: &str, store: impl FnOnce() -> Arc<dyn Store>) -> House {
        let yaml = yaml.replace("@HOST@", &self.api.host()).replace("@API@", &self.api.url(""));
        House::serve(app(&self.llm.openai_url(), &yaml, store), PATIENCE).await
    }

    /// A task that waits, and the approvals that it asks for.
    async fn paused(&self, house: &House, orders: &[&str]) -> (Value, Vec<Value>) {
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

    fn refunds(&self) -> usize {
        self.api.requests_to("/refunds").len()
    }
}

/// A house with a task that waits for the approval of one call.
struct Waits {
    scene: Scene,
    house: House,
    task: Value,
    id: String,
    call: Value,
}

impl Waits {
    async fn begun() -> Self {
        let scene = Scene::set().await;
        let house = scene.house(YAML, memory).await;
        let (task, asked) = scene.paused(&house, &["7"]).await;
        Self { scene, house, id: ids(&task).0, task, call: asked[0].clone() }
    }

    /// Sends a message.
    async fn told(&self, message: &Value) -> Answered {
        self.house.tell(message).answered().await
    }

    /// Approves the call, in a message on the task.
    fn approval(&self) -> Value {
        answering(&self.id, &yes(&self.call))
    }

    /// The task as it is kept.
    async fn kept(&self) -> Value {
        self.house.about("GetTask", &self.id).answered().await.task()
    }
}

/// What a task that waits asks.
#[track_caller]
fn asked(task: &Value) -> Vec<Value> {
    assert_eq!(state(task), "INPUT_REQUIRED", "{task:#}");
    let parts = task["status"]["message"]["parts"].as_array().unwrap();
    assert_eq!(task["status"]["message"]["role"], "ROLE_AGENT");
    assert!(parts[0]["text"].as_str().unwrap().contains("`refund`"), "{task:#}");
    parts[1]["data"]["approvals"].as_array().unwrap().clone()
}

/// A message on a task that answers its question.
fn answering(task: &str, approvals: &Value) -> Value {
    let parts = json!([{ "data": { "approvals": approvals } }]);
    json!({ "messageId": "m-2", "role": "ROLE_USER", "taskId": task, "parts": parts })
}

fn yes(approval: &Value) -> Value {
    json!([{ "id": approval["id"], "approved": true }])
}

#[tokio::test]
async fn it_asks_and_goes_on_when_it_was_answered() {
    let waits = Waits::begun().await;
    assert_eq!(waits.scene.refunds(), 0);
    let mut shown = tidy(waits.task["status"].clone());
    shown["message"]["messageId"] = "[uuid]-status".into();
    shown["message"]["parts"][1]["data"]["approvals"][0]["id"] = "[approval]".into();
    insta::assert_json_snapshot!(shown);
    let kept = waits.kept().await;
    assert_eq!(tidy(kept), tidy(waits.task.clone()), "what is kept is what was told");
    let listed = waits.house.a2a("ListTasks", &json!({ "status": "TASK_STATE_INPUT_REQUIRED" })).answered().await;
    assert_eq!(ids(&listed.rpc_result()["tasks"][0]).0, waits.id);
    // Nothing happens until somebody says something.
    let followed = waits.house.about("SubscribeToTask", &waits.id).answered().await.updates();
    assert_eq!((followed.len(), state(&followed[0]["task"]).as_str()), (1, "INPUT_REQUIRED"));

    waits.scene.llm.then(Reply::text("It is done."));
    let done = waits.house.tell_streaming(&waits.approval()).answered().await.updates();
    assert_eq!(ids(&done[0]["task"]), ids(&waits.task), "it is the same task");
    assert_eq!((state(&done[0]["task"]).as_str(), waits.scene.refunds()), ("WORKING", 1));
    assert_eq!(state(&done.last().unwrap()["statusUpdate"]), "COMPLETED");
    let said = added_up(&done);
    assert_eq!(said.iter().map(|said| said.2.as_str()).collect::<Vec<_>>(), ["I will refund. ", "It is done."]);
    let whole = waits.kept().await;
    assert_eq!((state(&whole).as_str(), artifacts(&whole)), ("COMPLETED", said));
    assert_eq!(whole["metadata"]["usage"], json!({ "inputTokens": 20, "outputTokens": 10 }));
    let listed = waits.house.a2a("ListTasks", &json!({})).answered().await.rpc_result();
    assert_eq!((&listed["totalSize"], state(&listed["tasks"][0]).as_str()), (&json!(1), "COMPLETED"));
    // It was answered.
    waits.told(&waits.approval()).await.rpc_error(-32004);
    assert_eq!(waits.scene.refunds(), 1);
}

#[tokio::test]
async fn it_waits_through_a_restart_and_pauses_again_while_something_is_open() {
    let scene = Scene::set().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letterhead.db");
    let house = scene.house(YAML, || sqlite(&file, None)).await;
    let (task, asked_first) = scene.paused(&house, &["7", "8"]).await;
    let (id, _) = ids(&task);
    house.stopped().await;
    let house = scene.house(YAML, || sqlite(&file, None)).await;
    let kept = house.about("GetTask", &id).answered().await.task();
    assert_eq!(asked(&kept), asked_first);
    let again = house.tell(&answering(&id, &yes(&asked_first[0]))).answered().await.task();
    assert_eq!(ids(&again), ids(&task));
    assert_eq!((asked(&again), scene.refunds()), (asked_first[1..].to_vec(), 1));
    house.stopped().await;
    let house = scene.house(YAML, || sqlite(&file, None)).await;
    scene.llm.then(Reply::text("One of two."));
    let refused = json!([{ "id": asked_first[1]["id"], "approved": false, "reason": "Too much." }]);
    let done = house.tell(&answering(&id, &refused)).answered().await.task();
    assert_eq!((state(&done).as_str(), scene.refunds()), ("COMPLETED", 1));
    assert!(scene.llm.last().text().contains("Too much."));
    let listed = house.a2a("ListTasks", &json!({})).answered().await.rpc_result();
    assert_eq!(listed["totalSize"], 1);
}

#[tokio::test]
async fn nobody_else_answers_and_no_other_answer_is_taken() {
    let waits = Waits::begun().await;
    for (who, value) in [("x-user-id", "eve"), ("x-tenant-id", "globex")] {
        waits.house.tell(&waits.approval()).header(who, value).answered().await.rpc_error(-32001);
        waits.house.about("GetTask", &waits.id).header(who, value).answered().await.rpc_error(-32001);
    }
    let mut elsewhere = waits.approval();
    elsewhere["contextId"] = "other".into();
    waits.told(&elsewhere).await.rpc_error(-32602);
    waits.told(&answering(&waits.id, &json!([{ "id": "msg_1:0", "approved": true }]))).await.rpc_error(-32602);
    let mut both = waits.approval();
    both["parts"].as_array_mut().unwrap().push(json!({ "text": "And more." }));
    waits.told(&both).await.rpc_error(-32602);
    assert_eq!(waits.scene.refunds(), 0);
    assert_eq!(state(&waits.kept().await), "INPUT_REQUIRED");
    // What looks like an answer is data like any other where no task is named.
    waits.scene.llm.then(Reply::text("I see."));
    let mut data = waits.approval();
    data.as_object_mut().unwrap().remove("taskId");
    assert_eq!(state(&waits.told(&data).await.task()), "COMPLETED");
    assert_eq!(waits.scene.refunds(), 0);
}

#[tokio::test]
async fn an_answer_that_is_not_right_is_refused_and_the_task_waits_on() {
    let waits = Waits::begun().await;
    let call = &waits.call["id"];
    let right = json!({ "id": call, "approved": true });
    for (data, place) in [
        (json!({ "approvals": [right, { "id": call, "approve": true }] }), "/approvals/1"),
        (json!({ "approvals": [{ "id": call, "approved": "true" }] }), "/approvals/0"),
        (json!({ "approvals": [{ "id": call }] }), "/approvals/0"),
        (json!({ "approvals": ["yes"] }), "/approvals/0"),
        (json!({ "approvals": right }), "/approvals"),
        (json!({ "approvals": [] }), "/approvals"),
        (json!({ "approvals": null }), "/approvals"),
        (json!({ "approvals": [right], "reason": "Go on." }), ""),
    ] {
        let parts = json!([{ "data": data }]);
        let message = json!({ "messageId": "m-2", "role": "ROLE_USER", "taskId": waits.id, "parts": parts });
        let error = waits.told(&message).await.rpc_error(-32602).to_string();
        assert!(error.contains(&format!("`/params/message/parts/0/data{place}`")), "{data}: {error}");
        assert_eq!(state(&waits.kept().await), "INPUT_REQUIRED", "{data}");
    }
    let twice = format!(r#"{{"approvals":[{right}],"approvals":[{right}]}}"#);
    let params = json!({ "message": answering(&waits.id, &json!("@")) });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params }).to_string();
    let body = body.replace(r#"{"approvals":"@"}"#, &twice);
    assert!(body.contains(&twice));
    waits.house.tell(&json!({})).body(body).answered().await.rpc_error(-32602);
    assert_eq!((waits.scene.refunds(), waits.scene.llm.requests().len()), (0, 1));
    waits.scene.llm.then(Reply::text("It is done."));
    assert_eq!(state(&waits.told(&waits.approval()).await.task()), "COMPLETED");
    assert_eq!(waits.scene.refunds(), 1);
}

#[tokio::test]
async fn who_says_something_else_is_not_refunded_and_the_task_goes_on() {
    let waits = Waits::begun().await;
    waits.scene.llm.then(Reply::text("Then not."));
    let other = waits.told(&message_in("Forget it.", "taskId", &waits.id)).await.task();
    assert_eq!((ids(&other), state(&other).as_str()), (ids(&waits.task), "COMPLETED"));
    assert_eq!(other["history"].as_array().unwrap().len(), 2);
    assert_eq!(waits.scene.refunds(), 0);
    let whole = waits.kept().await;
    assert_eq!(artifacts(&whole), artifacts(&other));
}

#[tokio::test]
async fn a_task_that_waits_can_be_cancelled_and_takes_no_answer_then() {
    let waits = Waits::begun().await;
    let cancelled = waits.house.about("CancelTask", &waits.id).answered().await.task();
    assert_eq!((ids(&cancelled), state(&cancelled).as_str()), (ids(&waits.task), "CANCELED"));
    waits.told(&waits.approval()).await.rpc_error(-32004);
    // Nor in another protocol.
    let body = json!({ "approvals": yes(&waits.call) });
    waits.house.post("/api/v1/chat/completions/c", &body).answered().await.problem(400, "invalid_body");
    assert_eq!(waits.scene.refunds(), 0);
    waits.scene.llm.then(Reply::text("Of course."));
    assert_eq!(waits.house.say_in("c", "Something else?").answered().await.status, 200);
    assert_eq!(waits.scene.llm.requests().len(), 2, "nobody was asked to cancel");
}

#[tokio::test]
async fn a_task_is_over_when_the_conversation_goes_on_without_it() {
    let waits = Waits::begun().await;
    waits.scene.llm.then(Reply::text("Yes?"));
    let next = waits.told(&message_in("Something else.", "contextId", "c")).await.task();
    assert_ne!(ids(&next).0, waits.id);
    let left = waits.kept().await;
    assert_eq!(state(&left), "CANCELED");
    waits.told(&waits.approval()).await.rpc_error(-32004);
    let waiting = waits.house.a2a("ListTasks", &json!({ "status": "TASK_STATE_INPUT_REQUIRED" })).answered().await;
    assert_eq!(waiting.rpc_result()["totalSize"], 0);
    let cancelled = waits.house.a2a("ListTasks", &json!({ "status": "TASK_STATE_CANCELED" })).answered().await;
    assert_eq!(cancelled.rpc_result()["totalSize"], 1);
}

#[tokio::test]
async fn a_task_that_is_answered_in_another_protocol_works() {
    let waits = Waits::begun().await;
    let (answer, gate) = done().held();
    waits.scene.llm.then(answer);
    let body = json!({ "stream": true, "approvals": yes(&waits.call) });
    let other = waits.house.post("/api/v1/chat/completions/c", &body);
    let other = tokio::spawn(async move { other.answered().await });
    waits.scene.llm.received(2).await;
    assert_eq!(state(&waits.kept().await), "WORKING");
    for (status, total) in [("TASK_STATE_UNSPECIFIED", 1), ("TASK_STATE_WORKING", 1), ("TASK_STATE_INPUT_REQUIRED", 0)]
    {
        let listed = waits.house.a2a("ListTasks", &json!({ "status": status })).answered().await.rpc_result();
        assert_eq!(listed["totalSize"], total, "{listed}");
        let all = listed["tasks"].as_array().unwrap();
        assert!(all.iter().all(|task| ids(task).0 == waits.id && state(task) == "WORKING"), "{listed}");
    }
    let refused = waits.told(&waits.approval()).await.rpc_error(-32004);
    assert!(refused["message"].as_str().unwrap().contains("still working"), "{refused}");
    gate.open();
    assert_eq!(other.await.unwrap().status, 200);
    assert_eq!((state(&waits.kept().await).as_str(), waits.scene.refunds()), ("COMPLETED", 1));
}

#[tokio::test]
async fn two_answers_at_once_make_one_call() {
    let waits = Waits::begun().await;
    let (answer, gate) = Answer::status(500).held();
    waits.scene.llm.then(answer);
    let one = waits.house.tell(&waits.approval());
    let one = tokio::spawn(async move { one.answered().await });
    waits.scene.llm.received(2).await;
    let other = waits.told(&waits.approval()).await;
    other.rpc_error(-32004);
    gate.open();
    assert_eq!(state(&one.await.unwrap().task()), "FAILED");
    assert_eq!(waits.scene.refunds(), 1);
}

#[tokio::test]
async fn an_answer_that_is_sent_again_with_its_key_is_told_what_came_of_it() {
    let reason = |error: Value| error["data"][0]["reason"].clone();
    let waits = Waits::begun().await;
    let send = |key: &str| {
        let request = waits.house.tell(&waits.approval()).header("idempotency-key", key);
        async move { request.answered().await }
    };
    let (answer, gate) = Answer::status(500).held();
    waits.scene.llm.then(answer);
    let first = tokio::spawn(send("k-1"));
    waits.scene.llm.received(2).await;
    assert_eq!(reason(send("k-1").await.rpc_error(-32000)), "IDEMPOTENCY_RUNNING");
    gate.open();
    // A turn that failed frees the key, and its task has come to its end.
    assert_eq!(state(&first.await.unwrap().task()), "FAILED");
    send("k-1").await.rpc_error(-32004);

    let waits = Waits::begun().await;
    let send = async |key: &str, approvals: &Value| {
        let message = answering(&waits.id, approvals);
        waits.house.tell(&message).header("idempotency-key", key).answered().await
    };
    waits.scene.llm.then(Reply::text("It is done."));
    let yes = yes(&waits.call);
    let done = send("k-2", &yes).await.task();
    let again = send("k-2", &yes).await.task();
    let task = ids(&waits.task);
    assert_eq!((ids(&again), state(&again).as_str(), artifacts(&again)), (task, "COMPLETED", artifacts(&done)));
    assert_eq!(waits.scene.refunds(), 1);
    // Another request under the key, and the same one under another.
    let no = json!([{ "id": waits.call["id"], "approved": false }]);
    assert_eq!(reason(send("k-2", &no).await.rpc_error(-32000)), "IDEMPOTENCY_MISMATCH");
    for _ in 0..2 {
        send("k-3", &yes).await.rpc_error(-32004);
    }
}

#[tokio::test]
async fn a_clients_own_call_is_not_asked_about() {
    let scene = Scene::set().await;
    let house = scene.house(YAML, memory).await;
    let both = Reply::tool("pick_date", json!({})).and_tool("refund", json!({ "order": "7" }));
    scene.llm.then(both).then(Reply::text("It is done."));
    let pick = json!({ "type": "function", "function": { "name": "pick_date", "parameters": { "type": "object" } } });
    let body = json!({ "messages": [{ "role": "user", "content": "My money!" }], "tools": [pick] });
    let paused = house.post("/api/v1/chat/completions/c", &body).answered().await.json();
    let listed =
        house.a2a("ListTasks", &json!({ "status": "TASK_STATE_INPUT_REQUIRED" })).answered().await.rpc_result();
    let (id, _) = ids(&listed["tasks"][0]);
    let asked = asked(&house.about("GetTask", &id).answered().await.task());
    assert_eq!(json!(asked), paused["requires_action"]["approvals"]);
    assert_eq!((asked.len(), &asked[0]["name"]), (1, &json!("refund")));
    let done = house.tell(&answering(&id, &yes(&asked[0]))).answered().await.task();
    assert_eq!((state(&done).as_str(), scene.refunds()), ("COMPLETED", 1));
}

#[tokio::test]
async fn nobody_is_asked_for_a_tool_that_is_gone() {
    let scene = Scene::set().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letterhead.db");
    let house = scene.house(YAML, || sqlite(&file, None)).await;
    let (task, asked) = scene.paused(&house, &["7"]).await;
    let (id, _) = ids(&task);
    house.stopped().await;
    let house = scene.house(&YAML.replace(", tools: [refund]", ""), || sqlite(&file, None)).await;
    let kept = house.about("GetTask", &id).answered().await.task();
    assert_eq!(state(&kept), "INPUT_REQUIRED");
    let [said] = &kept["status"]["message"]["parts"].as_array().unwrap()[..] else { panic!("{kept:#}") };
    assert!(said["text"].as_str().unwrap().contains("cannot be approved any more"), "{kept:#}");
    house.tell(&answering(&id, &yes(&asked[0]))).answered().await.rpc_error(-32602);
    scene.llm.then(Reply::text("It cannot be done."));
    let done = house.tell(&message_in("Then not.", "taskId", &id)).answered().await.task();
    assert_eq!((ids(&done), state(&done).as_str(), scene.refunds()), (ids(&task), "COMPLETED", 0));
}

#[tokio::test]
async fn a_task_that_begins_to_wait_while_it_is_cancelled_waits_no_longer() {
    let scene = Scene::set().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letterhead.db");
    let options = SqliteOptions { busy_timeout: Duration::from_secs(30), ..SqliteOptions::default() };
    let store = || Arc::new(SqliteStore::open(&file, options, Arc::new(SystemClock)).unwrap()) as Arc<dyn Store>;
    let house = scene.house(YAML, store).await;
    let call = json!({ "index": 0, "id": "c1", "function": { "name": "refund", "arguments": "{\"order\":\"7\"}" } });
    let chunks = [
        json!({ "choices": [{ "index": 0, "delta": { "content": "I will refund. " } }] }).to_string(),
        json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [call] }, "finish_reason": "tool_calls" }] })
            .to_string(),
        "[DONE]".to_owned(),
    ];
    let (answer, gate) = Answer::sse(chunks).held();
    scene.llm.then(answer);
    let task = house.tell_and_leave(&message_in("My money!", "contextId", "c")).answered().await.task();
    let (id, _) = ids(&task);
    scene.llm.received(1).await;
    // The turn ends, and cannot be stored yet.
    let lock = rusqlite::Connection::open(&file).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    gate.open();
    while artifacts(&house.about("GetTask", &id).answered().await.task()).is_empty() {}
    let look = async || {
        for _ in 0..20 {
            house.about("GetTask", &id).answered().await.task();
        }
    };
    look().await;
    let cancelling = house.about("CancelTask", &id);
    let cancelling = tokio::spawn(async move { cancelling.answered().await });
    look().await;
    assert!(!cancelling.is_finished());
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(state(&cancelling.await.unwrap().task()), "CANCELED");
    assert_eq!(state(&house.about("GetTask", &id).answered().await.task()), "CANCELED");
}

//! CONTRACT 9, Approvals, over A2A: who may answer a task that waits, with what, and how often.

use letterhead_testkit::{Answer, Reply};
use serde_json::{Value, json};

use crate::support::a2a::{artifacts, ids, message_in, state};
use crate::support::waiting_task::{Scene, Waits, YAML, answering, asked, yes};
use crate::support::{Send, memory, sqlite};

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

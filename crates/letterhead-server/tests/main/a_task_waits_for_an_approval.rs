//! CONTRACT 9, Approvals, over A2A: a task that needs one is `INPUT_REQUIRED` and asks in a part with data; the answer is a message
//! on the same task, and the task goes on, after a restart too.

use std::sync::Arc;
use std::time::Duration;

use letterhead_store::sqlite::SqliteOptions;
use letterhead_store::{SqliteStore, Store, SystemClock};
use letterhead_testkit::{Answer, Reply};
use serde_json::json;

use crate::support::a2a::{added_up, artifacts, ids, message_in, state};
use crate::support::tasks::done;
use crate::support::waiting_task::{Scene, Waits, YAML, answering, asked, yes};
use crate::support::{Send, sqlite, tidy};

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

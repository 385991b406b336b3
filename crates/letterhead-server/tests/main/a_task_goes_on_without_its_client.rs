//! CONTRACT 7 and 9, `/a2a`: a task is run for itself. Whoever asked for it may leave, and finds it when it has ended, and after a
//! restart.

use std::path::Path;
use std::time::Duration;

use letterhead_server::serve::Patience;
use letterhead_testkit::{Reply, ScriptedLlm};
use serde_json::json;

use crate::support::a2a::{artifacts, ids, message, message_in, state};
use crate::support::tasks::{YAML, done, end, open, sent, streaming, until};
use crate::support::{House, PATIENCE, Send, app, sqlite};

#[tokio::test]
async fn who_leaves_a_stream_finds_the_task_ended() {
    let (llm, house) = open().await;
    let (wire, tap, id) = streaming(&house, &llm).await;
    drop(wire);
    let task = house.about("GetTask", &id).answered().await.task();
    assert_eq!((state(&task).as_str(), artifacts(&task)[0].2.as_str()), ("WORKING", "Once upon"));
    end(tap);
    let task = until(&house, &id, "COMPLETED").await;
    assert_eq!(artifacts(&task)[0].2, "Once upon a time.");
}

#[tokio::test]
async fn so_does_who_leaves_while_waiting() {
    let (llm, house) = open().await;
    let (answer, gate) = done().held();
    llm.then(answer);
    let wire = sent(&house, "SendMessage", &message_in("Hi", "contextId", "c")).await;
    llm.received(1).await;
    drop(wire);
    let listed = house.a2a("ListTasks", &json!({ "contextId": "c", "status": "TASK_STATE_WORKING" })).answered().await;
    let id = ids(&listed.rpc_result()["tasks"][0]).0;
    gate.open();
    until(&house, &id, "COMPLETED").await;
}

#[tokio::test]
async fn who_does_not_wait_is_told_the_task_at_once() {
    let (llm, house) = open().await;
    let (answer, gate) = done().held();
    llm.then(answer);
    let task = house.tell_and_leave(&message("Hi")).answered().await.task();
    assert_eq!(state(&task), "WORKING");
    assert_eq!(task["history"][0]["parts"][0]["text"], "Hi");
    // Until it has ended it takes no other message.
    let more = house.tell(&message_in("More.", "taskId", &ids(&task).0)).answered().await;
    assert!(more.rpc_error(-32004)["message"].as_str().unwrap().contains("still working"));
    gate.open();
    let task = until(&house, &ids(&task).0, "COMPLETED").await;
    assert_eq!(artifacts(&task)[0].2, "Done.");
    let more = house.tell(&message_in("More.", "taskId", &ids(&task).0)).answered().await;
    assert!(more.rpc_error(-32004)["message"].as_str().unwrap().contains("completed"));
}

#[tokio::test]
async fn a_task_that_was_announced_is_kept_though_its_turn_is_refused() {
    let (llm, house) = open().await;
    // Where the client waits, nothing has begun: it is told what is missing, and asks again.
    let waits = house.tell(&message_in("Hi", "contextId", "c")).header("x-agent-schema", "paying");
    let error = waits.answered().await.rpc_error(-32602);
    assert_eq!(error["data"][0]["reason"], "MISSING_CREDENTIAL");
    assert_eq!(house.a2a("ListTasks", &json!({})).answered().await.rpc_result()["totalSize"], 0);
    // Where it was told of the task, the task has failed, and says why.
    let streamed = house.tell_streaming(&message_in("Hi", "contextId", "c")).header("x-agent-schema", "paying");
    let updates = streamed.answered().await.updates();
    let last = &updates.last().unwrap()["statusUpdate"];
    assert_eq!(state(last), "FAILED");
    assert!(last["status"]["message"]["parts"][0]["text"].as_str().unwrap().contains("Authorization"), "{last}");
    let kept = house.about("GetTask", &ids(&updates[0]["task"]).0).answered().await.task();
    assert_eq!((&kept["status"], &kept["history"][0]["parts"][0]["text"]), (&last["status"], &json!("Hi")));
    for artifacts in [false, true] {
        let listed = house.a2a("ListTasks", &json!({ "includeArtifacts": artifacts })).answered().await.rpc_result();
        assert_eq!(listed["tasks"][0]["status"], last["status"]);
    }
    // The conversation does not have it.
    llm.then(Reply::text("Good."));
    house.tell(&message_in("Hello", "contextId", "c")).header("x-agent-schema", "a").answered().await.task();
    assert_eq!(llm.last().json()["messages"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn ended_tasks_are_there_after_a_restart() {
    let llm = ScriptedLlm::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letterhead.db");
    let house = House::on_file(&llm, YAML, &file).await;
    llm.then(Reply::tool("ask_agent", json!({ "agent": "a", "input": "A?" })));
    llm.then(Reply::text("Of A.")).then(Reply::text("So it is.")).always(Reply::text("Yes."));
    let first = house.tell(&message_in("One.", "contextId", "c")).answered().await.task();
    for text in ["Two.", "Three."] {
        house.tell(&message_in(text, "contextId", "c")).answered().await.task();
    }
    let list = json!({ "includeArtifacts": true, "historyLength": 5 });
    let before = house.a2a("ListTasks", &list).answered().await.rpc_result();
    house.stopped().await;
    let house = House::on_file(&llm, YAML, &file).await;
    assert_eq!(house.a2a("ListTasks", &list).answered().await.rpc_result(), before);
    assert_eq!(before["totalSize"], 3);
    let kept = house.about("GetTask", &ids(&first).0).answered().await.task();
    assert_eq!(artifacts(&kept), artifacts(&first));
    assert_eq!(artifacts(&kept)[0].1, "a");
}

/// A server on this file, which lets turns finish for so long when it stops.
async fn draining_for(llm: &ScriptedLlm, file: &Path, drain: Duration) -> House {
    let app = app(&llm.openai_url(), YAML, || sqlite(file, None));
    House::serve(app, Patience { drain, ..PATIENCE }).await
}

async fn assert_cut_off(house: &House, id: &str) {
    let cut = house.about("GetTask", id).answered().await.task();
    assert_eq!((state(&cut).as_str(), artifacts(&cut)[0].2.as_str()), ("CANCELED", "Once upon"));
}

#[tokio::test]
async fn a_stopping_server_lets_tasks_finish_and_cuts_off_those_that_do_not() {
    let llm = ScriptedLlm::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letterhead.db");
    let serve = |drain| draining_for(&llm, &file, drain);
    let house = serve(Duration::from_secs(60)).await;
    let (mut wire, tap, finished) = streaming(&house, &llm).await;
    house.stop();
    end(tap);
    assert!(String::from_utf8(wire.rest().await).unwrap().contains("TASK_STATE_COMPLETED"));
    house.stopped().await;

    let house = serve(Duration::from_millis(50)).await;
    let (mut wire, tap, cut) = streaming(&house, &llm).await;
    house.stop();
    let rest = String::from_utf8(wire.rest().await).unwrap();
    assert!(rest.contains("TASK_STATE_CANCELED") && rest.contains("shut down"), "{rest}");
    tap.left().await;
    house.stopped().await;

    let house = serve(Duration::from_secs(60)).await;
    assert_eq!(state(&house.about("GetTask", &finished).answered().await.task()), "COMPLETED");
    assert_cut_off(&house, &cut).await;
}

#[tokio::test]
async fn a_stopping_server_cuts_off_a_task_that_is_all_that_it_has() {
    let llm = ScriptedLlm::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letterhead.db");
    let serve = |drain| draining_for(&llm, &file, drain);
    let house = serve(Duration::from_millis(50)).await;
    let (wire, _tap, id) = streaming(&house, &llm).await;
    drop(wire);
    house.stopped().await;

    let house = serve(Duration::from_secs(60)).await;
    assert_cut_off(&house, &id).await;
}

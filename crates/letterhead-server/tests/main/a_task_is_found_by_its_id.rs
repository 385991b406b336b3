//! CONTRACT 7 and 9, `/a2a`: a task is asked for, listed and ended by its id or its context, by whom it belongs to.

use std::time::Duration;

use letterhead_testkit::{Answer, Reply, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::a2a::{added_up, artifacts, ids, message, message_in, rpc, state};
use crate::support::tasks::{YAML, open, streaming};
use crate::support::{House, Send};

#[tokio::test]
async fn cancelling_ends_the_call_of_the_model() {
    let (llm, house) = open().await;
    let (mut wire, tap, id) = streaming(&house, &llm).await;
    let cancelled = house.about("CancelTask", &id).answered().await.task();
    assert_eq!((state(&cancelled).as_str(), artifacts(&cancelled)[0].2.as_str()), ("CANCELED", "Once upon"));
    tap.left().await;
    let rest = String::from_utf8(wire.rest().await).unwrap();
    assert!(rest.contains("TASK_STATE_CANCELED"), "{rest}");
    // What there was is part of the conversation, as with a client that leaves.
    let kept = house.about("GetTask", &id).answered().await.task();
    assert_eq!((state(&kept).as_str(), artifacts(&kept)), ("CANCELED", artifacts(&cancelled)));
    let (_, context) = ids(&kept);
    assert_eq!(house.transcript(&context).await, ["user: Tell me.", "assistant: Once upon"]);
    // Again, it is as it is; and what has ended by itself cannot be ended.
    house.about("CancelTask", &id).answered().await.rpc_error(-32002);
    llm.then(Reply::text("Done."));
    let done = house.tell(&message("Hi")).answered().await.task();
    house.about("CancelTask", &ids(&done).0).answered().await.rpc_error(-32002);
}

#[tokio::test]
async fn a_task_that_is_not_there_is_told_so_by_every_method() {
    let (_llm, house) = open().await;
    let absent = "01a20423-e7b8-7000-b54a-ded5ae9e2f49";
    let long = "x".repeat(5000);
    for id in [absent, "t", "../..", "01A20423E7B87000B54ADED5AE9E2F49", "\u{0}", &long] {
        for method in ["GetTask", "CancelTask", "SubscribeToTask"] {
            let error = house.about(method, id).answered().await.rpc_error(-32001);
            assert_eq!(error["message"], "there is no such task");
        }
        house.tell(&message_in("Hi", "taskId", id)).answered().await.rpc_error(-32001);
    }
    for params in [json!({}), json!({ "id": 7 }), json!({ "id": "" }), json!({ "id": absent, "historyLength": -1 })] {
        let method = "GetTask";
        house.a2a(method, &params).answered().await.rpc_error(-32602);
    }
}

#[tokio::test]
async fn tasks_are_listed_newest_first_by_state_context_and_time_page_by_page() {
    let (llm, house) = open().await;
    llm.always(Reply::text("Yes."));
    let mut made = Vec::new();
    for at in 0..5 {
        if at == 3 {
            llm.then(Answer::status(500));
        }
        let context = if at % 2 == 0 { "even" } else { "odd" };
        let task = house.tell(&message_in("Hi", "contextId", context)).answered().await.task();
        made.push((ids(&task).0, task["status"]["timestamp"].as_str().unwrap().to_owned()));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let list = async |params: Value| {
        let listed = house.a2a("ListTasks", &params).answered().await.rpc_result();
        let tasks = listed["tasks"].as_array().unwrap().clone();
        assert_eq!(listed["pageSize"], tasks.len());
        let of = |task: &Value| made.iter().position(|(id, _)| *id == ids(task).0).unwrap();
        (tasks.iter().map(of).collect::<Vec<_>>(), listed)
    };
    let (all, listed) = list(json!({})).await;
    assert_eq!((all, &listed["totalSize"], &listed["nextPageToken"]), (vec![4, 3, 2, 1, 0], &json!(5), &json!("")));
    assert!(listed["tasks"].as_array().unwrap().iter().all(|task| task.get("artifacts").is_none()), "{listed}");
    assert_eq!(list(json!({ "contextId": "odd" })).await.0, [3, 1]);
    assert!(list(json!({ "contextId": "nobodys" })).await.0.is_empty());
    assert_eq!(list(json!({ "status": "TASK_STATE_COMPLETED" })).await.0, [4, 2, 1, 0]);
    assert_eq!(list(json!({ "status": "TASK_STATE_FAILED", "contextId": "odd" })).await.0, [3]);
    assert!(list(json!({ "status": "TASK_STATE_WORKING" })).await.0.is_empty());
    assert!(list(json!({ "status": "TASK_STATE_REJECTED" })).await.0.is_empty());
    assert_eq!(list(json!({ "statusTimestampAfter": made[3].1 })).await.0, [4, 3], "from that moment on");
    assert_eq!(list(json!({ "statusTimestampAfter": "2001-01-01T00:00:00+01:00" })).await.0.len(), 5);
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let (page, listed) = list(json!({ "pageSize": 2, "pageToken": token })).await;
        assert_eq!(listed["totalSize"], 5);
        seen.push(page);
        token = listed["nextPageToken"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [vec![4, 3], vec![2, 1], vec![0]]);
    let whole = list(json!({ "includeArtifacts": true, "historyLength": 1 })).await.1;
    assert_eq!(whole["tasks"][0]["artifacts"][0]["parts"][0]["text"], "Yes.");
    assert_eq!(whole["tasks"][0]["history"][0]["parts"][0]["text"], "Hi");

    for (name, value) in [
        ("contextId", json!("a/b")),
        ("contextId", json!(7)),
        ("status", json!("TASK_STATE_RUNNING")),
        ("status", json!("completed")),
        ("pageSize", json!(0)),
        ("pageSize", json!(101)),
        ("pageSize", json!(-1)),
        ("pageSize", json!("10")),
        ("pageToken", json!("no-token")),
        ("historyLength", json!(-1)),
        ("historyLength", json!(1.5)),
        ("statusTimestampAfter", json!("yesterday")),
        ("statusTimestampAfter", json!(1_700_000_000)),
        ("includeArtifacts", json!("yes")),
    ] {
        let error = house.a2a("ListTasks", &json!({ name: value })).answered().await.rpc_error(-32602);
        assert_eq!(error["data"][1]["fieldViolations"][0]["field"], name, "{error}");
    }
}

#[tokio::test]
async fn a_history_is_as_long_as_it_is_wanted() {
    let (llm, house) = open().await;
    llm.always(Reply::text("Yes."));
    for (length, expected) in [(None, 1), (Some(0), 0), (Some(1), 1), (Some(u32::MAX), 1)] {
        let mut configuration = json!({});
        if let Some(length) = length {
            configuration["historyLength"] = length.into();
        }
        let params = json!({ "message": message("Hi"), "configuration": configuration });
        let task = house.a2a("SendMessage", &params).answered().await.task();
        let history = |task: &Value| task.get("history").map_or(0, |history| history.as_array().unwrap().len());
        assert_eq!(history(&task), expected);
        let mut params = json!({ "id": ids(&task).0 });
        if let Some(length) = length {
            params["historyLength"] = length.into();
        }
        assert_eq!(history(&house.a2a("GetTask", &params).answered().await.task()), expected);
    }
}

#[tokio::test]
async fn a_request_with_a_key_is_one_task_however_often_it_is_sent() {
    let (llm, house) = open().await;
    llm.then(Reply::text("Once."));
    let send = async |method: &str| {
        let params = json!({ "message": message_in("Hi", "contextId", "c") });
        house.a2a(method, &params).header("idempotency-key", format!("k-{method}")).answered().await
    };
    let first = send("SendMessage").await.task();
    // Its JSON-RPC id is another one each time.
    let mut body = rpc("SendMessage", &json!({ "message": message_in("Hi", "contextId", "c") }));
    body["id"] = "another".into();
    let again = house.post("/a2a", &body).header("idempotency-key", "k-SendMessage").answered().await;
    assert_eq!((again.header("x-session-id"), &again.json()["id"]), (Some("c"), &json!("another")));
    let again = again.json()["result"]["task"].clone();
    assert_eq!((ids(&again), artifacts(&again)), (ids(&first), artifacts(&first)));
    assert_eq!(llm.requests().len(), 1);
    llm.then(Reply::text("Twice."));
    let streamed = send("SendStreamingMessage").await.updates();
    let again = send("SendStreamingMessage").await.updates();
    assert_eq!(again.len(), 1, "it has ended already");
    assert_eq!(ids(&again[0]["task"]), ids(&streamed[0]["task"]));
    assert_eq!(artifacts(&again[0]["task"]), added_up(&streamed));
    let params = json!({ "message": message_in("Else", "contextId", "c") });
    let other = house.a2a("SendMessage", &params).header("idempotency-key", "k-SendMessage").answered().await;
    assert_eq!(other.rpc_error(-32000)["data"][0]["reason"], "IDEMPOTENCY_MISMATCH");
}

#[tokio::test]
async fn a_stranger_finds_a_task_by_its_id_alone() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Yes."));
    let yaml = format!("auth: {{ trust_identity_headers: [10.0.0.0/8], anonymous: allow }}\n{}", YAML.trim());
    let house = House::open(&llm, &yaml).await;
    let task = house.tell(&message("Hi")).answered().await.task();
    let (id, context) = ids(&task);
    assert_eq!(ids(&house.about("GetTask", &id).answered().await.task()).0, id);
    let next = house.tell(&message_in("Go on.", "contextId", &context)).answered().await.task();
    assert_eq!(ids(&next).1, context);
    // A context that somebody chose, or could guess, is nobody's; the protocol wants it refused, and no other in its place.
    for chosen in ["mine", "9b2e0c1e-7f3a-4d56-8a4b-0d3c5e7f9a10"] {
        house.tell(&message_in("Hi", "contextId", chosen)).answered().await.rpc_error(-32602);
    }
    // Lists show nothing but what is asked for by an id that was made here.
    let total =
        async |params: Value| house.a2a("ListTasks", &params).answered().await.rpc_result()["totalSize"].clone();
    assert_eq!(total(json!({})).await, 0);
    assert_eq!(total(json!({ "contextId": context })).await, 2);
    assert_eq!(total(json!({ "contextId": "mine" })).await, 0);
}

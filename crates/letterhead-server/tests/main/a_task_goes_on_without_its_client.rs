//! CONTRACT 7 and 9, `/a2a`: a task is run for itself. Whoever asked for it may leave, follow it again, find it when it has ended,
//! and after a restart; and may end it.

use std::sync::Arc;
use std::time::Duration;

use letterhead_server::serve::Patience;
use letterhead_testkit::{Answer, Reply, ScriptedLlm, Tap};
use serde_json::{Value, json};

use crate::support::a2a::{added_up, artifacts, ids, message, message_in, rpc, state};
use crate::support::{House, PATIENCE, Send, Wire, app, memory, request, sqlite};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
headers: { properties: { token: { writeOnly: true } } }
agents:
  assistant: { instructions: Hi., delegates: [a, b] }
  a: { description: A., instructions: A. }
  b: { description: B., instructions: B. }
  paying: { description: Pays., instructions: Pay., headers: { Authorization: "Bearer {{ headers.token }}" } }
entry: assistant
"#;

async fn open() -> (ScriptedLlm, House) {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    (llm, house)
}

fn chunk(text: &str) -> String {
    json!({ "choices": [{ "index": 0, "delta": { "content": text } }] }).to_string()
}

/// An answer of one word, to the byte.
fn done() -> Answer {
    let last = json!({ "choices": [{ "index": 0, "delta": { "content": "Done." }, "finish_reason": "stop" }] });
    Answer::sse([last.to_string(), "[DONE]".to_owned()])
}

fn end(tap: Tap) {
    tap.event(r#"{"choices":[{"index":0,"delta":{"content":" a time."},"finish_reason":"stop"}]}"#);
    tap.event("[DONE]");
    tap.end();
}

/// A stream on a connection of its own, up to the first words of the answer.
async fn begun(house: &House, llm: &ScriptedLlm, method: &str, params: &Value) -> (Wire, Tap, String) {
    let (answer, tap) = Answer::live();
    llm.then(answer);
    let mut wire = house.wire().await;
    wire.send(&request("/a2a", &[], rpc(method, params).to_string().as_bytes())).await;
    tap.event(&chunk("Once upon"));
    let seen = wire.until("Once upon").await;
    let id = seen.split(r#""task":{"id":""#).nth(1).unwrap().get(..36).unwrap().to_owned();
    (wire, tap, id)
}

async fn streaming(house: &House, llm: &ScriptedLlm) -> (Wire, Tap, String) {
    begun(house, llm, "SendStreamingMessage", &json!({ "message": message("Tell me.") })).await
}

/// Asks until the task stands so.
async fn until(house: &House, id: &str, wanted: &str) -> Value {
    for _ in 0..2000 {
        let task = house.about("GetTask", id).answered().await.task();
        if state(&task) == wanted {
            return task;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the task never was {wanted}");
}

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
    let mut wire = house.wire().await;
    let params = json!({ "message": message_in("Hi", "contextId", "c") });
    wire.send(&request("/a2a", &[], rpc("SendMessage", &params).to_string().as_bytes())).await;
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
async fn several_may_follow_one_task_and_each_misses_nothing() {
    let (llm, house) = open().await;
    let (first, tap, id) = streaming(&house, &llm).await;
    let house = Arc::new(house);
    let followers: Vec<_> = (0..3)
        .map(|_| {
            let request = house.about("SubscribeToTask", &id);
            tokio::spawn(async move { request.send().await.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for follower in followers {
        // Its head is there, so that it follows.
        answers.push(follower.await.unwrap());
    }
    drop(first);
    tap.event(&chunk(" and"));
    end(tap);
    for answer in answers {
        let updates = crate::support::Answered::of(answer).await.updates();
        assert_eq!(state(&updates[0]["task"]), "WORKING");
        assert_eq!(state(&updates.last().unwrap()["statusUpdate"]), "COMPLETED");
        assert_eq!(added_up(&updates)[0].2, "Once upon and a time.");
    }
    house.about("SubscribeToTask", &id).answered().await.rpc_error(-32004);
}

#[tokio::test]
async fn a_reader_that_stands_still_holds_up_nobody() {
    let (llm, house) = open().await;
    let (answer, tap) = Answer::live();
    llm.then(answer);
    let mut stalled = house.wire().await;
    let params = json!({ "message": message_in("Tell me all.", "contextId", "c") });
    stalled.send(&request("/a2a", &[], rpc("SendStreamingMessage", &params).to_string().as_bytes())).await;
    llm.received(1).await;
    // More than a socket and all channels between could hold.
    let page = "x".repeat(64 << 10);
    for _ in 0..200 {
        tap.event(&chunk(&page));
    }
    end(tap);
    let listed = house.a2a("ListTasks", &json!({ "contextId": "c" })).answered().await.rpc_result();
    let task = until(&house, &ids(&listed["tasks"][0]).0, "COMPLETED").await;
    assert_eq!(artifacts(&task)[0].2.len(), 200 * page.len() + " a time.".len());
    // It reads on, and gets everything.
    let rest = String::from_utf8(stalled.rest().await).unwrap();
    assert!(rest.contains("TASK_STATE_COMPLETED"));
    assert_eq!(rest.matches(&page).count(), 200);
}

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
async fn children_that_speak_at_once_keep_their_words_apart() {
    let (llm, house) = open().await;
    llm.then(
        Reply::tool("ask_agent", json!({ "agent": "a", "input": "A?" }))
            .and_tool("ask_agent", json!({ "agent": "b", "input": "B?" }))
            .and_tool("ask_agent", json!({ "agent": "a", "input": "A again?" })),
    );
    let taps: Vec<Tap> = (0..3)
        .map(|_| {
            let (answer, tap) = Answer::live();
            llm.then(answer);
            tap
        })
        .collect();
    llm.then(Reply::text("Both."));
    let following = house.tell_streaming(&message("Ask both.")).send().await.unwrap();
    llm.received(4).await;
    for round in 0..5 {
        for (at, tap) in taps.iter().enumerate() {
            tap.event(&chunk(&format!("{at}.{round} ")));
        }
    }
    taps.into_iter().for_each(end);
    let updates = crate::support::Answered::of(following).await.updates();
    let mut said = added_up(&updates);
    let (id, _) = ids(&updates[0]["task"]);
    let mut kept = artifacts(&house.about("GetTask", &id).answered().await.task());
    said.sort();
    kept.sort();
    assert_eq!(said, kept);
    assert_eq!(
        said.iter().map(|(id, ..)| id.as_str()).collect::<Vec<_>>(),
        ["answer/1", "asked/call_0_0/1", "asked/call_0_1/1", "asked/call_0_2/1"]
    );
    for (id, agent, text) in &said[1..] {
        let whole = |at: usize| (0..5).map(|round| format!("{at}.{round} ")).collect::<String>() + " a time.";
        assert!((0..3).any(|at| *text == whole(at)), "{id}: {text}");
        assert_eq!(agent == "b", id.contains("call_0_1"), "{id}");
    }
}

#[tokio::test]
async fn ended_tasks_are_there_after_a_restart() {
    let llm = ScriptedLlm::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letterhead.db");
    let house = House::serve(app(&llm.openai_url(), YAML, || sqlite(&file, None)), PATIENCE).await;
    llm.then(Reply::tool("ask_agent", json!({ "agent": "a", "input": "A?" })));
    llm.then(Reply::text("Of A.")).then(Reply::text("So it is.")).always(Reply::text("Yes."));
    let first = house.tell(&message_in("One.", "contextId", "c")).answered().await.task();
    for text in ["Two.", "Three."] {
        house.tell(&message_in(text, "contextId", "c")).answered().await.task();
    }
    let list = json!({ "includeArtifacts": true, "historyLength": 5 });
    let before = house.a2a("ListTasks", &list).answered().await.rpc_result();
    house.stopped().await;
    let house = House::serve(app(&llm.openai_url(), YAML, || sqlite(&file, None)), PATIENCE).await;
    assert_eq!(house.a2a("ListTasks", &list).answered().await.rpc_result(), before);
    assert_eq!(before["totalSize"], 3);
    let kept = house.about("GetTask", &ids(&first).0).answered().await.task();
    assert_eq!(artifacts(&kept), artifacts(&first));
    assert_eq!(artifacts(&kept)[0].1, "a");
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
    assert_eq!((state(&kept).as_str(), &kept["history"][0]["parts"][0]["text"]), ("FAILED", &json!("Hi")));
    // The conversation does not have it.
    llm.then(Reply::text("Good."));
    house.tell(&message_in("Hello", "contextId", "c")).header("x-agent-schema", "a").answered().await.task();
    assert_eq!(llm.last().json()["messages"].as_array().unwrap().len(), 2);
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
async fn a_task_of_another_protocol_can_be_followed_to_its_end() {
    let (llm, house) = open().await;
    let (answer, gate) = done().held();
    llm.then(answer);
    let chat = house.post("/api/v1/chat/completions/c", &crate::support::said_streaming("Hi"));
    let chat = tokio::spawn(async move { chat.answered().await });
    llm.received(1).await;
    let listed = house.a2a("ListTasks", &json!({ "contextId": "c" })).answered().await.rpc_result();
    let (id, _) = ids(&listed["tasks"][0]);
    assert_eq!(state(&listed["tasks"][0]), "WORKING");
    house.about("CancelTask", &id).answered().await.rpc_error(-32002);
    let following = house.about("SubscribeToTask", &id).send().await.unwrap();
    gate.open();
    let updates = crate::support::Answered::of(following).await.updates();
    assert_eq!(added_up(&updates)[0].2, "Done.");
    assert_eq!(state(&updates.last().unwrap()["statusUpdate"]), "COMPLETED");
    assert_eq!(chat.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_stopping_server_lets_tasks_finish_and_cuts_off_those_that_do_not() {
    let llm = ScriptedLlm::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letterhead.db");
    let serve = |drain| {
        let app = app(&llm.openai_url(), YAML, || sqlite(&file, None));
        House::serve(app, Patience { drain, ..PATIENCE })
    };
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
    let cut = house.about("GetTask", &cut).answered().await.task();
    assert_eq!((state(&cut).as_str(), artifacts(&cut)[0].2.as_str()), ("CANCELED", "Once upon"));
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

#[tokio::test]
async fn silence_is_filled_with_comments() {
    let llm = ScriptedLlm::start().await;
    let mut app = app(&llm.openai_url(), YAML, memory);
    app.timing.keep_alive = Duration::from_millis(20);
    let house = House::serve(app, PATIENCE).await;
    let (answer, tap) = Answer::live();
    llm.then(answer);
    let mut wire = house.wire().await;
    let params = json!({ "message": message("Hi") });
    wire.send(&request("/a2a", &[], rpc("SendStreamingMessage", &params).to_string().as_bytes())).await;
    // At once, whatever the model does.
    wire.until("TASK_STATE_WORKING").await;
    wire.until(": keep-alive").await;
    end(tap);
    wire.until("TASK_STATE_COMPLETED").await;
}

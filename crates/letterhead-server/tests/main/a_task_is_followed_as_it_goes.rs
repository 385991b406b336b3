//! CONTRACT 7, 8 and 9, `/a2a`: whoever may have a task follows it at their own pace, misses nothing, and holds up nobody.

use std::sync::Arc;
use std::time::Duration;

use letterhead_testkit::{Answer, Reply, ScriptedLlm, Tap};
use serde_json::json;

use crate::support::a2a::{added_up, artifacts, ids, message, message_in, state};
use crate::support::tasks::{YAML, chunk, done, end, open, sent, streaming};
use crate::support::{Answered, House, PATIENCE, Send, app, memory, said_streaming};

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
        let updates = Answered::of(answer).await.updates();
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
    let mut stalled = sent(&house, "SendStreamingMessage", &message_in("Tell me all.", "contextId", "c")).await;
    llm.received(1).await;
    // More than a socket and all channels between could hold.
    let page = "x".repeat(64 << 10);
    for _ in 0..120 {
        tap.event(&chunk(&page));
    }
    end(tap);
    // The list has no artifacts, which are large here.
    let list = async || house.a2a("ListTasks", &json!({ "contextId": "c" })).answered().await.rpc_result();
    let mut listed = list().await;
    while state(&listed["tasks"][0]) == "WORKING" {
        listed = list().await;
    }
    let task = house.about("GetTask", &ids(&listed["tasks"][0]).0).answered().await.task();
    assert_eq!(state(&task), "COMPLETED", "{}", task["status"]);
    assert_eq!(artifacts(&task)[0].2.len(), 120 * page.len() + " a time.".len());
    // It reads on, and gets everything.
    let rest = String::from_utf8(stalled.rest().await).unwrap();
    assert!(rest.contains("TASK_STATE_COMPLETED"));
    assert_eq!(rest.matches(&page).count(), 120);
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
    let updates = Answered::of(following).await.updates();
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
async fn a_task_of_another_protocol_can_be_followed_to_its_end() {
    let (llm, house) = open().await;
    let (answer, gate) = done().held();
    llm.then(answer);
    let chat = house.post("/api/v1/chat/completions/c", &said_streaming("Hi"));
    let chat = tokio::spawn(async move { chat.answered().await });
    llm.received(1).await;
    let listed = house.a2a("ListTasks", &json!({ "contextId": "c" })).answered().await.rpc_result();
    let (id, _) = ids(&listed["tasks"][0]);
    assert_eq!(state(&listed["tasks"][0]), "WORKING");
    house.about("CancelTask", &id).answered().await.rpc_error(-32002);
    let following = house.about("SubscribeToTask", &id).send().await.unwrap();
    gate.open();
    let updates = Answered::of(following).await.updates();
    assert_eq!(added_up(&updates)[0].2, "Done.");
    assert_eq!(state(&updates.last().unwrap()["statusUpdate"]), "COMPLETED");
    assert_eq!(chat.await.unwrap().status, 200);
}

#[tokio::test]
async fn silence_is_filled_with_comments() {
    let llm = ScriptedLlm::start().await;
    let mut app = app(&llm.openai_url(), YAML, memory);
    app.timing.keep_alive = Duration::from_millis(20);
    let house = House::serve(app, PATIENCE).await;
    let (answer, tap) = Answer::live();
    llm.then(answer);
    let mut wire = sent(&house, "SendStreamingMessage", &message("Hi")).await;
    // At once, whatever the model does.
    wire.until("TASK_STATE_WORKING").await;
    wire.until(": keep-alive").await;
    end(tap);
    wire.until("TASK_STATE_COMPLETED").await;
}

#[tokio::test]
async fn so_many_may_follow_a_task_and_no_more() {
    let (llm, house) = open().await;
    let (_first, tap, streamed) = streaming(&house, &llm).await;
    let (answer, gate) = done().held();
    llm.then(answer);
    let chat = house.post("/api/v1/chat/completions/c", &said_streaming("Hi"));
    let chat = tokio::spawn(async move { chat.answered().await });
    llm.received(2).await;
    let listed = house.a2a("ListTasks", &json!({ "contextId": "c" })).answered().await.rpc_result();
    // One whose events are here, and one of another protocol, for which the store is asked.
    for id in [streamed, ids(&listed["tasks"][0]).0] {
        let subscribe = || house.about("SubscribeToTask", &id);
        let mut following = Vec::new();
        for _ in 0..32 {
            let answer = subscribe().send().await.unwrap();
            assert_eq!(answer.headers()["content-type"], "text/event-stream");
            following.push(answer);
        }
        let refused = subscribe().answered().await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{}", refused.text);
        let error = refused.rpc_error(-32000);
        assert_eq!(error["data"][0]["reason"], "RATE_LIMITED");
        assert!(error["message"].as_str().unwrap().contains("`GetTask`"), "{error}");
        assert_eq!(state(&house.about("GetTask", &id).answered().await.task()), "WORKING");
        // Who leaves makes room, as soon as that is noticed.
        following.pop();
        while subscribe().send().await.unwrap().status() == 429 {}
    }
    end(tap);
    gate.open();
    assert_eq!(chat.await.unwrap().status, 200);
}

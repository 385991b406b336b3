//! CONTRACT 7: a second turn waits for the first, for a while, and is then told when to come again.

use std::sync::Arc;
use std::time::Duration;

use letterhead_testkit::{Answer, Reply, ScriptedLlm};
use tokio::time::Instant;

use crate::support::{House, Send, app, built, call, key, memory, said};

const DEMO: &str = "agents: { assistant: { instructions: Hi. } }";

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_gets_409_and_when_to_try_again() {
    let app = Arc::new(app("", DEMO, memory));
    let running = app.store.begin(&key(None, None, "s"), Duration::ZERO).await.unwrap();
    let began = Instant::now();
    let answered =
        call(&app, "127.0.0.1", built("POST", "/api/v1/chat/completions/s", &[], said("Hi").to_string())).await;
    answered.problem(409, "session_busy");
    assert_eq!(answered.header("retry-after"), Some("1"));
    assert_eq!(began.elapsed().as_secs(), 10);
    // Another session does not wait, and nor does a request that stores nothing.
    for path in ["/api/v1/chat/completions/other", "/v1/chat/completions"] {
        assert_eq!(call(&app, "127.0.0.1", built("POST", path, &[], said("Hi").to_string())).await.status, 200);
    }
    // The same id of another caller is another session.
    let other = built("POST", "/api/v1/chat/completions/s", &[("x-user-id", "u")], said("Hi").to_string());
    assert_eq!(call(&app, "127.0.0.1", other).await.status, 200);
    assert_eq!(began.elapsed().as_secs(), 10);
    drop(running);
    let answered =
        call(&app, "127.0.0.1", built("POST", "/api/v1/chat/completions/s", &[], said("Hi").to_string())).await;
    assert_eq!(answered.status, 200);
}

#[tokio::test(start_paused = true)]
async fn turn_wait_says_how_long() {
    let yaml = format!("sessions: {{ turn_wait: 250ms }}\n{DEMO}");
    let app = Arc::new(app("", &yaml, memory));
    let _running = app.store.begin(&key(None, None, "s"), Duration::ZERO).await.unwrap();
    let began = Instant::now();
    let answered =
        call(&app, "127.0.0.1", built("POST", "/api/v1/chat/completions/s", &[], said("Hi").to_string())).await;
    answered.problem(409, "session_busy");
    assert_eq!(began.elapsed().as_millis(), 250);
}

#[tokio::test]
async fn turns_that_wait_come_in_order_and_see_what_came_before() {
    let llm = ScriptedLlm::start().await;
    let yaml = "providers: { openai: { kind: openai, base_url: \"${LLM}\" } }\nmodel: openai:m\nagents: { a: { instructions: Hi. } }";
    let house = House::open(&llm, yaml).await;
    let (answer, tap) = Answer::live();
    llm.then(answer.header("content-type", "application/json")).always(Reply::text("Good."));
    let first = tokio::spawn(house.say_in("s", "One").send());
    llm.received(1).await;
    let second = tokio::spawn(house.say_in("s", "Two").send());
    // The first turn has not ended, so the second has not begun.
    assert_eq!(house.say_in("other", "Hi").answered().await.status, 200);
    assert_eq!(llm.requests().len(), 2);
    tap.send(r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"First."},"finish_reason":"stop"}]}"#);
    tap.end();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    assert_eq!(second.await.unwrap().unwrap().status(), 200);
    assert_eq!(house.transcript("s").await, ["user: One", "assistant: First.", "user: Two", "assistant: Good."]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_it_waits_does_nothing() {
    let app = Arc::new(app("", DEMO, memory));
    let running = app.store.begin(&key(None, None, "s"), Duration::ZERO).await.unwrap();
    let say =
        |text: &str| call(&app, "127.0.0.1", built("POST", "/api/v1/chat/completions/s", &[], said(text).to_string()));
    // The clock moves when nothing else does: it waits for the turn that runs.
    assert!(tokio::time::timeout(Duration::from_secs(1), say("Never mind")).await.is_err());
    drop(running);
    assert_eq!(say("Hello").await.status, 200);
    let kept = call(&app, "127.0.0.1", built("GET", "/api/v1/sessions/s/messages", &[], "")).await.json();
    let kept = kept["data"].as_array().unwrap();
    assert_eq!((kept.len(), kept[0]["content"].as_str()), (2, Some("Hello")));
}

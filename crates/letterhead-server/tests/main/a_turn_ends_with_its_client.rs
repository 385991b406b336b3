//! CONTRACT 7, "client gone": the model call is cancelled, and what was said is stored and marked.

use letterhead_testkit::{Answer, Reply, ScriptedLlm, Tap};
use serde_json::json;

use crate::support::{House, Program, Send, said, said_streaming};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:gpt-test
headers: { properties: { user_id: {} } }
agents: { assistant: { instructions: Hi. } }
"#;

/// The session's rows once its turn is stored, as `role content status`.
async fn stored(house: &House, session: &str) -> Vec<String> {
    // A turn that waits for this one begins when it has been stored.
    let held =
        house.app.store.begin(&crate::support::key(None, None, session), std::time::Duration::from_secs(10)).await;
    drop(held.unwrap());
    let rows = house.rows(house.get(&format!("/api/v1/sessions/{session}/messages"))).await;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    rows.iter().map(|row| [text(&row["role"]), text(&row["content"]), text(&row["status"])].join(" ")).collect()
}

/// A stream of the session `s` that its client leaves when it has begun.
async fn left(house: &House, tap: &Tap) {
    let mut wire = house.wire().await;
    let body = said_streaming("Tell me.").to_string();
    wire.send(&crate::support::request("/api/v1/chat/completions/s", &[], body.as_bytes())).await;
    tap.event(r#"{"choices":[{"index":0,"delta":{"content":"Once upon"}}]}"#);
    wire.until("Once upon").await;
}

#[tokio::test]
async fn a_stream_that_is_left_cancels_the_call_and_is_kept_as_far_as_it_came() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    for (path, session) in [("/api/v1/chat/completions/s1", "s1"), ("/api/chat", "s2"), ("/v1/chat/completions", "s3")]
    {
        let (answer, tap) = Answer::live();
        llm.then(answer);
        let mut body = said_streaming("Tell me.");
        body["conversationId"] = session.into();
        let mut wire = house.wire().await;
        wire.send(&crate::support::request(path, &[("user_id", b"u")], body.to_string().as_bytes())).await;
        tap.event(r#"{"choices":[{"index":0,"delta":{"content":"Once upon"}}]}"#);
        wire.until("Once upon").await;
        drop(wire);
        tap.left().await;
        assert_eq!(
            stored(&house, session).await,
            ["user Tell me. complete", "assistant Once upon incomplete"],
            "{path}"
        );
        // The headers were accepted, and are remembered.
        assert_eq!(
            house.get(&format!("/api/v1/sessions/{session}")).answered().await.json()["headers"],
            json!(["user_id"])
        );
    }
}

#[tokio::test]
async fn so_does_one_that_waits_for_a_whole_answer() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    llm.then(Answer::hang());
    let mut wire = house.wire().await;
    wire.send(&crate::support::request("/api/v1/chat/completions/s", &[], said("Hi").to_string().as_bytes())).await;
    llm.received(1).await;
    drop(wire);
    llm.left(1).await;
    assert_eq!(stored(&house, "s").await, ["user Hi complete"]);
}

#[tokio::test]
async fn the_log_has_a_line_of_who_left() {
    let (llm, folder) = (ScriptedLlm::start().await, tempfile::tempdir().unwrap());
    let (config, log) = (folder.path().join("letterhead.yaml"), folder.path().join("log"));
    std::fs::write(&config, YAML.replace("${LLM}", &llm.openai_url())).unwrap();
    let mut program = Program::start(&config, &log).await;
    llm.then(Answer::hang());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client.post(format!("{}/api/v1/chat/completions/s", program.url)).json(&said("Hi")).send();
    let asked = tokio::spawn(asked);
    llm.received(1).await;
    asked.abort();
    llm.left(1).await;
    program.terminate();
    assert!(program.ended().await.success());
    let said = program.said();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("\"letterhead::request\"")).collect();
    let [line] = lines[..] else { panic!("{said}") };
    assert!(line.contains("\"status\":499") && line.contains("/{session_id}\""), "{line}");
}

#[tokio::test]
async fn what_broke_off_is_part_of_the_conversation() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    let (answer, tap) = Answer::live();
    llm.then(answer).then(Reply::text("And they lived."));
    left(&house, &tap).await;
    tap.left().await;
    assert_eq!(house.say_in("s", "Go on.").answered().await.status, 200);
    let messages = llm.last().json()["messages"].clone();
    let said: Vec<&str> =
        messages.as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(said, ["Hi.", "Tell me.", "Once upon", "Go on."]);
}

#[tokio::test]
async fn within_the_grace_a_turn_comes_to_its_end() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, &format!("sessions: {{ disconnect_grace: 60s }}\n{}", YAML.trim())).await;
    let (answer, tap) = Answer::live();
    llm.then(answer);
    left(&house, &tap).await;
    tap.event(r#"{"choices":[{"index":0,"delta":{"content":" a time."},"finish_reason":"stop"}]}"#);
    tap.event("[DONE]");
    tap.end();
    assert_eq!(stored(&house, "s").await, ["user Tell me. complete", "assistant Once upon a time. complete"]);
}

#[tokio::test]
async fn nobody_waits_for_the_client_of_a_turn_that_has_ended() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, &format!("sessions: {{ disconnect_grace: 1h }}\n{}", YAML.trim())).await;
    llm.always(Reply::text("Hello."));
    let say = async || {
        assert_eq!(house.say("Hi").answered().await.content(), "Hello.");
        assert_eq!(house.post("/api/chat", &said_streaming("Hi")).answered().await.status, 200);
        tokio::runtime::Handle::current().metrics().num_alive_tasks()
    };
    let before = say().await;
    let mut after = before;
    for _ in 0..10 {
        after = say().await;
    }
    assert!(after < before + 5, "{before} tasks, and after twenty turns {after}");
}

#[tokio::test]
async fn after_a_short_grace_it_is_cancelled() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, &format!("sessions: {{ disconnect_grace: 30ms }}\n{}", YAML.trim())).await;
    let (answer, tap) = Answer::live();
    llm.then(answer);
    left(&house, &tap).await;
    tap.left().await;
    assert_eq!(stored(&house, "s").await, ["user Tell me. complete", "assistant Once upon incomplete"]);
}

#[tokio::test]
async fn a_child_is_cancelled_with_its_parent() {
    let llm = ScriptedLlm::start().await;
    let yaml = YAML.replace(
        "instructions: Hi. }",
        "instructions: Hi., delegates: [helper] }, helper: { description: Helps., instructions: Help. }",
    );
    let house = House::open(&llm, &format!("entry: assistant\n{}", yaml.trim())).await;
    let (answer, tap) = Answer::live();
    llm.then(Reply::tool("ask_agent", json!({ "agent": "helper", "input": "?" }))).then(answer);
    let mut wire = house.wire().await;
    wire.send(&crate::support::request(
        "/api/v1/chat/completions/s",
        &[],
        said_streaming("Ask.").to_string().as_bytes(),
    ))
    .await;
    llm.received(2).await;
    tap.event(r#"{"choices":[{"index":0,"delta":{"content":"Well"}}]}"#);
    wire.until("child_content").await;
    drop(wire);
    tap.left().await;
    let rows = stored(&house, "s").await;
    assert_eq!(rows.first().map(String::as_str), Some("user Ask. complete"));
    // Whatever is stored of it, the conversation goes on.
    llm.then(Reply::text("Good."));
    assert_eq!(house.say_in("s", "Go on.").answered().await.status, 200);
}

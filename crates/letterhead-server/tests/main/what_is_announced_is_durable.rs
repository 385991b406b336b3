//! CONTRACT 7: the commit comes before the end is announced; and a store that cannot is a clear, passing error.

use std::path::Path;

use letterhead_testkit::{Reply, ScriptedLlm};
use reqwest::RequestBuilder;
use rusqlite::Connection;

use crate::support::{House, Send, app, key, said, said_streaming, sqlite};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:gpt-test
agents: { assistant: { instructions: Hi. } }
"#;

async fn house(llm: &ScriptedLlm, file: &Path, max_bytes: Option<u64>) -> House {
    llm.always(Reply::text("Good."));
    House::serve(app(&llm.openai_url(), YAML, || sqlite(file, max_bytes)), crate::support::PATIENCE).await
}

#[tokio::test]
async fn when_the_client_has_read_the_end_a_crash_loses_nothing() {
    let llm = ScriptedLlm::start().await;
    let folder = tempfile::tempdir().unwrap();
    let house = house(&llm, &folder.path().join("letterhead.db"), None).await;
    for (at, (path, stream, end)) in [
        ("/v1/chat/completions", false, "chat.completion"),
        ("/api/v1/chat/completions", false, "chat.completion"),
        ("/v1/chat/completions", true, r#""finish_reason":"stop""#),
        ("/api/v1/chat/completions", true, r#""finish_reason":"stop""#),
        ("/api/chat", true, r#""type":"finish""#),
        ("/api/chat", false, "conversationId"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("s{at}");
        let mut body = said("Hi");
        body["stream"] = stream.into();
        body["conversationId"] = id.as_str().into();
        let mut wire = house.wire().await;
        wire.send(&crate::support::request(path, &[], body.to_string().as_bytes())).await;
        wire.until(end).await;
        // The files as a crash at this moment would leave them: the server is not asked, and goes on.
        let copy = tempfile::tempdir().unwrap();
        for name in ["letterhead.db", "letterhead.db-wal"] {
            std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        }
        let store = sqlite(&copy.path().join("letterhead.db"), None);
        let session = store.session(&key(None, None, &id)).await.unwrap();
        assert_eq!(session.map(|session| session.messages.len()), Some(2), "{path} stream: {stream}");
        store.close().await.unwrap();
    }
    house.stopped().await;
}

#[tokio::test]
async fn a_locked_database_is_a_503_in_every_protocol_and_passes() {
    let llm = ScriptedLlm::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letterhead.db");
    let house = house(&llm, &file, None).await;
    assert_eq!(house.say_in("s", "One").answered().await.status, 200);
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();

    let answered = house.say_in("s", "Two").answered().await;
    answered.problem(503, "store_unavailable");
    assert!(!answered.text.contains("Good."), "what is not stored is not announced: {}", answered.text);
    assert!(!answered.text.contains("letterhead.db"), "{}", answered.text);
    house.get("/ready").answered().await.problem(503, "store_unavailable");
    assert_eq!(house.get("/health").answered().await.status, 200);
    house.delete("/api/v1/sessions/s").answered().await.problem(503, "store_unavailable");

    let stream = |path: &str| house.post(path, &said_streaming("Three")).header("x-session-id", "s").answered();
    let strict = stream("/v1/chat/completions").await;
    assert_eq!(strict.events().last().unwrap().json()["error"]["code"], "store_unavailable");
    assert!(!strict.text.contains("[DONE]") && !strict.text.contains(r#""finish_reason":"stop""#), "{}", strict.text);
    let events = stream("/api/v1/chat/completions").await.events();
    assert_eq!(events.last().unwrap().json()["reason"], "error");
    assert_eq!(stream("/api/chat").await.events().last().unwrap().json()["type"], "error");
    // Nothing of the store is needed for what stores nothing.
    assert_eq!(house.say("Hi").answered().await.status, 200);

    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(house.get("/ready").answered().await.status, 200);
    assert_eq!(house.say_in("s", "Four").answered().await.status, 200);
    assert_eq!(house.transcript("s").await, ["user: One", "assistant: Good.", "user: Four", "assistant: Good."]);
    house.stopped().await;
}

#[tokio::test]
async fn a_full_disk_is_a_503_and_passes_when_there_is_room() {
    let llm = ScriptedLlm::start().await;
    let folder = tempfile::tempdir().unwrap();
    let house = house(&llm, &folder.path().join("letterhead.db"), Some(600_000)).await;
    let big = "x".repeat(50_000);
    let send = |session: &str| -> RequestBuilder { house.say_in(session, &big) };
    let mut written = 0;
    let refused = loop {
        let answered = send(&format!("s{written}")).answered().await;
        if answered.status != 200 {
            break answered;
        }
        written += 1;
        assert!(written < 100, "the file grows without limit");
    };
    assert!(written > 2);
    refused.problem(503, "store_unavailable");
    house.get(&format!("/api/v1/sessions/s{written}")).answered().await.problem(404, "session_not_found");
    assert_eq!(house.rows(house.get("/api/v1/sessions")).await.len(), written);
    for session in ["s0", "s1"] {
        assert_eq!(house.delete(&format!("/api/v1/sessions/{session}")).answered().await.status, 204);
    }
    assert_eq!(send(&format!("s{written}")).answered().await.status, 200);
    house.stopped().await;
}

//! CONTRACT 7, `Idempotency-Key`: what a key stands for, whose it is, and what it has to look like.

use letterhead_testkit::{Reply, ScriptedLlm};
use serde_json::json;

use crate::a_request_is_done_once::{YAML, house, keyed};
use crate::support::{House, Send, said};

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let llm = ScriptedLlm::start().await;
    llm.then(Reply::text("Once."));
    let house = house(&llm).await;
    let send = || keyed(house.say_in("s", "Hello"), "k");
    assert_eq!(send().answered().await.status, 200);
    for other in [
        house.say_in("s", "Hello!"),
        house.post("/api/v1/chat/completions", &said("Hello")).header("x-session-id", "s"),
        house.say_in("s", "Hello").header("x-agent-schema", "first"),
        house.say_in("s", "Hello").header("x-model-name", "openai:other"),
        house.post("/api/v1/chat/completions/s", &json!({ "messages": said("Hello")["messages"], "seed": 1 })),
    ] {
        keyed(other, "k").answered().await.problem(422, "idempotency_mismatch");
    }
    // What else a request brings makes it no other one.
    assert_eq!(send().header("undeclared", "4").header("x-request-id", "r").answered().await.content(), "Once.");
    assert_eq!(llm.requests().len(), 1);
}

#[tokio::test]
async fn whom_an_application_asks_for_is_part_of_its_request() {
    let llm = ScriptedLlm::start().await;
    llm.then(Reply::text("Hello, Ada."));
    let house = house(&llm).await;
    let ada = || keyed(house.say("Hello"), "k").header("user-id", "ada").header("api-token", "CANARY-1");
    assert_eq!(ada().answered().await.content(), "Hello, Ada.");
    let say = || keyed(house.say("Hello"), "k");
    for other in [
        say().header("user-id", "bob").header("api-token", "CANARY-1"),
        say().header("user-id", "ada").header("api-token", "CANARY-2"),
        say().header("user-id", "ada"),
        say().header("user-id", "ada").header("api-token", ""),
        ada().header("seats", "4"),
        say(),
    ] {
        other.answered().await.problem(422, "idempotency_mismatch");
    }
    // The other spelling of a name, and the same value written otherwise, are the same.
    let same = say().header("user_id", "ada").header("api-token", "CANARY-1").answered().await;
    assert_eq!(same.content(), "Hello, Ada.");
    assert_eq!(llm.requests().len(), 1);
}

#[tokio::test]
async fn a_key_is_its_callers_and_its_sessions_alone() {
    let llm = ScriptedLlm::start().await;
    let house = house(&llm).await;
    let send = |user: &str, session: Option<&str>| {
        let request = keyed(house.say("Hello"), "k").header("x-user-id", user);
        session.into_iter().fold(request, |request, session| request.header("x-session-id", session)).answered()
    };
    let who = [("ada", None), ("ada", Some("s")), ("ada", Some("t")), ("bob", None), ("bob", Some("s"))];
    for (n, (user, session)) in who.into_iter().enumerate() {
        llm.then(Reply::text(&format!("Answer {n}.")));
        assert_eq!(send(user, session).await.content(), format!("Answer {n}."));
    }
    for (n, (user, session)) in who.into_iter().enumerate() {
        assert_eq!(send(user, session).await.content(), format!("Answer {n}."));
    }
    assert_eq!(llm.requests().len(), who.len());
}

#[tokio::test]
async fn a_key_has_a_form() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Well."));
    let house = house(&llm).await;
    let long = "k".repeat(256);
    for wrong in [&b""[..], b"two words", b"tab\there", "schl\u{fc}ssel".as_bytes(), b"\xff", long.as_bytes()] {
        let body = said("Hello").to_string();
        let refused = house.raw("/v1/chat/completions", &[("Idempotency-Key", wrong)], body.as_bytes()).await;
        refused.problem(400, "invalid_header");
        assert_eq!(refused.faults(), [("Idempotency-Key".to_owned(), "invalid_header".to_owned())]);
        assert!(!refused.text.contains("two words"), "{}", refused.text);
    }
    let twice = keyed(keyed(house.say("Hello"), "k"), "k").header("seats", "many").answered().await;
    let fault = |name: &str, code: &str| (name.to_owned(), code.to_owned());
    assert_eq!(twice.faults(), [fault("seats", "invalid_header"), fault("Idempotency-Key", "ambiguous_header")]);
    keyed(keyed(house.say("Hello"), "k"), "k").answered().await.problem(400, "ambiguous_header");
    assert_eq!(llm.requests().len(), 0);
    assert_eq!(keyed(house.say("Hello"), &long[..255]).answered().await.content(), "Well.");
    assert_eq!(
        keyed(house.say("Hello"), "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"").answered().await.content(),
        "Well."
    );
}

#[tokio::test]
async fn strangers_need_a_key_that_nobody_can_guess() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Well."));
    let yaml = format!("auth: {{ trust_identity_headers: [127.0.0.0/8], anonymous: allow }}\n{}", YAML.trim());
    let house = House::open(&llm, &yaml).await;
    let send = |key: &str| keyed(house.post("/api/v1/chat/completions", &said("Hello")), key);
    for guessable in ["k", "8e03978e-40d5-13dd-9c93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324-1"] {
        send(guessable).answered().await.problem(400, "invalid_header");
        assert_eq!(send(guessable).header("x-user-id", "ada").answered().await.status, 200);
    }
    for random in ["8e03978e-40d5-43dd-bc93-6894a57f9324", "sdk-retry-0d3f7a4e-5b7c-4c7b-9d5e-0f1f6f7f8a9b"] {
        let (first, again) = (send(random).answered().await, send(random).answered().await);
        assert_eq!(first.content(), "Well.");
        assert_eq!(first.text, again.text);
    }
}

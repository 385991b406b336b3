//! CONTRACT 7: which session a request belongs to, what is kept of it, and how it is read and deleted.

use letterhead_testkit::{Answer, Reply, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{House, Send, said};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
headers: { properties: { user_id: {} } }
agents: { assistant: { instructions: "For {{ headers.user_id }}." } }
"#;

async fn house() -> (ScriptedLlm, House) {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let house = House::open(&llm, YAML).await;
    (llm, house)
}

/// What the model was sent last, as `role: content`.
fn sent(llm: &ScriptedLlm) -> Vec<String> {
    let body = llm.last().json();
    let line = |message: &Value| {
        let content = &message["content"];
        let content = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
        format!("{}: {content}", message["role"].as_str().unwrap())
    };
    body["messages"].as_array().unwrap().iter().skip(1).map(line).collect()
}

#[tokio::test]
async fn the_path_goes_before_the_header_and_the_header_before_the_body() {
    let (_llm, house) = house().await;
    let mut body = said("Hi");
    body["conversationId"] = "by-body".into();
    let path = "/api/v1/chat/completions";
    let named = |path: &str| house.post(path, &body).header("x-session-id", "by-header").answered();
    let in_path = named("/api/v1/chat/completions/by-path").await;
    assert_eq!(in_path.header("x-session-id"), Some("by-path"));
    assert_eq!(in_path.json()["session_id"], "by-path");
    for path in [path, "/v1/chat/completions"] {
        assert_eq!(named(path).await.header("x-session-id"), Some("by-header"));
        let in_body = house.post(path, &body).answered().await;
        assert_eq!(in_body.header("x-session-id"), Some("by-body"));
        assert_eq!(in_body.json()["session_id"], "by-body");
    }
    let made = house.post(path, &said("Hi")).answered().await;
    let id = made.header("x-session-id").unwrap().to_owned();
    assert_eq!(id.len(), 36);
    assert_eq!(made.json()["session_id"], id.as_str());

    let ui =
        json!({ "id": "chat-id", "conversationId": "conv-123", "stream": false, "messages": said("Hi")["messages"] });
    let ui_named = house.post("/api/chat", &ui).answered().await;
    assert_eq!(ui_named.json()["conversationId"], "conv-123");
    let mut ui = ui;
    ui.as_object_mut().unwrap().remove("conversationId");
    let by_chat = house.post("/api/chat", &ui).answered().await;
    assert_eq!(by_chat.json()["conversationId"], "chat-id");
    assert_eq!(by_chat.header("x-session-id"), Some("chat-id"));
    let by_header = house.post("/api/chat", &ui).header("x-session-id", "h").answered().await;
    assert_eq!(by_header.json()["conversationId"], "h");
}

#[tokio::test]
async fn ids_are_short_and_plain_and_need_be_no_uuids() {
    let (llm, house) = house().await;
    let (longest, too_long) = ("x".repeat(128), "x".repeat(129));
    for id in ["sess-456", "a", "A.b_c:d-e", "...", longest.as_str()] {
        assert_eq!(house.say_in(id, "Hi").answered().await.status, 200, "{id}");
    }
    let called = llm.requests().len();
    for id in ["%20", "a%2Fb", "a%20b", "%C3%A4", "a%00b", "%ff", too_long.as_str()] {
        let answered = house.say_in(id, "Hi").answered().await;
        answered.problem(400, "invalid_session_id");
        for suffix in ["", "/messages", "/trail"] {
            let read = house.get(&format!("/api/v1/sessions/{id}{suffix}")).answered().await;
            read.problem(404, "session_not_found");
        }
    }
    for id in ["a b", "a/b", ".", "..", "ä", too_long.as_str()] {
        let header = house.say("Hi").header("x-session-id", id).answered().await;
        header.problem(400, "invalid_session_id");
        let mut body = said("Hi");
        body["conversationId"] = id.into();
        house.post("/v1/chat/completions", &body).answered().await.problem(400, "invalid_session_id");
        let ui = json!({ "id": id, "messages": said("Hi")["messages"] });
        house.post("/api/chat", &ui).answered().await.problem(400, "invalid_session_id");
    }
    assert_eq!(llm.requests().len(), called);
}

#[tokio::test]
async fn without_an_id_openais_endpoint_stores_nothing() {
    let (llm, house) = house().await;
    let body = json!({ "messages": [
        { "role": "user", "content": "One" }, { "role": "assistant", "content": "Two" }, { "role": "user", "content": "Three" },
    ] });
    let answered = house.post("/v1/chat/completions", &body).answered().await;
    assert!(answered.header("x-session-id").is_none() && answered.json().get("session_id").is_none());
    assert_eq!(sent(&llm), ["user: One", "assistant: Two", "user: Three"], "the request is the whole conversation");
    assert!(house.rows(house.get("/api/v1/sessions")).await.is_empty());
}

#[tokio::test]
async fn with_an_id_the_server_has_the_history_and_takes_what_is_new() {
    let (llm, house) = house().await;
    house.say_in("s", "One").answered().await;
    // A client that sends only the new message, and one that sends everything it knows.
    house.say_in("s", "Two").answered().await;
    let everything = json!({ "messages": [
        { "role": "user", "content": "One" }, { "role": "assistant", "content": "Good." },
        { "role": "user", "content": "Two" }, { "role": "assistant", "content": "Good." },
        { "role": "user", "content": "Three" },
    ] });
    house.post("/api/v1/chat/completions/s", &everything).answered().await;
    let expected = ["user: One", "assistant: Good.", "user: Two", "assistant: Good.", "user: Three"];
    assert_eq!(sent(&llm), expected);
    // The client's instructions follow the agent's for this request, and are not stored.
    let instructed =
        json!({ "messages": [{ "role": "system", "content": "Shout." }, { "role": "user", "content": "Four" }] });
    house.post("/api/v1/chat/completions/s", &instructed).answered().await;
    assert_eq!(sent(&llm)[0], "system: Shout.");
    house.say_in("s", "Five").answered().await;
    assert!(!sent(&llm).contains(&"system: Shout.".to_owned()));
    assert_eq!(house.transcript("s").await.len(), 10);
}

#[tokio::test]
async fn a_message_with_a_stored_id_is_not_new() {
    let (llm, house) = house().await;
    let message = |id: &str, text: &str| json!({ "id": id, "role": "user", "content": text });
    house.post("/api/v1/chat/completions/s", &json!({ "messages": [message("m1", "One")] })).answered().await;
    let both = json!({ "messages": [message("m1", "One"), message("m2", "Two")] });
    house.post("/api/v1/chat/completions/s", &both).answered().await;
    assert_eq!(sent(&llm), ["user: One", "assistant: Good.", "user: Two"]);
    // A stored question that is sent as the last one is asked again, and what came after it goes.
    house.post("/api/v1/chat/completions/s", &json!({ "messages": [message("m1", "One")] })).answered().await;
    assert_eq!(sent(&llm), ["user: One"]);
    assert_eq!(house.transcript("s").await, ["user: One", "assistant: Good."]);
}

#[tokio::test]
async fn a_failed_turn_is_kept_and_is_no_part_of_what_follows() {
    let (llm, house) = house().await;
    llm.then(Answer::status(500)).then(Answer::status(500));
    // As an SDK does: the same request again.
    for _ in 0..2 {
        house.say_in("s", "Once").answered().await.problem(502, "upstream_failed");
    }
    house.say_in("s", "Once").answered().await;
    assert_eq!(sent(&llm), ["user: Once"]);
    let rows = house.rows(house.get("/api/v1/sessions/s/messages")).await;
    let told: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {}", row["role"].as_str().unwrap(), row["status"].as_str().unwrap()))
        .collect();
    assert_eq!(told, ["user failed", "user failed", "user complete", "assistant complete"]);
}

#[tokio::test]
async fn a_session_and_its_messages_are_shown_as_the_contract_says() {
    let (_llm, house) = house().await;
    let request = house.say_in("s", "Hello!").header("user_id", "CANARY").header("x-client-id", "web");
    request.header("x-is-eval", "1").answered().await;
    let mut session = house.get("/api/v1/sessions/s").answered().await.json();
    for name in ["created_at", "updated_at"] {
        assert!(session[name].as_i64().unwrap() > 1_700_000_000, "Unix seconds");
        session[name] = json!(0);
    }
    let expected = json!({
        "id": "s", "agent": "assistant", "mode": "evaluation", "client_id": "web", "created_at": 0, "updated_at": 0,
        "headers": ["user_id"],
    });
    assert_eq!(session, expected);
    let mut rows = house.rows(house.get("/api/v1/sessions/s/messages")).await;
    for row in &mut rows {
        assert!(row["id"].as_str().unwrap().starts_with("msg_"));
        row["id"] = json!(0);
        row["created_at"] = json!(0);
    }
    let null = Value::Null;
    assert_eq!(
        rows,
        [
            json!({ "id": 0, "role": "user", "content": "Hello!", "agent": null, "tool_calls": null, "tool_call_id": null,
                    "usage": null, "status": "complete", "created_at": 0 }),
            json!({ "id": 0, "role": "assistant", "content": "Good.", "agent": "assistant", "tool_calls": null,
                    "tool_call_id": null, "usage": rows[1]["usage"], "status": "complete", "created_at": 0 }),
        ]
    );
    assert_ne!(rows[1]["usage"], null);
    assert!(!json!(rows).to_string().contains("CANARY"));
}

#[tokio::test]
async fn lists_have_pages_and_filters() {
    let (_llm, house) = house().await;
    for (id, eval, client) in [("a", "no", "web"), ("b", "yes", "web"), ("c", "no", "cli"), ("d", "yes", "cli")] {
        house.say_in(id, "Hi").header("x-is-eval", eval).header("x-client-id", client).answered().await;
    }
    let list = |query: &str| house.get(&format!("/api/v1/sessions{query}")).answered();
    let ids = |body: &Value| -> Vec<String> {
        body["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = list("").await.json();
    assert_eq!((ids(&all).concat().as_str(), &all["has_more"]), ("dcba", &json!(false)), "newest first");
    let page = list("?limit=3").await.json();
    assert_eq!((ids(&page).concat().as_str(), &page["has_more"]), ("dcb", &json!(true)));
    let rest = list("?limit=3&after=b").await.json();
    assert_eq!((ids(&rest).concat().as_str(), &rest["has_more"]), ("a", &json!(false)));
    assert_eq!(ids(&list("?mode=evaluation").await.json()), ["d", "b"]);
    assert_eq!(ids(&list("?mode=normal&client_id=cli").await.json()), ["c"]);
    assert!(ids(&list("?client_id=none").await.json()).is_empty());
    for (query, param) in [
        ("?limit=0", "limit"),
        ("?limit=501", "limit"),
        ("?limit=-1", "limit"),
        ("?limit=ten", "limit"),
        ("?mode=other", "mode"),
        ("?after=nothing", "after"),
    ] {
        let problem = list(query).await.problem(400, "invalid_body");
        assert_eq!(problem["error"]["param"], param, "{query}");
        assert!(problem["detail"].as_str().unwrap().starts_with("the query parameter `"), "{problem}");
    }
    // Whatever is wrong with a query is told in the one form.
    for query in ["?limit=1&limit=2", "?after=%ff", "?limit"] {
        list(query).await.problem(400, "invalid_body");
    }

    let messages = house.get("/api/v1/sessions/a/messages?limit=1").answered().await.json();
    assert_eq!((&messages["data"][0]["role"], &messages["has_more"]), (&json!("user"), &json!(true)));
    let after = messages["data"][0]["id"].as_str().unwrap();
    let messages = house.get(&format!("/api/v1/sessions/a/messages?after={after}")).answered().await.json();
    assert_eq!((&messages["data"][0]["role"], &messages["has_more"]), (&json!("assistant"), &json!(false)));
    house.say_in("a", "Again").answered().await;
    let trail = house.get("/api/v1/sessions/a/trail?limit=1").answered().await.json();
    assert_eq!((&trail["data"][0]["turn"], &trail["has_more"]), (&json!(1), &json!(true)));
    let trail = house.get("/api/v1/sessions/a/trail?after=1").answered().await.json();
    assert_eq!((&trail["data"][0]["turn"], &trail["has_more"]), (&json!(2), &json!(false)));
    house.get("/api/v1/sessions/a/trail?after=x").answered().await.problem(400, "invalid_body");
}

#[tokio::test]
async fn an_evaluation_stays_one() {
    let (_llm, house) = house().await;
    house.say_in("s", "Hi").header("x-is-eval", "TRUE").answered().await;
    house.say_in("s", "Hi").answered().await;
    assert_eq!(house.get("/api/v1/sessions/s").answered().await.json()["mode"], "evaluation");
}

#[tokio::test]
async fn a_deleted_session_is_gone_with_everything() {
    let (llm, house) = house().await;
    house.say_in("s", "Hi").header("user_id", "u").answered().await;
    let deleted = house.delete("/api/v1/sessions/s").answered().await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    house.delete("/api/v1/sessions/s").answered().await.problem(404, "session_not_found");
    for path in ["", "/messages", "/trail"] {
        house.get(&format!("/api/v1/sessions/s{path}")).answered().await.problem(404, "session_not_found");
    }
    house.say_in("s", "New").answered().await;
    assert_eq!(
        llm.last().json()["messages"],
        json!([
            { "role": "system", "content": "For ." }, { "role": "user", "content": "New" },
        ])
    );
}

#[tokio::test]
async fn deleting_while_a_turn_runs_leaves_nothing_behind() {
    let (llm, house) = house().await;
    let (answer, tap) = Answer::live();
    llm.then(answer);
    let running = tokio::spawn(house.post("/api/v1/chat/completions/s", &crate::support::said_streaming("Hi")).send());
    llm.received(1).await;
    tap.event(r#"{"choices":[{"index":0,"delta":{"content":"Half "}}]}"#);
    let response = running.await.unwrap().unwrap();
    assert_eq!(house.delete("/api/v1/sessions/s").answered().await.status, 204);
    tap.event(r#"{"choices":[{"index":0,"delta":{"content":"done."},"finish_reason":"stop"}]}"#);
    tap.event("[DONE]");
    tap.end();
    let text = response.text().await.unwrap();
    assert!(text.contains("session_not_found") && !text.contains("[DONE]"), "{text}");
    house.get("/api/v1/sessions/s").answered().await.problem(404, "session_not_found");
}

#[tokio::test]
async fn it_survives_a_restart() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letterhead.db");
    let open = || House::on_file(&llm, YAML, &path);
    let house = open().await;
    house.say_in("s", "One").header("user_id", "u").answered().await;
    house.stopped().await;
    let house = open().await;
    house.say_in("s", "Two").answered().await;
    assert_eq!(llm.last().json()["messages"][0]["content"], "For u.");
    assert_eq!(sent(&llm), ["user: One", "assistant: Good.", "user: Two"]);
    house.stopped().await;
}

#[tokio::test]
async fn two_new_messages_with_one_id_are_refused_before_the_model_is_called() {
    let (llm, house) = house().await;
    let message = |text: &str| json!({ "id": "m1", "role": "user", "content": text });
    let body = json!({ "messages": [message("One"), message("Two")] });
    house.post("/api/v1/chat/completions/s", &body).answered().await.problem(400, "invalid_body");
    assert!(llm.requests().is_empty());
}

#[tokio::test]
async fn an_error_says_in_which_session_it_happened() {
    let (llm, house) = house().await;
    for path in ["/api/v1/chat/completions", "/api/chat"] {
        for body in [said("Hi"), crate::support::said_streaming("Hi")] {
            llm.then(Answer::status(500));
            let failed = house.post(path, &body).header("user_id", "u_1").answered().await;
            failed.problem(502, "upstream_failed");
            // What the request brought is remembered there, so a client can go on with it.
            let session = failed.header("x-session-id").unwrap();
            assert_eq!(house.say_in(session, "Again").answered().await.status, 200);
            assert_eq!(llm.last().json()["messages"][0]["content"], "For u_1.", "{path}");
        }
    }
    llm.then(Answer::status(500));
    assert!(house.say("Hi").answered().await.header("x-session-id").is_none());
}

#[tokio::test]
async fn what_no_value_can_hold_is_shown_as_the_text_that_was_sent() {
    let (_llm, house) = house().await;
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let part = |field: &str| format!(r#"[{{"type":"text","text":"Hi","x":{field}}}]"#);
    for (at, content) in [r#""half \ud83d""#.to_owned(), part("1e999"), part(&deep)].iter().enumerate() {
        let session = format!("/api/v1/sessions/s{at}");
        let body = format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#);
        let chat = house.request(reqwest::Method::POST, &format!("/api/v1/chat/completions/s{at}"));
        let answered = chat.header("content-type", "application/json").body(body).answered().await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let messages = house.rows(house.get(&format!("{session}/messages"))).await;
        assert_eq!(messages[0]["content"], *content);
        let turns = house.rows(house.get(&format!("{session}/turns"))).await;
        let turn = house.get(&format!("{session}/turns/{}", turns[0]["id"].as_str().unwrap())).answered().await;
        assert_eq!(turn.json()["messages"][0]["content"], *content);
    }
}

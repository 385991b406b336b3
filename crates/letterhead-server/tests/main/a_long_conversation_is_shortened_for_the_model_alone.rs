//! CONTRACT 11, `history.max_tokens`: the model is sent the ends of a long conversation, the store has all of it, and what is
//! missing is found again by its key: in the caller's own conversation, and nowhere else.

use letterhead_testkit::{Reply, ScriptedLlm};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::{House, Send, said};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
history: { max_tokens: 1000 }
agents: { assistant: { instructions: "Be brief." } }
"#;

/// A long answer, with a secret of the conversation in its middle.
fn report(hidden: &str) -> String {
    format!("The report. {}{hidden}. {}The end.", "Figures. ".repeat(200), "More figures. ".repeat(200))
}

/// The messages of the last call of the model, behind the instructions.
fn sent(llm: &ScriptedLlm) -> Vec<Value> {
    llm.last().json()["messages"].as_array().unwrap()[1..].to_vec()
}

fn tools(llm: &ScriptedLlm) -> Vec<String> {
    let body = llm.last().json();
    let tools = body["tools"].as_array().into_iter().flatten();
    tools.map(|tool| tool["function"]["name"].as_str().unwrap().to_owned()).collect()
}

async fn ok(request: RequestBuilder) {
    let answered = request.answered().await;
    assert_eq!(answered.status, 200, "{}", answered.text);
}

fn look(key: &str) -> Reply {
    Reply::tool("lookup", json!({ "key": key }))
}

#[tokio::test]
async fn the_store_keeps_all_and_another_server_sends_the_same_beginning() {
    let (llm, folder) = (ScriptedLlm::start().await, tempdir().unwrap());
    let file = folder.path().join("a.db");
    let open = || House::on_file(&llm, YAML, &file);
    let house = open().await;
    llm.then(Reply::text(&report("canary"))).then(Reply::text("Well."));
    ok(house.say_in("s", "Give me the report.")).await;
    ok(house.say_in("s", "And?")).await;
    let first = sent(&llm);
    assert_eq!(first.len(), 3);
    let shown = first[1]["content"].as_str().unwrap();
    assert!(shown.starts_with("The report. ") && shown.contains("lookup(\"#2\")") && shown.ends_with("The end."));
    assert!(!llm.last().text().contains("canary"));
    assert_eq!(tools(&llm), ["lookup"]);
    let kept = house.transcript("s").await;
    assert_eq!(kept[1], format!("assistant: {}", report("canary")));
    house.stopped().await;

    let house = open().await;
    llm.then(look("#2@1800")).then(Reply::text("Found."));
    ok(house.say_in("s", "What is in it?")).await;
    let second = sent(&llm);
    assert_eq!(second[..3], first[..], "a restart changes nothing");
    let result = second.last().unwrap();
    assert_eq!(result["role"], "tool");
    assert!(result["content"].as_str().unwrap().contains("canary"), "{result}");
    assert_eq!(house.transcript("s").await.len(), 8, "what was looked up is part of the conversation");
}

#[tokio::test]
async fn a_key_finds_nothing_of_another_session_or_another_caller() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    let say = |user: &str, session: &str, text: &str| house.say_in(session, text).header("x-user-id", user);
    llm.then(Reply::text(&report("canary-of-ann"))).then(Reply::text(&report("of-bob")));
    ok(say("ann", "s", "Give me the report.")).await;
    ok(say("bob", "s", "Give me the report.")).await;
    // Bob's model tries what it can, in the session of the same name and in another of his.
    for key in ["#1-2", "#2", "#2@1800", "#3", "#1-100", "ann/s#2", "s#2"] {
        llm.then(look(key));
    }
    llm.then(Reply::text("Nothing."));
    ok(say("bob", "s", "Look everywhere.")).await;
    let seen = llm.last().text().to_owned();
    assert!(seen.contains("of-bob") && seen.contains("There is nothing under this key."), "{seen}");
    assert!(!seen.contains("canary"));

    llm.then(Reply::text(&report("x"))).then(look("#2@1800")).then(Reply::text("Nothing."));
    ok(say("ann", "t", "Another report.")).await;
    ok(say("ann", "t", "Look.")).await;
    assert!(!llm.last().text().contains("canary"), "not even in another session of the same caller");
}

#[tokio::test]
async fn a_conversation_that_the_client_keeps_is_shortened_too() {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    let mut body = said("Give me the report.");
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({ "role": "assistant", "content": report("canary") }));
    messages.push(json!({ "role": "user", "content": "What is in it?" }));
    llm.then(look("#2@1800")).then(Reply::text("A canary."));
    let answered = house.post("/v1/chat/completions", &body).answered().await;
    assert_eq!(answered.json()["choices"][0]["message"]["content"], "A canary.");
    let calls = llm.requests();
    assert!(!calls[0].text().contains("canary") && calls[1].text().contains("canary"));
    // A client's own tool of that name could not be told from it.
    body["tools"] =
        json!([{ "type": "function", "function": { "name": "lookup", "parameters": { "type": "object" } } }]);
    let refused = house.post("/v1/chat/completions", &body).answered().await;
    refused.problem(400, "invalid_body");
    assert!(refused.text.contains("/tools/0/function/name"), "{}", refused.text);
}

#[tokio::test]
async fn a_long_question_is_sent_whole_and_a_long_history_of_short_messages_loses_its_middle() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("I see."));
    let house = House::open(&llm, YAML).await;
    let question = "Why is that so? ".repeat(600);
    ok(house.say_in("s", &question)).await;
    assert_eq!(sent(&llm)[0]["content"], question);
    for number in 0..49 {
        ok(house.say_in("t", &format!("Question {number}: {}", "why ".repeat(10)))).await;
    }
    let sent = sent(&llm);
    assert!(sent.len() < 97, "{}", sent.len());
    let text = |at: usize| sent[at]["content"].as_str().unwrap();
    assert!(text(0).starts_with("Question 0:"));
    assert!(text(1).contains("messages are left out here; lookup(\"#2-"), "{}", text(1));
    assert!(text(sent.len() - 1).starts_with("Question 48:"));
    assert_eq!(house.transcript("t").await.len(), 98);
}

//! CONTRACT 11: the built-in tool `lookup`: who has it, under whose rights it reads, and what it says.

use letterhead_server::assembly;
use letterhead_testkit::{Reply, ScriptedLlm};
use reqwest::Method;
use serde_json::{Value, json};

use crate::documents_belong_to_who_writes_them::api_key;
use crate::support::{House, Send};

const YAML: &str = "auth: { api_keys: true, trust_identity_headers: loopback, anonymous: allow }\n\
    agents:\n  \
      assistant: { instructions: Hi., tools: [lookup], delegates: [asked], handoffs: [second] }\n  \
      asked: { instructions: Hi., description: Asked., tools: [lookup] }\n  \
      second: { instructions: Hi., description: Second. }\n\
    entry: assistant";

async fn open() -> (House, String) {
    let house = House::alone(YAML).await;
    let key = api_key(&*house.app.store, "default", &["docs:write"], false).await;
    (house, key)
}

async fn share(house: &House, key: &str, path: &str, text: &str) {
    let request = house.request(Method::PUT, &format!("/api/v1/docs/{path}?shared=true")).bearer_auth(key);
    let made = request.header("content-type", "text/markdown").body(text.to_owned()).answered().await;
    assert!(made.status < 300, "{}", made.text);
}

async fn write(house: &House, user: &str, path: &str, text: &str) {
    let request = house.request(Method::PUT, &format!("/api/v1/docs/{path}")).header("x-user-id", user);
    let made = request.header("content-type", "text/markdown").body(text.to_owned()).answered().await;
    assert!(made.status < 300, "{}", made.text);
}

/// What the demo model says after it was told something.
async fn says(house: &House, user: Option<&str>, told: &str) -> String {
    let request = house.say(told);
    let request = user.into_iter().fold(request, |request, user| request.header("x-user-id", user));
    request.answered().await.content()
}

#[tokio::test]
async fn own_documents_come_before_shared_ones_and_others_are_not_there() {
    let (house, key) = open().await;
    share(&house, &key, "faq", "---\ntitle: Questions\n---\neverybody's").await;
    write(&house, "ada", "faq", "ada's own").await;
    write(&house, "ada", "plans", "ada's plans").await;
    assert!(says(&house, Some("ada"), "/lookup FAQ").await.ends_with("‹document faq, the person's own›\nada's own"));
    for other in [Some("bob"), None] {
        let found = says(&house, other, "/lookup faq").await;
        assert!(found.ends_with("‹document faq (Questions), shared›\neverybody's"), "{found}");
        let none = says(&house, other, "/lookup plans").await;
        assert!(none.ends_with("There is no document `plans`. Known keys: `faq`."), "{none}");
    }
    // An agent that is asked reads as who asked, and so does one that it was handed over from.
    let asked = says(&house, Some("ada"), "/ask asked /lookup plans").await;
    assert!(asked.contains("ada's plans"), "{asked}");
    let asked = says(&house, Some("bob"), "/ask asked /lookup plans").await;
    assert!(asked.contains("There is no document `plans`") && !asked.contains("ada's"), "{asked}");
    // One that does not have the tool does not get it by a handoff.
    let without = says(&house, Some("ada"), "/handoff second\n/lookup faq").await;
    assert!(!without.contains("I am offered lookup"), "{without}");
}

#[tokio::test]
async fn a_document_that_changes_is_found_as_it_is_now() {
    let (house, key) = open().await;
    share(&house, &key, "hours", "nine to five").await;
    let turn = async |text: &str| house.say_in("s", text).header("x-user-id", "ada").answered().await.content();
    assert!(turn("/lookup hours").await.ends_with("nine to five"));
    share(&house, &key, "hours", "ten to six").await;
    assert!(turn("/lookup hours").await.ends_with("ten to six"));
    write(&house, "ada", "hours", "whenever I like").await;
    assert!(turn("/lookup hours").await.ends_with("whenever I like"));
    for (path, key) in [("hours", None), ("hours?shared=true", Some(&key))] {
        let request = house.request(Method::DELETE, &format!("/api/v1/docs/{path}"));
        let request = match key {
            Some(key) => request.bearer_auth(key),
            None => request.header("x-user-id", "ada"),
        };
        assert_eq!(request.answered().await.status, 204);
    }
    assert!(turn("/lookup hours").await.ends_with("There is no document `hours`."));
}

#[tokio::test]
async fn no_argument_names_a_caller() {
    let (house, _) = open().await;
    write(&house, "ada", "plans", "canary of ada").await;
    for arguments in [
        json!({ "key": "plans", "user_id": "ada" }),
        json!({ "key": "plans", "user": "ada", "tenant": "default" }),
        json!({ "key": "ada/plans" }),
        json!({ "key": "default/ada/plans" }),
        json!({ "key": "../ada/plans" }),
        json!({ "key": "plans' OR user_id = 'ada" }),
        json!({ "key": ["plans", "ada"] }),
        json!({ "key": { "user": "ada", "key": "plans" } }),
        json!({}),
        json!({ "key": "%" }),
    ] {
        let said = says(&house, Some("bob"), &format!("/tool lookup {arguments}")).await;
        assert!(!said.contains("canary"), "{arguments}: {said}");
    }
    let (llm, house) = scripted().await;
    llm.then(Reply::text("Hello."));
    house.say("Hi").answered().await;
    let sent: Value = llm.last().json();
    let lookup = sent["tools"].as_array().unwrap().iter().find(|tool| tool["function"]["name"] == "lookup").unwrap();
    let parameters = &lookup["function"]["parameters"];
    assert_eq!(parameters["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["key"]);
    assert_eq!(parameters["additionalProperties"], false);
}

async fn scripted() -> (ScriptedLlm, House) {
    let llm = ScriptedLlm::start().await;
    let yaml = "providers: { openai: { kind: openai, base_url: '${LLM}', api_key: k } }\n\
                agents: { a: { instructions: Hi., model: 'openai:m', tools: [lookup] } }";
    let house = House::open(&llm, yaml).await;
    (llm, house)
}

#[tokio::test]
async fn a_long_document_is_told_in_parts() {
    let (house, key) = open().await;
    let text = format!("{}THE END", "word ".repeat(10_000));
    share(&house, &key, "long", &text).await;
    let first = says(&house, None, "/lookup long").await;
    assert!(!first.contains("THE END"), "{}", first.len());
    // The demo model shows the beginning of what it was told; the tool's result has the way on.
    let sent = house.say_in("s", "/lookup long").header("x-user-id", "ada").answered().await;
    assert_eq!(sent.status, 200);
    let rows = house.rows(house.get("/api/v1/sessions/s/messages").header("x-user-id", "ada")).await;
    let told = rows.iter().find(|row| row["role"] == "tool").unwrap()["content"].as_str().unwrap().to_owned();
    let next = told.rsplit_once("lookup(\"").unwrap().1.split('"').next().unwrap();
    assert!(told.len() < 40_000 && next.starts_with("long@"), "{next}");
    let rest = says(&house, None, &format!("/lookup {next}")).await;
    assert!(rest.contains("‹document long, shared, from character"), "{rest}");
}

#[test]
fn the_name_is_taken() {
    for (yaml, place) in [
        (
            "tools: { lookup: { description: X., url: 'https://api.example.com' } }\n\
             agents: { a: { instructions: Hi., tools: [lookup] } }",
            "letterhead.yaml:1:10",
        ),
        (
            "mcp_servers: { lookup: { url: 'https://mcp.example.com' } }\n\
             agents: { a: { instructions: Hi., tools: [lookup] } }",
            "letterhead.yaml:1:16",
        ),
        ("agents: { a: { instructions: Hi., tools: [lookup, lookup] } }", "letterhead.yaml:1:51"),
        ("agents: { a: { instructions: Hi., tools: [lokup] } }", "did you mean `lookup`?"),
    ] {
        let report = assembly::check_text("letterhead.yaml", yaml, &|_| None).err().unwrap().to_string();
        assert!(report.contains(place), "{report}");
    }
    assembly::check_text("letterhead.yaml", YAML, &|_| None).unwrap_or_else(|report| panic!("{report}"));
}

#[tokio::test]
async fn what_was_left_out_of_a_conversation_is_found_beside_documents() {
    let yaml = format!("history: {{ max_tokens: 1000 }}\n{YAML}");
    let house = House::alone(&yaml).await;
    let key = api_key(&*house.app.store, "default", &["docs:write"], false).await;
    share(&house, &key, "faq", "everybody's").await;
    let say = async |session: &str, text: &str| {
        house.say_in(session, text).header("x-user-id", "ada").answered().await.content()
    };
    for n in 0..4 {
        say("long", &format!("Canary {n}. {}", "word ".repeat(800))).await;
    }
    assert!(say("long", "/lookup #1").await.contains("Canary 0."));
    assert!(say("long", "/lookup faq").await.ends_with("‹document faq, shared›\neverybody's"));
    // In another conversation of the same caller such a key is that of one of its own messages, or of none.
    let other = say("short", "/lookup #1").await;
    assert!(other.ends_with("`lookup` answered: /lookup #1"), "{other}");
    let none = say("other", "/lookup #7").await;
    assert!(!none.contains("Canary") && none.contains("#7"), "{none}");
}

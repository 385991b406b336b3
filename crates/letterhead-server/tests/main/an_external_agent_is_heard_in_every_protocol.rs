//! An agent on another machine is a child as others are: its text comes out in every protocol as a local delegate's does,
//! and it gets what its configuration names, however the request came.

use letterhead_testkit::{A2a, ScriptedAgent};
use serde_json::{Value, json};

use crate::support::a2a::{added_up, message};
use crate::support::{Event, House, Send, said, said_streaming};

const ASKS: &str = "/ask legal May we?";
const SAYS: &str = "You asked: May we?";

fn config(url: &str) -> String {
    format!(
        r#"
headers: {{ properties: {{ org_name: {{ type: string }} }} }}
egress: {{ allow: [127.0.0.1] }}
external_agents:
  legal: {{ url: "{url}", description: Answers contract questions., headers: {{ X-Org: "{{{{ headers.org_name }}}}" }} }}
agents:
  assistant: {{ delegates: [legal] }}
"#
    )
}

async fn open() -> (ScriptedAgent, House) {
    let agent = ScriptedAgent::start(A2a::One).await.streaming();
    let house = House::alone(&config(&agent.api.url(""))).await;
    (agent, house)
}

#[tokio::test]
async fn chat_completions_leave_it_out() {
    let (_agent, house) = open().await;
    let events = house.post("/v1/chat/completions", &said_streaming(ASKS)).answered().await.events();
    assert!(events.iter().all(|event| event.name.is_none()));
    let chunks = events.iter().filter(|event| event.data != "[DONE]").map(Event::json);
    let pieces: String =
        chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect();
    assert!(pieces.contains(&format!("answered: {SAYS}")), "the agent's own words: {pieces}");
    assert_eq!(pieces.matches(SAYS).count(), 1, "{pieces}");
}

#[tokio::test]
async fn named_events_tell_whose_it_is() {
    let (_agent, house) = open().await;
    let answered = house.post("/api/v1/chat/completions", &said_streaming(ASKS)).answered().await;
    let events = answered.events();
    let child = events.iter().filter(|event| event.name.as_deref() == Some("child_content"));
    let pieces: Vec<Value> = child.map(Event::json).collect();
    assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece["agent_name"] == "legal"));
    assert_eq!(pieces.iter().map(|piece| piece["content"].as_str().unwrap()).collect::<String>(), SAYS);
}

#[tokio::test]
async fn a_ui_stream_shows_it_as_the_calls_growing_output() {
    let (_agent, house) = open().await;
    let body = json!({ "id": "c-1", "messages": [{ "id": "m", "role": "user", "parts": [{ "type": "text", "text": ASKS }] }] });
    let events = house.post("/api/chat", &body).answered().await.events();
    let chunks: Vec<Value> = events.iter().filter(|event| event.data != "[DONE]").map(Event::json).collect();
    let growing: Vec<&Value> = chunks.iter().filter(|chunk| chunk["preliminary"] == true).collect();
    assert!(growing.len() > 1);
    assert!(growing.iter().all(|chunk| chunk["output"]["agent"] == "legal"));
    assert_eq!(growing.last().unwrap()["output"]["text"], SAYS);
}

#[tokio::test]
async fn an_a2a_task_has_it_as_an_artifact_of_its_own() {
    let (_agent, house) = open().await;
    let updates = house.tell_streaming(&message(ASKS)).answered().await.updates();
    let artifacts = added_up(&updates);
    assert!(artifacts.iter().any(|(_, agent, text)| agent == "legal" && text == SAYS), "{artifacts:?}");
    assert!(artifacts.iter().any(|(_, agent, _)| agent == "assistant"), "{artifacts:?}");
}

#[tokio::test]
async fn an_mcp_client_hears_of_it_as_progress() {
    let (_agent, house) = open().await;
    let params = json!({ "name": "assistant", "arguments": { "input": ASKS }, "_meta": { "progressToken": "t-1" } });
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params });
    let request = house.post("/mcp", &body).header("accept", "application/json, text/event-stream");
    let events = request.header("mcp-protocol-version", "2025-11-25").answered().await.events();
    let told = events.iter().filter_map(|event| event.json()["params"]["message"].as_str().map(str::to_owned));
    let child: String = told.filter_map(|told| told.strip_prefix("legal: ").map(str::to_owned)).collect();
    assert_eq!(child, SAYS);
}

#[tokio::test]
async fn it_gets_the_same_headers_however_the_request_came() {
    for stream in [false, true] {
        for path in ["/v1/chat/completions", "/api/v1/chat/completions"] {
            let (agent, house) = open().await;
            let body = if stream { said_streaming(ASKS) } else { said(ASKS) };
            let request = house.post(path, &body).header("org_name", "Acme").header("x-canary", "c");
            let request = request.header("authorization", "Bearer of-the-client").header("x-user-id", "u_1");
            assert_eq!(request.answered().await.status, 200);
            for request in agent.api.requests() {
                assert_eq!(request.header("x-org"), ["Acme"]);
                for other in ["authorization", "x-canary", "x-user-id", "x-session-id", "org_name", "cookie"] {
                    assert!(request.header(other).is_empty(), "{other}");
                }
            }
        }
    }
}

#[tokio::test]
async fn another_letterhead_answers_as_any_agent_does() {
    let other = House::alone("agents: { contracts: { description: Reads contracts. } }").await;
    let house = House::alone(&config(&other.url(""))).await;
    let answered = house.post("/api/v1/chat/completions", &said_streaming(ASKS)).answered().await;
    let child: String = answered
        .events()
        .iter()
        .filter(|event| event.name.as_deref() == Some("child_content"))
        .map(|event| event.json()["content"].as_str().unwrap().to_owned())
        .collect();
    assert!(child.contains("I am the demo model") && child.contains("May we?"), "{child}");
    let whole = house.post("/v1/chat/completions", &said(ASKS)).answered().await.content();
    assert!(whole.contains(&child), "{whole}\n{child}");
}

//! CONTRACT 3: what cannot be fetched is repeated where that is safe, then stands in for itself, or stops the turn: before the
//! model is called, with a name and a reason, and with nothing of what the API said.

use letterhead_testkit::{Answer, Reply, ScriptedApi, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{House, Send, said_streaming};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
headers: { properties: { user_id: { type: string }, token: { type: string, writeOnly: true } } }
context:
  user:  { url: "https://api.example.com/users/{{ headers.user_id }}", headers: { Authorization: "Bearer {{ headers.token }}" } }
  plan:  { url: "https://api.example.com/plan", optional: true }
  skips: { url: "https://api.example.com/skips/{{ headers.user_id }}", requires: ["{{ headers.user_id }}"] }
agents:
  assistant: { instructions: "For {{ user.name }}." }
  lenient: { instructions: "Plan {{ plan.name }}, skips {{ skips }}.", delegates: [assistant] }
entry: assistant
"#;

async fn scene() -> (ScriptedLlm, ScriptedApi, House) {
    let (llm, api) = (ScriptedLlm::start().await, ScriptedApi::start().await);
    let yaml =
        format!("{YAML}egress: {{ allow: [\"{}\"] }}\n", api.host()).replace("https://api.example.com", &api.url(""));
    let house = House::open(&llm, &yaml).await;
    (llm, api, house)
}

#[tokio::test]
async fn the_caller_learns_which_one_and_why_and_nothing_else() {
    let (llm, api, house) = scene().await;
    api.on("/users/u_1").always(|_| Answer::status(403).body("no entry for t_abc, says the API"));
    let ask =
        |body: Value| house.post("/api/v1/chat/completions/s", &body).header("user_id", "u_1").header("token", "t_abc");
    let answered = ask(crate::support::said("Hi")).answered().await;
    let problem = answered.problem(502, "context_unavailable");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`context.user`") && detail.contains("403"), "{detail}");
    assert!(!answered.text.contains("t_abc") && !answered.text.contains("says the API"));
    assert_eq!(answered.header("x-should-retry"), Some("false"));
    assert_eq!(api.requests().len(), 1, "a refusal does not pass");
    // A stream that has not begun fails as anything else does.
    ask(said_streaming("Hi")).answered().await.problem(502, "context_unavailable");
    assert!(llm.requests().is_empty());
    // The turn has failed, and its trail tells of it.
    let rows = house.rows(house.get("/api/v1/sessions/s/trail")).await;
    let told =
        rows.iter().find(|row| row["reason"].as_str().is_some_and(|reason| reason.contains("could not be fetched")));
    assert_eq!(told.unwrap()["destination"], "context.user");
    let kept = house.transcript("s").await;
    assert!(!kept.is_empty() && kept.iter().all(|line| line.starts_with("user:")), "{kept:?}");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let (llm, api, house) = scene().await;
    llm.always(Reply::text("Good."));
    api.on("/users/u_1").then(Answer::status(500)).then(Answer::status(503)).json(&json!({ "name": "Ada" }));
    let request = house.say_in("s", "Hi").header("user_id", "u_1").header("token", "t");
    assert_eq!(request.answered().await.status, 200);
    assert_eq!(llm.last().json()["messages"][0]["content"], "For Ada.");
    assert_eq!(api.requests().len(), 3);
}

#[tokio::test]
async fn a_missing_credential_is_no_request() {
    let (llm, api, house) = scene().await;
    let answered = house.say_in("s", "Hi").header("user_id", "u_1").answered().await;
    let problem = answered.problem(502, "context_unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("headers.token"), "{problem:#}");
    assert!(api.requests().is_empty() && llm.requests().is_empty());
}

#[tokio::test]
async fn what_is_optional_or_not_asked_for_is_missing_and_a_delegate_fails_as_a_tool_does() {
    let (llm, api, house) = scene().await;
    api.on("/plan").always(|_| Answer::status(404));
    llm.then(Reply::tool("ask_agent", json!({ "agent": "assistant", "input": "Who?" }))).then(Reply::text("Nobody."));
    let request = house.say_in("s", "Hi").header("x-agent-schema", "lenient");
    assert_eq!(request.answered().await.content(), "Nobody.");
    assert_eq!(llm.requests()[0].json()["messages"][0]["content"], "Plan , skips .");
    let result = llm.last().json()["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
    assert!(result.contains("context.user"), "{result}");
    assert_eq!(api.requests().iter().map(|request| request.path.as_str()).collect::<Vec<_>>(), ["/plan"]);
}

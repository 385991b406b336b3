//! CONTRACT 3: a definition in the spelling of the agents SDK that it comes from works as it is printed there, host aside.

use letterhead_testkit::{Answer, Reply, ScriptedApi, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{House, Send};

const HEADERS: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
headers:
  required: [user_id, auth_token]
  properties:
    user_id:    { type: string }
    auth_token: { type: string, writeOnly: true }
    org_name:   { type: string }
"#;

const USER_FETCHER: &str = r#"
context:
  user:
    id: user-info
    name: User Information
    trigger: initialization
    fetchConfig:
      url: "https://api.example.com/users/{{headers.user_id}}"
      method: GET
      headers:
        Authorization: "Bearer {{headers.auth_token}}"
      transform: user
    responseSchema:
      type: object
      required: [user]
      properties:
        user: { type: object, required: [name, email], properties: { name: { type: string }, email: { type: string } } }
    defaultValue: Guest User
agents:
  personal-assistant:
    description: Personalized AI assistant
    instructions: |
      You are a helpful assistant for {{user.name}} from {{headers.org_name}}.

      User ID: {{headers.user_id}}

      Provide personalized assistance based on their context.
"#;

const USER_DATA_FETCHER: &str = r#"
context:
  userName:
    id: user-data
    name: User Data
    fetchConfig:
      url: "https://api.example.com/users/{{headers.user_id}}/profile"
      headers:
        Authorization: "Bearer {{headers.auth_token}}"
        X-Organization: "{{headers.org_name}}"
      body:
        includePreferences: true
        userId: "{{headers.user_id}}"
    responseSchema:
      type: object
      required: [name, preferences]
      properties: { name: { type: string }, preferences: { type: object } }
agents:
  assistant:
    instructions: |-
      You are an assistant for {{userName}} from {{headers.org_name}}.
      User context:
      - ID: {{headers.user_id}}
      - Organization: {{headers.org_name}}
      Provide help tailored to their organization's needs.
"#;

/// A configuration with the host of the printed one put aside.
fn printed(api: &ScriptedApi, part: &str) -> String {
    let yaml = format!("{HEADERS}{part}egress: {{ allow: [\"{}\"] }}\n", api.host());
    yaml.replace("https://api.example.com", &api.url(""))
}

/// The request that the guide prints.
fn asked(house: &House) -> reqwest::RequestBuilder {
    let body = json!({
        "messages": [{ "role": "user", "content": "What can you help me with?" }], "conversationId": "conv-123",
        "stream": false,
    });
    let request = house.post("/api/chat", &body).header("Authorization", "Bearer inkeep-key");
    request.header("user_id", "u_123").header("auth_token", "t_abc").header("org_name", "Acme Corp")
}

fn told(llm: &ScriptedLlm) -> String {
    llm.last().json()["messages"][0]["content"].as_str().unwrap().to_owned()
}

async fn scripted() -> (ScriptedLlm, ScriptedApi) {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    (llm, ScriptedApi::start().await)
}

#[tokio::test]
async fn the_users_name_is_fetched_and_told() {
    let (llm, api) = scripted().await;
    api.on("/users/u_123").json(&json!({ "user": { "name": "John Doe", "email": "john.doe@example.com" } }));
    let house = House::open(&llm, &printed(&api, USER_FETCHER)).await;
    assert_eq!(asked(&house).answered().await.status, 200);
    assert_eq!(
        told(&llm),
        "You are a helpful assistant for John Doe from Acme Corp.\n\nUser ID: u_123\n\nProvide personalized \
         assistance based on their context."
    );
    let request = api.last();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/users/u_123"));
    assert_eq!(request.header("authorization"), ["Bearer t_abc"]);
    assert_eq!(request.text(), "", "nothing is sent that the definition does not name");
    assert!(!llm.last().text().contains("t_abc"));
    // What was fetched is used again, without any header.
    let again = json!({ "id": "conv-123", "message": { "role": "user", "parts": [{ "type": "text", "text": "And?" }] }, "stream": false });
    assert_eq!(house.post("/api/chat", &again).answered().await.status, 200);
    assert!(told(&llm).starts_with("You are a helpful assistant for John Doe from Acme Corp."));
    assert_eq!(api.requests().len(), 1);
}

#[tokio::test]
async fn a_guest_has_no_name_and_the_turn_goes_on() {
    let (llm, api) = scripted().await;
    api.on("/users/u_123").always(|_| Answer::status(404));
    let house = House::open(&llm, &printed(&api, USER_FETCHER)).await;
    assert_eq!(asked(&house).answered().await.status, 200);
    assert!(told(&llm).starts_with("You are a helpful assistant for  from Acme Corp."), "{}", told(&llm));
}

#[tokio::test]
async fn a_body_is_posted_and_a_whole_object_is_told_as_json() {
    let (llm, api) = scripted().await;
    let profile = json!({ "name": "John Doe", "preferences": { "theme": "dark" } });
    api.on("POST /users/u_123/profile").json(&profile);
    let house = House::open(&llm, &printed(&api, USER_DATA_FETCHER)).await;
    assert_eq!(asked(&house).answered().await.status, 200);
    let expected = r#"You are an assistant for {"name":"John Doe","preferences":{"theme":"dark"}} from Acme Corp."#;
    assert_eq!(told(&llm).lines().next(), Some(expected));
    let request = api.last();
    assert_eq!(request.json(), json!({ "includePreferences": true, "userId": "u_123" }));
    assert_eq!(request.header("content-type"), ["application/json"]);
    assert_eq!(request.header("x-organization"), ["Acme Corp"]);
}

#[tokio::test]
async fn an_optional_header_that_was_not_sent_is_left_out_and_the_trail_says_so() {
    let (llm, api) = scripted().await;
    api.on("/users/u_1/profile").json(&json!({ "name": "Ada", "preferences": {} }));
    let house = House::open(&llm, &printed(&api, USER_DATA_FETCHER)).await;
    let request = house.say_in("s", "Hi").header("user_id", "u_1").header("auth_token", "t_abc");
    assert_eq!(request.answered().await.status, 200);
    assert!(api.last().header("x-organization").is_empty());
    let rows = house.rows(house.get("/api/v1/sessions/s/trail")).await;
    let row = |header: &str, destination: &str| {
        let is = |row: &&Value| row["header"] == header && row["destination"] == destination;
        rows.iter().find(is).unwrap_or_else(|| panic!("{rows:#?}"))
    };
    assert_eq!(row("X-Organization", "context.userName")["sent"], false);
    assert_eq!(row("Authorization", "context.userName")["from"], "headers.auth_token");
    assert_eq!(row("Authorization", "context.userName")["sent"], true);
}

#[tokio::test]
async fn an_answer_that_is_not_as_it_has_to_be_is_no_answer() {
    let (llm, api) = scripted().await;
    api.on("/users/u_123/profile").json(&json!({ "name": "John Doe" }));
    let house = House::open(&llm, &printed(&api, USER_DATA_FETCHER)).await;
    let problem = asked(&house).answered().await.problem(502, "context_unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("context.userName"), "{problem:#}");
    assert!(!problem.to_string().contains("John Doe"));
    assert!(llm.requests().is_empty(), "the model is not called");
}

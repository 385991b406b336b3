//! The two fetchers of the document that the idea comes from (host and spelling aside) do what it says of them.

use letterhead::run::RunEnd;
use letterhead::{Variable, VariableBody};
use letterhead_testkit::{Answer, ScriptedApi};
use serde_json::json;

use crate::support::{agent, builder, context, script, told, turn, user};

#[tokio::test]
async fn user_info_is_fetched_once_with_the_token_and_a_part_of_the_answer_is_the_user() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("GET /users/u_123").json(&json!({ "user": { "name": "John Doe", "email": "john.doe@example.com" } }));
    let user_info = user(api.url("/users/{{headers.user_id}}"))
        .with_header("Authorization", "Bearer {{headers.auth_token}}")
        .with_select("user")
        .with_response_schema(json!({
            "type": "object", "required": ["user"],
            "properties": { "user": {
                "type": "object", "required": ["name", "email"],
                "properties": { "name": { "type": "string" }, "email": { "type": "string" } },
            } },
        }))
        .with_default("Guest User".into());
    let instructions = "You are a helpful assistant for {{user.name}} from {{headers.org_name}}.\n\
                        User ID: {{headers.user_id}}\nProvide personalized assistance based on their context.";
    let registry = builder(&api, &script).variable(user_info).agent(agent(instructions)).build().unwrap();
    let headers = [("user_id", "u_123"), ("auth_token", "t_abc"), ("org_name", "Acme Corp")];

    let first = turn(&registry, context("a", &headers), Vec::new()).await;
    assert!(matches!(first.end, RunEnd::Complete(_)), "{:?}", first.end);
    let expected = "You are a helpful assistant for John Doe from Acme Corp.\nUser ID: u_123\n\
                    Provide personalized assistance based on their context.";
    assert_eq!(told(&script), expected);
    assert_eq!(api.last().header("authorization"), ["Bearer t_abc"]);
    assert!(!told(&script).contains("t_abc"));

    // The same conversation: the value is there.
    turn(&registry, context("a", &headers), first.kept).await;
    assert_eq!(told(&script), expected);
    assert_eq!(api.requests().len(), 1);
}

#[tokio::test]
async fn user_info_falls_back_to_its_default_which_has_no_name() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("/users/u_123").always(|_| Answer::status(404));
    let user_info = user(api.url("/users/{{headers.user_id}}")).with_default("Guest User".into());
    let agent = agent("For {{user.name}}, who is {{user}}.");
    let registry = builder(&api, &script).variable(user_info).agent(agent).build().unwrap();
    turn(&registry, context("a", &[("user_id", "u_123")]), Vec::new()).await;
    assert_eq!(told(&script), "For , who is Guest User.");
}

#[tokio::test]
async fn user_data_is_asked_for_with_a_body_and_an_optional_header() {
    let (api, script) = (ScriptedApi::start().await, script());
    api.on("POST /users/u_123/profile").json(&json!({ "name": "John Doe", "preferences": { "tone": "brief" } }));
    let user_data = Variable::new("userName", api.url("/users/{{headers.user_id}}/profile"))
        .with_header("Authorization", "Bearer {{headers.auth_token}}")
        .with_header("X-Organization", "{{headers.org_name}}")
        .with_body(VariableBody::Json(json!({ "includePreferences": true, "userId": "{{headers.user_id}}" })))
        .with_response_schema(json!({
            "type": "object", "required": ["name", "preferences"],
            "properties": { "name": { "type": "string" }, "preferences": { "type": "object" } },
        }));
    let agent = agent("You are an assistant for {{userName}}, or {{userName.name}}.");
    let registry = builder(&api, &script).variable(user_data).agent(agent).build().unwrap();
    let headers = [("user_id", "u_123"), ("auth_token", "t_abc")];

    let outcome = turn(&registry, context("a", &headers), Vec::new()).await;
    assert!(matches!(outcome.end, RunEnd::Complete(_)), "{:?}", outcome.end);
    let whole = r#"{"name":"John Doe","preferences":{"tone":"brief"}}"#;
    assert_eq!(told(&script), format!("You are an assistant for {whole}, or John Doe."));
    let request = api.last();
    assert_eq!(request.json(), json!({ "includePreferences": true, "userId": "u_123" }));
    assert_eq!(request.header("content-type"), ["application/json"]);
    assert!(request.header("x-organization").is_empty(), "no literal `{{{{…}}}}` and no empty header goes out");
}

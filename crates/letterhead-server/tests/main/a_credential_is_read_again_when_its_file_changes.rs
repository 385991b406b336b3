//! CONTRACT 13: a credential comes from the environment or from a file, reaches what names it, and changes with its file.

use std::sync::Arc;
use std::time::Duration;

use letterhead_server::assembly;
use letterhead_store::{Clock, FixedClock};
use letterhead_testkit::{Reply, ScriptedApi, ScriptedLlm};
use serde_json::json;

use crate::support::{House, PATIENCE, Send, memory};

const YAML: &str = r#"
providers:
  openai:
    kind: openai
    base_url: "${LLM}"
    api_key: { file: "${FOLDER}/llm" }
    headers: { X-Gateway: "gw {{ credentials.gateway }}" }
    retries: 0
model: openai:gpt-test
credentials:
  gateway: { env: GATEWAY }
  users: { file: "${FOLDER}/users" }
egress: { allow: ["${HOST}"] }
context:
  user:
    url: "https://api.example.com/me"
    when: turn
    headers: { Authorization: "Bearer {{ credentials.users }}" }
agents: { assistant: { instructions: "For {{ user.name }}." } }
"#;

#[tokio::test]
async fn within_a_second_the_next_turn_has_the_new_one() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let api = ScriptedApi::start().await;
    api.on("/me").json(&json!({ "name": "Ada" }));
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &str| {
        std::fs::write(folder.path().join("new"), value).unwrap();
        std::fs::rename(folder.path().join("new"), folder.path().join(name)).unwrap();
    };
    write("llm", "sk-one\n");
    write("users", "u-one\n");
    let env = |name: &str| match name {
        "LLM" => Some(llm.openai_url()),
        "HOST" => Some(api.host()),
        "FOLDER" => Some(folder.path().display().to_string()),
        "GATEWAY" => Some("gw-one".to_owned()),
        _ => None,
    };
    let yaml = YAML.replace("https://api.example.com", &api.url(""));
    let checked = assembly::check_text("letterhead.yaml", &yaml, &env).unwrap_or_else(|report| panic!("{report}"));
    let clock = Arc::new(FixedClock::at(1_800_000_000_000));
    let house = House::serve(checked.into_app(memory(), Arc::clone(&clock) as Arc<dyn Clock>), PATIENCE).await;
    let carried = async || {
        assert_eq!(house.say_in("s", "Hi").answered().await.status, 200);
        let (model, user) = (llm.last(), api.last());
        let one = |values: Vec<&str>| values.join("|");
        [one(model.header("authorization")), one(model.header("x-gateway")), one(user.header("authorization"))]
    };
    assert_eq!(carried().await, ["Bearer sk-one", "gw gw-one", "Bearer u-one"]);

    write("users", "u-two\n");
    write("llm", "sk-two\n");
    clock.advance(Duration::from_secs(1));
    assert_eq!(carried().await, ["Bearer sk-two", "gw gw-one", "Bearer u-two"]);

    // A file that is none any more leaves what there was.
    write("users", "");
    std::fs::remove_file(folder.path().join("llm")).unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(carried().await, ["Bearer sk-two", "gw gw-one", "Bearer u-two"]);

    let trail = house.get("/api/v1/sessions/s/trail").answered().await.text;
    assert!(trail.contains("credentials.users") && trail.contains("credentials.providers.openai.api_key"), "{trail}");
    for secret in ["u-one", "u-two", "sk-one", "sk-two", "gw-one"] {
        assert!(!trail.contains(secret) && !llm.last().text().contains(secret));
    }
}

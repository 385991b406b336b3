//! CONTRACT 12: a dry run shows what would be fetched and told, with `--fetch` what is; and the map, where everything can go.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "the functions that tests share fail by panicking, as tests do"
)]

use std::process::Command;

use letterhead_testkit::{Answer, ScriptedApi};
use serde_json::{Value, json};

const CONFIG: &str = r#"
store: sqlite://never-opened.db
headers:
  required: [user_id]
  properties:
    user_id: { type: string }
    org_name: { type: string }
    auth_token: { type: string, writeOnly: true }
credentials: { billing: { env: CANARY_BILLING } }
egress: { allow: ["127.0.0.1"] }
context:
  user:
    url: https://api.example.com/users/{{ headers.user_id }}
    headers: { Authorization: "Bearer {{ headers.auth_token }}", X-Org: "{{ headers.org_name }}" }
    select: user
  plan:
    url: https://api.example.com/plans
    query: { of: "{{ user.id }}", key: "{{ credentials.billing }}" }
    body: { org: "{{ headers.org_name }}", id: "{{ user.id }}", fixed: [1, "two"] }
    method: POST
    default: { name: free }
  unused: { url: "https://api.example.com/unused", default: 1 }
tools:
  get_order:
    description: Look an order up.
    parameters: { type: object, required: [id], properties: { id: { type: string } } }
    url: https://api.example.com/orders/{{ args.id }}
    headers: { Authorization: "Bearer {{ headers.auth_token }}" }
agents:
  assistant:
    instructions: "You help {{ user.name }} with the plan {{ plan.name }}{% if user.vip %}, a VIP{% endif %}."
    tools: [get_order]
"#;

struct Scene {
    api: ScriptedApi,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let api = ScriptedApi::start().await;
        api.on("/users/u_1").json(&json!({ "user": { "id": 7, "name": "Ada", "vip": true } }));
        api.on("POST /plans").json(&json!({ "name": "gold" }));
        let folder = tempfile::tempdir().unwrap();
        let config = CONFIG.replace("https://api.example.com", &api.url(""));
        std::fs::write(folder.path().join("letterhead.yaml"), config).unwrap();
        Self { api, folder }
    }

    /// What a command prints, if it ends as expected and shows no secret.
    async fn printed(&self, arguments: &[&str], code: i32) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_letterhead"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("CANARY_BILLING", "b-canary");
        let ran = tokio::task::spawn_blocking(move || command.output());
        let output = ran.await.expect("no panic").expect("the command runs");
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(code), "{out}{err}");
        assert!(!format!("{out}{err}").contains("canary"), "{out}{err}");
        assert!(!self.folder.path().join("never-opened.db").exists(), "nothing is stored");
        out.replace(&self.api.url(""), "https://api.example.com")
    }
}

const REQUEST: [&str; 7] = ["check", "-H", "user_id: u_1", "-H", "org_name: Acme Corp", "-H", "auth_token: t-canary"];

#[tokio::test]
async fn what_is_not_fetched_stands_for_itself() {
    let scene = Scene::new().await;
    insta::assert_snapshot!(scene.printed(&REQUEST, 0).await);
    assert!(scene.api.requests().is_empty(), "nothing is sent");
}

#[tokio::test]
async fn with_fetch_it_is_fetched_and_told() {
    let scene = Scene::new().await;
    let arguments = [&REQUEST[..], &["--fetch"]].concat();
    insta::assert_snapshot!(scene.printed(&arguments, 0).await);
    let sent: Vec<String> =
        scene.api.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    assert_eq!(sent, ["GET /users/u_1", "POST /plans?of=7&key=b-canary"]);
    assert_eq!(scene.api.requests()[0].header("authorization"), ["Bearer t-canary"]);
    assert_eq!(scene.api.requests()[1].json(), json!({ "org": "Acme Corp", "id": 7, "fixed": [1, "two"] }));
}

#[tokio::test]
async fn a_turn_that_would_be_refused_is_refused() {
    let scene = Scene::new().await;
    scene.api.on("/users/u_1").then(Answer::status(401));
    let arguments = [&REQUEST[..], &["--fetch"]].concat();
    let told = scene.printed(&arguments, 1).await;
    assert!(
        told.contains("502 context_unavailable") && told.contains("`context.user`") && told.contains("401"),
        "{told}"
    );
    let without_token = scene.printed(&REQUEST[..5], 1).await;
    assert!(without_token.contains("headers.auth_token"), "{without_token}");
}

#[tokio::test]
async fn the_map_has_every_way_of_a_header_and_of_a_value() {
    let scene = Scene::new().await;
    insta::assert_snapshot!(scene.printed(&["map"], 0).await);
    insta::assert_snapshot!(scene.printed(&["map", "--format", "mermaid"], 0).await);
    let map: Value = serde_json::from_str(&scene.printed(&["map", "--format", "json"], 0).await).unwrap();
    let ways = |list: &str, name: &str| -> Vec<(String, String)> {
        let row = map[list].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
        let place = |way: &Value| way.get("part").unwrap_or(&way["into"]).as_str().unwrap_or("-").to_owned();
        let ways = row["reaches"].as_array().unwrap().iter();
        ways.map(|way| (way["destination"].as_str().unwrap().to_owned(), place(way))).collect()
    };
    let way = |destination: &str, into: &str| (destination.to_owned(), into.to_owned());
    assert_eq!(ways("headers", "user_id"), [way("context.user", "url")]);
    assert_eq!(ways("headers", "org_name"), [way("context.user", "X-Org"), way("context.plan", "body")]);
    assert_eq!(
        ways("headers", "auth_token"),
        [way("context.user", "Authorization"), way("tools.get_order", "Authorization")]
    );
    let told = way("agents.assistant.instructions", "-");
    assert_eq!(ways("variables", "user"), [told, way("context.plan", "query"), way("context.plan", "body")]);
    assert_eq!(ways("variables", "unused"), []);
}

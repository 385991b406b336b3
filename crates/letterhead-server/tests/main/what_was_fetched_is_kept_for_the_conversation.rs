//! CONTRACT 3: a value is fetched on first need and kept for its session; again only if its own request would be another one.

use std::path::Path;
use std::sync::Arc;

use letterhead_server::assembly;
use letterhead_store::{Clock, SystemClock};
use letterhead_testkit::{Answer, Reply, ScriptedApi, ScriptedLlm};
use serde_json::json;

use crate::support::{House, PATIENCE, Send};

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const TOKEN: &str = "tok-c4n4ry";

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
store: "sqlite://${FOLDER}/letterhead.db"
egress: { allow: ["${HOST}"] }
headers:
  properties:
    user_id: { type: string }
    org:     { type: string, default: acme }
    token:   { type: string, writeOnly: true }
context:
  user: { url: "https://api.example.com/users/{{ headers.user_id }}", headers: { Authorization: "Bearer {{ headers.token }}" } }
  org:  { url: "https://api.example.com/orgs/{{ headers.org }}" }
  plan: { url: "https://api.example.com/plans/{{ org.plan }}", select: name }
  news: { url: "https://api.example.com/news", when: turn, default: [] }
agents:
  assistant: { instructions: "{{ user.name }}/{{ org.name }}/{{ plan }}" }
  reporter: { instructions: "{{ news | length }} news for {{ org.name }}" }
entry: assistant
"#;

struct Scene {
    llm: ScriptedLlm,
    api: ScriptedApi,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let llm = ScriptedLlm::start().await;
        llm.always(Reply::text("Good."));
        let api = ScriptedApi::start().await;
        api.on("/users/u_1").json(&json!({ "name": "Ada" }));
        api.on("/users/u_2").json(&json!({ "name": "Bob" }));
        api.on("/orgs/acme").json(&json!({ "name": "Acme", "plan": "gold" }));
        api.on("/orgs/zeta").json(&json!({ "name": "Zeta", "plan": "gold" }));
        api.on("/plans/gold").json(&json!({ "name": "Gold" }));
        api.on("/news").json(&json!(["a", "b"]));
        Self { llm, api, folder: tempfile::tempdir().unwrap() }
    }

    /// A server on the folder's database, with a key for secrets or without.
    async fn open(&self, key: bool) -> House {
        let env = |name: &str| match name {
            "LLM" => Some(self.llm.openai_url()),
            "HOST" => Some(self.api.host()),
            "FOLDER" => Some(self.folder.path().display().to_string()),
            "LETTERHEAD_KEY" => key.then(|| KEY.to_owned()),
            _ => None,
        };
        let yaml = YAML.replace("https://api.example.com", &self.api.url(""));
        let checked = assembly::check_text("letterhead.yaml", &yaml, &env).unwrap_or_else(|report| panic!("{report}"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = assembly::open_store(&checked, &clock).unwrap();
        House::serve(checked.into_app(store, clock), PATIENCE).await
    }

    fn told(&self) -> String {
        self.llm.last().json()["messages"][0]["content"].as_str().unwrap().to_owned()
    }

    /// The paths that were asked since the last time that this was asked.
    fn asked_after(&self, before: usize) -> Vec<String> {
        let mut paths: Vec<String> = self.api.requests().into_iter().skip(before).map(|request| request.path).collect();
        paths.sort();
        paths
    }
}

#[tokio::test]
async fn a_header_that_changes_fetches_what_depends_on_it_and_nothing_else() {
    let scene = Scene::new().await;
    let house = scene.open(true).await;
    let first = house.say_in("s", "1").header("user_id", "u_1").header("token", TOKEN);
    assert_eq!(first.answered().await.status, 200);
    assert_eq!(scene.told(), "Ada/Acme/Gold");
    assert_eq!(scene.asked_after(0), ["/orgs/acme", "/plans/gold", "/users/u_1"]);

    assert_eq!(house.say_in("s", "2").answered().await.status, 200);
    assert_eq!((scene.told().as_str(), scene.asked_after(3)), ("Ada/Acme/Gold", vec![]));

    // Another user, and the token of the first: one request differs.
    assert_eq!(house.say_in("s", "3").header("user_id", "u_2").answered().await.status, 200);
    assert_eq!((scene.told().as_str(), scene.asked_after(3)), ("Bob/Acme/Gold", vec!["/users/u_2".to_owned()]));

    // Another organisation with the same plan: the request for the plan is as it was.
    assert_eq!(house.say_in("s", "4").header("org", "zeta").answered().await.status, 200);
    assert_eq!((scene.told().as_str(), scene.asked_after(4)), ("Bob/Zeta/Gold", vec!["/orgs/zeta".to_owned()]));

    // Another token: the same address, another request.
    assert_eq!(house.say_in("s", "5").header("token", "another").answered().await.status, 200);
    assert_eq!(scene.asked_after(5), ["/users/u_2"]);
    assert_eq!(scene.api.last().header("authorization"), ["Bearer another"]);
}

#[tokio::test]
async fn another_session_fetches_for_itself() {
    let scene = Scene::new().await;
    let house = scene.open(true).await;
    for session in ["one", "two"] {
        let request = house.say_in(session, "1").header("user_id", "u_1").header("token", TOKEN);
        assert_eq!(request.answered().await.status, 200);
    }
    assert_eq!(scene.api.requests_to("/users/u_1").len(), 2);
    assert_eq!(house.delete("/api/v1/sessions/one").answered().await.status, 204);
    let request = house.say_in("one", "1").header("user_id", "u_1").header("token", TOKEN);
    assert_eq!(request.answered().await.status, 200);
    assert_eq!(scene.api.requests_to("/users/u_1").len(), 3, "what was deleted is gone");
}

#[tokio::test]
async fn it_outlives_a_restart_and_with_a_secret_in_its_request_only_by_the_key() {
    let scene = Scene::new().await;
    let house = scene.open(true).await;
    let first = house.say_in("s", "1").header("user_id", "u_1").header("token", TOKEN);
    assert_eq!(first.answered().await.status, 200);
    house.stopped().await;

    let house = scene.open(true).await;
    assert_eq!(house.say_in("s", "2").answered().await.status, 200);
    assert_eq!((scene.told().as_str(), scene.asked_after(3)), ("Ada/Acme/Gold", vec![]));
    house.stopped().await;
    let on_disk = files(scene.folder.path());
    assert!(!on_disk.contains(TOKEN), "the token is nowhere in the clear");
    assert!(!on_disk.contains("Ada"), "nor is what it fetched");
    assert!(on_disk.contains("Acme"), "what took no secret is no secret");

    // Without the key the header that the request needs is not there either.
    let house = scene.open(false).await;
    let problem = house.say_in("s", "3").answered().await;
    assert_ne!(problem.status, 200, "{}", problem.text);
    let request = house.say_in("s", "3").header("token", TOKEN);
    assert_eq!(request.answered().await.status, 200);
    assert_eq!(scene.asked_after(3).len(), 3, "fingerprints are of the key: under none, everything is asked for anew");
    house.stopped().await;

    // What takes no secret is kept without a key too.
    let house = scene.open(false).await;
    let request = house.say_in("s", "4").header("token", TOKEN);
    assert_eq!(request.answered().await.status, 200);
    assert_eq!(scene.asked_after(6), ["/users/u_1"]);
}

#[tokio::test]
async fn a_variable_of_each_turn_is_fetched_each_turn_and_only_if_it_is_needed() {
    let scene = Scene::new().await;
    let house = scene.open(true).await;
    for _ in 0..2 {
        let request = house.say_in("s", "1").header("x-agent-schema", "reporter");
        assert_eq!(request.answered().await.status, 200);
        assert_eq!(scene.told(), "2 news for Acme");
    }
    assert_eq!(scene.asked_after(0), ["/news", "/news", "/orgs/acme"], "the user is nobody's business here");
    scene.api.on("/news").always(|_| Answer::status(400));
    let request = house.say_in("s", "1").header("x-agent-schema", "reporter");
    assert_eq!(request.answered().await.status, 200);
    assert_eq!(scene.told(), "0 news for Acme", "a default is used, and not kept");
}

#[tokio::test]
async fn a_turn_without_a_session_fetches_and_keeps_nothing() {
    let scene = Scene::new().await;
    let house = scene.open(true).await;
    for _ in 0..2 {
        let request = house.say("1").header("user_id", "u_1").header("token", TOKEN);
        assert_eq!(request.answered().await.status, 200);
        assert_eq!(scene.told(), "Ada/Acme/Gold");
    }
    assert_eq!(scene.api.requests_to("/users/u_1").len(), 2);
}

#[tokio::test]
async fn what_a_failed_turn_has_fetched_is_kept() {
    let scene = Scene::new().await;
    let house = scene.open(true).await;
    scene.llm.then(Answer::status(500));
    let request = house.say_in("s", "1").header("user_id", "u_1").header("token", TOKEN);
    request.answered().await.problem(502, "upstream_failed");
    assert_eq!(house.say_in("s", "2").answered().await.status, 200);
    assert_eq!(scene.asked_after(0), ["/orgs/acme", "/plans/gold", "/users/u_1"]);
}

#[tokio::test]
async fn what_was_fetched_for_a_question_that_lacked_a_credential_is_kept() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let api = ScriptedApi::start().await;
    api.on("/tickets").json(&json!({ "id": 7 }));
    let yaml = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0, headers: { X-Token: "{{ headers.token }}" } } }
model: openai:gpt-test
egress: { allow: ["HOST"] }
headers: { properties: { user_id: { type: string }, token: { type: string, writeOnly: true } } }
context: { ticket: { method: POST, url: "http://HOST/tickets", body: { for: "{{ headers.user_id }}" } } }
agents: { assistant: { instructions: "Ticket {{ ticket.id }} of {{ headers.user_id }}." } }
"#;
    let house = House::open(&llm, &yaml.replace("HOST", &api.host())).await;
    for _ in 0..2 {
        let request = house.say_in("s", "1").header("user_id", "u_1");
        request.answered().await.problem(400, "missing_credential");
    }
    assert_eq!(house.say_in("s", "1").header("token", TOKEN).answered().await.status, 200);
    assert_eq!(llm.last().json()["messages"][0]["content"], "Ticket 7 of u_1.");
    assert_eq!(api.requests().len(), 1, "what changes something is done once");
    assert_eq!(house.transcript("s").await, ["user: 1", "assistant: Good."]);
    // The trail tells where the header went although the model was not called.
    let rows = house.rows(house.get("/api/v1/sessions/s/trail")).await;
    assert!(rows.iter().any(|row| row["turn"] == 1 && row["destination"] == "context.ticket"));
}

/// Everything that is in the files of a folder.
fn files(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()).collect()
}

//! CONTRACT 7, seed 002: several servers on one PostgreSQL are one, for whoever calls them.

use std::sync::Arc;
use std::time::Duration;

use letterhead_server::assembly;
use letterhead_store::{Clock, SystemClock};
use letterhead_testkit::{Answer, Postgres, Reply, ScriptedApi, ScriptedLlm};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::a2a::{added_up, artifacts, ids, message, state};
use crate::support::{Answered, House, PATIENCE, Program, Send, said};

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const YAML: &str = r#"
providers: { anthropic: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: anthropic:default
headers:
  properties:
    plan:  { type: string }
    token: { type: string, writeOnly: true }
agents:
  orchestrator-agent:
    instructions: 'Orchestrate for {{ caller.user_id }} on {{ headers.plan | default("no plan") }}.'
    headers: { X-Token: "{{ headers.token }}" }
    handoffs: [billing]
  billing: { description: Invoices., instructions: You handle billing. }
entry: orchestrator-agent
sessions: { turn_wait: 300ms, lease: 2s }
store: "${STORE}"
"#;

/// A database, and the model that all servers call.
struct Town {
    llm: ScriptedLlm,
    store: String,
}

impl Town {
    /// None where there is no PostgreSQL.
    async fn found() -> Option<Self> {
        let postgres = Postgres::shared()?;
        Some(Self { llm: ScriptedLlm::start().await, store: postgres.url(&postgres.database()) })
    }

    async fn server(&self) -> House {
        self.server_of(YAML, KEY).await
    }

    async fn server_of(&self, yaml: &str, key: &str) -> House {
        let env = |name: &str| match name {
            "LLM" => Some(self.llm.openai_url()),
            "STORE" => Some(self.store.clone()),
            "LETTERHEAD_KEY" => Some(key.to_owned()),
            _ => None,
        };
        let checked = assembly::check_text("letterhead.yaml", yaml, &env).unwrap_or_else(|report| panic!("{report}"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = assembly::open_store(&checked, &clock).unwrap_or_else(|error| panic!("{error}"));
        House::serve(checked.into_app(store, clock), PATIENCE).await
    }
}

/// As the seed's example has it.
fn as_user(request: RequestBuilder) -> RequestBuilder {
    request
        .header("X-User-Id", "user-123")
        .header("X-Agent-Schema", "orchestrator-agent")
        .header("X-Model-Name", "anthropic:claude-sonnet-4-5-20250929")
}

async fn roles(house: &House) -> Vec<String> {
    let rows = house.rows(house.get("/api/v1/sessions/sess-456/messages").header("X-User-Id", "user-123")).await;
    rows.iter().map(|row| row["role"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_flow_of_the_seed_goes_on_wherever_it_is_sent() {
    let Some(town) = Town::found().await else { return };
    let (first, second) = (town.server().await, town.server().await);
    town.llm.always(Reply::text("Done."));
    // By the path, on the first.
    let research = first.say_in("sess-456", "Research neural networks");
    let answered = as_user(research)
        .header("plan", "pro")
        .header("token", "tok-c4n4ry")
        .header("X-Is-Eval", "yes")
        .answered()
        .await;
    assert_eq!((answered.status, answered.header("x-session-id")), (200, Some("sess-456")), "{}", answered.text);
    assert_eq!(town.llm.last().json()["model"], "claude-sonnet-4-5-20250929");
    // By the header, on the second: it has the history, the headers and the secret.
    let more = second.post("/api/v1/chat/completions", &said("And now?")).header("X-Session-Id", "sess-456");
    assert_eq!(as_user(more).answered().await.status, 200);
    let call = town.llm.last();
    assert_eq!(call.header("x-token"), ["tok-c4n4ry"]);
    let messages = call.json()["messages"].clone();
    assert_eq!(messages[0]["content"], "Orchestrate for user-123 on pro.");
    let contents: Vec<&str> =
        messages.as_array().unwrap()[1..].iter().map(|m| m["content"].as_str().unwrap()).collect();
    assert_eq!(contents, ["Research neural networks", "Done.", "And now?"]);
    for house in [&first, &second] {
        assert_eq!(roles(house).await, ["user", "assistant", "user", "assistant"]);
        let listed = house.rows(house.get("/api/v1/sessions?mode=evaluation").header("X-User-Id", "user-123")).await;
        assert_eq!((listed.len(), &listed[0]["headers"]), (1, &json!(["plan", "token"])));
        // Nobody else finds it: not another user, not another tenant, not somebody without a name.
        for (name, value) in [("X-User-Id", "user-124"), ("X-Tenant-Id", "other"), ("X-Client-Id", "web")] {
            let other = house.get("/api/v1/sessions/sess-456/messages").header(name, value);
            other.answered().await.problem(404, "session_not_found");
        }
    }
    let other = second.say_in("sess-456", "Hello").header("token", "t").header("X-User-Id", "user-123");
    let other = other.header("X-Tenant-Id", "other");
    assert_eq!(other.answered().await.status, 200);
    assert_eq!(town.llm.last().json()["messages"].as_array().unwrap().len(), 2);

    let gone = second.delete("/api/v1/sessions/sess-456").header("X-User-Id", "user-123").answered().await;
    assert_eq!(gone.status, 204);
    let left = first.get("/api/v1/sessions/sess-456").header("X-User-Id", "user-123").answered().await;
    left.problem(404, "session_not_found");
}

#[tokio::test]
async fn a_handoff_holds_on_another_server_and_after_all_were_restarted() {
    let Some(town) = Town::found().await else { return };
    let first = town.server().await;
    town.llm.then(Reply::tool("handoff_to_billing", json!({}))).always(Reply::text("Invoices."));
    assert_eq!(first.say_in("s", "My bill?").header("token", "t").answered().await.status, 200);
    first.stopped().await;
    let second = town.server().await;
    assert_eq!(second.say_in("s", "And?").answered().await.status, 200);
    assert_eq!(town.llm.last().json()["messages"][0]["content"], "You handle billing.");
}

/// A variable, with a secret in its request.
const GREETING: &str = r#"
egress: { allow: ["127.0.0.1"] }
context:
  account: { url: "@API@/accounts/me", headers: { Authorization: "Bearer {{ headers.token }}" } }
"#;

#[tokio::test]
async fn what_was_fetched_on_one_server_is_there_on_the_other() {
    let Some(town) = Town::found().await else { return };
    let api = ScriptedApi::start().await;
    api.on("/accounts/me").json(&json!({ "name": "Ada" }));
    let greeter = "agents:\n  greeter: { instructions: 'Greet {{ account.name }}.' }\n";
    let yaml = GREETING.replace("@API@", &api.url("")) + &YAML.replace("agents:\n", greeter);
    let (first, second) = (town.server_of(&yaml, KEY).await, town.server_of(&yaml, KEY).await);
    town.llm.always(Reply::text("Good."));
    let told = || town.llm.last().json()["messages"][0]["content"].as_str().unwrap().to_owned();
    let greeter = |request: RequestBuilder| request.header("X-Agent-Schema", "greeter");
    let sent = greeter(first.say_in("s", "One")).header("token", "tok-c4n4ry");
    assert_eq!((sent.answered().await.status, told().as_str()), (200, "Greet Ada."));
    for house in [&second, &first, &second] {
        assert_eq!((greeter(house.say_in("s", "More")).answered().await.status, told().as_str()), (200, "Greet Ada."));
    }
    assert_eq!(api.requests().len(), 1, "its request, with the secret, is the same by the fingerprint of one key");
    assert_eq!(api.last().header("authorization"), ["Bearer tok-c4n4ry"]);

    // A server of another key cannot read it, and asks anew.
    let other = town.server_of(&yaml, &KEY.replace('0', "f")).await;
    let sent = greeter(other.say_in("s", "Again")).header("token", "tok-c4n4ry");
    assert_eq!((sent.answered().await.status, told().as_str()), (200, "Greet Ada."));
    assert_eq!(api.requests().len(), 2);
}

#[tokio::test]
async fn a_turn_on_one_server_is_waited_for_on_the_other() {
    let Some(town) = Town::found().await else { return };
    let (first, second) = (town.server().await, town.server().await);
    let (answer, tap) = Answer::live();
    town.llm.then(answer.header("content-type", "application/json")).always(Reply::text("Good."));
    let running = tokio::spawn(first.say_in("s", "One").header("token", "t").send());
    town.llm.received(1).await;
    let busy = second.say_in("s", "Two").answered().await;
    busy.problem(409, "session_busy");
    assert_eq!(busy.header("retry-after"), Some("1"));
    tap.send(r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"First."},"finish_reason":"stop"}]}"#);
    tap.end();
    assert_eq!(running.await.unwrap().unwrap().status(), 200);
    assert_eq!(second.say_in("s", "Two").answered().await.status, 200);
    assert_eq!(second.transcript("s").await, ["user: One", "assistant: First.", "user: Two", "assistant: Good."]);
}

#[tokio::test]
async fn a_task_on_one_server_is_found_and_followed_on_the_other() {
    let Some(town) = Town::found().await else { return };
    let (first, second) = (town.server().await, town.server().await);
    let last = json!({ "choices": [{ "index": 0, "delta": { "content": "Done." }, "finish_reason": "stop" }] });
    let (answer, gate) = Answer::sse([last.to_string(), "[DONE]".to_owned()]).held();
    town.llm.then(answer);
    let request = as_user(first.tell_and_leave(&message("Hi"))).header("token", "t_1");
    let task = request.answered().await.task();
    let (id, _) = ids(&task);
    town.llm.received(1).await;
    let found = as_user(second.about("GetTask", &id)).answered().await.task();
    assert_eq!((ids(&found), state(&found).as_str()), (ids(&task), "WORKING"));
    as_user(second.about("CancelTask", &id)).answered().await.rpc_error(-32002);
    second.about("GetTask", &id).header("X-User-Id", "somebody-else").answered().await.rpc_error(-32001);
    let following = as_user(second.about("SubscribeToTask", &id)).send().await.unwrap();
    gate.open();
    let updates = Answered::of(following).await.updates();
    assert_eq!(added_up(&updates)[0].2, "Done.");
    assert_eq!(state(&updates.last().unwrap()["statusUpdate"]), "COMPLETED");
    let ended = as_user(second.about("GetTask", &id)).answered().await.task();
    assert_eq!((state(&ended).as_str(), artifacts(&ended)), ("COMPLETED", added_up(&updates)));
}

/// The program, on a database, with everything logged that it would ever log.
async fn program(town: &Town, folder: &std::path::Path, name: &str) -> Program {
    let config = folder.join(format!("{name}.yaml"));
    let yaml = YAML.replace("${LLM}", &town.llm.openai_url()).replace("${STORE}", &town.store);
    std::fs::write(&config, yaml).unwrap();
    Program::start_with(&config, &folder.join(format!("{name}.log")), &[("LETTERHEAD_KEY", KEY)]).await
}

#[tokio::test]
async fn a_server_that_is_killed_in_a_turn_hands_its_session_over() {
    let Some(town) = Town::found().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (doomed, other) = (program(&town, folder.path(), "doomed").await, program(&town, folder.path(), "other").await);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let say = |program: &Program, text: &str| {
        let url = format!("{}/api/v1/chat/completions/s", program.url);
        client.post(url).header("X-User-Id", "user-c4n4ry").header("token", "tok-c4n4ry").json(&said(text))
    };
    town.llm.then(Reply::text("Kept."));
    assert_eq!(say(&doomed, "Words-c4n4ry").answered().await.status, 200);
    let (answer, _tap) = Answer::live();
    town.llm.then(answer.header("content-type", "application/json")).always(Reply::text("Good."));
    let lost = tokio::spawn(say(&doomed, "Lost").send());
    town.llm.received(2).await;
    doomed.kill();
    assert!(lost.await.unwrap().is_err());
    // Until the lease has run out.
    let answered = loop {
        let answered = say(&other, "Again").answered().await;
        if answered.status != 409 {
            break answered;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(answered.status, 200, "{}", answered.text);
    let messages = town.llm.last().json()["messages"].clone();
    let contents: Vec<&Value> =
        messages.as_array().unwrap().iter().skip(1).map(|message| &message["content"]).collect();
    assert_eq!(contents, ["Words-c4n4ry", "Kept.", "Again"]);
    // The turn that nobody ended shows how it ended, and is found by its id.
    let get =
        |path: &str| client.get(format!("{}/api/v1/sessions/s{path}", other.url)).header("X-User-Id", "user-c4n4ry");
    let turns = get("/turns").answered().await.json()["data"].as_array().unwrap().clone();
    let shown: Vec<_> =
        turns.iter().map(|turn| (turn["turn"].as_u64().unwrap(), turn["status"].as_str().unwrap())).collect();
    assert_eq!(shown, [(3, "complete"), (2, "incomplete"), (1, "complete")]);
    let lost = &turns[1];
    assert!(lost["agent"].is_null() && lost["began_at"].is_i64() && lost["ended_at"].is_i64(), "{lost}");
    let found = get(&format!("/turns/{}", lost["id"].as_str().unwrap())).answered().await.json();
    assert_eq!(
        (&found["status"], &found["messages"], &found["children"]),
        (&json!("incomplete"), &json!([]), &json!([]))
    );
    assert_eq!(get("/turns?status=incomplete").answered().await.json()["data"], json!([lost]));
    // The client of the database logs all that it sends at DEBUG: nobody hears of it.
    for name in ["doomed", "other"] {
        let log = std::fs::read_to_string(folder.path().join(format!("{name}.log"))).unwrap();
        assert!(log.contains("listening on") && !log.contains("c4n4ry") && !log.contains(KEY), "{log}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_used_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (config, log) = (folder.path().join("letterhead.yaml"), folder.path().join("log"));
    for (store, expected) in [
        (
            "postgres://me:c4n4ry@127.0.0.1:1/letterhead",
            "the database me@127.0.0.1:1/letterhead cannot be used: the database cannot be reached",
        ),
        (
            "postgres://me:c4n4ry@127.0.0.1/letterhead?sslmode=yes",
            "`sslmode` is disable, prefer, require, verify-ca or verify-full",
        ),
        ("postgres://me:x@c4n4ry@127.0.0.1/letterhead", "with %40 for an @ in the password"),
        ("postgres://me:c4n4ry@127.0.0.1/letterhead?pool=3", "unknown option `pool`"),
    ] {
        std::fs::write(&config, format!("store: \"{store}\"\nagents: {{ assistant: {{}} }}\n")).unwrap();
        let told = Program::fails(&config, &log);
        assert!(told.contains(expected) && !told.contains("c4n4ry"), "{told}");
    }
}

//! CONTRACT 7: a call waits for its approval as long as its conversation is there, whatever becomes of the server that it is for
//! and of the process that asked; and no longer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use letterhead_server::assembly;
use letterhead_store::{Clock, FixedClock};
use letterhead_testkit::{Answer, Recorded, Reply, ScriptedApi, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::a2a::{ids, message_in, state};
use crate::support::{Answered, House, PATIENCE, Send};

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The sessions end after less time than secrets do, so that it is the session that an answer misses.
const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
store: "${STORE}"
egress: { allow: ["127.0.0.1"] }
sessions: { ttl: 1h, headers_ttl: 2h, secrets_ttl: 2h }
headers: { properties: { token: { type: string, writeOnly: true } } }
mcp_servers:
  crm:
    url: "@CRM@/mcp"
    headers: { Authorization: "Bearer {{ headers.token }}" }
    approve: [customers.delete]
    optional: false
tools:
  refund: { url: "@API@/refunds", method: POST, approve: true }
agents:
  assistant: { instructions: Help., tools: [crm, refund] }
"#;

struct Scene {
    llm: ScriptedLlm,
    crm: ScriptedApi,
    tools: Arc<Mutex<Vec<&'static str>>>,
    clock: Arc<FixedClock>,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Self {
        let (llm, crm) = (ScriptedLlm::start().await, ScriptedApi::start().await);
        let tools = Arc::new(Mutex::new(vec!["customers.delete", "customers.find"]));
        let listed = Arc::clone(&tools);
        crm.always(move |request| answer(request, &listed.lock().unwrap()));
        let clock = Arc::new(FixedClock::at(1_800_000_000_000));
        Self { llm, crm, tools, clock, folder: tempfile::tempdir().unwrap() }
    }

    async fn house(&self) -> House {
        self.house_in(false).await
    }

    async fn house_in(&self, memory: bool) -> House {
        let store = if memory { "memory".to_owned() } else { self.file() };
        self.house_with(&self.crm.url(""), &store).await
    }

    fn file(&self) -> String {
        format!("sqlite://{}/letterhead.db", self.folder.path().display())
    }

    async fn house_with(&self, crm: &str, store: &str) -> House {
        self.house_of(YAML, crm, store).await
    }

    async fn house_of(&self, yaml: &str, crm: &str, store: &str) -> House {
        let env = |name: &str| match name {
            "LLM" => Some(self.llm.openai_url()),
            "STORE" => Some(store.to_owned()),
            "LETTERHEAD_KEY" => Some(KEY.to_owned()),
            _ => None,
        };
        let yaml = yaml.replace("@CRM@", crm).replace("@API@", &self.crm.url(""));
        let checked = assembly::check_text("letterhead.yaml", &yaml, &env).unwrap_or_else(|report| panic!("{report}"));
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let store = assembly::open_store(&checked, &clock).unwrap_or_else(|error| panic!("{error}"));
        House::serve(checked.into_app(store, clock), PATIENCE).await
    }

    /// A turn that pauses, and the answer that approves its call.
    async fn pause(&self, house: &House) -> Value {
        self.llm.then(delete());
        let paused = house.say_in("s", "Delete it").header("token", "t-c4n4ry").answered().await;
        let asked = &paused.json()["requires_action"]["approvals"][0];
        assert_eq!(asked["name"], "crm_customers_delete", "{}", paused.text);
        json!({ "approvals": [{ "id": asked["id"], "approved": true }] })
    }

    /// The calls that the MCP server has seen.
    fn calls(&self) -> Vec<Recorded> {
        self.crm.requests_to("/mcp").into_iter().filter(|request| request.json()["method"] == "tools/call").collect()
    }

    /// What the model was told last.
    fn told(&self) -> String {
        self.llm.last().json()["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned()
    }
}

fn delete() -> Reply {
    Reply::tool("crm_customers_delete", json!({ "id": 7 }))
}

fn answer(request: &Recorded, tools: &[&str]) -> Answer {
    let message = request.json();
    let tool = |name: &&str| json!({ "name": name, "inputSchema": { "type": "object" } });
    let result = match message["method"].as_str().unwrap_or_default() {
        "server/discover" => json!({ "supportedVersions": ["2026-07-28"] }),
        "tools/list" => json!({ "tools": tools.iter().map(tool).collect::<Vec<_>>() }),
        _ => json!({ "content": [{ "type": "text", "text": "deleted" }] }),
    };
    Answer::json(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
}

async fn send(house: &House, approval: &Value) -> Answered {
    house.post("/api/v1/chat/completions/s", approval).answered().await
}

#[tokio::test]
async fn a_call_of_an_mcp_servers_tool_is_made_once_after_a_restart() {
    let scene = Scene::set().await;
    let house = scene.house().await;
    let approval = scene.pause(&house).await;
    assert_eq!(scene.calls().len(), 0);
    house.stopped().await;

    let house = scene.house().await;
    scene.llm.then(Reply::text("Deleted."));
    assert_eq!(send(&house, &approval).await.content(), "Deleted.");
    assert_eq!(scene.told(), "deleted");
    let [call] = &scene.calls()[..] else { panic!("{:?}", scene.calls()) };
    // The server's own name for it, the stored arguments, and the header that was sent with the question.
    let params = &call.json()["params"];
    assert_eq!((&params["name"], &params["arguments"]), (&json!("customers.delete"), &json!({ "id": 7 })));
    assert_eq!(call.header("authorization"), ["Bearer t-c4n4ry"]);
    send(&house, &approval).await.problem(400, "invalid_body");
    house.stopped().await;

    let house = scene.house().await;
    send(&house, &approval).await.problem(400, "invalid_body");
    assert_eq!(scene.calls().len(), 1);
}

#[tokio::test]
async fn while_the_mcp_server_is_down_the_call_goes_on_waiting() {
    let scene = Scene::set().await;
    let house = scene.house().await;
    let approval = scene.pause(&house).await;
    house.stopped().await;

    let house = scene.house_with(&ScriptedApi::nowhere().await, &scene.file()).await;
    let failed = send(&house, &approval).await;
    failed.problem(502, "context_unavailable");
    assert_eq!(scene.llm.requests().len(), 1, "no model was called");
    house.stopped().await;

    let house = scene.house().await;
    scene.llm.then(Reply::text("Deleted."));
    assert_eq!(send(&house, &approval).await.content(), "Deleted.");
    assert_eq!((scene.told().as_str(), scene.calls().len()), ("deleted", 1));
}

#[tokio::test]
async fn so_it_does_where_the_agent_could_go_on_without_the_server() {
    let scene = Scene::set().await;
    let (optional, up) = (YAML.replace("optional: false", "optional: true"), scene.crm.url(""));
    let down = ScriptedApi::nowhere().await;
    scene.crm.on("POST /refunds").json(&json!({ "refunded": true }));
    let house = scene.house_of(&optional, &up, &scene.file()).await;
    scene.llm.then(Reply::tool("refund", json!({})).and_tool("crm_customers_delete", json!({ "id": 7 })));
    let paused = house.say_in("s", "Both").header("token", "t-c4n4ry").answered().await.json();
    let asked = paused["requires_action"]["approvals"].as_array().unwrap().clone();
    assert_eq!((asked.len(), &asked[1]["name"]), (2, &json!("crm_customers_delete")), "{paused}");
    let yes = |asked: &Value| json!({ "approvals": [{ "id": asked["id"], "approved": true }] });
    house.stopped().await;

    // What it is not needed for is done, and nothing is forgotten that nobody has decided.
    let house = scene.house_of(&optional, &down, &scene.file()).await;
    let left = send(&house, &yes(&asked[0])).await.json();
    assert_eq!(left["requires_action"]["approvals"], json!([asked[1]]), "{left}");
    assert_eq!(scene.crm.requests_to("/refunds").len(), 1);
    // An approval that cannot be followed is not used up.
    for _ in 0..2 {
        let failed = send(&house, &yes(&asked[1])).await;
        failed.problem(502, "context_unavailable");
        assert!(failed.text.contains("mcp_servers.crm"), "{}", failed.text);
    }
    assert_eq!(scene.llm.requests().len(), 1, "no model was called");
    house.stopped().await;

    let house = scene.house_of(&optional, &up, &scene.file()).await;
    scene.llm.then(Reply::text("Deleted."));
    assert_eq!(send(&house, &yes(&asked[1])).await.content(), "Deleted.");
    assert_eq!((scene.told().as_str(), scene.calls().len()), ("deleted", 1));
    send(&house, &yes(&asked[1])).await.problem(400, "invalid_body");
}

#[tokio::test]
async fn a_task_too_goes_on_waiting() {
    for optional in ["false", "true"] {
        let scene = Scene::set().await;
        let yaml = YAML.replace("optional: false", &format!("optional: {optional}"));
        let (up, down) = (scene.crm.url(""), ScriptedApi::nowhere().await);
        let house = scene.house_of(&yaml, &up, &scene.file()).await;
        scene.llm.then(delete());
        let task = house.tell(&message_in("Delete it", "contextId", "s")).header("token", "t").answered().await.task();
        let approvals = |task: &Value| task["status"]["message"]["parts"][1]["data"]["approvals"].clone();
        let asked = approvals(&task);
        let parts = json!([{ "data": { "approvals": [{ "id": asked[0]["id"], "approved": true }] } }]);
        let answer = json!({ "messageId": "m-2", "role": "ROLE_USER", "taskId": ids(&task).0, "parts": parts });
        house.stopped().await;

        let house = scene.house_of(&yaml, &down, &scene.file()).await;
        let told = house.tell(&answer).answered().await.task();
        let streamed = house.tell_streaming(&answer).answered().await.updates();
        let kept = house.about("GetTask", &ids(&task).0).answered().await.task();
        for status in [&told, &kept, &streamed.last().unwrap()["statusUpdate"]] {
            assert_eq!((state(status).as_str(), &approvals(status)), ("INPUT_REQUIRED", &asked), "{status:#}");
            let why = status["status"]["message"]["parts"][0]["text"].as_str().unwrap();
            assert!(why.contains("the tools of `mcp_servers.crm` are not to be had"), "{why}");
        }
        let waiting = house.a2a("ListTasks", &json!({ "status": "TASK_STATE_INPUT_REQUIRED" })).answered().await;
        assert_eq!(waiting.rpc_result()["totalSize"], 1);
        let paused = house.rows(house.get("/api/v1/sessions/s/turns?status=paused")).await;
        let [turn] = &paused[..] else { panic!("one of three waits: {paused:#?}") };
        let turn = house.get(&format!("/api/v1/sessions/s/turns/{}", turn["id"].as_str().unwrap())).answered().await;
        assert_eq!((&turn.json()["approvals"], &turn.json()["error"]["code"]), (&asked, &json!("context_unavailable")));
        assert_eq!((scene.llm.requests().len(), scene.calls().len()), (1, 0));
        house.stopped().await;

        let house = scene.house_of(&yaml, &up, &scene.file()).await;
        scene.llm.then(Reply::text("Deleted."));
        let done = house.tell(&answer).answered().await.task();
        assert_eq!((ids(&done), state(&done).as_str()), (ids(&task), "COMPLETED"));
        assert_eq!((scene.told().as_str(), scene.calls().len()), ("deleted", 1));
    }
}

#[tokio::test]
async fn an_mcp_server_that_goes_down_in_the_call_is_not_called_again() {
    let scene = Scene::set().await;
    let house = scene.house().await;
    let approval = scene.pause(&house).await;
    // Which tools it has is known from before.
    scene.crm.on("/mcp").always(|_| Answer::close());
    scene.llm.then(Reply::text("I do not know."));
    assert_eq!(send(&house, &approval).await.content(), "I do not know.");
    assert_eq!(scene.calls().len(), 1);
    assert_ne!(scene.told(), "deleted");
    scene.crm.on("/mcp").always(|request| answer(request, &["customers.delete"]));
    send(&house, &approval).await.problem(400, "invalid_body");
    assert_eq!(scene.calls().len(), 1);
}

#[tokio::test]
async fn a_tool_that_the_mcp_server_has_dropped_or_renamed_is_not_called() {
    for tools in [vec!["customers.find"], vec!["customers.find", "customers.remove"], vec![]] {
        let scene = Scene::set().await;
        let house = scene.house().await;
        let approval = scene.pause(&house).await;
        house.stopped().await;

        scene.tools.lock().unwrap().clone_from(&tools);
        let house = scene.house().await;
        scene.llm.then(Reply::text("It cannot be done."));
        assert_eq!(send(&house, &approval).await.content(), "It cannot be done.");
        assert!(scene.told().contains("There is no tool of this name"), "{}", scene.told());
        // It is decided: when the tool comes back, the old answer does nothing.
        house.stopped().await;
        *scene.tools.lock().unwrap() = vec!["customers.delete"];
        let house = scene.house().await;
        send(&house, &approval).await.problem(400, "invalid_body");
        assert_eq!(scene.calls().len(), 0, "with {tools:?}");
    }
}

/// An answer that finds no session any more calls nothing, asks no model, and begins no session.
async fn is_too_late(scene: &Scene, house: &House, approval: &Value) {
    let asked = scene.llm.requests().len();
    for headers in [vec![], vec![("token", "t-c4n4ry")]] {
        let request = house.post("/api/v1/chat/completions/s", approval);
        let late = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let late = late.answered().await;
        late.problem(400, "invalid_body");
        assert_eq!(late.faults(), [("/approvals".to_owned(), "invalid_body".to_owned())]);
    }
    house.get("/api/v1/sessions/s").answered().await.problem(404, "session_not_found");
    assert_eq!(house.rows(house.get("/api/v1/sessions")).await, [] as [Value; 0]);
    assert_eq!((scene.calls().len(), scene.llm.requests().len()), (0, asked));

    // Nor does it answer the same call of a new conversation under that name.
    let newer = scene.pause(house).await;
    assert_ne!(&newer, approval);
    send(house, approval).await.problem(400, "invalid_body");
    assert_eq!(scene.calls().len(), 0);
    scene.llm.then(Reply::text("Deleted."));
    assert_eq!(send(house, &newer).await.content(), "Deleted.");
    assert_eq!(scene.calls().len(), 1);
}

#[tokio::test]
async fn with_its_session_deleted_a_call_is_made_no_more() {
    for in_memory in [true, false] {
        let scene = Scene::set().await;
        let house = scene.house_in(in_memory).await;
        let approval = scene.pause(&house).await;
        assert_eq!(house.delete("/api/v1/sessions/s").answered().await.status, 204);
        is_too_late(&scene, &house, &approval).await;
    }
}

#[tokio::test]
async fn a_call_waits_as_long_as_its_session_is_kept_and_no_longer() {
    for in_memory in [true, false] {
        let scene = Scene::set().await;
        let house = scene.house_in(in_memory).await;
        let approval = scene.pause(&house).await;
        scene.clock.advance(Duration::from_mins(59));
        scene.llm.then(Reply::text("Deleted."));
        assert_eq!(send(&house, &approval).await.content(), "Deleted.");
        assert_eq!(scene.calls().len(), 1);

        let scene = Scene::set().await;
        let house = scene.house_in(in_memory).await;
        let approval = scene.pause(&house).await;
        scene.clock.advance(Duration::from_mins(61));
        is_too_late(&scene, &house, &approval).await;
    }
}

/// A task and a UI chat that wait, and the requests that approve their calls.
async fn asked_elsewhere(scene: &Scene, house: &House) -> (Value, Value) {
    scene.llm.then(delete()).then(delete());
    let task = house.tell(&message_in("Delete it", "contextId", "c")).header("token", "t").answered().await.task();
    assert_eq!(state(&task), "INPUT_REQUIRED", "{task:#}");
    let asked = &task["status"]["message"]["parts"][1]["data"]["approvals"][0]["id"];
    let parts = json!([{ "data": { "approvals": [{ "id": asked, "approved": true }] } }]);
    let message = json!({ "messageId": "m-2", "role": "ROLE_USER", "taskId": ids(&task).0, "parts": parts });

    let user = json!({ "id": "u1", "role": "user", "parts": [{ "type": "text", "text": "Delete it" }] });
    let question = json!({ "id": "chat", "messages": [user], "stream": false });
    let paused = house.post("/api/chat", &question).header("token", "t").answered().await.json();
    let mut part = paused["message"]["parts"].as_array().unwrap().last().unwrap().clone();
    assert!(part["approval"]["id"].is_string(), "{paused:#}");
    part["state"] = "approval-responded".into();
    part["approval"]["approved"] = true.into();
    let assistant = json!({ "id": paused["message"]["id"], "role": "assistant", "parts": [part] });
    (message, json!({ "id": "chat", "messages": [user, assistant], "stream": false }))
}

#[tokio::test]
async fn so_it_is_for_a_task_and_for_a_ui_chat() {
    let scene = Scene::set().await;
    let house = scene.house().await;
    let (message, chat) = asked_elsewhere(&scene, &house).await;
    scene.clock.advance(Duration::from_mins(59));
    scene.llm.always(Reply::text("Deleted."));
    assert_eq!(state(&house.tell(&message).answered().await.task()), "COMPLETED");
    assert_eq!(house.post("/api/chat", &chat).answered().await.status, 200);
    assert_eq!(scene.calls().len(), 2);

    let scene = Scene::set().await;
    let house = scene.house().await;
    let (message, chat) = asked_elsewhere(&scene, &house).await;
    scene.clock.advance(Duration::from_mins(61));
    house.tell(&message).answered().await.rpc_error(-32001);
    house.post("/api/chat", &chat).answered().await.problem(400, "invalid_body");
    assert_eq!((scene.calls().len(), scene.llm.requests().len()), (0, 2));
}

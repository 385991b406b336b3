//! CONTRACT 7: whatever callers do, in whatever order, each finds its own sessions and nobody else's, nor a sign of them.
//!
//! Random callers send random requests to every endpoint of sessions. A model of a few lines says what each must see.

use std::collections::BTreeMap;
use std::sync::Arc;

use letterhead_store::postgres::{PostgresAddress, PostgresOptions};
use letterhead_store::{PostgresStore, Store, SystemClock};
use letterhead_testkit::Postgres;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::a2a::{ids, message_in};
use crate::support::{Answered, House, PATIENCE, Send, app, memory, sqlite};

const YAML: &str = "agents: { assistant: { instructions: Hi. } }";
const TENANTS: [Option<&str>; 3] = [None, Some("acme"), Some("globex")];
const USERS: [Option<&str>; 3] = [None, Some("alice"), Some("bob")];
/// Ids that all of them use.
const IDS: [&str; 3] = ["s", "sess-456", "9b2e0c1e-7f3a-4d56-8a4b-0d3c5e7f9a10"];
/// An id that nobody uses.
const NOBODYS: &str = "never-used";
/// A task that nobody has.
const NO_TASK: &str = "01a20423-e7b8-7000-b54a-ded5ae9e2f49";

/// Who is asking: places in the two lists.
type Who = (usize, usize);

#[derive(Clone, Copy, Debug)]
enum Does {
    Chats(usize),
    Reads,
    ReadsMessages,
    ReadsTrail,
    ReadsTurns,
    Lists,
    ListsTasks,
    Deletes,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    who: Who,
    id: usize,
    does: Does,
    /// Which of several servers is asked.
    node: usize,
}

fn step() -> impl Strategy<Value = Step> {
    let does = prop_oneof![
        4 => (0..5usize).prop_map(Does::Chats),
        1 => Just(Does::Reads),
        2 => Just(Does::ReadsMessages),
        1 => Just(Does::ReadsTrail),
        2 => Just(Does::ReadsTurns),
        2 => Just(Does::Lists),
        2 => Just(Does::ListsTasks),
        1 => Just(Does::Deletes),
    ];
    ((0..3usize, 0..3usize), 0..3usize, does, 0..2usize).prop_map(|(who, id, does, node)| Step { who, id, does, node })
}

/// What must be there: of each caller, the sessions with what was said in them. Anonymous callers of a tenant are one.
type Model = BTreeMap<Who, BTreeMap<usize, Vec<String>>>;

fn asked_by(who: Who, mut request: RequestBuilder) -> RequestBuilder {
    if let Some(tenant) = TENANTS[who.0] {
        request = request.header("x-tenant-id", tenant);
    }
    if let Some(user) = USERS[who.1] {
        request = request.header("x-user-id", user);
    }
    request
}

/// An answer without what differs from request to request.
fn without_request_id(answered: &Answered) -> (u16, Value) {
    let mut body = answered.json();
    body["request_id"] = Value::Null;
    (answered.status, body)
}

fn list(answered: &Answered) -> Vec<Value> {
    assert_eq!(answered.status, 200, "{}", answered.text);
    answered.json()["data"].as_array().unwrap().clone()
}

async fn take(nodes: &[House], step: Step, at: usize, model: &mut Model) {
    let house = &nodes[step.node % nodes.len()];
    let own = model.entry(step.who).or_default();
    let path = |id: &str, rest: &str| format!("/api/v1/sessions/{id}{rest}");
    let ask = |method: Method, path: String| asked_by(step.who, house.request(method, &path)).answered();
    let id = IDS[step.id];
    let rest = match step.does {
        Does::Chats(protocol) => {
            let text = format!("word {at} of {}-{}", step.who.0, step.who.1);
            let body = json!({ "messages": [{ "role": "user", "content": text }], "stream": false });
            let request = match protocol {
                0 => house.post("/v1/chat/completions", &body).header("x-session-id", id),
                1 => house.post(&format!("/api/v1/chat/completions/{id}"), &body),
                2 => house.post("/api/chat", &body).header("x-session-id", id),
                3 => house.tell(&message_in(&text, "contextId", id)),
                _ => {
                    let arguments = json!({ "input": text, "session_id": id });
                    let params = json!({ "name": "assistant", "arguments": arguments });
                    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
                    let accept = "application/json, text/event-stream";
                    house.post("/mcp", &call).header("mcp-protocol-version", "2025-11-25").header("accept", accept)
                }
            };
            let answered = asked_by(step.who, request).answered().await;
            assert_eq!(answered.status, 200, "{}", answered.text);
            let said = own.entry(step.id).or_default();
            said.push(text);
            // What the model was sent is this conversation and nothing more.
            let sent = 2 * said.len() - 1;
            let plural = if sent == 1 { "message." } else { "messages." };
            assert!(answered.text.contains(&format!("I was sent {sent} {plural}")), "{sent}: {}", answered.text);
            return;
        }
        Does::Lists => {
            let answered = ask(Method::GET, "/api/v1/sessions".to_owned()).await;
            let mut found: Vec<String> =
                list(&answered).iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
            found.sort();
            let mut wanted: Vec<String> = own.keys().map(|id| IDS[*id].to_owned()).collect();
            wanted.sort();
            assert_eq!(found, wanted, "{step:?}");
            return;
        }
        Does::ListsTasks => return lists_tasks(house, step, own).await,
        Does::Deletes => {
            let answered = ask(Method::DELETE, path(id, "")).await;
            match own.remove(&step.id) {
                Some(_) => assert_eq!(answered.status, 204, "{}", answered.text),
                None => {
                    let absent = ask(Method::DELETE, path(NOBODYS, "")).await;
                    assert_eq!(without_request_id(&answered), without_request_id(&absent));
                }
            }
            return;
        }
        Does::Reads => "",
        Does::ReadsMessages => "/messages",
        Does::ReadsTrail => "/trail",
        Does::ReadsTurns => "/turns",
    };
    let answered = ask(Method::GET, path(id, rest)).await;
    let Some(said) = own.get(&step.id) else {
        // Somebody else's session looks as one that never was.
        let absent = ask(Method::GET, path(NOBODYS, rest)).await;
        assert_eq!(answered.status, 404);
        assert_eq!(without_request_id(&answered), without_request_id(&absent), "{step:?}");
        return;
    };
    assert_eq!(answered.status, 200, "{}", answered.text);
    if rest == "/turns" {
        let rows = list(&answered);
        assert_eq!(rows.len(), said.len(), "{step:?}");
        // Its turns are found by their ids under their own session alone, and by nobody else.
        let turn = rows[0]["id"].as_str().unwrap();
        let found = ask(Method::GET, path(id, &format!("/turns/{turn}"))).await.json();
        assert!(found["messages"][0].to_string().contains(said.last().unwrap()), "{found}");
        let someone = (step.who.0, (step.who.1 + 1) % USERS.len());
        let theirs = house.request(Method::GET, &path(id, &format!("/turns/{turn}")));
        asked_by(someone, theirs).answered().await.problem(404, "turn_not_found");
        ask(Method::GET, path(IDS[(step.id + 1) % IDS.len()], &format!("/turns/{turn}")))
            .await
            .problem(404, "turn_not_found");
    }
    if rest == "/messages" {
        let rows = list(&answered);
        let questions = rows.iter().filter(|row| row["role"] == "user");
        let questions: Vec<String> = questions
            .map(|row| match &row["content"] {
                Value::String(text) => text.clone(),
                parts => parts[0]["text"].as_str().unwrap().to_owned(),
            })
            .collect();
        assert_eq!(&questions, said, "{step:?}");
    }
}

/// Every turn of the caller's is a task of its own, and one that nobody else finds.
async fn lists_tasks(house: &House, step: Step, own: &BTreeMap<usize, Vec<String>>) {
    let someone = (step.who.0, (step.who.1 + 1) % USERS.len());
    for context in [None, Some(IDS[step.id])] {
        let mut params = json!({ "pageSize": 100, "historyLength": 1, "includeArtifacts": true });
        if let Some(context) = context {
            params["contextId"] = context.into();
        }
        let listed = asked_by(step.who, house.a2a("ListTasks", &params)).answered().await.rpc_result();
        let said = |task: &Value| task["history"][0]["parts"][0]["text"].as_str().unwrap().to_owned();
        let tasks = listed["tasks"].as_array().unwrap();
        let mut found: Vec<String> = tasks.iter().map(said).collect();
        let mut wanted: Vec<String> = own
            .iter()
            .filter(|(id, _)| context.is_none_or(|context| IDS[**id] == context))
            .flat_map(|(_, said)| said.clone())
            .collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{step:?}");
        assert_eq!(listed["totalSize"], wanted.len());
        let Some((task, said)) = tasks.first().map(|task| (ids(task).0, said(task))) else { continue };
        let mine = asked_by(step.who, house.about("GetTask", &task)).answered().await.task();
        assert_eq!(mine["history"][0]["parts"][0]["text"], said.as_str());
        let absent = asked_by(someone, house.about("GetTask", NO_TASK)).answered().await;
        for method in ["GetTask", "CancelTask", "SubscribeToTask"] {
            let theirs = asked_by(someone, house.about(method, &task)).answered().await;
            assert_eq!((theirs.status, &theirs.text), (absent.status, &absent.text), "{step:?}");
        }
        let answering = asked_by(someone, house.tell(&message_in("Mine?", "taskId", &task))).answered().await;
        assert_eq!((answering.status, &answering.text), (absent.status, &absent.text), "{step:?}");
    }
}

/// Plays random stories, each on fresh stores: one for each node.
fn play(stories: u32, stores: impl Fn() -> Vec<Arc<dyn Store>>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config {
        cases: stories,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    });
    let stories = prop::collection::vec(step(), 1..60);
    let played = runner.run(&stories, |story| {
        runtime.block_on(async {
            let mut houses = Vec::new();
            for store in stores() {
                houses.push(House::serve(app("http://127.0.0.1:1", YAML, || store), PATIENCE).await);
            }
            let mut model = Model::new();
            for (at, step) in story.into_iter().enumerate() {
                take(&houses, step, at, &mut model).await;
            }
            for house in houses {
                house.stopped().await;
            }
        });
        Ok(())
    });
    if let Err(fault) = played {
        panic!("{fault}");
    }
}

#[test]
fn in_memory() {
    play(24, || vec![memory()]);
}

#[test]
fn in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicUsize::new(0);
    play(12, || {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        vec![sqlite(&folder.path().join(format!("{n}.db")), None)]
    });
}

#[test]
fn on_two_nodes_with_one_postgresql() {
    let Some(postgres) = Postgres::shared() else { return };
    play(6, || {
        let address: PostgresAddress = postgres.url(&postgres.database()).parse().unwrap();
        let node = || {
            let options = PostgresOptions { connections: 4, ..PostgresOptions::default() };
            let store = PostgresStore::open(&address, options, Arc::new(SystemClock)).unwrap();
            Arc::new(store) as Arc<dyn Store>
        };
        vec![node(), node()]
    });
}

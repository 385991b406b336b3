//! CONTRACT 7: an approval holds for one call, whatever happens between the answer and what is stored of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use letterhead_server::assembly;
use letterhead_store::{Claim, Clock, FixedClock, IdempotencyKey, SystemClock};
use letterhead_testkit::{Answer, Postgres, Reply, ScriptedApi, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{Answered, House, PATIENCE, Program, Send, key, said};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "@LLM@", retries: 0 } }
model: openai:gpt-test
store: "@STORE@"
egress: { allow: ["@HOST@"] }
sessions: { lease: 2s }
tools:
  refund: { url: "@API@/refunds", method: POST, approve: true }
agents:
  assistant: { instructions: Help., tools: [refund] }
"#;

struct Scene {
    llm: ScriptedLlm,
    api: ScriptedApi,
    store: String,
}

impl Scene {
    async fn set(store: impl Into<String>) -> Self {
        let (llm, api) = (ScriptedLlm::start().await, ScriptedApi::start().await);
        api.on("POST /refunds").json(&json!({ "refunded": true }));
        Self { llm, api, store: store.into() }
    }

    fn yaml(&self) -> String {
        YAML.replace("@LLM@", &self.llm.openai_url())
            .replace("@STORE@", &self.store)
            .replace("@HOST@", &self.api.host())
            .replace("@API@", &self.api.url(""))
    }

    async fn house(&self) -> House {
        self.house_of(&self.yaml()).await
    }

    async fn house_of(&self, yaml: &str) -> House {
        let checked = assembly::check_text("letterhead.yaml", yaml, &|_| None).unwrap_or_else(|r| panic!("{r}"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = assembly::open_store(&checked, &clock).unwrap();
        House::serve(checked.into_app(store, clock), PATIENCE).await
    }

    /// A turn that pauses, and the answer that approves its call.
    async fn pause(&self, house: &House) -> Value {
        self.llm.then(Reply::tool("refund", json!({})));
        approval(&house.say_in("s", "Do it").answered().await)
    }

    fn refunds(&self) -> usize {
        self.api.requests_to("/refunds").len()
    }

    /// What the model was told last.
    fn told(&self) -> String {
        self.llm.last().json()["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned()
    }
}

#[track_caller]
fn approval(paused: &Answered) -> Value {
    let asked = &paused.json()["requires_action"]["approvals"][0]["id"];
    assert!(asked.is_string(), "{}", paused.text);
    json!({ "approvals": [{ "id": asked, "approved": true }] })
}

async fn send(house: &House, approval: &Value) -> Answered {
    house.post("/api/v1/chat/completions/s", approval).answered().await
}

fn sqlite(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("letterhead.db").display())
}

#[tokio::test]
async fn given_twice_at_once_it_is_taken_once() {
    let scene = Scene::set("memory").await;
    let house = scene.house().await;
    let approval = scene.pause(&house).await;
    scene.llm.always(Reply::text("Refunded."));
    let both = tokio::join!(send(&house, &approval), send(&house, &approval));
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!((statuses, scene.refunds()), ([200, 400], 1));
}

#[tokio::test]
async fn a_turn_that_fails_afterwards_is_gone_on_with_and_nothing_is_called_again() {
    let scene = Scene::set("memory").await;
    let house = scene.house().await;
    let approval = scene.pause(&house).await;
    scene.llm.then(Answer::status(500)).then(Reply::text("Refunded."));
    let failed = send(&house, &approval).await;
    failed.problem(502, "upstream_failed");
    assert_eq!(failed.header("x-should-retry"), Some("false"), "SDKs do not repeat it by themselves");
    assert_eq!(scene.refunds(), 1);
    // Whoever sends it again all the same gets the answer that was missing.
    assert_eq!(send(&house, &approval).await.content(), "Refunded.");
    assert_eq!((scene.told().as_str(), scene.refunds()), (r#"{"refunded":true}"#, 1));
    let kept = house.transcript("s").await;
    assert_eq!(kept[2..], [r#"tool: {"refunded":true}"#.to_owned(), "assistant: Refunded.".to_owned()]);
    send(&house, &approval).await.problem(400, "invalid_body");

    // And whoever says something new is answered by a model that knows.
    scene.llm.then(Reply::tool("refund", json!({})));
    let again = super::an_approved_call_is_made_once::approval(&house.say_in("s", "Again").answered().await);
    scene.llm.then(Answer::status(500)).then(Reply::text("Well."));
    assert_eq!(send(&house, &again).await.status, 502);
    assert_eq!(house.say_in("s", "And?").answered().await.content(), "Well.");
    let sent = scene.llm.last().json()["messages"].clone();
    let roles: Vec<&str> = sent.as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles[5..], ["user", "assistant", "tool", "user"]);
    assert_eq!(scene.refunds(), 2);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_open_it_again() {
    let scene = Scene::set("memory").await;
    let house = scene.house().await;
    let approval = scene.pause(&house).await;
    let (answer, gate) = Answer::json(&json!({ "refunded": true })).held();
    scene.api.on("POST /refunds").then(answer);
    let mut wire = house.wire().await;
    let body = approval.to_string();
    wire.send(&crate::support::request("/api/v1/chat/completions/s", &[], body.as_bytes())).await;
    scene.api.received(1).await;
    drop(wire);
    // The next turn begins when this one is stored.
    drop(house.app.store.begin(&key(None, None, "s"), std::time::Duration::from_secs(10)).await.unwrap());
    gate.open();
    scene.llm.then(Reply::text("I do not know."));
    // It is decided, so this only goes on.
    assert_eq!(send(&house, &approval).await.content(), "I do not know.");
    assert_eq!(scene.refunds(), 1);
    assert!(scene.told().contains("interrupted"), "{}", scene.told());
}

#[tokio::test]
async fn it_is_waited_for_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::set(sqlite(folder.path())).await;
    let house = scene.house().await;
    let approval = scene.pause(&house).await;
    house.stopped().await;
    let house = scene.house().await;
    scene.llm.then(Reply::text("Refunded."));
    assert_eq!(send(&house, &approval).await.content(), "Refunded.");
    assert_eq!(scene.refunds(), 1);
    house.stopped().await;
    let house = scene.house().await;
    send(&house, &approval).await.problem(400, "invalid_body");
    assert_eq!(scene.refunds(), 1);
    house.stopped().await;
}

#[tokio::test]
async fn a_crash_while_it_is_made_does_not_make_it_twice() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::set(sqlite(folder.path())).await;
    let config = folder.path().join("letterhead.yaml");
    std::fs::write(&config, scene.yaml()).unwrap();
    let log = folder.path().join("log");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |program: &Program, body: &Value| {
        http.post(format!("{}/api/v1/chat/completions/s", program.url)).json(body).send()
    };

    let program = Program::start(&config, &log).await;
    scene.llm.then(Reply::tool("refund", json!({})));
    let approval = approval(&Answered::of(post(&program, &said("Do it")).await.unwrap()).await);
    scene.api.on("POST /refunds").then(Answer::hang());
    let sent = tokio::spawn(post(&program, &approval));
    scene.api.received(1).await;
    program.kill();
    assert!(sent.await.unwrap().is_err());

    let program = Program::start(&config, &log).await;
    scene.llm.then(Reply::text("Please look yourself."));
    let done = Answered::of(post(&program, &approval).await.unwrap()).await;
    assert_eq!(done.content(), "Please look yourself.");
    assert!(scene.told().contains("is not known"), "{}", scene.told());
    assert_eq!(scene.refunds(), 1);
}

#[tokio::test]
async fn what_was_begun_is_remembered_whatever_others_send_and_however_long_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    for store in ["memory".to_owned(), sqlite(folder.path())] {
        let scene = Scene::set(store).await;
        let checked = assembly::check_text("letterhead.yaml", &scene.yaml(), &|_| None).unwrap();
        let clock = Arc::new(FixedClock::at(1_700_000_000_000));
        let store = assembly::open_store(&checked, &(clock.clone() as Arc<dyn Clock>)).unwrap();
        let house = House::serve(checked.into_app(store, clock.clone()), PATIENCE).await;
        let approval = scene.pause(&house).await;
        // As a server leaves it that ended while it made the call.
        let id = approval["approvals"][0]["id"].as_str().unwrap().to_owned();
        let session = key(None, None, "s");
        let begun = IdempotencyKey {
            owner: session.owner(),
            session: Some(session.id.clone()),
            key: format!("approved call {id}").into(),
        };
        let Claim::New(claimed) = house.app.store.claim(begun, [0; 32]).await.unwrap() else { panic!() };
        house.app.store.keep_answer(claimed.answer(*b"begun").with_session(session)).await.unwrap();
        drop(claimed);
        for n in 0..9 {
            let other =
                IdempotencyKey { owner: key(None, None, "t").owner(), session: None, key: n.to_string().into() };
            let Claim::New(claimed) = house.app.store.claim(other, [0; 32]).await.unwrap() else { panic!() };
            house.app.store.keep_answer(claimed.answer(vec![0; 1 << 20])).await.unwrap();
        }
        clock.advance(Duration::from_hours(48));
        scene.llm.then(Reply::text("I do not know."));
        assert_eq!(send(&house, &approval).await.content(), "I do not know.");
        assert_eq!(scene.refunds(), 0);
        assert!(scene.told().contains("is not known"), "{}", scene.told());
        house.stopped().await;
    }
}

#[tokio::test]
async fn no_cut_opens_a_call_again() {
    let scene = Scene::set("memory").await;
    let house = scene.house_of(&scene.yaml().replace(", approve: true", "")).await;
    scene.llm.then(Reply::tool("refund", json!({}))).then(Reply::text("Refunded."));
    assert_eq!(house.say_in("s", "Do it").answered().await.content(), "Refunded.");
    let kept = house.rows(house.get("/api/v1/sessions/s/messages")).await;
    let (asked, called) = (&kept[0]["id"], &kept[1]["id"]);
    assert_eq!(kept[1]["role"], "assistant");
    let approvals = json!([{ "id": format!("{}:0", called.as_str().unwrap()), "approved": true }]);
    for id in [asked, called, &kept[2]["id"]] {
        let messages = json!([{ "role": "user", "id": id, "content": "x" }]);
        send(&house, &json!({ "messages": messages, "approvals": approvals })).await.problem(400, "invalid_body");
    }
    assert_eq!((scene.refunds(), house.transcript("s").await.len()), (1, 4));

    // The id of another message cuts nothing: the question is a new one.
    scene.llm.always(Reply::text("Again."));
    let messages = json!([{ "role": "user", "id": called, "content": "x" }]);
    assert_eq!(send(&house, &json!({ "messages": messages })).await.status, 400, "it is known, so it is not new");
    for trigger in ["regenerate-message", "submit-message"] {
        let message = json!({ "id": called, "role": "user", "parts": [{ "type": "text", "text": "x" }] });
        let body = json!({ "id": "s", "message": message, "trigger": trigger, "messageId": called, "stream": false });
        let answered = house.post("/api/chat", &body).answered().await;
        assert_eq!(answered.status, 400, "{}", answered.text);
    }
    assert_eq!((scene.refunds(), house.transcript("s").await.len()), (1, 4));

    // Nor can what a person passed over be approved by going back to it.
    let house = scene.house().await;
    let approval = scene.pause(&house).await;
    scene.llm.always(Reply::text("Then not."));
    assert_eq!(house.say_in("s", "Forget it").answered().await.content(), "Then not.");
    let kept = house.rows(house.get("/api/v1/sessions/s/messages")).await;
    let last = kept.iter().rev().find(|message| message["role"] == "user").unwrap();
    let mut body = approval.clone();
    body["messages"] = json!([{ "id": last["id"], "role": "user", "content": "x" }]);
    send(&house, &body).await.problem(400, "invalid_body");
    assert_eq!(scene.refunds(), 1);
}

#[tokio::test]
async fn another_node_makes_it_and_both_do_not() {
    let Some(postgres) = Postgres::shared() else { return };
    let scene = Scene::set(postgres.url(&postgres.database())).await;
    let (first, second) = (scene.house().await, scene.house().await);
    let approval = scene.pause(&first).await;
    scene.llm.always(Reply::text("Refunded."));
    let both = tokio::join!(send(&first, &approval), send(&second, &approval));
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!((statuses, scene.refunds()), ([200, 400], 1));
    scene.llm.then(Reply::tool("refund", json!({})));
    let approval = super::an_approved_call_is_made_once::approval(&first.say_in("s", "Again").answered().await);
    assert_eq!(send(&second, &approval).await.content(), "Refunded.");
    send(&first, &approval).await.problem(400, "invalid_body");
    assert_eq!(scene.refunds(), 2);
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_told_the_same() {
    let scene = Scene::set("memory").await;
    let house = scene.house().await;
    scene.llm.then(Reply::tool("refund", json!({})));
    let say = |streamed: bool| {
        let body = json!({ "messages": [{ "role": "user", "content": "Do it" }], "stream": streamed });
        house.post("/api/v1/chat/completions/s", &body).header("Idempotency-Key", "k1").answered()
    };
    let paused = say(false).await;
    assert_eq!(say(false).await.json(), paused.json());
    let streamed = say(true).await;
    let asked = streamed.events().iter().find(|event| event.name.as_deref() == Some("action_request")).unwrap().json();
    assert_eq!(asked["approval"], paused.json()["requires_action"]["approvals"][0]);

    scene.llm.then(Reply::text("Refunded."));
    let approval = approval(&paused);
    let answer = || house.post("/api/v1/chat/completions/s", &approval).header("Idempotency-Key", "k2").answered();
    let done = answer().await;
    assert_eq!(done.content(), "Refunded.");
    assert_eq!((answer().await.json(), scene.refunds()), (done.json(), 1));
}

#[tokio::test]
async fn what_has_gone_from_the_configuration_is_not_called() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::set(sqlite(folder.path())).await;
    let house = scene.house().await;
    let first = scene.pause(&house).await;
    house.stopped().await;

    // The tool is gone.
    let without = scene.yaml().replace(", tools: [refund]", "");
    let house = scene.house_of(&without).await;
    send(&house, &first).await.problem(400, "invalid_body");
    scene.llm.then(Reply::text("Gone."));
    assert_eq!(house.say_in("s", "Well?").answered().await.content(), "Gone.");
    house.stopped().await;

    // The agent is gone, and another one has a tool of that name.
    let house = scene.house().await;
    let second = scene.pause(&house).await;
    house.stopped().await;
    let house = scene.house_of(&scene.yaml().replace("assistant:", "other:")).await;
    scene.llm.then(Reply::text("Gone, too."));
    assert_eq!(send(&house, &second).await.content(), "Gone, too.");
    assert!(scene.told().contains("The agent assistant is gone"), "{}", scene.told());
    house.stopped().await;

    // It needs no approval any more: that is no approval of what was asked before.
    let house = scene.house().await;
    scene.pause(&house).await;
    house.stopped().await;
    let house = scene.house_of(&scene.yaml().replace(", approve: true", "")).await;
    scene.llm.then(Reply::text("Not then."));
    assert_eq!(house.say_in("s", "Well?").answered().await.content(), "Not then.");
    assert_eq!(scene.refunds(), 0);
    house.stopped().await;
}

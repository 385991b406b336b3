//! CONTRACT 7: what was announced is there after a crash, once; what was not may be there, once and whole.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use letterhead_testkit::Postgres;
use serde_json::Value;

use crate::support::{Program, said, said_streaming};

/// How often the server is killed.
const KILLS: usize = 20;
/// How many clients talk at the same time, each in a session of its own.
const CLIENTS: usize = 6;
/// How many turns are announced before each kill.
const ANNOUNCED: usize = 12;

/// What one client was told.
#[derive(Default)]
struct Told {
    /// How many questions it has asked.
    asked: usize,
    /// Those whose answer it has read to its end.
    announced: Vec<usize>,
}

/// Asks on and on, until the server is gone.
async fn ask(url: String, client: usize, mut told: Told, announced: Arc<AtomicUsize>) -> Told {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    loop {
        let n = told.asked;
        told.asked += 1;
        let text = format!("question {n} of {client}.");
        let (body, end) = match n % 2 {
            0 => (said(&text), "chat.completion"),
            _ => (said_streaming(&text), "[DONE]"),
        };
        let request = http.post(format!("{url}/api/v1/chat/completions/s{client}")).json(&body);
        let Ok(answer) = request.send().await else { return told };
        let status = answer.status();
        let Ok(text) = answer.text().await else { return told };
        // A stream that ends early without a fault of the connection is no announcement.
        if !text.contains(end) {
            return told;
        }
        assert_eq!(status, 200, "{text}");
        told.announced.push(n);
        announced.fetch_add(1, Ordering::Relaxed);
    }
}

/// The messages of a client's session, as its owner reads them.
async fn messages(url: &str, client: usize) -> Vec<Value> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(format!("{url}/api/v1/sessions/s{client}/messages?limit=500")).send().await.unwrap();
    match answer.status().as_u16() {
        404 => Vec::new(),
        200 => answer.json::<Value>().await.unwrap()["data"].as_array().unwrap().clone(),
        other => panic!("{other}"),
    }
}

/// Every announced question is there with its answer, and none is there twice.
fn check(client: usize, told: &Told, messages: &[Value]) {
    let mut found: HashMap<String, usize> = HashMap::new();
    for pair in messages.chunks(2) {
        let [question, answer] = pair else { panic!("half a turn: {pair:?}") };
        assert_eq!((&question["role"], &answer["role"]), (&"user".into(), &"assistant".into()), "{pair:?}");
        let text = question["content"].as_str().unwrap();
        // The demo model says what it was asked: the two belong together.
        if answer["status"] == "complete" {
            assert!(answer["content"].as_str().unwrap().contains(text), "{pair:?}");
        }
        *found.entry(text.to_owned()).or_default() += 1;
    }
    assert!(found.values().all(|&times| times == 1), "a turn is there twice: {found:?}");
    for n in &told.announced {
        assert!(found.contains_key(&format!("question {n} of {client}.")), "question {n} of {client} was announced");
    }
}

/// Kills servers of this configuration, and looks after each kill.
async fn kill_again_and_again(config: &Path, log: &Path, kills: usize) {
    let mut told: Vec<Told> = (0..CLIENTS).map(|_| Told::default()).collect();
    for _ in 0..kills {
        let program = Program::start(config, log).await;
        for (client, told) in told.iter().enumerate() {
            check(client, told, &messages(&program.url, client).await);
        }
        let announced = Arc::new(AtomicUsize::new(0));
        let asking = told.drain(..).enumerate();
        let clients: Vec<_> = asking
            .map(|(client, told)| tokio::spawn(ask(program.url.clone(), client, told, Arc::clone(&announced))))
            .collect();
        while announced.load(Ordering::Relaxed) < ANNOUNCED {
            tokio::task::yield_now().await;
        }
        program.kill();
        for client in clients {
            told.push(client.await.unwrap());
        }
    }
    assert!(told.iter().map(|told| told.announced.len()).sum::<usize>() >= kills * ANNOUNCED);
    let program = Program::start(config, log).await;
    for (client, told) in told.iter().enumerate() {
        check(client, told, &messages(&program.url, client).await);
    }
}

async fn with(store: &str) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("letterhead.yaml");
    // A dead node's turns are to be over before the next one's clients have lost patience.
    let text = format!("store: '{store}'\nsessions: {{ lease: 1s }}\nagents: {{ assistant: {{ instructions: Hi. }} }}");
    std::fs::write(&config, text).unwrap();
    kill_again_and_again(&config, &folder.path().join("log"), KILLS).await;
}

#[tokio::test]
async fn with_sqlite() {
    with("sqlite://letterhead.db").await;
}

#[tokio::test]
async fn with_postgresql() {
    let Some(postgres) = Postgres::shared() else { return };
    with(&postgres.url(&postgres.database())).await;
}

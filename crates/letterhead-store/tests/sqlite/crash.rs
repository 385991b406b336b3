//! Killed in the middle of its work, a server has lost nothing of what it announced.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use letterhead_store::sqlite::SqliteOptions;
use letterhead_store::{Store, TurnRecord};

use crate::conformance::{entry, ids, key, said, set};
use crate::house_at;

const FILE: &str = "LETTERHEAD_TEST_CRASH_FILE";
/// How many turns are announced before the server is killed.
const ANNOUNCED: usize = 200;

fn record(n: usize) -> TurnRecord {
    let (question, answer) = (format!("u{n}"), format!("a{n}"));
    TurnRecord { headers: vec![set("n", n)], trail: vec![entry("X-User")], ..said(&[&question, &answer]) }
}

/// The server: sessions without end, each of them announced by a line once it is committed.
#[tokio::test]
#[ignore = "the child of the test below"]
async fn serve_until_killed() {
    let path = std::env::var(FILE).unwrap();
    let (house, _store) = house_at(Path::new(&path), SqliteOptions::default());
    let mut clients = Vec::new();
    for client in 0..8 {
        let store: Arc<dyn Store> = house.store.clone();
        clients.push(tokio::spawn(async move {
            for n in 0.. {
                let key = key(&format!("{client}-{}", n / 3));
                let turn = store.begin(&key, std::time::Duration::ZERO).await.unwrap();
                store.commit(turn, record(n)).await.unwrap();
                // Past the test harness, which would keep it back.
                let mut out = std::io::stdout().lock();
                writeln!(out, "announced {client} {n}").and_then(|()| out.flush()).unwrap();
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_killed_server_keeps_every_announced_turn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::serve_until_killed", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FILE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut announced = Vec::new();
    for line in lines {
        let line = line.unwrap();
        if let Some(numbers) = line.split("announced ").nth(1) {
            let (client, n) = numbers.split_once(' ').unwrap();
            announced.push((client.parse::<usize>().unwrap(), n.parse::<usize>().unwrap()));
        }
        if announced.len() == ANNOUNCED {
            server.kill().unwrap();
        }
    }
    assert!(!server.wait().unwrap().success());
    assert!(announced.len() >= ANNOUNCED, "the server stopped by itself");

    // The lock of the dead server stands in nobody's way.
    let (house, _store) = house_at(&path, SqliteOptions::default());
    for (client, n) in announced {
        let session = house.session(&key(&format!("{client}-{}", n / 3))).await;
        let (question, answer) = (format!("u{n}"), format!("a{n}"));
        let place = 2 * (n % 3);
        assert_eq!(ids(&session.messages)[place..place + 2], [question, answer]);
        // Whole turns only: two messages, a header and a trail for each.
        assert_eq!(session.messages.len() as u64, 2 * session.turns);
        let trail = house.store.trail(&session.record.key, &Default::default()).await.unwrap().unwrap();
        assert_eq!(trail.data.len() as u64, session.turns);
        assert!(session.header("n").unwrap().value.as_u64().unwrap() >= n as u64);
    }
}

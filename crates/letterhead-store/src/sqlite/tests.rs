//! What is not to be seen from outside: expired sessions leave the file, the log is kept short.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use letterhead_context::{SessionId, TenantId};
use rusqlite::Connection;

use super::file::OwnedFile;
use super::housekeeper::Housekeeper;
use super::job::Job;
use super::readers::Readers;
use super::shared::Shared;
use super::writer::Writer;
use super::{SqliteOptions, SqliteStore};
use crate::seals::Seals;
use crate::{
    Claim, FixedClock, HeaderChange, Idempotency, IdempotencyKey, KeptVariable, Lifetimes, NewMessage, Role,
    SessionKey, Store, StoreError, TurnRecord, Vault, VaultKey,
};

const HOUR: Duration = Duration::from_hours(1);

fn key(id: &str) -> SessionKey {
    SessionKey { tenant: TenantId::default(), user: None, id: SessionId::parse(id).unwrap() }
}

fn said(id: &str) -> TurnRecord {
    let messages = vec![NewMessage::new(id, Role::User, "{}")];
    TurnRecord { messages, state: Some("{}".into()), ..TurnRecord::new("assistant") }
}

fn open(path: &Path) -> (SqliteStore, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::at(0));
    let lifetimes = Lifetimes { sessions: Some(HOUR), ..Lifetimes::default() };
    let options = SqliteOptions { lifetimes, ..SqliteOptions::default() };
    (SqliteStore::open(path, options, clock.clone()).unwrap(), clock)
}

/// Does a round of housekeeping and waits until the writer has done its part.
async fn keep_house(store: &SqliteStore, path: &Path) {
    let connection = Connection::open(path).unwrap();
    let (shared, jobs) = (store.shared.clone(), store.jobs.downgrade());
    let mut housekeeper = Housekeeper { connection, shared, jobs, cursor: 0 };
    tokio::task::spawn_blocking(move || {
        housekeeper.remove_aged()?;
        housekeeper.expire()
    })
    .await
    .unwrap()
    .unwrap();
    store.ready().await.unwrap();
}

fn rows(path: &Path) -> [i64; 4] {
    let connection = Connection::open(path).unwrap();
    ["sessions", "states", "messages", "turns"]
        .map(|table| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap())
}

#[tokio::test]
async fn expired_sessions_leave_the_file_and_those_in_use_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (store, clock) = open(&path);
    for n in 0..120 {
        let turn = store.begin_new(&key(&format!("s{n}"))).await.unwrap();
        store.commit(turn, said("m")).await.unwrap();
    }
    clock.advance(HOUR / 2);
    let renewed = store.begin(&key("s7"), Duration::ZERO).await.unwrap();
    store.commit(renewed, said("m2")).await.unwrap();
    let running = store.begin(&key("s8"), Duration::ZERO).await.unwrap();
    keep_house(&store, &path).await;
    assert_eq!(rows(&path), [120, 120, 121, 121]);

    clock.advance(HOUR / 2);
    keep_house(&store, &path).await;
    assert_eq!(rows(&path), [2, 2, 3, 3]);
    // The turn that began in time ends as if nothing were.
    let session = store.commit(running, said("m2")).await.unwrap();
    assert_eq!((session.turns, session.messages.len()), (2, 2));
}

#[tokio::test]
async fn expired_secrets_leave_the_file_whatever_becomes_of_their_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let clock = Arc::new(FixedClock::at(0));
    let vault = Vault::new(VaultKey::parse(&"5e".repeat(32)).unwrap(), None);
    let options = SqliteOptions { vault: Some(Arc::new(vault)), ..SqliteOptions::default() };
    let store = SqliteStore::open(&path, options, clock.clone()).unwrap();
    let send = async |id: &str| {
        let token = HeaderChange::Set { field: "token".into(), value: "t".into(), secret: true };
        let turn = store.begin(&key(id), Duration::ZERO).await.unwrap();
        store.commit(turn, TurnRecord { headers: vec![token], ..TurnRecord::new("assistant") }).await.unwrap();
    };
    // More than one transaction removes.
    for n in 0..501 {
        send(&format!("s{n}")).await;
    }
    clock.advance(HOUR - Duration::from_millis(1));
    send("s7").await;
    keep_house(&store, &path).await;
    let secrets = || {
        let connection = Connection::open(&path).unwrap();
        connection.query_row("SELECT count(*) FROM secrets", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(secrets(), 501);
    clock.advance(Duration::from_millis(1));
    keep_house(&store, &path).await;
    assert_eq!((secrets(), rows(&path)[0]), (1, 501));
}

#[tokio::test]
async fn expired_variables_and_answers_leave_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let clock = Arc::new(FixedClock::at(0));
    let store = SqliteStore::open(&path, SqliteOptions::default(), clock.clone()).unwrap();
    // More than one transaction removes.
    for n in 0..501_u32 {
        let order = IdempotencyKey { owner: key("s").owner(), session: None, key: n.to_string().into() };
        let Claim::New(claimed) = store.claim(order, [0; 32]).await.unwrap() else { panic!() };
        let kept = |name: String, expires_at_ms| KeptVariable {
            name: name.into(),
            value: Arc::new(1.into()),
            fingerprint: [0; 32],
            fetched_at_ms: 0,
            expires_at_ms,
            secret: false,
        };
        let variables = vec![kept(format!("v{n}"), Some(3_600_000)), kept("for_ever".into(), None)];
        let answer = Some(claimed.answer(*b"answer"));
        let turn = store.begin(&key("s"), Duration::ZERO).await.unwrap();
        store.commit(turn, TurnRecord { variables, answer, ..TurnRecord::new("assistant") }).await.unwrap();
    }
    let count = || {
        let connection = Connection::open(&path).unwrap();
        ["variables", "answers"].map(|table| {
            connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
        })
    };
    let mut seen = Vec::new();
    for passing in [HOUR - Duration::from_millis(1), Duration::from_millis(1), 23 * HOUR - Duration::from_millis(1)] {
        clock.advance(passing);
        keep_house(&store, &path).await;
        seen.push(count());
    }
    clock.advance(Duration::from_millis(1));
    keep_house(&store, &path).await;
    seen.push(count());
    assert_eq!(seen, [[502, 501], [1, 501], [1, 501], [1, 0]]);
}

#[tokio::test]
async fn the_log_does_not_grow_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (store, _) = open(&path);
    let body = "x".repeat(200_000);
    for n in 0..300 {
        let turn = store.begin_new(&key(&format!("s{n}"))).await.unwrap();
        let record = TurnRecord {
            messages: vec![NewMessage::new("m", Role::User, body.as_str())],
            ..TurnRecord::new("assistant")
        };
        store.commit(turn, record).await.unwrap();
    }
    // Of 60 MB written the log has far less, since the housekeeper moves it on.
    let log = std::fs::metadata(folder.path().join("test.db-wal")).unwrap().len();
    assert!(log < 45_000_000, "{log}");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let file = Arc::new(OwnedFile::claim(&folder.path().join("test.db"), Duration::ZERO).unwrap());
    let able = file.writer(None).unwrap();
    let (jobs, queue) = tokio::sync::mpsc::channel(1);
    let shared = Shared::new(Arc::new(FixedClock::at(0)), Lifetimes::default(), 0, Seals::new(None));
    let writer = Writer {
        // A transaction to write in can be begun on it, and ended.
        connection: file.reader().unwrap(),
        shared: Arc::new(shared),
        readers: Arc::new(Readers::new(file.clone(), 1)),
        next_row: 1,
        doubted: true,
        housekeeper: None,
        file,
    };
    std::thread::spawn(move || writer.run(queue));
    let (reply, answer) = tokio::sync::oneshot::channel();
    jobs.send(Job::Probe { reply }).await.unwrap();
    let Err(StoreError::Unavailable { reason }) = answer.await.unwrap() else { panic!("it counts as ready") };
    assert_eq!(reason, "the database file cannot be written");
    drop(able);
}

//! The store in memory.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests say what they expect by panicking")]

mod conformance;

use std::sync::Arc;
use std::time::Duration;

use conformance::variables::{fetched, fetched_with_secret, keeping};
use conformance::{House, START, key, said, sent, set_secret, user};
use letterhead_store::{FixedClock, Lifetimes, MemoryStore, NewMessage, Store, TurnRecord};

fn open(lifetimes: Lifetimes) -> House {
    let clock = Arc::new(FixedClock::at(START));
    House { store: Arc::new(MemoryStore::new(lifetimes, clock.clone())), clock, _keep: None }
}

conformance!(open, #[tokio::test(start_paused = true)]);

/// A store with room for about four of these.
fn small() -> MemoryStore {
    MemoryStore::with_room(500_000, Lifetimes::default(), Arc::new(FixedClock::at(START)))
}

fn big() -> TurnRecord {
    let body = format!(r#"{{"content":"{}"}}"#, "x".repeat(100_000));
    TurnRecord { messages: vec![NewMessage { body: body.into(), ..user("u1") }], ..TurnRecord::new("assistant") }
}

async fn turn(store: &MemoryStore, id: &str, record: TurnRecord) {
    let turn = store.begin(&key(id), Duration::ZERO).await.unwrap();
    store.commit(turn, record).await.unwrap();
}

async fn has(store: &MemoryStore, id: &str) -> bool {
    store.session(&key(id)).await.unwrap().is_some()
}

#[tokio::test]
async fn the_least_recently_used_go_when_there_is_no_room() {
    let store = small();
    for id in ["a", "b", "c", "d"] {
        turn(&store, id, big()).await;
    }
    // Using one keeps it; looking at one does not.
    turn(&store, "a", said(&["u2"])).await;
    assert!(has(&store, "b").await);
    turn(&store, "e", big()).await;
    assert!(!has(&store, "b").await);
    assert!(has(&store, "a").await && has(&store, "c").await && has(&store, "e").await);
    assert!(store.bytes() <= 500_000);
}

#[tokio::test]
async fn one_with_a_turn_running_stays() {
    let store = small();
    turn(&store, "a", big()).await;
    let running = store.begin(&key("a"), Duration::ZERO).await.unwrap();
    for id in ["b", "c", "d", "e", "f"] {
        turn(&store, id, big()).await;
    }
    let session = store.commit(running, said(&["u2"])).await.unwrap();
    assert_eq!(session.messages.len(), 2);
    assert!(!has(&store, "b").await);
}

#[tokio::test]
async fn failed_messages_and_trails_count() {
    let store = small();
    let before = store.bytes();
    turn(&store, "a", TurnRecord { status: letterhead_store::Status::Failed, ..big() }).await;
    let failed = store.bytes();
    assert!(failed > before + 100_000);
    let trail = vec![conformance::entry("X-A"); 100];
    turn(&store, "a", TurnRecord { trail, ..TurnRecord::new("assistant") }).await;
    assert!(store.bytes() > failed + 100 * 64);
    store.delete(&key("a")).await.unwrap();
    assert_eq!(store.bytes(), 0);
}

#[tokio::test]
async fn variables_count_secret_or_not() {
    let store = small();
    for kept in [fetched("plan", "x".repeat(100_000)), fetched_with_secret("user", "x".repeat(100_000))] {
        let before = store.bytes();
        turn(&store, "a", keeping(vec![kept])).await;
        assert!(store.bytes() > before + 100_000);
    }
    // Replacing one gives its room back.
    turn(&store, "a", keeping(vec![fetched("plan", 1), fetched("user", 1)])).await;
    assert!(store.bytes() < 10_000);
    // So many that sessions have to go.
    for id in ["b", "c", "d", "e", "f"] {
        turn(&store, id, keeping(vec![fetched_with_secret("user", "x".repeat(100_000))])).await;
    }
    assert!(store.bytes() <= 500_000);
    assert!(!has(&store, "a").await && has(&store, "f").await);
}

#[tokio::test]
async fn secrets_go_with_their_session() {
    let store = small();
    turn(&store, "a", sent(vec![set_secret("auth_token", "t")])).await;
    for id in ["b", "c", "d", "e", "f"] {
        turn(&store, id, big()).await;
    }
    assert!(!has(&store, "a").await);
    turn(&store, "a", sent(Vec::new())).await;
    assert!(store.session(&key("a")).await.unwrap().unwrap().headers.is_empty());
}

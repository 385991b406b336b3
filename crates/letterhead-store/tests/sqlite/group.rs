//! What a turn costs: one share of one transaction, and no read where it can be helped.

use std::sync::Arc;
use std::time::Duration;

use letterhead_store::Store;
use letterhead_store::sqlite::SqliteOptions;

use crate::conformance::{key, poll_once, said};
use crate::house_at;

#[tokio::test]
async fn turns_that_end_together_share_a_transaction() {
    const TURNS: u64 = 100;
    let folder = tempfile::tempdir().unwrap();
    let (house, store) = house_at(&folder.path().join("test.db"), SqliteOptions::default());
    let mut begun = Vec::new();
    for n in 0..TURNS {
        begun.push(house.store.begin_new(&key(&format!("s{n}"))).await.unwrap());
    }
    let commits = begun.into_iter().map(|turn| {
        let store: Arc<dyn Store> = house.store.clone();
        tokio::spawn(async move { store.commit(turn, said(&["u1", "a1"])).await.unwrap() })
    });
    for commit in commits.collect::<Vec<_>>() {
        assert_eq!(commit.await.unwrap().messages.len(), 2);
    }
    let stats = store.stats();
    assert_eq!((stats.turns, stats.reads), (TURNS, 0));
    // All but the first few were in the queue while the first was being written.
    assert!(stats.transactions <= TURNS / 4, "{} transactions", stats.transactions);
}

#[tokio::test]
async fn a_turn_that_fails_does_not_fail_those_that_share_its_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let (house, store) = house_at(&folder.path().join("test.db"), SqliteOptions::default());
    house.turn(&key("taken"), said(&["u1"])).await;
    let before = store.stats();
    let mut begun = Vec::new();
    for n in 0..40 {
        let name = if n == 20 { "taken".into() } else { format!("s{n}") };
        begun.push(house.store.begin_new(&key(&name)).await.unwrap());
    }
    let commits = begun.into_iter().map(|turn| {
        let store: Arc<dyn Store> = house.store.clone();
        tokio::spawn(async move { store.commit(turn, said(&["u2", "a2"])).await.is_ok() })
    });
    let mut written = Vec::new();
    for commit in commits.collect::<Vec<_>>() {
        written.push(commit.await.unwrap());
    }
    assert_eq!((written.iter().filter(|ok| **ok).count(), written[20]), (39, false));
    assert!(store.stats().transactions - before.transactions <= 10);
    assert_eq!(house.listed(&key("s39")).await.len(), 2);
    assert_eq!(house.listed(&key("taken")).await.len(), 1);
}

#[tokio::test]
async fn a_warm_turn_reads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (house, store) = house_at(&folder.path().join("test.db"), SqliteOptions::default());
    house.turn(&key("s"), said(&["u1", "a1"])).await;
    let before = store.stats();
    house.turn(&key("s"), said(&["u2", "a2"])).await;
    house.session(&key("s")).await;
    let after = store.stats();
    assert_eq!((after.reads - before.reads, after.transactions - before.transactions), (0, 1));
}

#[tokio::test]
async fn the_cache_holds_what_was_used_last() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { cache_bytes: 20_000, ..SqliteOptions::default() };
    let (house, store) = house_at(&folder.path().join("test.db"), options);
    for n in 0..100 {
        let turn = house.store.begin_new(&key(&format!("s{n}"))).await.unwrap();
        house.store.commit(turn, said(&["u1"])).await.unwrap();
    }
    assert_eq!(store.stats().reads, 0);
    drop(house.begin(&key("s99")).await);
    assert_eq!(store.stats().reads, 0);
    drop(house.begin(&key("s0")).await);
    assert_eq!(store.stats().reads, 1);
    drop(house.begin(&key("s0")).await);
    assert_eq!(store.stats().reads, 1);
}

#[tokio::test]
async fn a_turn_whose_caller_is_gone_is_written_before_the_next_begins() {
    let folder = tempfile::tempdir().unwrap();
    let (house, _store) = house_at(&folder.path().join("test.db"), SqliteOptions::default());
    let turn = house.begin(&key("s")).await;
    let mut commit = house.store.commit(turn, said(&["u1"]));
    // Handed to the writer, then left.
    assert!(poll_once(&mut commit).await.is_none());
    drop(commit);
    let next = house.store.begin(&key("s"), Duration::from_secs(60)).await.unwrap();
    assert_eq!(next.session().unwrap().messages.len(), 1);
}

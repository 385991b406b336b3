//! What a turn costs: one share of one transaction, and no read where it can be helped.

use std::path::Path;
use std::time::Duration;

use letterhead_store::sqlite::SqliteOptions;
use letterhead_store::{Turn, TurnRecord};
use rusqlite::Connection;

use crate::conformance::{House, entry, key, poll_once, said};
use crate::house_at;

/// Commits these turns while the writer is kept waiting, so that they are all in its queue when it goes on. Tells which were
/// written.
async fn commit_together(house: &House, path: &Path, turns: Vec<(Turn, TurnRecord)>) -> Vec<bool> {
    let mut commits: Vec<_> = turns.into_iter().map(|(turn, record)| house.store.commit(turn, record)).collect();
    let other = Connection::open(path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for commit in &mut commits {
        assert!(poll_once(commit).await.is_none());
    }
    other.execute_batch("ROLLBACK").unwrap();
    let mut written = Vec::new();
    for commit in commits {
        written.push(commit.await.is_ok());
    }
    written
}

/// The first turns of these sessions.
async fn first_turns(house: &House, names: &[String]) -> Vec<(Turn, TurnRecord)> {
    let mut turns = Vec::new();
    for name in names {
        turns.push((house.store.begin_new(&key(name)).await.unwrap(), said(&["u1", "a1"])));
    }
    turns
}

#[tokio::test]
async fn turns_that_end_together_share_a_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (house, store) = house_at(&path, SqliteOptions::default());
    let names: Vec<_> = (0..100).map(|n| format!("s{n}")).collect();
    let written = commit_together(&house, &path, first_turns(&house, &names).await).await;
    assert!(written.iter().all(|written| *written));
    let stats = store.stats();
    assert_eq!((stats.turns, stats.reads), (100, 0));
    // One for what the writer had taken when it had to wait, one for the rest.
    assert!(stats.transactions <= 2, "{} transactions", stats.transactions);
    assert_eq!(house.listed(&key("s99")).await.len(), 2);
}

#[tokio::test]
async fn turns_that_end_together_share_pages() {
    const TURNS: u64 = 50;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (house, _store) = house_at(&path, SqliteOptions::default());
    let names: Vec<_> = (0..TURNS).map(|n| format!("s{n}")).collect();
    let pages = || folder.path().join("test.db-wal").metadata().unwrap().len() / 4096;
    let trail: Vec<_> = (0..12).map(|n| entry(&format!("X-Header-{n}"))).collect();
    let mut written = Vec::new();
    for round in 0..3 {
        let before = pages();
        let mut turns = Vec::new();
        for name in &names {
            let messages = said(&[&format!("u{round}"), &format!("a{round}")]);
            turns.push((house.begin(&key(name)).await, TurnRecord { trail: trail.clone(), ..messages }));
        }
        // What one task may do in one go is bounded; here all is to be done before the writer goes on.
        tokio::task::yield_now().await;
        assert!(commit_together(&house, &path, turns).await.iter().all(|written| *written));
        written.push(pages() - before);
    }
    // As a page for each turn would be: its row stands with those that came with it, not with those of its session.
    assert!(written.iter().all(|pages| *pages < TURNS), "{written:?} pages for {TURNS} turns each");
}

#[tokio::test]
async fn a_turn_that_fails_does_not_fail_those_that_share_its_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (house, store) = house_at(&path, SqliteOptions::default());
    house.turn(&key("taken"), said(&["first"])).await;
    let before = store.stats();
    let name = |n| if n == 20 { "taken".to_owned() } else { format!("s{n}") };
    let names: Vec<_> = (0..40).map(name).collect();
    let written = commit_together(&house, &path, first_turns(&house, &names).await).await;
    assert_eq!(written.iter().position(|written| !written), Some(20));
    assert_eq!(written.iter().filter(|written| **written).count(), 39);
    assert!(store.stats().transactions - before.transactions <= 2);
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

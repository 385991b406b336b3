//! A disk that is full, a file that is locked: a clear refusal, nothing half-written, and all well afterwards.

use std::sync::Arc;

use letterhead_store::sqlite::SqliteOptions;
use letterhead_store::{NewMessage, Page, SessionFilter, Store, StoreError, TurnRecord};
use rusqlite::Connection;

use crate::conformance::{House, key, said, user};
use crate::{house_at, impatient};

fn big() -> TurnRecord {
    let body = format!(r#"{{"content":"{}"}}"#, "x".repeat(50_000));
    let messages = vec![user("small"), NewMessage { body: body.into(), ..user("big") }];
    TurnRecord { messages, ..TurnRecord::new("assistant") }
}

fn reason(result: Result<impl Sized, StoreError>) -> String {
    match result.err() {
        Some(StoreError::Unavailable { reason }) => reason.into_owned(),
        other => panic!("{other:?}"),
    }
}

async fn count(house: &House) -> usize {
    let list = house.store.sessions(&key("any").owner(), &SessionFilter::default(), &Page::first(500)).await;
    list.unwrap().data.len()
}

#[tokio::test]
async fn a_full_disk_refuses_a_turn_whole_and_works_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { max_bytes: Some(1_000_000), ..impatient() };
    let (house, _store) = house_at(&folder.path().join("test.db"), options);
    let mut written = 0;
    let refused = loop {
        match house.try_turn(&key(&format!("s{written}")), big()).await {
            Ok(_) => written += 1,
            Err(error) => break Err::<(), _>(error),
        }
        assert!(written < 100, "the file grows without limit");
    };
    assert!(reason(refused).contains("disk is full"));
    assert!(written > 5);
    // Neither the session, nor the first of its messages, nor anything in the cache.
    let failed = key(&format!("s{written}"));
    assert!(house.store.session(&failed).await.unwrap().is_none());
    assert!(house.begin(&failed).await.session().is_none());
    assert_eq!(count(&house).await, written);
    // A warm session stays as it was, and goes on with what still fits.
    let warm = house.session(&key("s0")).await;
    assert!(house.try_turn(&key("s0"), TurnRecord { keep: Some(0), ..big() }).await.is_ok());
    let more = TurnRecord { messages: vec![NewMessage { id: "more".into(), ..big().messages[1].clone() }], ..big() };
    let refused = house.try_turn(&key("s0"), more).await;
    assert!(reason(refused).contains("disk is full"));
    assert_eq!(house.session(&key("s0")).await.messages.len(), warm.messages.len());
    assert_eq!(house.listed(&key("s0")).await.len(), warm.messages.len());

    assert!(house.store.delete(&key("s1")).await.unwrap());
    house.turn(&failed, big()).await;
    assert_eq!(count(&house).await, written);
}

#[tokio::test]
async fn one_turn_too_big_for_the_disk_does_not_fail_the_others_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { max_bytes: Some(1_000_000), ..impatient() };
    let (house, _store) = house_at(&folder.path().join("test.db"), options);
    let huge = TurnRecord {
        messages: vec![NewMessage { body: "x".repeat(2_000_000).into(), ..user("u1") }],
        ..TurnRecord::new("assistant")
    };
    let mut commits = Vec::new();
    for n in 0..20 {
        let turn = house.store.begin_new(&key(&format!("s{n}"))).await.unwrap();
        let record = if n == 10 { huge.clone() } else { said(&["u1"]) };
        let store: Arc<dyn Store> = house.store.clone();
        commits.push(tokio::spawn(async move { store.commit(turn, record).await }));
    }
    for (n, commit) in commits.into_iter().enumerate() {
        let written = commit.await.unwrap();
        assert_eq!(written.is_ok(), n != 10, "{n}: {written:?}");
    }
    assert_eq!(count(&house).await, 19);
}

#[tokio::test]
async fn a_locked_file_is_told_and_works_again_when_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (house, _store) = house_at(&path, impatient());
    let before = house.turn(&key("s"), said(&["u1"])).await;

    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert!(reason(house.try_turn(&key("s"), said(&["u2"])).await).contains("locked the database"));
    assert!(reason(house.store.delete(&key("s")).await).contains("locked the database"));
    assert!(reason(house.store.ready().await).contains("locked the database"));
    assert_eq!(house.session(&key("s")).await, before);
    other.execute_batch("ROLLBACK").unwrap();

    house.store.ready().await.unwrap();
    let session = house.turn(&key("s"), said(&["u2"])).await;
    assert_eq!(session.messages.len(), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_removed_or_replaced_takes_nothing_that_would_be_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("test.db"), folder.path().join("away.db"));
    let (house, _store) = house_at(&path, impatient());
    house.turn(&key("s"), said(&["u1"])).await;
    house.store.ready().await.unwrap();

    std::fs::rename(&path, &away).unwrap();
    assert!(reason(house.store.ready().await).contains("removed or replaced"));
    assert!(reason(house.try_turn(&key("s"), said(&["u2"])).await).contains("removed or replaced"));
    std::fs::copy(&away, &path).unwrap();
    assert!(reason(house.try_turn(&key("s"), said(&["u2"])).await).contains("removed or replaced"));

    std::fs::rename(&away, &path).unwrap();
    house.store.ready().await.unwrap();
    assert_eq!(house.turn(&key("s"), said(&["u2"])).await.messages.len(), 2);
}

#[tokio::test]
async fn a_damaged_row_is_told_without_its_contents() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (house, store) = house_at(&path, impatient());
    house.turn(&key("s"), said(&["u1"])).await;
    house.store.close().await.unwrap();
    drop((house, store));
    Connection::open(&path).unwrap().execute("UPDATE messages SET role = 'canary'", []).unwrap();
    let (house, _store) = house_at(&path, impatient());
    let error = house.store.session(&key("s")).await.err().unwrap();
    assert!(matches!(error, StoreError::Corrupt { .. }) && !error.to_string().contains("canary"), "{error}");
}

//! Work that nobody waits for any more, connections that run out, and statements that the database refuses.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use letterhead_store::postgres::PostgresOptions;
use letterhead_store::{NewMessage, Page, SessionFilter, StoreError, TurnRecord};

use crate::conformance::{ids, key, poll_once, said, user};
use crate::{few, fresh_with_name, node, node_with, until};

const LONG: Duration = Duration::from_secs(20);

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Polls a future so often, with room for others between, and then forgets about it. Tells whether it was done.
async fn give_up_after<F: Future>(future: F, polls: u64) -> bool {
    let mut future: Pin<&mut F> = pin!(future);
    for _ in 0..polls {
        if poll_once(&mut future).await.is_some() {
            return true;
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    false
}

#[tokio::test]
async fn what_is_given_up_at_any_moment_leaves_all_in_order() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let house = node(&url);
    let mut numbers = Numbers(7);
    let (mut done, mut given_up) = (0, 0);
    for n in 0..300 {
        let key = key(&format!("s{}", n % 3));
        let polls = numbers.below(30);
        let store = Arc::clone(&house.store);
        let finished = match numbers.below(4) {
            0 => give_up_after(store.begin(&key, LONG), polls).await,
            1 => {
                let turn = store.begin(&key, LONG).await.unwrap();
                let (question, answer) = (format!("u{n}"), format!("a{n}"));
                give_up_after(store.commit(turn, said(&[&question, &answer])), polls).await
            }
            2 => give_up_after(store.session(&key), polls).await,
            _ => give_up_after(store.sessions(&key.owner(), &SessionFilter::default(), &Page::default()), polls).await,
        };
        *(if finished { &mut done } else { &mut given_up }) += 1;
    }
    assert!(done > 20 && given_up > 20, "{done} done, {given_up} given up");
    for n in 0..3 {
        let key = key(&format!("s{n}"));
        let turn = house.store.begin(&key, LONG).await.unwrap();
        let session = house.store.commit(turn, said(&["last"])).await.unwrap();
        // Whole turns only.
        assert_eq!(session.messages.len() as u64, 2 * (session.turns - 1) + 1);
        assert_eq!(house.listed(&key).await, session.messages);
    }
    let hanging = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND state LIKE 'idle in%'");
    until("no connection is inside a transaction", async || postgres.sql(&name, &hanging) == "0").await;
    until("no lease is left", async || postgres.sql(&name, "SELECT count(*) FROM letterhead.leases") == "0").await;
}

#[tokio::test]
async fn who_waits_for_a_connection_for_too_long_is_told() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let options = PostgresOptions { connections: 2, wait: Duration::from_millis(200), ..few() };
    let house = node_with(&url, options);
    house.turn(&key("s"), said(&["u1"])).await;
    let locking = name.clone();
    let lock = std::thread::spawn(move || {
        let lock = "BEGIN; LOCK TABLE letterhead.sessions IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(2); COMMIT";
        letterhead_testkit::Postgres::shared().unwrap().sql(&locking, lock);
    });
    let locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'letterhead.sessions'::regclass";
    until("the table is locked", async || postgres.sql(&name, locked) == "1").await;
    let reads = (0..6).map(|_| {
        let store = Arc::clone(&house.store);
        tokio::spawn(async move { store.session(&key("s")).await })
    });
    let (mut told, mut read) = (0, 0);
    for reading in reads.collect::<Vec<_>>() {
        match reading.await.unwrap() {
            Ok(session) => {
                assert_eq!(session.unwrap().turns, 1);
                read += 1;
            }
            Err(StoreError::Unavailable { reason }) => {
                assert_eq!(reason, "all 2 connections to the database were in use for 0.2 s");
                told += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((read, told), (2, 4));
    lock.join().unwrap();
    house.turn(&key("s"), said(&["u2"])).await;
}

#[tokio::test]
async fn what_the_database_refuses_is_undone_whole() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let house = node(&url);
    let before = house.turn(&key("s"), said(&["u1"])).await;
    // In the middle of the statements: what was sent behind it came to the database, the commit too.
    let refused = TurnRecord {
        messages: vec![user("u2"), NewMessage { body: "\0".into(), ..user("u3") }],
        ..TurnRecord::new("other")
    };
    for id in ["s", "new"] {
        let turn = house.store.begin(&key(id), LONG).await.unwrap();
        let refused = house.store.commit(turn, refused.clone()).await;
        assert!(matches!(&refused, Err(StoreError::Invalid { reason }) if reason.contains("U+0000")), "{refused:?}");
    }
    assert_eq!(house.session(&key("s")).await, before);
    assert!(house.store.session(&key("new")).await.unwrap().is_none());
    assert_eq!(postgres.sql(&name, "SELECT count(*) FROM letterhead.messages"), "1");
    let session = house.turn(&key("s"), said(&["u2"])).await;
    assert_eq!(ids(&session.messages), ["u1", "u2"]);
}

#[tokio::test]
async fn a_standby_is_not_ready() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let house = node(&url);
    house.store.ready().await.unwrap();
    postgres.sql(&name, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let end = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    );
    postgres.sql(&name, &end);
    until("it is not ready", async || {
        matches!(house.store.ready().await, Err(StoreError::Unavailable { reason }) if reason.contains("reads only"))
    })
    .await;
}

#[tokio::test]
async fn a_commit_that_outlasts_its_first_try_is_announced() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let house = node(&url);
    house.turn(&key("s"), said(&["u1"])).await;
    let turn = house.begin(&key("s")).await;
    let locking = name.clone();
    let lock = std::thread::spawn(move || {
        // Others may read, but not write.
        let lock = "BEGIN; LOCK TABLE letterhead.turns IN SHARE MODE; SELECT pg_sleep(6); COMMIT";
        letterhead_testkit::Postgres::shared().unwrap().sql(&locking, lock);
    });
    let locked = "SELECT count(*) FROM pg_locks WHERE mode = 'ShareLock' AND relation = 'letterhead.turns'::regclass";
    until("the table is locked", async || postgres.sql(&name, locked) == "1").await;
    let session = house.store.commit(turn, said(&["u2"])).await.unwrap();
    assert_eq!(ids(&session.messages), ["u1", "u2"]);
    assert_eq!(house.session(&key("s")).await, session);
    lock.join().unwrap();
}

#[tokio::test]
async fn a_client_that_cannot_be_has_no_sessions() {
    let Some((_, url, _)) = fresh_with_name() else { return };
    let house = node(&url);
    house.turn(&key("s"), said(&["u1"])).await;
    let filter = SessionFilter { client_id: Some("\0".into()), ..SessionFilter::default() };
    let found = house.store.sessions(&key("s").owner(), &filter, &Page::default()).await.unwrap();
    assert!(found.data.is_empty() && !found.has_more);
}

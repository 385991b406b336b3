//! One turn at a time.

use std::sync::Arc;
use std::time::Duration;

use letterhead_store::{StoreError, TurnRecord};

use super::{Open, ids, key, open_default, poll_once, said};

const LONG: Duration = Duration::from_secs(600);

pub(crate) async fn one_at_a_time_in_the_order_of_asking(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let first = house.begin(&key).await;
    let mut second = house.store.begin(&key, LONG);
    let mut third = house.store.begin(&key, LONG);
    // Both are in line before the first turn ends.
    assert!(poll_once(&mut second).await.is_none());
    assert!(poll_once(&mut third).await.is_none());
    house.store.commit(first, said(&["u1"])).await.unwrap();
    assert!(poll_once(&mut third).await.is_none());
    for (id, turn) in [("u2", second), ("u3", third)] {
        house.store.commit(turn.await.unwrap(), said(&[id])).await.unwrap();
    }
    assert_eq!(ids(&house.session(&key).await.messages), ["u1", "u2", "u3"]);
}

pub(crate) async fn busy_when_the_wait_is_over(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let first = house.begin(&key).await;
    assert_eq!(house.store.begin(&key, Duration::ZERO).await.err(), Some(StoreError::Busy));
    let asked = tokio::time::Instant::now();
    assert_eq!(house.store.begin(&key, Duration::from_millis(20)).await.err(), Some(StoreError::Busy));
    assert!(asked.elapsed() >= Duration::from_millis(20));
    assert_eq!(house.store.begin_new(&key).await.err(), Some(StoreError::Busy));
    // Those who gave up are not in the line any more.
    house.store.commit(first, said(&["u1"])).await.unwrap();
    house.turn(&key, said(&["u2"])).await;
}

pub(crate) async fn dropping_a_turn_lets_the_next_in(open: Open) {
    let house = open_default(open);
    let key = key("s");
    drop(house.begin(&key).await);
    assert!(house.begin(&key).await.session().is_none());
    assert!(house.store.session(&key).await.unwrap().is_none());
}

pub(crate) async fn a_refused_commit_lets_the_next_in(open: Open) {
    let house = open_default(open);
    let key = key("s");
    assert!(house.try_turn(&key, said(&["u1", "u1"])).await.is_err());
    house.turn(&key, said(&["u1"])).await;
}

pub(crate) async fn other_sessions_do_not_wait(open: Open) {
    let house = open_default(open);
    let _running = house.begin(&key("a")).await;
    house.turn(&key("b"), said(&["u1"])).await;
}

pub(crate) async fn a_new_session_needs_no_look(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let turn = house.store.begin_new(&key).await.unwrap();
    assert!(turn.session().is_none());
    // Its id is known as soon as the first turn has told it: a second one has to wait like any other.
    assert_eq!(house.store.begin(&key, Duration::ZERO).await.err(), Some(StoreError::Busy));
    let session = house.store.commit(turn, said(&["u1"])).await.unwrap();
    assert_eq!(house.found(&key).await, Some(session));
}

pub(crate) async fn a_new_session_that_is_not_new_is_refused_and_the_old_one_unharmed(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let before = house.turn(&key, said(&["u1"])).await;
    let turn = house.store.begin_new(&key).await.unwrap();
    let refused = house.store.commit(turn, said(&["u2"])).await;
    assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    assert_eq!(house.session(&key).await, before);
    assert_eq!(house.listed(&key).await, before.messages);
}

pub(crate) async fn many_turns_at_once_lose_nothing(open: Open) {
    let house = open_default(open);
    let turns = (0..60).map(|n| {
        let store = Arc::clone(&house.store);
        tokio::spawn(async move {
            let key = key(&format!("s{}", n % 6));
            let turn = store.begin(&key, LONG).await.unwrap();
            let before = turn.session().map_or(0, |session| session.messages.len());
            let (question, answer) = (format!("u{n}"), format!("a{n}"));
            let session = store.commit(turn, said(&[&question, &answer])).await.unwrap();
            assert_eq!(session.messages.len(), before + 2);
        })
    });
    for turn in turns.collect::<Vec<_>>() {
        turn.await.unwrap();
    }
    for n in 0..6 {
        let session = house.session(&key(&format!("s{n}"))).await;
        assert_eq!((session.turns, session.messages.len()), (10, 20));
        assert_eq!(house.listed(&session.record.key).await, session.messages);
    }
}

pub(crate) async fn what_comes_after_closing_is_refused(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, said(&["u1"])).await;
    house.store.ready().await.unwrap();
    let turn = house.begin(&key).await;
    house.store.close().await.unwrap();
    assert_eq!(house.store.commit(turn, TurnRecord::new("assistant")).await.err(), Some(StoreError::Closed));
    assert_eq!(house.store.begin(&key, Duration::ZERO).await.err(), Some(StoreError::Closed));
    assert_eq!(house.store.session(&key).await.err(), Some(StoreError::Closed));
    assert_eq!(house.store.ready().await.err(), Some(StoreError::Closed));
    house.store.close().await.unwrap();
}

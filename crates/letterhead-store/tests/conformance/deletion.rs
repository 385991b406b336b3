//! Deleting a session.

use letterhead_store::{Page, SessionFilter, StoreError, TurnRecord};

use super::{Open, entry, ids, key, open_default, said, sent, set, set_secret};

pub(crate) async fn all_of_it_goes(open: Open) {
    let house = open_default(open);
    let (key, other) = (key("s"), key("other"));
    let kept = house.turn(&other, said(&["u1", "a1"])).await;
    let record = TurnRecord {
        state: Some("{}".into()),
        trail: vec![entry("X-User")],
        headers: vec![set("user_id", "u_1"), set_secret("auth_token", "t")],
        ..said(&["u1", "a1"])
    };
    house.turn(&key, record).await;

    assert!(house.store.delete(&key).await.unwrap());
    assert!(house.store.session(&key).await.unwrap().is_none());
    assert!(house.store.messages(&key, &Page::default()).await.unwrap().is_none());
    assert!(house.store.trail(&key, &Page::default()).await.unwrap().is_none());
    let list = house.store.sessions(&key.owner(), &SessionFilter::default(), &Page::default()).await.unwrap();
    assert_eq!(list.data, [kept.summary()]);

    // The same id again is a new session, without anything of the old one.
    let session = house.turn(&key, sent(Vec::new())).await;
    assert_eq!((session.turns, session.headers.len(), session.messages.len()), (1, 0, 0));
    assert_eq!(session.state, None);
    assert!(house.listed(&key).await.is_empty());
    assert!(house.store.trail(&key, &Page::default()).await.unwrap().unwrap().data.is_empty());
    assert_eq!(house.session(&other).await, kept);
}

pub(crate) async fn a_running_turn_cannot_bring_it_back(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, said(&["u1"])).await;
    let running = house.begin(&key).await;
    assert!(house.store.delete(&key).await.unwrap());
    let record = TurnRecord { headers: vec![set_secret("auth_token", "t")], ..said(&["u2"]) };
    assert_eq!(house.store.commit(running, record).await.err(), Some(StoreError::Gone));
    assert!(house.store.session(&key).await.unwrap().is_none());
    let session = house.turn(&key, said(&["u3"])).await;
    assert_eq!((session.turns, ids(&session.messages), session.headers.len()), (1, vec!["u3"], 0));
}

pub(crate) async fn a_session_that_is_only_about_to_be_is_deleted_too(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let running = house.store.begin_new(&key).await.unwrap();
    assert!(house.store.delete(&key).await.unwrap());
    assert_eq!(house.store.commit(running, said(&["u1"])).await.err(), Some(StoreError::Gone));
    assert!(house.store.session(&key).await.unwrap().is_none());
}

pub(crate) async fn what_is_not_there_is_not_deleted(open: Open) {
    let house = open_default(open);
    let key = key("s");
    assert!(!house.store.delete(&key).await.unwrap());
    house.turn(&key, said(&["u1"])).await;
    assert!(house.store.delete(&key).await.unwrap());
    assert!(!house.store.delete(&key).await.unwrap());
}

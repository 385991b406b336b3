//! Headers remembered for a session.

use std::time::Duration;

use letterhead_store::{HeaderChange, Status, TurnRecord};
use serde_json::json;

use super::{Open, START, headers, key, open_default, sent, set, set_secret};

const HOUR: Duration = Duration::from_hours(1);

pub(crate) async fn the_one_sent_wins_and_the_others_stay(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, sent(vec![set("user_id", "u_1"), set("plan", "free"), set_secret("auth_token", "t1")])).await;
    let session = house.turn(&key, sent(vec![set("plan", "pro"), set_secret("other", json!({"k": ["v"]}))])).await;
    let expected = json!({"user_id": "u_1", "plan": "pro", "auth_token": "t1", "other": {"k": ["v"]}});
    assert_eq!(headers(&session), expected);
    assert_eq!(headers(&house.session(&key).await), expected);
    assert_eq!(house.found(&key).await, Some(session.clone()));
    assert!(session.header("auth_token").unwrap().secret);
    assert!(!session.header("plan").unwrap().secret);
    // A turn that sends nothing changes nothing.
    assert_eq!(headers(&house.turn(&key, sent(Vec::new())).await), expected);
}

pub(crate) async fn an_empty_one_clears(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, sent(vec![set("a", 1), set("b", 2), set_secret("c", "3"), set_secret("d", "4")])).await;
    let clear = |field: &str| HeaderChange::Clear { field: field.into() };
    let session = house.turn(&key, sent(vec![clear("a"), clear("c"), clear("never_set")])).await;
    assert_eq!(headers(&session), json!({"b": 2, "d": "4"}));
    assert_eq!(house.found(&key).await, Some(session));
    let session = house.turn(&key, sent(vec![clear("b"), clear("d")])).await;
    assert!(session.headers.is_empty());
    assert_eq!(house.found(&key).await, Some(session));
}

pub(crate) async fn they_expire_counted_from_when_they_were_sent(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, sent(vec![set("old", "o"), set("renewed", "r")])).await;
    house.clock.advance(23 * HOUR);
    // The turn takes an hour less a millisecond; its header counts from the turn's beginning.
    let turn = house.begin(&key).await;
    house.clock.advance(HOUR - Duration::from_millis(1));
    let session = house.store.commit(turn, sent(vec![set("renewed", "r")])).await.unwrap();
    assert_eq!(session.header("renewed").unwrap().sent_at_ms, START + 23 * 3_600_000);
    // Used to the last, which does not renew it.
    assert_eq!(headers(&house.found(&key).await.unwrap()), json!({"old": "o", "renewed": "r"}));
    house.clock.advance(Duration::from_millis(1));
    assert_eq!(headers(&house.found(&key).await.unwrap()), json!({"renewed": "r"}));
    assert_eq!(headers(&house.session(&key).await), json!({"renewed": "r"}));
    house.turn(&key, sent(Vec::new())).await;
    house.clock.advance(23 * HOUR);
    assert_eq!(headers(&house.session(&key).await), json!({}));
}

pub(crate) async fn secrets_expire_sooner(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, sent(vec![set("user_id", "u_1"), set_secret("auth_token", "t")])).await;
    house.clock.advance(HOUR - Duration::from_millis(1));
    house.turn(&key, sent(vec![set("user_id", "u_1")])).await;
    assert!(house.found(&key).await.unwrap().header("auth_token").is_some());
    house.clock.advance(Duration::from_millis(1));
    assert_eq!(headers(&house.found(&key).await.unwrap()), json!({"user_id": "u_1"}));
    assert_eq!(headers(&house.session(&key).await), json!({"user_id": "u_1"}));
}

pub(crate) async fn a_clock_that_is_set_back_lengthens_no_life(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.clock.advance(2 * HOUR);
    house.turn(&key, sent(vec![set("user_id", "u_1"), set_secret("auth_token", "t")])).await;
    house.clock.set(START + 3_600_001);
    assert!(house.found(&key).await.unwrap().header("auth_token").is_some(), "a little is nothing");
    house.clock.set(START);
    assert_eq!(headers(&house.found(&key).await.unwrap()), json!({"user_id": "u_1"}));
    assert_eq!(headers(&house.session(&key).await), json!({"user_id": "u_1"}));
    let session = house.turn(&key, sent(vec![set_secret("auth_token", "t2")])).await;
    assert_eq!(headers(&session), json!({"user_id": "u_1", "auth_token": "t2"}));
}

pub(crate) async fn a_field_may_become_a_secret_and_back(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, sent(vec![set("token", "1")])).await;
    let session = house.turn(&key, sent(vec![set_secret("token", "2")])).await;
    assert_eq!((session.headers.len(), headers(&session)), (1, json!({"token": "2"})));
    assert_eq!(house.found(&key).await, Some(session));
    let session = house.turn(&key, sent(vec![set("token", "3")])).await;
    assert_eq!((session.headers.len(), headers(&session)), (1, json!({"token": "3"})));
    assert_eq!(house.found(&key).await, Some(session));
}

pub(crate) async fn a_failed_turn_remembers_what_was_sent(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let failed = |headers| TurnRecord { status: Status::Failed, ..sent(headers) };
    house.turn(&key, failed(vec![set("a", 1), set_secret("s", "1")])).await;
    house.turn(&key, failed(vec![set("a", 2)])).await;
    assert_eq!(headers(&house.found(&key).await.unwrap()), json!({"a": 2, "s": "1"}));
}

pub(crate) async fn debug_never_shows_a_value(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let record = sent(vec![set("user_id", "canary-1"), set_secret("auth_token", "canary-2")]);
    let shown = format!("{record:?}");
    let session = house.turn(&key, record).await;
    let turn = house.begin(&key).await;
    let shown = format!("{shown} {session:?} {turn:?}");
    assert!(shown.contains("auth_token") && !shown.contains("canary"), "{shown}");
}

//! Context variables that a session keeps.

use std::sync::Arc;
use std::time::Duration;

use letterhead_store::{KeptVariable, Session, Status, StoreError, TurnRecord};
use serde_json::{Value, json};

use super::{Open, START, key, open_default, owner, said, sent, set_secret, some_values};

const HOUR_MS: i64 = 3_600_000;

/// A variable that was fetched when the tests began, by a request that has nothing secret.
pub(crate) fn fetched(name: &str, value: impl Into<Value>) -> KeptVariable {
    KeptVariable {
        name: name.into(),
        value: Arc::new(value.into()),
        fingerprint: [7; 32],
        fetched_at_ms: START,
        expires_at_ms: None,
        secret: false,
    }
}

/// Likewise, by a request that has.
pub(crate) fn fetched_with_secret(name: &str, value: impl Into<Value>) -> KeptVariable {
    KeptVariable { secret: true, ..fetched(name, value) }
}

pub(crate) fn keeping(variables: Vec<KeptVariable>) -> TurnRecord {
    TurnRecord { variables, ..TurnRecord::new("assistant") }
}

/// The variables of a session, as an object.
pub(crate) fn variables(session: &Arc<Session>) -> Value {
    let pair = |kept: &KeptVariable| (kept.name.to_string(), Value::clone(&kept.value));
    session.variables.iter().map(pair).collect()
}

pub(crate) async fn they_come_back_whole(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let kept = vec![
        KeptVariable { expires_at_ms: Some(START + HOUR_MS), ..fetched("plan", some_values()) },
        KeptVariable { fingerprint: [255; 32], ..fetched_with_secret("user", json!({"name": "Zoë"})) },
        fetched("zone", Value::Null),
    ];
    // In the order of their names, whatever that of their coming.
    let record = keeping(vec![kept[2].clone(), kept[1].clone(), kept[0].clone()]);
    let session = house.turn(&key, record).await;
    assert_eq!(session.variables, kept);
    assert_eq!(house.found(&key).await, Some(session.clone()));
    assert_eq!(house.session(&key).await, session);
    assert_eq!(session.variable("user"), Some(&kept[1]));
    assert_eq!(session.variable("usher"), None);
    // A turn that fetches nothing changes nothing.
    assert_eq!(house.turn(&key, said(&["u1", "a1"])).await.variables, kept);
}

pub(crate) async fn a_newer_one_replaces_that_of_its_name_alone(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let first = vec![fetched("a", 1), fetched("b", 1), fetched_with_secret("c", 1), fetched_with_secret("d", 1)];
    house.turn(&key, keeping(first)).await;
    // From one kind to the other, too; of two in one turn the last.
    let second = vec![fetched_with_secret("b", 2), fetched("d", 2), fetched("new", 2), fetched("new", 3)];
    let session = house.turn(&key, keeping(second)).await;
    assert_eq!(variables(&session), json!({"a": 1, "b": 2, "c": 1, "d": 2, "new": 3}));
    let kinds: Vec<bool> = session.variables.iter().map(|kept| kept.secret).collect();
    assert_eq!(kinds, [false, true, true, false, false]);
    assert_eq!(house.found(&key).await, Some(session));
}

pub(crate) async fn they_are_kept_however_the_turn_ends(open: Open) {
    let house = open_default(open);
    let key = key("s");
    for (n, status) in [Status::Failed, Status::Incomplete, Status::Failed].into_iter().enumerate() {
        let record = keeping(vec![fetched("user", n), fetched_with_secret("plan", n)]);
        house.turn(&key, TurnRecord { status, ..record }).await;
        assert_eq!(variables(&house.found(&key).await.unwrap()), json!({"user": n, "plan": n}));
    }
}

pub(crate) async fn they_expire_at_their_time(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let until = |at, kept| KeptVariable { expires_at_ms: Some(START + at), ..kept };
    let record = keeping(vec![
        until(HOUR_MS, fetched("hour", 1)),
        until(HOUR_MS, fetched_with_secret("secret_hour", 1)),
        until(2 * HOUR_MS, fetched("two_hours", 1)),
        fetched("for_ever", 1),
        fetched_with_secret("secret_for_ever", 1),
    ]);
    house.turn(&key, record).await;
    let all = json!({"for_ever": 1, "hour": 1, "secret_for_ever": 1, "secret_hour": 1, "two_hours": 1});
    house.clock.advance(Duration::from_hours(1) - Duration::from_millis(1));
    assert_eq!(variables(&house.found(&key).await.unwrap()), all);
    house.clock.advance(Duration::from_millis(1));
    let rest = json!({"for_ever": 1, "secret_for_ever": 1, "two_hours": 1});
    assert_eq!(variables(&house.found(&key).await.unwrap()), rest);
    assert_eq!(variables(&house.session(&key).await), rest);
    // A turn that fetches something else does not bring them back, nor does it renew any.
    house.turn(&key, keeping(vec![fetched("new", 1)])).await;
    house.clock.advance(Duration::from_hours(1));
    let rest = json!({"for_ever": 1, "new": 1, "secret_for_ever": 1});
    assert_eq!(variables(&house.session(&key).await), rest);
    // Those without a time outlive every header.
    house.clock.advance(Duration::from_hours(1000));
    assert_eq!(variables(&house.session(&key).await), rest);
}

pub(crate) async fn they_go_with_their_session(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let record = || keeping(vec![fetched("user", 1), fetched_with_secret("plan", 1)]);
    house.turn(&key, record()).await;
    let running = house.begin(&key).await;
    assert!(house.store.delete(&key).await.unwrap());
    assert_eq!(house.store.commit(running, record()).await.err(), Some(StoreError::Gone));
    let session = house.turn(&key, said(&["u1"])).await;
    assert_eq!(session.variables, []);
    assert_eq!(house.session(&key).await.variables, []);
}

pub(crate) async fn they_are_their_callers_alone(open: Open) {
    let house = open_default(open);
    let owners = [owner("default", Some("ada")), owner("default", None), owner("ada", Some("default"))];
    let keys = owners.map(|owner| owner.session(key("s").id));
    for (n, key) in keys.iter().enumerate() {
        let record = keeping(vec![fetched("user", n), fetched_with_secret("plan", n)]);
        assert_eq!(variables(&house.turn(key, record).await), json!({"user": n, "plan": n}));
    }
    house.store.delete(&keys[0]).await.unwrap();
    for (n, key) in keys.iter().enumerate().skip(1) {
        assert_eq!(variables(&house.session(key).await), json!({"user": n, "plan": n}));
    }
}

pub(crate) async fn a_refused_commit_keeps_none(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, TurnRecord { variables: vec![fetched("user", 1)], ..said(&["u1"]) }).await;
    let record = TurnRecord { variables: vec![fetched("user", 2), fetched_with_secret("plan", 2)], ..said(&["u1"]) };
    assert!(matches!(house.try_turn(&key, record).await, Err(StoreError::Invalid { .. })));
    assert_eq!(variables(&house.found(&key).await.unwrap()), json!({"user": 1}));
}

pub(crate) async fn a_header_and_a_variable_of_one_name_are_two(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let headers = vec![set_secret("user", "h")];
    house.turn(&key, TurnRecord { variables: vec![fetched_with_secret("user", "v")], ..sent(headers) }).await;
    let session = house.found(&key).await.unwrap();
    assert_eq!(session.header("user").unwrap().value, "h");
    assert_eq!(*session.variable("user").unwrap().value, "v");
    // The header expires, the variable does not.
    house.clock.advance(Duration::from_hours(1));
    let session = house.found(&key).await.unwrap();
    assert_eq!((session.header("user"), variables(&session)), (None, json!({"user": "v"})));
}

pub(crate) async fn debug_never_shows_one(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let print = KeptVariable { fingerprint: *b"canary-3canary-3canary-3canary-3", ..fetched("plan", "canary-1") };
    let record = keeping(vec![print, fetched_with_secret("user", "canary-2")]);
    let shown = format!("{record:?}");
    let session = house.turn(&key, record).await;
    let shown = format!("{shown} {session:?} {:?}", house.begin(&key).await);
    assert!(shown.contains("user") && !shown.contains("canary") && !shown.contains("99, 97"), "{shown}");
}

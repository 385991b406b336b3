//! Several nodes on one database: one turn at a time, and nothing from a node that has lost its own.

use std::sync::Arc;
use std::time::Duration;

use letterhead_store::postgres::PostgresOptions;
use letterhead_store::{
    Claim, HeaderChange, Idempotency, IdempotencyKey, KeptVariable, Page, PostgresStore, Status, StoreError, Turn,
    TurnFilter, TurnRecord, TurnStatus,
};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::conformance::{House, START, ids, key, owner, said, sent, set};
use crate::{few, found, fresh, fresh_with_name, node, node_with, until};

const LONG: Duration = Duration::from_secs(30);

fn short() -> PostgresOptions {
    PostgresOptions { lease: Duration::from_millis(600), ..few() }
}

/// A node in a runtime of its own, which stands still while nobody blocks on it: like a process that was stopped.
struct Apart {
    runtime: Runtime,
    house: House,
}

impl Apart {
    fn open(url: &str, options: PostgresOptions) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, house: node_with(url, options) }
    }

    fn begin(&self, id: &str) -> Turn {
        self.runtime.block_on(self.house.begin(&key(id)))
    }
}

fn out_of_time(refused: Result<Arc<letterhead_store::Session>, StoreError>) {
    match refused.err() {
        Some(StoreError::Unavailable { reason }) => assert!(reason.contains("sessions.lease"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_second_node_waits_for_the_first() {
    let Some(url) = fresh() else { return };
    let (first, second) = (node(&url), node(&url));
    let turn = first.begin(&key("s")).await;
    assert_eq!(second.store.begin(&key("s"), Duration::ZERO).await.err(), Some(StoreError::Busy));
    assert_eq!(second.store.begin_new(&key("s")).await.err(), Some(StoreError::Busy));
    // Other sessions, and those of other callers, do not.
    drop(second.begin(&key("t")).await);
    drop(second.begin(&owner("default", None).session(key("s").id)).await);
    let asked = tokio::time::Instant::now();
    assert_eq!(second.store.begin(&key("s"), Duration::from_millis(300)).await.err(), Some(StoreError::Busy));
    assert!(asked.elapsed() >= Duration::from_millis(300));

    let waiting = second.store.clone();
    let waiting = tokio::spawn(async move { waiting.begin(&key("s"), LONG).await });
    first.store.commit(turn, said(&["u1", "a1"])).await.unwrap();
    let turn = waiting.await.unwrap().unwrap();
    assert_eq!(ids(&turn.session().unwrap().messages), ["u1", "a1"]);
    second.store.commit(turn, said(&["u2", "a2"])).await.unwrap();
    assert_eq!(ids(&first.session(&key("s")).await.messages), ["u1", "a1", "u2", "a2"]);
}

#[tokio::test]
async fn a_session_follows_to_any_node() {
    let Some(url) = fresh() else { return };
    let (first, second) = (node(&url), node(&url));
    let variable = KeptVariable {
        name: "user".into(),
        value: Arc::new(json!({"name": "Ada"})),
        fingerprint: [7; 32],
        fetched_at_ms: START,
        expires_at_ms: None,
        secret: false,
    };
    let record = TurnRecord {
        agent: "billing".into(),
        headers: vec![set("plan", "pro")],
        variables: vec![variable],
        state: Some(r#"{"n":1}"#.into()),
        ..said(&["u1", "a1"])
    };
    let committed = first.turn(&key("s"), record).await;
    assert_eq!(found(&second, &key("s")).await.as_ref(), Some(&committed));
    assert_eq!(second.session(&key("s")).await, committed);
    assert_eq!(second.listed(&key("s")).await, committed.messages);
}

#[tokio::test]
async fn turns_of_two_nodes_on_the_same_sessions_lose_nothing() {
    let Some(url) = fresh() else { return };
    let nodes = [node(&url), node(&url)];
    let turns = (0..60).map(|n| {
        let store = Arc::clone(&nodes[n % 2].store);
        tokio::spawn(async move {
            let key = key(&format!("s{}", n / 2 % 3));
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
    for n in 0..3 {
        let session = nodes[n % 2].session(&key(&format!("s{n}"))).await;
        assert_eq!((session.turns, session.messages.len()), (20, 40));
    }
}

#[tokio::test]
async fn a_turn_that_is_given_up_lets_another_node_in() {
    let Some(url) = fresh() else { return };
    let (first, second) = (node(&url), node(&url));
    drop(first.begin(&key("s")).await);
    assert!(found(&second, &key("s")).await.is_none());
    // Also where its store goes at once.
    drop(first.store.begin(&key("t"), Duration::ZERO).await.unwrap());
    drop(first);
    assert!(found(&second, &key("t")).await.is_none());
}

#[tokio::test]
async fn a_turn_keeps_its_lease_while_it_runs() {
    let Some(url) = fresh() else { return };
    let (first, second) = (node_with(&url, short()), node_with(&url, short()));
    let turn = first.begin(&key("s")).await;
    assert_eq!(second.store.begin(&key("s"), Duration::from_secs(2)).await.err(), Some(StoreError::Busy));
    first.store.commit(turn, said(&["u1"])).await.unwrap();
}

#[test]
fn a_dead_nodes_turn_is_released_after_the_lease_and_marked() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let dead = Apart::open(&url, short());
    dead.runtime.block_on(dead.house.turn(&key("s"), said(&["u1", "a1"])));
    std::mem::forget(dead.begin("s"));
    let began = std::time::Instant::now();
    // Nobody hears of it any more.
    let Apart { runtime, house } = dead;
    runtime.shutdown_background();

    let other = Apart::open(&url, few());
    let turn = other.runtime.block_on(other.house.store.begin(&key("s"), LONG)).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(600) && began.elapsed() < Duration::from_secs(10));
    let session = turn.session().unwrap().clone();
    assert_eq!((session.turns, ids(&session.messages)), (2, vec!["u1", "a1"]));
    let marked = "SELECT turn, status FROM letterhead.turns ORDER BY turn";
    assert_eq!(postgres.sql(&name, marked), "1|complete\n2|incomplete");
    let session = other.runtime.block_on(other.house.store.commit(turn, said(&["u3", "a3"]))).unwrap();
    assert_eq!((session.turns, session.messages[2].turn), (3, 3));
    assert_eq!(postgres.sql(&name, marked), "1|complete\n2|incomplete\n3|complete");
    drop(house);
}

#[test]
fn a_turn_is_seen_from_every_node_and_keeps_its_id_when_its_node_dies() {
    let Some(url) = fresh() else { return };
    let (dead, other) = (Apart::open(&url, short()), Apart::open(&url, few()));
    dead.runtime.block_on(dead.house.turn(&key("s"), said(&["u1"])));
    let (lost, new) = (dead.begin("s"), dead.begin("new"));
    let (id, new_id) = (lost.id(), new.id());
    std::mem::forget((lost, new));
    let seen = |id| {
        let found = other.runtime.block_on(other.house.store.turn(&key("s").owner(), id)).unwrap();
        found.map(|turn| (turn.summary.session.to_string(), turn.summary.number, turn.summary.status))
    };
    let filter = |status| TurnFilter { status: Some(status), ..TurnFilter::default() };
    let listed = |status| {
        let (owner, page) = (key("s").owner(), Page::default());
        let list = other.runtime.block_on(other.house.store.turns(&owner, &filter(status), &page)).unwrap();
        list.data.iter().map(|turn| turn.id).collect::<Vec<_>>()
    };
    let (running, incomplete) = (TurnStatus::Running, TurnStatus::Incomplete);
    assert_eq!(seen(id), Some(("s".to_owned(), 2, running)));
    assert_eq!(listed(running), [new_id, id]);
    // It stands still for longer than its lease, and nobody has looked yet.
    let waiting = Builder::new_current_thread().enable_all().build().unwrap();
    waiting.block_on(async { tokio::time::sleep(Duration::from_millis(800)).await });
    assert_eq!(seen(id), Some(("s".to_owned(), 2, incomplete)));
    assert_eq!((listed(running), listed(incomplete)), (Vec::new(), vec![new_id, id]));
    // The next turn releases it: it is the same one, with the same id. Of a session that never came to be nothing stays.
    for session in ["s", "new"] {
        let turn = other.runtime.block_on(other.house.store.begin(&key(session), LONG)).unwrap();
        other.runtime.block_on(other.house.store.commit(turn, said(&["u2"]))).unwrap();
    }
    assert_eq!(seen(id), Some(("s".to_owned(), 2, incomplete)));
    assert_eq!((seen(new_id), listed(incomplete)), (None, vec![id]));
    let turn = other.runtime.block_on(other.house.store.turn(&key("s").owner(), id)).unwrap().unwrap();
    assert!(turn.summary.ended_at_ms.is_some() && turn.summary.agent.is_none() && turn.messages.is_empty());
}

#[test]
fn what_a_turn_goes_on_with_is_seen_from_every_node_as_long_as_it_lives() {
    let Some(url) = fresh() else { return };
    let (dead, other) = (Apart::open(&url, short()), Apart::open(&url, few()));
    let paused = TurnRecord { paused: true, ..said(&["u1", "a1"]) };
    dead.runtime.block_on(dead.house.turn(&key("s"), paused));
    let turn = dead.begin("s");
    let id = turn.id();
    dead.runtime.block_on(dead.house.store.goes_on(&turn, 1)).unwrap();
    std::mem::forget(turn);
    let last_of_tasks = || {
        let (owner, page) = (key("s").owner(), Page::default());
        let filter = TurnFilter { last_of_task: true, ..TurnFilter::default() };
        let list = other.runtime.block_on(other.house.store.turns(&owner, &filter, &page)).unwrap();
        list.data.iter().map(|turn| (turn.number, turn.status, turn.continues.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(last_of_tasks(), [(2, TurnStatus::Running, true)]);
    // Its node is dead: what it went on with waits as before, whether anybody has released it or not.
    let waiting = Builder::new_current_thread().enable_all().build().unwrap();
    waiting.block_on(async { tokio::time::sleep(Duration::from_millis(800)).await });
    let expected = [(2, TurnStatus::Incomplete, false), (1, TurnStatus::Paused, false)];
    assert_eq!(last_of_tasks(), expected);
    drop(other.runtime.block_on(other.house.store.begin(&key("s"), LONG)).unwrap());
    // The clock stands still: ids of two nodes come in any order. The new turn may be on its way out.
    let mut left = last_of_tasks();
    left.retain(|(number, ..)| *number < 3);
    left.sort_unstable_by_key(|(number, ..)| std::cmp::Reverse(*number));
    assert_eq!(left, expected);
    let found = other.runtime.block_on(other.house.store.turn(&key("s").owner(), id)).unwrap().unwrap();
    assert_eq!((found.summary.status, found.summary.continues), (TurnStatus::Incomplete, None));
}

#[tokio::test]
async fn a_dead_nodes_turn_is_released_though_nobody_asks_for_its_session() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let dead = std::thread::scope(|scope| {
        let begin = || {
            let dead = Apart::open(&url, short());
            dead.runtime.block_on(dead.house.turn(&key("s"), said(&["u1"])));
            std::mem::forget(dead.begin("s"));
            std::mem::forget(dead.begin("never-stored"));
            dead.runtime.shutdown_background();
            dead.house
        };
        scope.spawn(begin).join().unwrap()
    });
    let watching = node_with(&url, short());
    watching.store.ready().await.unwrap();
    until("the leases are gone", async || postgres.sql(&name, "SELECT count(*) FROM letterhead.leases") == "0").await;
    assert_eq!(postgres.sql(&name, "SELECT status FROM letterhead.turns WHERE turn = 2"), "incomplete");
    assert_eq!(watching.session(&key("s")).await.turns, 2);
    assert!(watching.store.session(&key("never-stored")).await.unwrap().is_none());
    drop(dead);
}

#[test]
fn a_node_that_stood_still_past_its_lease_cannot_write() {
    let Some(url) = fresh() else { return };
    let (slow, other) = (Apart::open(&url, short()), Apart::open(&url, few()));
    slow.runtime.block_on(slow.house.turn(&key("s"), said(&["u1"])));
    let late = slow.begin("s");
    // Meanwhile another node takes the session over.
    let turn = other.runtime.block_on(other.house.store.begin(&key("s"), LONG)).unwrap();
    out_of_time(slow.runtime.block_on(slow.house.store.commit(late, said(&["late"]))));
    let session = other.runtime.block_on(other.house.store.commit(turn, said(&["u2"]))).unwrap();
    assert_eq!(ids(&session.messages), ["u1", "u2"]);
    assert_eq!(slow.runtime.block_on(slow.house.session(&key("s"))), session);
}

#[test]
fn nor_where_nobody_has_taken_it_over() {
    let Some(url) = fresh() else { return };
    let slow = Apart::open(&url, short());
    let late = slow.begin("s");
    let waiting = Builder::new_current_thread().enable_all().build().unwrap();
    waiting.block_on(async { tokio::time::sleep(Duration::from_millis(800)).await });
    out_of_time(slow.runtime.block_on(slow.house.store.commit(late, said(&["late"]))));
    assert!(slow.runtime.block_on(slow.house.store.session(&key("s"))).unwrap().is_none());
    // It can begin anew.
    slow.runtime.block_on(slow.house.turn(&key("s"), said(&["u1"])));
}

#[tokio::test]
async fn a_lease_that_is_lost_unnoticed_is_no_deletion() {
    // As on a machine that was suspended: by the node's own clock the lease has not run out.
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let (slow, other) = (node(&url), node(&url));
    slow.turn(&key("s"), said(&["u1"])).await;
    for (id, is_taken_over) in [("s", true), ("s", false), ("new", true), ("newer", false)] {
        let late = slow.begin(&key(id)).await;
        postgres.sql(&name, "UPDATE letterhead.leases SET expires_at = now()");
        if is_taken_over {
            other.turn(&key(id), said(&[&format!("other-{id}")])).await;
        }
        out_of_time(slow.store.commit(late, said(&["late"])).await);
    }
    assert_eq!(ids(&slow.session(&key("s")).await.messages), ["u1", "other-s"]);
}

#[tokio::test]
async fn a_session_that_another_node_deletes_stays_deleted() {
    let Some(url) = fresh() else { return };
    let (first, second) = (node(&url), node(&url));
    first.turn(&key("s"), said(&["u1"])).await;
    for id in ["s", "only-about-to-be"] {
        let turn = first.begin(&key(id)).await;
        assert!(second.store.delete(&key(id)).await.unwrap());
        assert!(!second.store.delete(&key(id)).await.unwrap());
        assert_eq!(first.store.commit(turn, said(&["u2"])).await.err(), Some(StoreError::Gone));
        assert!(second.store.session(&key(id)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn of_two_first_turns_with_one_id_the_second_is_refused() {
    let Some(url) = fresh() else { return };
    let (first, second) = (node(&url), node(&url));
    let session = first.turn(&key("s"), said(&["u1"])).await;
    let turn = second.store.begin_new(&key("s")).await.unwrap();
    let refused = second.store.commit(turn, sent(vec![HeaderChange::Clear { field: "a".into() }])).await;
    assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    assert_eq!(second.session(&key("s")).await, session);
}

fn order() -> IdempotencyKey {
    IdempotencyKey { owner: owner("default", Some("ada")), session: None, key: "order-7".into() }
}

async fn claim(store: &dyn Idempotency) -> Claim {
    store.claim(order(), [1; 32]).await.unwrap()
}

#[tokio::test]
async fn a_request_that_is_sent_again_to_another_node_is_known_there() {
    let Some(url) = fresh() else { return };
    let (first, second) = (node(&url), node(&url));
    let Claim::New(claimed) = claim(&*first.store).await else { panic!("not the first") };
    assert!(matches!(claim(&*second.store).await, Claim::Running));
    assert!(matches!(second.store.claim(order(), [2; 32]).await.unwrap(), Claim::Mismatch));
    let answer = Some(claimed.answer(*b"done"));
    first.turn(&key("s"), TurnRecord { answer, ..said(&["u1"]) }).await;
    drop(claimed);
    assert!(matches!(claim(&*second.store).await, Claim::Answered(body) if *body == *b"done"));
    // With its session goes the answer.
    second.store.delete(&key("s")).await.unwrap();
    assert!(matches!(claim(&*second.store).await, Claim::New(_)));
}

#[tokio::test]
async fn a_request_whose_node_died_can_be_sent_again() {
    let Some(url) = fresh() else { return };
    let dead = std::thread::scope(|scope| {
        let begin = || {
            let dead = Apart::open(&url, short());
            let Claim::New(claimed) = dead.runtime.block_on(claim(&*dead.house.store)) else { panic!("not the first") };
            std::mem::forget(claimed);
            dead.runtime.shutdown_background();
            dead.house
        };
        scope.spawn(begin).join().unwrap()
    });
    let second = node(&url);
    assert!(matches!(claim(&*second.store).await, Claim::Running));
    let claimed = loop {
        match claim(&*second.store).await {
            Claim::New(claimed) => break claimed,
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    second.store.keep_answer(claimed.answer(*b"done")).await.unwrap();
    drop(dead);
}

#[tokio::test]
async fn a_failed_turn_counts_as_one_everywhere() {
    let Some(url) = fresh() else { return };
    let (first, second) = (node(&url), node(&url));
    first.turn(&key("s"), TurnRecord { status: Status::Failed, ..said(&["u1"]) }).await;
    let turn = second.store.begin(&key("s"), LONG).await.unwrap();
    let session = second.store.commit(turn, said(&["u1", "a1"])).await.unwrap();
    assert_eq!((session.turns, ids(&session.messages)), (2, vec!["u1", "a1"]));
    let listed = first.listed(&key("s")).await;
    assert_eq!((listed.len(), listed[0].status), (3, Status::Failed));
    assert_ne!(&*listed[0].id, "u1");
}

#[expect(dead_code, reason = "says that it may be shared between threads")]
fn may_be_shared(store: PostgresStore) -> impl Send + Sync {
    store
}

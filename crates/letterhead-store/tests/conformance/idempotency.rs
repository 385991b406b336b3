//! Requests that are sent again.

use std::time::Duration;

use letterhead_store::{Claim, Claimed, IdempotencyKey, StoreError, TurnRecord};

use super::{House, Open, key, open_default, owner, said};

const ONE: [u8; 32] = [1; 32];
const TWO: [u8; 32] = [2; 32];

fn order(text: &str) -> IdempotencyKey {
    IdempotencyKey { owner: owner("default", Some("ada")), session: Some(key("s").id), key: text.into() }
}

impl House {
    async fn claim(&self, key: &IdempotencyKey, request: [u8; 32]) -> Claim {
        self.store.claim(key.clone(), request).await.unwrap()
    }

    async fn claim_new(&self, key: &IdempotencyKey, request: [u8; 32]) -> Claimed {
        let claim = self.claim(key, request).await;
        let Claim::New(claimed) = claim else { unreachable!("{claim:?}") };
        claimed
    }

    async fn answered(&self, key: &IdempotencyKey, request: [u8; 32]) -> Vec<u8> {
        let claim = self.claim(key, request).await;
        let Claim::Answered(body) = claim else { unreachable!("{claim:?}") };
        body.to_vec()
    }
}

pub(crate) async fn the_answer_of_the_first_is_that_of_all(open: Open) {
    let house = open_default(open);
    let claimed = house.claim_new(&order("a"), ONE).await;
    assert_eq!(claimed.key(), &order("a"));
    assert!(matches!(house.claim(&order("a"), ONE).await, Claim::Running));
    assert!(matches!(house.claim(&order("a"), TWO).await, Claim::Mismatch));
    house.store.keep_answer(claimed.answer(*b"\0bytes\xff")).await.unwrap();
    drop(claimed);
    for _ in 0..2 {
        assert_eq!(house.answered(&order("a"), ONE).await, b"\0bytes\xff");
        assert!(matches!(house.claim(&order("a"), TWO).await, Claim::Mismatch));
    }
}

pub(crate) async fn what_was_not_answered_is_free_again(open: Open) {
    let house = open_default(open);
    let claimed = house.claim_new(&order("a"), ONE).await;
    house.store.release(claimed).await.unwrap();
    // For another request, too.
    let claimed = house.claim_new(&order("a"), TWO).await;
    let answer = claimed.answer(*b"");
    house.store.keep_answer(answer).await.unwrap();
    // Releasing does an answer no harm.
    house.store.release(claimed).await.unwrap();
    assert_eq!(house.answered(&order("a"), TWO).await, b"");
}

pub(crate) async fn an_answer_comes_with_its_turn_or_not_at_all(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let claimed = house.claim_new(&order("a"), ONE).await;
    let record = TurnRecord { answer: Some(claimed.answer(*b"one")), ..said(&["u1", "a1"]) };
    house.turn(&key, record).await;
    drop(claimed);
    assert_eq!(house.answered(&order("a"), ONE).await, b"one");

    let claimed = house.claim_new(&order("b"), ONE).await;
    let record = TurnRecord { answer: Some(claimed.answer(*b"two")), ..said(&["u1"]) };
    assert!(matches!(house.try_turn(&key, record).await, Err(StoreError::Invalid { .. })));
    house.store.release(claimed).await.unwrap();
    house.claim_new(&order("b"), ONE).await;
}

pub(crate) async fn answers_of_turns_go_with_their_session(open: Open) {
    let house = open_default(open);
    let (mine, other) = (key("s"), key("other"));
    for (n, key) in [("a", &mine), ("b", &mine), ("c", &other)] {
        let claimed = house.claim_new(&order(n), ONE).await;
        let record = TurnRecord { answer: Some(claimed.answer(*b"answer")), ..said(&[n]) };
        house.turn(key, record).await;
        house.store.release(claimed).await.unwrap();
    }
    house.store.delete(&mine).await.unwrap();
    for n in ["a", "b"] {
        house.claim_new(&order(n), ONE).await;
    }
    assert_eq!(house.answered(&order("c"), ONE).await, b"answer");
}

pub(crate) async fn an_answer_is_kept_for_a_day(open: Open) {
    let house = open_default(open);
    let claimed = house.claim_new(&order("a"), ONE).await;
    house.clock.advance(Duration::from_hours(1));
    house.store.keep_answer(claimed.answer(*b"old")).await.unwrap();
    house.store.release(claimed).await.unwrap();
    house.clock.advance(Duration::from_hours(24) - Duration::from_millis(1));
    assert_eq!(house.answered(&order("a"), ONE).await, b"old");
    house.clock.advance(Duration::from_millis(1));
    let claimed = house.claim_new(&order("a"), TWO).await;
    house.store.keep_answer(claimed.answer(*b"new")).await.unwrap();
    house.store.release(claimed).await.unwrap();
    assert_eq!(house.answered(&order("a"), TWO).await, b"new");
}

pub(crate) async fn what_is_kept_with_a_session_is_there_as_long_as_that(open: Open) {
    let house = open_default(open);
    let (key, absent) = (key("s"), super::key("absent"));
    house.turn(&key, said(&["u1"])).await;
    for (n, session) in [("a", &key), ("b", &absent)] {
        let claimed = house.claim_new(&order(n), ONE).await;
        house.store.keep_answer(claimed.answer(*b"begun").with_session(session.clone())).await.unwrap();
        house.store.release(claimed).await.unwrap();
    }
    house.clock.advance(Duration::from_hours(24 * 20));
    house.turn(&key, said(&["u2"])).await;
    house.clock.advance(Duration::from_hours(24 * 20));
    assert_eq!(house.answered(&order("a"), ONE).await, b"begun");
    // Without its session it is an answer like others.
    house.claim_new(&order("b"), ONE).await;
    house.store.delete(&key).await.unwrap();
    house.claim_new(&order("a"), ONE).await;
}

pub(crate) async fn a_key_is_its_callers_and_its_sessions_alone(open: Open) {
    let house = open_default(open);
    let mut keys = Vec::new();
    for owner in [owner("t", None), owner("t", Some("")), owner("t", Some("s")), owner("ts", None)] {
        for session in [None, Some(key("s").id), Some(key("t").id)] {
            for text in ["a", "A", ""] {
                keys.push(IdempotencyKey { owner: owner.clone(), session: session.clone(), key: text.into() });
            }
        }
    }
    for (n, key) in keys.iter().enumerate() {
        let claimed = house.claim_new(key, ONE).await;
        house.store.keep_answer(claimed.answer(n.to_string().into_bytes())).await.unwrap();
        house.store.release(claimed).await.unwrap();
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(house.answered(key, ONE).await, n.to_string().into_bytes(), "{key:?}");
    }
}

pub(crate) async fn debug_shows_no_answer_and_no_key(open: Open) {
    let house = open_default(open);
    let claim = house.claim(&order("canary-1"), ONE).await;
    let shown = format!("{claim:?}");
    let Claim::New(claimed) = claim else { unreachable!("{shown}") };
    let shown = format!("{shown} {:?}", TurnRecord { answer: Some(claimed.answer(*b"canary-2")), ..said(&["u1"]) });
    assert!(shown.contains("bytes: 8") && !shown.contains("canary") && !shown.contains("99, 97"), "{shown}");
}

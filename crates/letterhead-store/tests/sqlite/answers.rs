//! Keys of requests over a restart: answers stay, what was being worked on is free.

use letterhead_store::sqlite::SqliteOptions;
use letterhead_store::{Claim, Idempotency, IdempotencyKey, TurnRecord};

use crate::conformance::{key, said};
use crate::house_at;

#[tokio::test]
async fn a_restart_keeps_answers_and_frees_what_was_running() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let order = |text: &str| IdempotencyKey { owner: key("s").owner(), session: None, key: text.into() };
    let request = [1; 32];
    let (house, store) = house_at(&path, SqliteOptions::default());
    let mut claims = Vec::new();
    for text in ["of a turn", "of no turn", "running"] {
        let Claim::New(claimed) = store.claim(order(text), request).await.unwrap() else { panic!("{text}") };
        claims.push(claimed);
    }
    house.turn(&key("s"), TurnRecord { answer: Some(claims[0].answer(*b"one")), ..said(&["u1"]) }).await;
    store.keep_answer(claims[1].answer(*b"two")).await.unwrap();
    house.store.close().await.unwrap();
    drop((house, store));

    // The claims of the old server live on, as they would in a process that crashed: nobody gives them back.
    let (_house, store) = house_at(&path, SqliteOptions::default());
    for (text, answer) in [("of a turn", b"one"), ("of no turn", b"two")] {
        let claim = store.claim(order(text), request).await.unwrap();
        assert!(matches!(&claim, Claim::Answered(body) if **body == *answer), "{text}: {claim:?}");
        assert!(matches!(store.claim(order(text), [2; 32]).await.unwrap(), Claim::Mismatch));
    }
    assert!(matches!(store.claim(order("running"), [2; 32]).await.unwrap(), Claim::New(_)));
    drop(claims);
}

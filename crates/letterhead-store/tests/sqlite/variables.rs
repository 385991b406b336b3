//! Context variables in the file: those of secret requests are there with the key, nowhere without it, and never in the
//! clear.

use std::path::Path;
use std::sync::Arc;

use letterhead_store::sqlite::SqliteOptions;
use letterhead_store::{KeptVariable, Vault};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::conformance::variables::{fetched, fetched_with_secret, keeping, variables};
use crate::conformance::{House, key, owner, said, some_values};
use crate::files::{contains, everything};
use crate::house_at;
use crate::secrets::{KEY, OTHER, vault};

const CANARY: &str = "canary-that-is-a-secret";
const PRINT: &[u8; 32] = b"canary-that-is-a-fingerprint-too";

/// Runs a server on the file, and closes it.
async fn with<T>(path: &Path, vault: Option<Arc<Vault>>, work: impl AsyncFnOnce(&House) -> T) -> T {
    let (house, store) = house_at(path, SqliteOptions { vault, ..SqliteOptions::default() });
    let done = work(&house).await;
    house.store.close().await.unwrap();
    drop(store);
    done
}

/// The variables of the session `s`, as its next turn finds them.
async fn found(path: &Path, vault: Option<Arc<Vault>>) -> Value {
    with(path, vault, async |house| variables(&house.found(&key("s")).await.unwrap())).await
}

async fn turn(path: &Path, vault: Option<Arc<Vault>>, kept: Vec<KeptVariable>) {
    with(path, vault, async |house| drop(house.turn(&key("s"), keeping(kept)).await)).await;
}

fn stored(path: &Path) -> Vec<(String, bool, Vec<u8>)> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT name, sealed, body FROM variables ORDER BY session, name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_restart_keeps_them_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let kept = [
        KeptVariable { expires_at_ms: Some(i64::MAX), ..fetched("plan", some_values()) },
        KeptVariable { fingerprint: *PRINT, ..fetched_with_secret("user", some_values()) },
    ];
    turn(&path, vault(KEY, None), kept.to_vec()).await;
    with(&path, vault(KEY, None), async |house| {
        assert_eq!(house.session(&key("s")).await.variables, kept);
        assert_eq!(house.found(&key("s")).await.unwrap().variables, kept);
    })
    .await;
}

#[tokio::test]
async fn a_turn_writes_what_it_has_changed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let kept = vec![fetched("a", 1), fetched_with_secret("b", 1), fetched_with_secret("c", 1)];
    turn(&path, vault(KEY, None), kept.clone()).await;
    let before = stored(&path);
    // Equal ones are no change: what is sealed would look different each time.
    turn(&path, vault(KEY, None), kept).await;
    assert_eq!(stored(&path), before);
    turn(&path, vault(KEY, None), vec![fetched_with_secret("c", 2)]).await;
    let after = stored(&path);
    assert_eq!((&after[..2], after.len()), (&before[..2], 3));
    assert_ne!(after[2], before[2]);
}

#[tokio::test]
async fn without_the_key_or_with_another_one_those_of_secret_requests_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    turn(&path, vault(KEY, None), vec![fetched("plan", "pro"), fetched_with_secret("user", "u")]).await;
    for other in [None, vault(OTHER, None)] {
        assert_eq!(found(&path, other).await, json!({"plan": "pro"}));
    }
    // Looking has done no harm.
    assert_eq!(found(&path, vault(KEY, None)).await, json!({"plan": "pro", "user": "u"}));
    // What is fetched meanwhile counts, so that no older value comes back.
    turn(&path, None, vec![fetched_with_secret("user", "newer")]).await;
    assert_eq!(found(&path, vault(KEY, None)).await, json!({"plan": "pro"}));
}

#[tokio::test]
async fn the_previous_key_still_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    turn(&path, vault(KEY, None), vec![fetched_with_secret("user", "u"), fetched_with_secret("plan", "p")]).await;
    assert_eq!(found(&path, vault(OTHER, Some(KEY))).await, json!({"plan": "p", "user": "u"}));
    turn(&path, vault(OTHER, Some(KEY)), vec![fetched_with_secret("user", "u2")]).await;
    assert_eq!(found(&path, vault(OTHER, None)).await, json!({"user": "u2"}));
    assert_eq!(found(&path, vault(KEY, None)).await, json!({"plan": "p"}));
}

#[tokio::test]
async fn what_was_moved_or_damaged_counts_as_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let sessions = [key("s"), key("t"), owner("default", None).session(key("s").id)];
    with(&path, vault(KEY, None), async |house| {
        for session in &sessions {
            let kept = vec![fetched_with_secret("user", "u"), fetched_with_secret("plan", "p"), fetched("zone", 1)];
            house.turn(session, keeping(kept)).await;
        }
    })
    .await;
    // Everybody gets what the first session has in `user`, in every field.
    let sql = "UPDATE variables SET body = (SELECT body FROM variables WHERE session = 1 AND name = 'user') \
               WHERE sealed";
    assert_eq!(Connection::open(&path).unwrap().execute(sql, []).unwrap(), 6);
    with(&path, vault(KEY, None), async |house| {
        for session in &sessions[1..] {
            assert_eq!(variables(&house.session(session).await), json!({"zone": 1}), "{session:?}");
        }
        assert_eq!(variables(&house.session(&sessions[0]).await), json!({"user": "u", "zone": 1}));
    })
    .await;
    for damaged in ["zeroblob(80)", "x''", "x'01'", "substr(body, 1, 60)"] {
        let sql = format!("UPDATE variables SET body = {damaged} WHERE session = 1 AND sealed");
        Connection::open(&path).unwrap().execute(&sql, []).unwrap();
        assert_eq!(found(&path, vault(KEY, None)).await, json!({"zone": 1}), "{damaged}");
    }
}

#[tokio::test]
async fn a_sealed_header_does_not_open_as_a_variable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let header = json!("a value that is longer than a fingerprint, so that it would be taken for one and a value");
    with(&path, vault(KEY, None), async |house| {
        let headers = vec![crate::conformance::set_secret("user", header)];
        house.turn(&key("s"), crate::conformance::sent(headers)).await;
        house.turn(&key("s"), keeping(vec![fetched_with_secret("user", "v")])).await;
    })
    .await;
    let sql = "UPDATE variables SET body = (SELECT sealed FROM secrets)";
    assert_eq!(Connection::open(&path).unwrap().execute(sql, []).unwrap(), 1);
    assert_eq!(found(&path, vault(KEY, None)).await, json!({}));
}

#[tokio::test]
async fn no_file_has_one_of_a_secret_request_in_the_clear() {
    for key_or_none in [None, vault(KEY, None)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let is_sealed = key_or_none.is_some();
        let (house, _store) = house_at(&path, SqliteOptions { vault: key_or_none, ..SqliteOptions::default() });
        let secret = |name, value: Value| KeptVariable { fingerprint: *PRINT, ..fetched_with_secret(name, value) };
        house.turn(&key("s"), keeping(vec![fetched("plan", "plain"), secret("user", json!([[CANARY]]))])).await;
        // Once more, over what was plain.
        house.turn(&key("s"), keeping(vec![secret("plan", CANARY.into())])).await;
        house.turn(&key("t"), keeping(vec![fetched("plan", "plain")])).await;
        for closed in [false, true] {
            if closed {
                house.store.close().await.unwrap();
            }
            let (bytes, _) = everything(folder.path());
            assert!(contains(&bytes, "plain"), "the test must be able to see a value");
            assert!(!contains(&bytes, CANARY) && !contains(&bytes, "canary-that-is-a-fingerprint"));
        }
        assert_eq!(stored(&path).len(), if is_sealed { 3 } else { 1 });
    }
}

#[tokio::test]
async fn they_leave_the_file_with_their_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    turn(&path, vault(KEY, None), vec![fetched("plan", 1), fetched_with_secret("user", 1)]).await;
    with(&path, vault(KEY, None), async |house| {
        house.turn(&key("t"), keeping(vec![fetched("plan", 2)])).await;
        assert!(house.store.delete(&key("s")).await.unwrap());
    })
    .await;
    assert_eq!(stored(&path).len(), 1);
}

#[tokio::test]
async fn a_warm_turn_with_variables_reads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { vault: vault(KEY, None), ..SqliteOptions::default() };
    let (house, store) = house_at(&folder.path().join("test.db"), options);
    house.turn(&key("s"), keeping(vec![fetched("plan", 1), fetched_with_secret("user", 1)])).await;
    let before = store.stats();
    let session = house.turn(&key("s"), said(&["u1", "a1"])).await;
    assert_eq!(variables(&session), json!({"plan": 1, "user": 1}));
    let after = store.stats();
    assert_eq!((after.reads - before.reads, after.transactions - before.transactions), (0, 1));
}

#[tokio::test]
async fn the_cache_counts_them() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { cache_bytes: 100_000, ..SqliteOptions::default() };
    let (house, store) = house_at(&folder.path().join("test.db"), options);
    for n in 0..4 {
        house.turn(&key(&format!("s{n}")), keeping(vec![fetched("plan", "x".repeat(40_000))])).await;
    }
    let before = store.stats().reads;
    drop(house.begin(&key("s3")).await);
    assert_eq!(store.stats().reads, before);
    assert_eq!(variables(&house.found(&key("s0")).await.unwrap())["plan"].as_str().unwrap().len(), 40_000);
    assert!(store.stats().reads > before);
}

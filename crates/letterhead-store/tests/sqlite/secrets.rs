//! Secrets in the file: there with the key, nowhere without it, and never in the clear.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use letterhead_store::sqlite::SqliteOptions;
use letterhead_store::{HeaderChange, Page, SessionFilter, Vault, VaultKey};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::conformance::{House, headers, key, owner, sent, set, set_secret, some_values};
use crate::files::{contains, everything};
use crate::house_at;

pub(crate) const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
pub(crate) const OTHER: &str = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd";
const CANARY: &str = "canary-that-is-a-secret";

pub(crate) fn vault(current: &str, previous: Option<&str>) -> Option<Arc<Vault>> {
    let key = |hex| VaultKey::parse(hex).unwrap();
    Some(Arc::new(Vault::new(key(current), previous.map(key))))
}

/// Runs a server on the file, and closes it.
async fn with<T>(path: &Path, vault: Option<Arc<Vault>>, work: impl AsyncFnOnce(&House) -> T) -> T {
    let (house, store) = house_at(path, SqliteOptions { vault, ..SqliteOptions::default() });
    let done = work(&house).await;
    house.store.close().await.unwrap();
    drop(store);
    done
}

/// The headers of the session `s`, as its next turn finds them.
async fn found(path: &Path, vault: Option<Arc<Vault>>) -> Value {
    with(path, vault, async |house| headers(&house.found(&key("s")).await.unwrap())).await
}

async fn turn(path: &Path, vault: Option<Arc<Vault>>, changes: Vec<HeaderChange>) {
    with(path, vault, async |house| drop(house.turn(&key("s"), sent(changes)).await)).await;
}

fn stored(path: &Path) -> Vec<(String, Vec<u8>)> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT field, sealed FROM secrets ORDER BY place").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_restart_with_the_key_keeps_secrets_of_every_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let all = json!({"plan": "pro", "token": "t", "values": some_values(), "pin": 7});
    let changes =
        vec![set_secret("token", "t"), set("plan", "pro"), set_secret("values", some_values()), set_secret("pin", 7)];
    turn(&path, vault(KEY, None), changes).await;
    with(&path, vault(KEY, None), async |house| {
        // In a list, in a look at the session, and in a turn.
        let list = house.store.sessions(&key("s").owner(), &SessionFilter::default(), &Page::default()).await.unwrap();
        let names: Vec<&str> = list.data[0].headers.iter().map(|name| &**name).collect();
        assert_eq!(names, ["plan", "token", "values", "pin"]);
        let session = house.session(&key("s")).await;
        assert_eq!(headers(&session), all);
        assert_eq!(house.found(&key("s")).await, Some(session.clone()));
        assert!(session.header("pin").unwrap().secret && !session.header("plan").unwrap().secret);
        // Its time goes on from when it was sent.
        house.clock.advance(Duration::from_hours(1));
        assert_eq!(headers(&house.session(&key("s")).await), json!({"plan": "pro"}));
    })
    .await;
}

#[tokio::test]
async fn without_the_key_or_with_another_one_they_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    turn(&path, vault(KEY, None), vec![set("plan", "pro"), set_secret("token", "t")]).await;
    for other in [None, vault(OTHER, None)] {
        assert_eq!(found(&path, other).await, json!({"plan": "pro"}));
    }
    // Looking has done no harm.
    assert_eq!(found(&path, vault(KEY, None)).await, json!({"plan": "pro", "token": "t"}));
    // What is sent meanwhile counts, so that no older value comes back.
    turn(&path, None, vec![set_secret("token", "newer")]).await;
    assert_eq!(found(&path, vault(KEY, None)).await, json!({"plan": "pro"}));
    turn(&path, vault(KEY, None), vec![set_secret("token", "t")]).await;
    turn(&path, vault(OTHER, None), vec![HeaderChange::Clear { field: "token".into() }]).await;
    assert_eq!(found(&path, vault(KEY, None)).await, json!({"plan": "pro"}));
}

#[tokio::test]
async fn the_previous_key_still_opens_and_the_next_turn_writes_with_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    turn(&path, vault(KEY, None), vec![set_secret("token", "t")]).await;
    let old = stored(&path);
    assert_eq!(found(&path, vault(OTHER, Some(KEY))).await, json!({"token": "t"}));
    assert_eq!(stored(&path), old, "reading writes nothing");
    // A turn that sends nothing.
    turn(&path, vault(OTHER, Some(KEY)), Vec::new()).await;
    assert_ne!(stored(&path), old);
    assert_eq!(found(&path, vault(OTHER, None)).await, json!({"token": "t"}));
    assert_eq!(found(&path, vault(KEY, None)).await, json!({}));
}

#[tokio::test]
async fn a_turn_that_changes_no_secret_writes_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    turn(&path, vault(KEY, None), vec![set_secret("token", "t")]).await;
    let before = stored(&path);
    turn(&path, vault(KEY, None), vec![set("plan", "pro")]).await;
    assert_eq!(stored(&path), before);
    with(&path, vault(KEY, None), async |house| {
        house.clock.advance(Duration::from_secs(1));
        house.turn(&key("s"), sent(vec![set_secret("token", "t")])).await;
    })
    .await;
    assert_ne!(stored(&path), before);
    assert_eq!(stored(&path).len(), 1);
}

#[tokio::test]
async fn a_value_that_was_moved_or_damaged_counts_as_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let sessions = [
        key("s"),
        owner("default", Some("ada")).session(key("t").id),
        owner("default", Some("eve")).session(key("s").id),
        owner("default", None).session(key("s").id),
        owner("other", Some("ada")).session(key("s").id),
    ];
    with(&path, vault(KEY, None), async |house| {
        for session in &sessions {
            let changes = vec![set_secret("token", format!("{session:?}")), set_secret("pin", 1), set("plan", "pro")];
            house.turn(session, sent(changes)).await;
        }
    })
    .await;
    // Everybody gets what the first session has in `token`, in both fields.
    let sql = "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE session = 1 AND field = 'token')";
    assert_eq!(Connection::open(&path).unwrap().execute(sql, []).unwrap(), 10);
    with(&path, vault(KEY, None), async |house| {
        for session in &sessions[1..] {
            assert_eq!(headers(&house.session(session).await), json!({"plan": "pro"}), "{session:?}");
        }
        let first = json!({"plan": "pro", "token": format!("{:?}", sessions[0])});
        assert_eq!(headers(&house.session(&sessions[0]).await), first);
    })
    .await;
    for damaged in ["zeroblob(40)", "x''", "x'01'", "substr(sealed, 1, 36)"] {
        let sql = format!("UPDATE secrets SET sealed = {damaged} WHERE session = 1");
        Connection::open(&path).unwrap().execute(&sql, []).unwrap();
        assert_eq!(found(&path, vault(KEY, None)).await, json!({"plan": "pro"}), "{damaged}");
    }
    // The next turn sweeps up.
    turn(&path, vault(KEY, None), vec![set_secret("new", 1)]).await;
    assert_eq!(found(&path, vault(KEY, None)).await, json!({"plan": "pro", "new": 1}));
    assert_eq!(stored(&path).len(), 2 * (sessions.len() - 1) + 1);
}

#[tokio::test]
async fn they_go_with_their_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    turn(&path, vault(KEY, None), vec![set_secret("token", "t")]).await;
    with(&path, vault(KEY, None), async |house| assert!(house.store.delete(&key("s")).await.unwrap())).await;
    assert!(stored(&path).is_empty());
    turn(&path, vault(KEY, None), Vec::new()).await;
    assert_eq!(found(&path, vault(KEY, None)).await, json!({}));
}

#[tokio::test]
async fn no_file_has_one_in_the_clear_nor_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (house, _store) = house_at(&path, SqliteOptions { vault: vault(KEY, Some(OTHER)), ..SqliteOptions::default() });
    let changes = vec![
        set("user_id", "u"),
        set("plan", "plain"),
        set_secret("token", CANARY),
        set_secret("nested", json!([[CANARY]])),
    ];
    house.turn(&key("s"), sent(changes)).await;
    house.turn(&key("s"), sent(vec![set_secret("user_id", CANARY)])).await;
    let raw_key: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&KEY[at..at + 2], 16).unwrap()).collect();
    for closed in [false, true] {
        if closed {
            house.store.close().await.unwrap();
        }
        let (bytes, _) = everything(folder.path());
        assert!(contains(&bytes, "plain") && contains(&bytes, "nested"), "the test must be able to see a value");
        assert!(!contains(&bytes, CANARY) && !contains(&bytes, &KEY[..16]));
        assert!(!bytes.windows(8).any(|window| window == &raw_key[..8]));
    }
    assert_eq!(stored(&path).len(), 3);
}

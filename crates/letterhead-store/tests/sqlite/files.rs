//! What stands in the files, and which files are opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use letterhead_store::sqlite::{OpenError, SqliteOptions};
use letterhead_store::{Claim, FixedClock, IdempotencyKey, Page, SqliteStore, TurnFilter, TurnRecord};
use rusqlite::Connection;
use serde_json::json;

use crate::conformance::variables::variables;
use crate::conformance::{entry, headers, ids, key, said, set, set_secret, some_values};
use crate::house_at;
use crate::secrets::{KEY, vault};

const PLAIN: &str = "canary-that-is-no-secret";
const SECRET: &str = "canary-that-is-a-secret";

fn try_open(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, SqliteOptions::default(), Arc::new(FixedClock::at(0)))
}

/// All bytes of the database and of the files beside it, with the names of those.
pub(crate) fn everything(folder: &Path) -> (Vec<u8>, Vec<String>) {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    let bytes = files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect();
    (bytes, files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect())
}

pub(crate) fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn a_restart_without_a_key_keeps_everything_but_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (house, store) = house_at(&path, SqliteOptions::default());
    let record = TurnRecord {
        state: Some(r#"{"a":1}"#.into()),
        headers: vec![set("values", some_values()), set_secret("auth_token", "t")],
        trail: vec![entry("X-User")],
        agent: "billing".into(),
        ..said(&["u1", "a1"])
    };
    let failed = TurnRecord { status: letterhead_store::Status::Failed, ..said(&["u2"]) };
    house.turn(&key("s"), record).await;
    let before = house.turn(&key("s"), failed).await;
    let (listed, list) = (house.listed(&key("s")).await, Page::default());
    let trail = house.store.trail(&key("s"), &list).await.unwrap();
    house.store.close().await.unwrap();
    drop((house, store));

    let (house, _) = house_at(&path, SqliteOptions::default());
    let after = house.found(&key("s")).await.unwrap();
    assert_eq!((&after.record, &after.state, after.turns), (&before.record, &before.state, 2));
    assert_eq!(after.messages, before.messages);
    assert_eq!(headers(&after), json!({ "values": some_values() }));
    assert_eq!(house.listed(&key("s")).await, listed);
    assert_eq!(house.store.trail(&key("s"), &list).await.unwrap(), trail);
    // Numbers go on where they stopped.
    let next = house.turn(&key("s"), said(&["u3", "a3"])).await;
    assert_eq!((next.turns, ids(&next.messages)), (3, vec!["u1", "a1", "u3", "a3"]));
    let other = house.turn(&key("other"), said(&["u1"])).await;
    assert_eq!(other.messages.len(), 1);
}

#[tokio::test]
async fn no_secret_is_in_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let (house, _store) = house_at(&folder.path().join("test.db"), SqliteOptions::default());
    let record = TurnRecord {
        headers: vec![set("user_id", PLAIN), set_secret("auth_token", SECRET), set_secret("nested", json!([[SECRET]]))],
        ..said(&["u1"])
    };
    house.turn(&key("s"), record).await;
    // Once more, over what was plain.
    house.turn(&key("s"), TurnRecord { headers: vec![set_secret("user_id", SECRET)], ..said(&["u2"]) }).await;
    let (bytes, names) = everything(folder.path());
    assert_eq!(names, ["test.db", "test.db-lock", "test.db-shm", "test.db-wal"]);
    assert!(contains(&bytes, PLAIN), "the test must be able to see a value");
    assert!(!contains(&bytes, SECRET));

    house.store.close().await.unwrap();
    let (bytes, names) = everything(folder.path());
    assert_eq!(names, ["test.db", "test.db-lock"]);
    assert!(contains(&bytes, "u2") && !contains(&bytes, SECRET));
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (house, _store) = house_at(&folder.path().join("test.db"), SqliteOptions::default());
    house.turn(&key("s"), said(&["u1"])).await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[tokio::test]
async fn a_database_of_every_released_version_opens() {
    let dumps = [
        (1, include_str!("fixtures/version-1.sql")),
        (2, include_str!("fixtures/version-2.sql")),
        (5, include_str!("fixtures/version-5.sql")),
    ];
    for (version, dump) in dumps {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.db");
        Connection::open(&path).unwrap().execute_batch(dump).unwrap();
        let options = SqliteOptions { vault: vault(KEY, None), ..SqliteOptions::default() };
        let (house, store) = house_at(&path, options.clone());
        let session = house.session(&key("sess-456")).await;
        assert_eq!((session.turns, ids(&session.messages)), (2, vec!["m1", "m2"]), "version {version}");
        // Its secret was sealed by another program, from the description of the form alone.
        let secret = (version > 1).then_some("t0k3n");
        assert_eq!(session.header("auth_token").map(|header| &header.value), secret.map(Into::into).as_ref());
        assert_eq!(session.header("user_id").unwrap().value, json!("u_1"));
        assert_eq!(session.state.as_deref(), Some(r#"{"order":7}"#));
        assert_eq!(ids(&house.listed(&key("sess-456")).await), ["m1", "m2", "m3"]);
        let trail = house.store.trail(&key("sess-456"), &Page::default()).await.unwrap().unwrap();
        assert_eq!(trail.data[0].entries, [entry("X-Agent")]);
        let filter = TurnFilter { session: Some(key("sess-456").id), ..TurnFilter::default() };
        let turns = house.store.turns(&key("sess-456").owner(), &filter, &Page::default()).await.unwrap().data;
        assert_eq!(turns.iter().map(|turn| turn.number).collect::<Vec<_>>(), [2, 1]);
        for turn in &turns {
            assert_eq!((Some(turn.began_at_ms), &turn.agent), (turn.ended_at_ms, &None));
            let found = house.store.turn(&key("sess-456").owner(), turn.id).await.unwrap().unwrap();
            assert!(found.messages.iter().all(|message| message.turn == turn.number), "{found:?}");
        }
        if version < 5 {
            assert_eq!((session.variables.len(), house.store.api_keys().await.unwrap().len()), (0, 0));
        } else {
            assert_eq!(variables(&session), json!({"plan": "pro", "user": {"name": "Ada"}}));
            assert_eq!(session.variable("user").unwrap().fingerprint, [9; 32]);
            assert_eq!(&*house.store.api_key("k1").await.unwrap().unwrap().scopes[0], "docs:write");
            let session = Some(key("sess-456").id);
            let order = IdempotencyKey { owner: key("s").owner(), session, key: "order-7".into() };
            let claim = house.store.claim(order, [1; 32]).await.unwrap();
            assert!(matches!(&claim, Claim::Answered(body) if **body == *b"answer"), "{claim:?}");
        }
        let record = TurnRecord { headers: vec![set_secret("auth_token", "t")], ..said(&["m4"]) };
        let next = house.turn(&key("sess-456"), record).await;
        assert_eq!(ids(&next.messages), ["m1", "m2", "m4"]);
        // It is of the newest version now, and keeps what that keeps.
        house.store.close().await.unwrap();
        drop((house, store));
        let (house, _) = house_at(&path, options);
        assert_eq!(headers(&house.session(&key("sess-456")).await), json!({"user_id": "u_1", "auth_token": "t"}));
    }
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (house, store) = house_at(&path, SqliteOptions::default());
    house.store.close().await.unwrap();
    drop((house, store));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = try_open(&path).err().unwrap();
    assert!(matches!(refused, OpenError::Newer { found: 99, .. }), "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains("test.db") && text.contains("99") && text.contains("update Letterhead"), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_no_letterhead_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "Dear diary, this is longer than the header of a database would be. ".repeat(30)).unwrap();
    let foreign = folder.path().join("other.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
        .unwrap();
    for path in [text, foreign] {
        let before = std::fs::read(&path).unwrap();
        let refused = try_open(&path).err().unwrap();
        assert!(matches!(refused, OpenError::Foreign { .. }), "{refused:?}");
        assert!(refused.to_string().contains(path.file_name().unwrap().to_str().unwrap()));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
    let nowhere = try_open(&folder.path().join("no/such/folder.db")).err().unwrap();
    assert!(matches!(nowhere, OpenError::Cannot { .. }) && nowhere.to_string().contains("folder.db"));
}

#[tokio::test]
async fn a_second_server_on_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (house, _store) = house_at(&path, SqliteOptions::default());
    // Under another spelling of its name, too.
    let other_name = folder.path().join("../").join(folder.path().file_name().unwrap()).join("test.db");
    for path in [&path, &other_name] {
        let refused = try_open(path).err().unwrap();
        assert!(matches!(refused, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{refused:?}");
        assert!(refused.to_string().contains("test.db is in use by another server"), "{refused}");
    }
    house.turn(&key("s"), said(&["u1"])).await;
    // Closing lets the next one in, though the first still stands.
    house.store.close().await.unwrap();
    let (next, _) = house_at(&path, SqliteOptions::default());
    assert_eq!(ids(&next.session(&key("s")).await.messages), ["u1"]);
}

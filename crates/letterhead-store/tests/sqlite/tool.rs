//! What the command line does with a database while a server has it open, and while none has.

use std::path::Path;
use std::sync::Arc;

use letterhead_store::sqlite::{OpenError, SqliteOptions, SqliteTool};
use letterhead_store::{
    ApiKeys, ChildRun, Condition, DocumentFilter, Documents, FixedClock, NewMessage, Page, Role, StoreError, Terms,
    Usage, Whose,
};
use rusqlite::Connection;
use serde_json::json;

use crate::conformance::api_keys::api_key;
use crate::conformance::documents::{doc_key, new, shared};
use crate::conformance::variables::{fetched, fetched_with_secret};
use crate::conformance::{START, entry, key, owner, said, set, set_secret};
use crate::secrets::{KEY, vault};
use crate::{house_at, impatient};

fn open(path: &Path) -> Result<SqliteTool, OpenError> {
    SqliteTool::open(path, impatient(), Arc::new(FixedClock::at(START)))
}

#[tokio::test]
async fn keys_go_to_and_fro_while_a_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (house, store) = house_at(&path, SqliteOptions::default());
    house.turn(&key("s"), said(&["u1"])).await;
    let tool = open(&path).unwrap();
    tool.create_api_key(api_key("of-the-tool")).await.unwrap();
    assert!(matches!(tool.create_api_key(api_key("of-the-tool")).await, Err(StoreError::Invalid { .. })));
    store.create_api_key(api_key("of-the-server")).await.unwrap();
    assert_eq!(store.api_keys().await.unwrap(), [api_key("of-the-tool"), api_key("of-the-server")]);
    assert_eq!(tool.api_keys().await.unwrap(), store.api_keys().await.unwrap());

    assert!(tool.revoke_api_key("of-the-server").await.unwrap());
    assert!(!tool.revoke_api_key("of-nobody").await.unwrap());
    assert_eq!(store.api_key("of-the-server").await.unwrap().unwrap().revoked_at_ms, Some(START));
    assert_eq!(tool.api_key("of-the-server").await.unwrap(), store.api_key("of-the-server").await.unwrap());
    // The server goes on, with the tool there and gone.
    house.turn(&key("s"), said(&["u2"])).await;
    drop(tool);
    house.turn(&key("s"), said(&["u3"])).await;
    house.store.close().await.unwrap();
    drop((house, store));
    let (house, _store) = house_at(&path, SqliteOptions::default());
    assert_eq!(house.session(&key("s")).await.messages.len(), 3);
    assert_eq!(house.store.api_keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn documents_go_to_and_fro_while_a_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (_house, store) = house_at(&path, SqliteOptions::default());
    let tool = open(&path).unwrap();
    let (reader, shelf) = (owner("acme", None), shared("acme"));
    let absent = Terms { condition: Condition::Absent, most: None };
    tool.put_documents(&shelf, vec![new("of-the-tool", "1")], absent).await.unwrap();
    let again = vec![new("another", "2"), new("of-the-tool", "2")];
    assert_eq!(tool.put_documents(&shelf, again.clone(), absent).await, Err(StoreError::Changed));
    assert_eq!(store.put_documents(&shelf, again.clone(), absent).await, Err(StoreError::Changed));
    store.put_documents(&shelf, vec![new("of-the-server", "3")], absent).await.unwrap();
    // What was refused left nothing, in either.
    let all = tool.documents(&reader, &DocumentFilter::default(), &Page::default()).await.unwrap();
    assert_eq!(all, store.documents(&reader, &DocumentFilter::default(), &Page::default()).await.unwrap());
    let keys: Vec<&str> = all.data.iter().map(|head| head.key.as_str()).collect();
    assert_eq!(keys, ["of-the-server", "of-the-tool"]);
    for key in keys {
        let key = doc_key(key);
        let found = tool.document(&reader, &key, Whose::default()).await.unwrap();
        assert_eq!(found, store.document(&reader, &key, Whose::default()).await.unwrap());
        let revision = found.map(|document| document.head.revision);
        assert!(tool.delete_document(&shelf, &key, revision).await.unwrap());
        assert_eq!(store.delete_document(&shelf, &key, revision).await, Err(StoreError::Changed));
    }
}

#[tokio::test]
async fn keys_can_be_made_before_any_server_has_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let tool = open(&path).unwrap();
    tool.create_api_key(api_key("k1")).await.unwrap();
    // It stands in no server's way.
    let (house, _store) = house_at(&path, SqliteOptions::default());
    assert_eq!(house.store.api_keys().await.unwrap(), [api_key("k1")]);
}

#[tokio::test]
async fn a_database_of_an_older_version_is_brought_to_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    Connection::open(&path).unwrap().execute_batch(include_str!("fixtures/version-2.sql")).unwrap();
    open(&path).unwrap().create_api_key(api_key("k1")).await.unwrap();
    let (house, _store) = house_at(&path, SqliteOptions::default());
    assert_eq!(house.session(&key("sess-456")).await.turns, 2);
    assert_eq!(house.store.api_keys().await.unwrap(), [api_key("k1")]);
}

#[test]
fn what_is_no_letterhead_database_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("other.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "Dear diary, this is longer than the header of a database would be. ".repeat(30)).unwrap();
    for path in [foreign, text] {
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(open(&path).err(), Some(OpenError::Foreign { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn an_export_has_everything_but_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let options = SqliteOptions { vault: vault(KEY, None), ..SqliteOptions::default() };
    let (house, _store) = house_at(&path, options.clone());
    let record = letterhead_store::TurnRecord {
        headers: vec![set("user_id", "u_1"), set_secret("token", "canary-1")],
        variables: vec![fetched("plan", json!({"name": "pro"})), fetched_with_secret("user", "canary-2")],
        state: Some(r#"{"order":7}"#.into()),
        trail: vec![entry("X-User")],
        ..said(&["u1", "a1"])
    };
    let question = NewMessage::new("q1", Role::User, r#"{"role":"user","content":"why?"}"#);
    let child = ChildRun {
        agent: "researcher".into(),
        call_id: "c1".into(),
        status: letterhead_store::Status::Failed,
        usage: Usage::default(),
        messages: vec![question],
        children: Vec::new(),
    };
    house.turn(&key("s"), letterhead_store::TurnRecord { children: vec![child], ..record }).await;
    let failed = letterhead_store::Status::Failed;
    house.turn(&key("s"), letterhead_store::TurnRecord { status: failed, ..said(&["u2"]) }).await;
    // More than a page.
    for n in 0..500 {
        house.turn(&key("s"), said(&[&format!("n{n}")])).await;
    }

    let tool = SqliteTool::open(&path, options, house.clock.clone()).unwrap();
    let export = tool.export(&key("s")).unwrap().unwrap();
    let read = letterhead_store::SessionExport::read(&*house.store, &key("s")).await.unwrap().unwrap();
    let shown = format!("{export:?}");
    let (export, read) = [export, read].map(|export| serde_json::to_value(export).unwrap()).into();
    assert_eq!(export, read);
    assert!(tool.export(&key("t")).unwrap().is_none());

    let text = export.to_string();
    assert!(!text.contains("canary") && !text.contains("fingerprint") && !shown.contains("content"));
    assert_eq!((&export["version"], &export["id"], &export["user"]), (&json!(1), &json!("s"), &json!("ada")));
    assert_eq!(export["headers"][0], json!({"field": "user_id", "secret": false, "value": "u_1", "sent_at_ms": START}));
    assert_eq!(export["headers"][1], json!({"field": "token", "secret": true, "sent_at_ms": START}));
    assert_eq!(export["variables"][0]["value"], json!({"name": "pro"}));
    assert_eq!(export["variables"][1].as_object().unwrap().get("value"), None);
    assert_eq!(export["state"], json!({"order": 7}));
    assert_eq!((&export["trail"][0]["turn"], &export["trail"][0]["header"]), (&json!(1), &json!("X-User")));
    assert_eq!(export["messages"].as_array().unwrap().len(), 503);
    assert_eq!(export["messages"][0]["body"], json!({"role": "user", "content": "u1"}));
    assert_eq!(export["messages"][2]["status"], "failed");
    let turns = export["turn_list"].as_array().unwrap();
    assert_eq!(turns.len(), 502);
    assert_eq!(
        (&turns[0]["turn"], &turns[0]["status"], &turns[1]["status"]),
        (&json!(1), &json!("complete"), &json!("failed"))
    );
    let child = &turns[0]["children"][0];
    assert_eq!(
        (&child["agent"], &child["call_id"], &child["status"]),
        (&json!("researcher"), &json!("c1"), &json!("failed"))
    );
    assert_eq!(child["messages"][0]["body"], json!({"role": "user", "content": "why?"}));
}

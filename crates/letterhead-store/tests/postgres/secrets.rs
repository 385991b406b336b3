//! Secrets over several nodes: with the key on all of them, and without one on the node alone that they were sent to.

use std::sync::Arc;
use std::time::Duration;

use letterhead_store::postgres::PostgresOptions;
use letterhead_store::{Vault, VaultKey};
use serde_json::json;

use crate::conformance::{headers, key, sent, set, set_secret};
use crate::{few, found, fresh, fresh_with_name, node, node_with};

pub(crate) const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const OTHER: &str = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd";
const CANARY: &str = "canary-that-is-a-secret";

pub(crate) fn vault(current: &str, previous: Option<&str>) -> Option<Arc<Vault>> {
    let key = |hex| VaultKey::parse(hex).unwrap();
    Some(Arc::new(Vault::new(key(current), previous.map(key))))
}

fn keyed(current: &str, previous: Option<&str>) -> PostgresOptions {
    PostgresOptions { vault: vault(current, previous), ..few() }
}

#[tokio::test]
async fn with_the_key_every_node_has_them_and_with_another_none() {
    let Some(url) = fresh() else { return };
    let first = node_with(&url, keyed(KEY, None));
    first.turn(&key("s"), sent(vec![set("plan", "pro"), set_secret("token", "t")])).await;
    let all = json!({"plan": "pro", "token": "t"});
    for second in [node_with(&url, keyed(KEY, None)), node_with(&url, keyed(OTHER, Some(KEY)))] {
        assert_eq!(headers(&found(&second, &key("s")).await.unwrap()), all);
        assert_eq!(headers(&second.session(&key("s")).await), all);
    }
    for blind in [node(&url), node_with(&url, keyed(OTHER, None))] {
        assert_eq!(headers(&found(&blind, &key("s")).await.unwrap()), json!({"plan": "pro"}));
    }
    // A turn that sends nothing writes them anew where they were sealed with the previous key.
    let rotated = node_with(&url, keyed(OTHER, Some(KEY)));
    let turn = rotated.store.begin(&key("s"), Duration::from_secs(5)).await.unwrap();
    rotated.store.commit(turn, sent(Vec::new())).await.unwrap();
    assert_eq!(headers(&found(&node_with(&url, keyed(OTHER, None)), &key("s")).await.unwrap()), all);
}

#[tokio::test]
async fn without_a_key_no_node_uses_one_that_another_may_have_replaced() {
    let Some(url) = fresh() else { return };
    let (first, second) = (node(&url), node(&url));
    first.turn(&key("s"), sent(vec![set("plan", "pro"), set_secret("token", "old")])).await;
    assert_eq!(headers(&found(&first, &key("s")).await.unwrap()), json!({"plan": "pro", "token": "old"}));
    assert_eq!(headers(&found(&second, &key("s")).await.unwrap()), json!({"plan": "pro"}));
    let turn = second.store.begin(&key("s"), Duration::from_secs(5)).await.unwrap();
    second.store.commit(turn, sent(vec![set_secret("token", "new")])).await.unwrap();
    assert_eq!(headers(&found(&first, &key("s")).await.unwrap()), json!({"plan": "pro"}));
    assert_eq!(headers(&first.session(&key("s")).await), json!({"plan": "pro"}));
    assert_eq!(headers(&found(&second, &key("s")).await.unwrap()), json!({"plan": "pro", "token": "new"}));
}

#[tokio::test]
async fn the_database_has_none_in_the_clear() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let changes =
        || vec![set("user_id", "u-visible"), set_secret("token", CANARY), set_secret("list", json!([[CANARY]]))];
    node_with(&url, keyed(KEY, None)).turn(&key("s"), sent(changes())).await;
    node(&url).turn(&key("t"), sent(changes())).await;
    let mut seen = String::new();
    for table in ["sessions", "messages", "turns", "secrets", "variables", "leases", "answers", "api_keys"] {
        seen += &postgres.sql(&name, &format!("SELECT * FROM letterhead.{table}"));
    }
    assert!(seen.contains("u-visible"), "the test must be able to see a value");
    assert!(!seen.contains(CANARY) && !seen.contains(&hex(CANARY)), "{seen}");
    assert_eq!(postgres.sql(&name, "SELECT count(*) FROM letterhead.secrets"), "2");
}

/// As `psql` shows bytes.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

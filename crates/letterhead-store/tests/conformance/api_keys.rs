//! API keys.

use std::time::Duration;

use letterhead_context::TenantId;
use letterhead_store::{ApiKey, StoreError};

use super::{Open, START, open_default};

pub(crate) fn api_key(id: &str) -> ApiKey {
    ApiKey {
        id: id.into(),
        name: "nightly job".into(),
        tenant: TenantId::new("acme"),
        scopes: vec!["docs:write".into(), "ä \"b\"".into()],
        on_behalf: true,
        created_at_ms: START,
        expires_at_ms: Some(START + 5_000),
        revoked_at_ms: None,
        secret_sha256: [200; 32],
    }
}

pub(crate) async fn they_come_back_whole_in_the_order_of_their_making(open: Open) {
    let house = open_default(open);
    assert_eq!(house.store.api_keys().await.unwrap(), []);
    assert_eq!(house.store.api_key("k1").await.unwrap(), None);
    let plain = ApiKey { scopes: Vec::new(), on_behalf: false, expires_at_ms: None, ..api_key("a-later-one") };
    let keys = [api_key("k1"), api_key("K1"), plain];
    for key in &keys {
        house.store.create_api_key(key.clone()).await.unwrap();
    }
    assert_eq!(house.store.api_keys().await.unwrap(), keys);
    for key in &keys {
        assert_eq!(house.store.api_key(&key.id).await.unwrap().as_ref(), Some(key));
    }
    assert_eq!(house.store.api_key("k").await.unwrap(), None);
}

pub(crate) async fn an_id_is_given_once(open: Open) {
    let house = open_default(open);
    house.store.create_api_key(api_key("k1")).await.unwrap();
    let other = ApiKey { tenant: TenantId::new("evil"), secret_sha256: [1; 32], ..api_key("k1") };
    assert!(matches!(house.store.create_api_key(other.clone()).await, Err(StoreError::Invalid { .. })));
    // Not after it was revoked, either.
    house.store.revoke_api_key("k1").await.unwrap();
    assert!(matches!(house.store.create_api_key(other).await, Err(StoreError::Invalid { .. })));
    assert_eq!(house.store.api_key("k1").await.unwrap().unwrap().tenant.as_str(), "acme");
    assert_eq!(house.store.api_keys().await.unwrap().len(), 1);
}

pub(crate) async fn a_revoked_one_stays_and_keeps_its_time(open: Open) {
    let house = open_default(open);
    for id in ["k1", "k2"] {
        house.store.create_api_key(api_key(id)).await.unwrap();
    }
    house.clock.advance(Duration::from_secs(1));
    assert!(house.store.revoke_api_key("k1").await.unwrap());
    house.clock.advance(Duration::from_secs(1));
    assert!(house.store.revoke_api_key("k1").await.unwrap());
    assert!(!house.store.revoke_api_key("k3").await.unwrap());
    let revoked = ApiKey { revoked_at_ms: Some(START + 1_000), ..api_key("k1") };
    assert_eq!(house.store.api_key("k1").await.unwrap(), Some(revoked.clone()));
    assert_eq!(house.store.api_keys().await.unwrap(), [revoked.clone(), api_key("k2")]);

    assert!(!revoked.is_valid(START));
    assert!(api_key("k2").is_valid(START + 4_999) && !api_key("k2").is_valid(START + 5_000));
    assert!(ApiKey { expires_at_ms: None, ..api_key("k2") }.is_valid(i64::MAX));
}

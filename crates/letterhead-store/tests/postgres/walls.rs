//! Row-level security: what a statement sees, whatever it asks for.

use letterhead_store::{Claim, IdempotencyKey, KeptVariable, StoreError};
use letterhead_testkit::Postgres;

use crate::conformance::{House, START, entry, key, owner, said, set_secret};
use crate::secrets::{KEY, vault};
use crate::{few, fresh_with_name, node, node_with, try_node};

const TABLES: [&str; 7] = ["answers", "leases", "messages", "secrets", "sessions", "turns", "variables"];

/// Fills every table with rows of a tenant.
async fn fill(house: &House, tenant: &str) {
    let owner = owner(tenant, Some("ada"));
    let session = owner.session(key("s").id);
    let variable = KeptVariable {
        name: "user".into(),
        value: std::sync::Arc::new("Ada".into()),
        fingerprint: [7; 32],
        fetched_at_ms: START,
        expires_at_ms: Some(START + 1),
        secret: false,
    };
    let record = letterhead_store::TurnRecord {
        headers: vec![set_secret("token", "t")],
        variables: vec![variable],
        trail: vec![entry("X-User")],
        ..said(&["u1", "a1"])
    };
    house.turn(&session, record).await;
    std::mem::forget(house.begin(&session).await);
    let claimed = house.store.claim(IdempotencyKey { owner, session: None, key: "k".into() }, [1; 32]).await.unwrap();
    assert!(matches!(claimed, Claim::New(_)));
    std::mem::forget(claimed);
}

/// Runs statements as the server's connections do, with these settings.
fn as_app(postgres: &Postgres, database: &str, settings: &[(&str, &str)], statement: &str) -> Result<String, String> {
    let set: String = settings.iter().map(|(name, value)| format!("SET LOCAL app.{name} = '{value}'; ")).collect();
    postgres.try_sql(database, &format!("SET ROLE letterhead_app; SET search_path TO letterhead; {set} {statement}"))
}

#[tokio::test]
async fn a_wrong_statement_sees_and_changes_nothing_of_another_tenant() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let house = node_with(&url, letterhead_store::postgres::PostgresOptions { vault: vault(KEY, None), ..few() });
    fill(&house, "a").await;
    fill(&house, "b").await;
    let run = |settings: &[(&str, &str)], statement: &str| as_app(postgres, &name, settings, statement);
    for table in TABLES {
        let all = format!("SELECT count(*), min(tenant_id), max(tenant_id) FROM {table}");
        let own = run(&[("tenant", "a")], &all).unwrap();
        assert!(own.ends_with("|a|a") && !own.starts_with("0"), "{table}: {own}");
        for (settings, what) in
            [(vec![], "nobody"), (vec![("tenant", "")], "an empty name"), (vec![("tenant", "c")], "c")]
        {
            assert_eq!(run(&settings, &all).unwrap(), "0||", "{table}, bound to {what}");
        }
        let before = postgres.sql(&name, &format!("SELECT count(*) FROM letterhead.{table} WHERE tenant_id = 'b'"));
        run(&[("tenant", "c")], &format!("DELETE FROM {table}")).unwrap();
        run(&[("tenant", "c")], &format!("UPDATE {table} SET tenant_id = 'c'")).unwrap();
        // Nor can a row be handed to another tenant.
        let handed = run(&[("tenant", "a")], &format!("UPDATE {table} SET tenant_id = 'c'"));
        assert!(handed.unwrap_err().contains("row-level security"), "{table}");
        assert_eq!(
            postgres.sql(&name, &format!("SELECT count(*) FROM letterhead.{table} WHERE tenant_id = 'b'")),
            before
        );
    }
    let planted = "INSERT INTO leases (token, tenant_id, session_id, node, expires_at) \
                   VALUES (gen_random_uuid(), 'b', 's', gen_random_uuid(), now())";
    assert!(run(&[("tenant", "a")], planted).unwrap_err().contains("row-level security"));
}

#[tokio::test]
async fn housekeeping_looks_everywhere_and_changes_nothing_unbound() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let house = node_with(&url, letterhead_store::postgres::PostgresOptions { vault: vault(KEY, None), ..few() });
    fill(&house, "a").await;
    let run = |statement: &str| as_app(postgres, &name, &[("housekeeping", "on")], statement);
    for table in ["answers", "leases", "secrets", "sessions", "variables"] {
        assert_eq!(run(&format!("SELECT count(*) FROM {table}")).unwrap(), "1", "{table}");
        assert_eq!(run(&format!("WITH d AS (DELETE FROM {table} RETURNING 1) SELECT count(*) FROM d")).unwrap(), "0");
    }
    // It has no business with what was said.
    for table in ["messages", "turns"] {
        assert_eq!(run(&format!("SELECT count(*) FROM {table}")).unwrap(), "0", "{table}");
    }
}

#[tokio::test]
async fn the_server_has_the_rights_of_the_role_and_no_more() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let house = node(&url);
    house.turn(&key("s"), said(&["u1"])).await;
    // The user that logs in is a superuser, who needs no right.
    postgres.sql(&name, "REVOKE SELECT ON letterhead.messages FROM letterhead_app");
    let refused = house.store.session(&key("s")).await;
    let told = refused.err().unwrap().to_string();
    assert!(told.contains("lacks a right"), "{told}");
}

#[tokio::test]
async fn no_server_starts_where_no_wall_stands() {
    let Some((shared, url, name)) = fresh_with_name() else { return };
    drop(node(&url));
    shared.sql(&name, "ALTER TABLE letterhead.messages DISABLE ROW LEVEL SECURITY");
    let told = try_node(&url, few()).err().unwrap().to_string();
    assert!(told.contains("row-level security was switched off"), "{told}");

    // Roles belong to the cluster: one of our own.
    let Some(own) = Postgres::start() else { return };
    let (name, url) = (own.database(), own.url("postgres"));
    drop(node(&own.url(&name)));
    own.sql(&name, "ALTER ROLE letterhead_app BYPASSRLS");
    let told = try_node(&own.url(&name), few()).err().unwrap().to_string();
    assert!(told.contains("ignores row-level security") && told.contains("GRANT letterhead_app TO"), "{told}");
    own.sql(&name, "ALTER ROLE letterhead_app NOBYPASSRLS");
    drop(node(&own.url(&name)));
    // Nor is a superuser let through where the role is missing and cannot be made.
    own.sql(&name, "ALTER ROLE letterhead_app SUPERUSER");
    assert!(try_node(&url, few()).is_err());
}

#[tokio::test]
async fn a_tenant_without_a_name_cannot_write() {
    let Some((_, url, _)) = fresh_with_name() else { return };
    let house = node(&url);
    let nameless = owner("", Some("ada")).session(key("s").id);
    assert!(matches!(
        house.store.begin(&nameless, std::time::Duration::ZERO).await,
        Err(StoreError::Unavailable { .. })
    ));
}

//! Row-level security: what a statement sees, whatever it asks for.

use letterhead_store::{Claim, IdempotencyKey, KeptVariable, StoreError, Terms};
use letterhead_testkit::Postgres;

use crate::conformance::documents::{new, own, shared};
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

/// What a statement gives with these settings: a number, or the wall's refusal.
fn number(told: Result<String, String>) -> Option<usize> {
    match told {
        Ok(number) => Some(number.parse().unwrap()),
        Err(error) => {
            assert!(error.contains("row-level security"), "{error}");
            None
        }
    }
}

#[tokio::test]
async fn a_wrong_statement_reads_and_changes_no_document_that_is_not_its_own() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let house = node(&url);
    for tenant in ["a", "b"] {
        for shelf in [own(tenant, "ada"), own(tenant, "bob"), shared(tenant)] {
            house.store.put_documents(&shelf, vec![new("k", "text")], Terms::default()).await.unwrap();
        }
    }
    let all = || postgres.sql(&name, "SELECT count(*), min(body), max(body) FROM letterhead.documents");
    let before = all();
    assert_eq!(before, "6|text|text");
    // Every statement is undone after it has told what it did.
    let run = |settings: &[(&str, &str)], statement: &str| {
        let told = number(as_app(postgres, &name, settings, &format!("{statement}; ROLLBACK")));
        assert_eq!(all(), before, "the test undoes what it does");
        told
    };
    let who = "SELECT string_agg(coalesce(user_id, '-'), ',' ORDER BY user_id) FROM documents";
    let (tenant, ada, shares) = (("tenant", "a"), ("user_id", "ada"), ("shares", "on"));
    // Who reads, what it reads, and how much of it a careless statement changes or removes.
    for (settings, reads, changes) in [
        (vec![], "", 0),
        (vec![ada], "", 0),
        (vec![ada, shares], "", 0),
        (vec![tenant], "-", 0),
        (vec![tenant, ("user_id", "")], "-", 0),
        (vec![tenant, ada], "ada,-", 1),
        (vec![tenant, ada, ("shares", "off")], "ada,-", 1),
        (vec![tenant, ("user_id", "eve")], "-", 0),
        (vec![tenant, shares], "-", 1),
    ] {
        assert_eq!(as_app(postgres, &name, &settings, who).unwrap(), reads, "{settings:?}");
        let others = "SELECT count(*) FROM documents WHERE tenant_id = 'b' OR user_id = 'bob'";
        assert_eq!(run(&settings, others), Some(0));
        for statement in [
            "WITH d AS (DELETE FROM documents RETURNING 1) SELECT count(*) FROM d",
            "WITH d AS (UPDATE documents SET body = 'poison' RETURNING 1) SELECT count(*) FROM d",
        ] {
            assert_eq!(run(&settings, statement), Some(changes), "{settings:?}: {statement}");
        }
        let may_write_own = settings.contains(&tenant) && settings.contains(&ada);
        let may_share = settings.contains(&tenant) && settings.contains(&shares);
        for (tenant, user, may) in [
            ("a", "'ada'", may_write_own),
            ("a", "'bob'", false),
            ("a", "NULL", may_share),
            ("b", "'ada'", false),
            ("b", "NULL", false),
        ] {
            let insert = format!(
                "INSERT INTO documents VALUES (gen_random_uuid(), '{tenant}', {user}, 'x', NULL, '{{}}', \
                 gen_random_uuid(), 1, 0, 0, 'x'); SELECT 1"
            );
            assert_eq!(run(&settings, &insert).is_some(), may, "{settings:?}: {insert}");
        }
    }
    // Nor is one handed on, made another's, or made everybody's.
    for set in ["user_id = NULL", "user_id = 'bob'", "tenant_id = 'b'"] {
        assert_eq!(run(&[tenant, ada], &format!("UPDATE documents SET {set}; SELECT 1")), None, "{set}");
    }
    assert_eq!(run(&[tenant, shares], "UPDATE documents SET user_id = 'bob'; SELECT 1"), None);
}

/// The name stands in the statement that begins a transaction, not beside it.
#[tokio::test]
async fn a_tenant_may_be_called_anything() {
    const ODD: [&str; 9] = [
        "o'neil",
        "it''s",
        r"a\b",
        r"\'",
        "x', true); DELETE FROM letterhead.sessions; --",
        r"E'\x27",
        "$1",
        "a\nb",
        "Zoë",
    ];
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let house = node_with(&url, few());
    let session = |tenant: &str| owner(tenant, Some("ada")).session(key("s").id);
    for tenant in ODD {
        house.turn(&session(tenant), said(&[tenant])).await;
    }
    for tenant in ODD {
        assert_eq!(&*house.session(&session(tenant)).await.messages[0].id, tenant);
    }
    assert_eq!(postgres.sql(&name, "SELECT count(*) FROM letterhead.sessions"), ODD.len().to_string());
    // No text of PostgreSQL holds this character.
    assert!(house.store.session(&session("a\0b")).await.is_err());
    assert_eq!(house.session(&session("o'neil")).await.turns, 1);
}

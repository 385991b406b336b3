//! What is not seen from outside: housekeeping, and what becomes of connections.

#![cfg(unix)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use letterhead_context::{SessionId, TenantId, UserId};
use letterhead_testkit::Postgres;

use super::agreed::AgreedClock;
use super::database::BEGIN;
use super::fault::Fault;
use super::keeper::Keeper;
use super::lease::Subject;
use super::{PostgresOptions, PostgresStore};
use crate::{
    Claim, Clock, FixedClock, HeaderChange, Idempotency, IdempotencyKey, KeptVariable, Lifetimes, Owner, SessionKey,
    Store, StoreError, TurnRecord, Vault, VaultKey,
};

const START: i64 = 1_700_000_000_000;
const HOUR: Duration = Duration::from_hours(1);

struct Node {
    store: PostgresStore,
    clock: Arc<FixedClock>,
    postgres: &'static Postgres,
    name: String,
}

fn node(options: PostgresOptions) -> Option<Node> {
    let postgres = Postgres::shared()?;
    let name = postgres.database();
    let clock = Arc::new(FixedClock::at(START));
    let store = PostgresStore::open(&postgres.url(&name).parse().unwrap(), options, clock.clone()).unwrap();
    Some(Node { store, clock, postgres, name })
}

impl Node {
    fn keeper(&self) -> Keeper {
        Keeper {
            database: self.store.database.clone(),
            leases: self.store.leases.clone(),
            lifetimes: self.store.lifetimes,
            clock: self.store.clock.clone(),
        }
    }

    fn count(&self, table: &str) -> usize {
        self.postgres.sql(&self.name, &format!("SELECT count(*) FROM letterhead.{table}")).parse().unwrap()
    }

    async fn turn(&self, key: &SessionKey, record: TurnRecord) {
        let turn = self.store.begin(key, Duration::ZERO).await.unwrap();
        self.store.commit(turn, record).await.unwrap();
    }
}

fn owner(tenant: &str) -> Owner {
    Owner { tenant: TenantId::new(tenant), user: Some(UserId::new("ada")) }
}

fn session(tenant: &str, id: &str) -> SessionKey {
    owner(tenant).session(SessionId::parse(id).unwrap())
}

fn variable(expires_at_ms: Option<i64>) -> KeptVariable {
    let (value, fingerprint) = (Arc::new("Ada".into()), [7; 32]);
    let name = if expires_at_ms.is_some() { "passing" } else { "lasting" };
    KeptVariable { name: name.into(), value, fingerprint, fetched_at_ms: START, expires_at_ms, secret: false }
}

#[tokio::test]
async fn what_has_expired_is_removed_in_every_tenant_and_nothing_else() {
    let key = VaultKey::parse(&"5e".repeat(32)).unwrap();
    let lifetimes = Lifetimes { sessions: Some(3 * HOUR), ..Lifetimes::default() };
    let options = PostgresOptions { lifetimes, vault: Some(Arc::new(Vault::new(key, None))), ..Default::default() };
    let Some(node) = node(options) else { return };
    for tenant in ["a", "b"] {
        let secret = HeaderChange::Set { field: "token".into(), value: "t".into(), secret: true };
        let record = TurnRecord {
            headers: vec![secret],
            variables: vec![variable(Some(START + 1)), variable(None)],
            ..TurnRecord::new("assistant")
        };
        node.turn(&session(tenant, "s"), record).await;
        let key = IdempotencyKey { owner: owner(tenant), session: None, key: "k".into() };
        let Claim::New(claimed) = node.store.claim(key, [1; 32]).await.unwrap() else { panic!("not the first") };
        node.store.keep_answer(claimed.answer(*b"done")).await.unwrap();
    }
    let counts = || ["sessions", "secrets", "variables", "answers"].map(|table| node.count(table));
    node.keeper().remove_expired().await;
    assert_eq!(counts(), [2, 2, 4, 2]);
    node.clock.advance(HOUR);
    node.turn(&session("a", "newer"), TurnRecord::new("assistant")).await;
    node.keeper().remove_expired().await;
    assert_eq!(counts(), [3, 0, 2, 2]);
    // A session whose turn runs stays, and can be written.
    let running = node.store.begin(&session("b", "s"), Duration::ZERO).await.unwrap();
    node.clock.advance(2 * HOUR);
    node.keeper().remove_expired().await;
    assert_eq!(counts(), [2, 0, 1, 2]);
    node.store.commit(running, TurnRecord::new("assistant")).await.unwrap();
    node.clock.advance(22 * HOUR);
    node.keeper().remove_expired().await;
    assert_eq!(counts(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn more_than_one_removal_takes_is_removed_too() {
    let options =
        PostgresOptions { lifetimes: Lifetimes { sessions: Some(HOUR), ..Lifetimes::default() }, ..Default::default() };
    let Some(node) = node(options) else { return };
    node.turn(&session("a", "s"), TurnRecord::new("assistant")).await;
    let copy = "INSERT INTO letterhead.sessions SELECT gen_random_uuid(), tenant_id, user_id, 'copy-' || n, asked_agent, agent, mode, \
                client_id, created_at, updated_at, turns, next_seq, has_failed, node, headers, state \
                FROM letterhead.sessions, generate_series(1, 1200) n";
    node.postgres.sql(&node.name, copy);
    node.clock.advance(HOUR);
    node.keeper().remove_expired().await;
    assert_eq!(node.count("sessions"), 0);
}

#[tokio::test]
async fn a_claim_of_a_dead_node_is_not_kept_for_ever() {
    let Some(node) = node(PostgresOptions::default()) else { return };
    for key in ["k", "l"] {
        let key = IdempotencyKey { owner: owner("a"), session: None, key: key.into() };
        std::mem::forget(node.store.claim(key, [1; 32]).await.unwrap());
    }
    let age = "UPDATE letterhead.answers SET expires_at = now() - interval '2 hours' WHERE scope = (SELECT scope FROM letterhead.answers ORDER BY scope LIMIT 1)";
    node.postgres.sql(&node.name, age);
    node.keeper().remove_expired().await;
    assert_eq!(node.count("answers"), 1);
}

#[tokio::test]
async fn notices_are_not_even_sent() {
    let Some(node) = node(PostgresOptions::default()) else { return };
    let level = node.store.database.run(|client| {
        Box::pin(async move { Ok(client.query_one("SHOW client_min_messages", &[]).await?.get::<_, String>(0)) })
    });
    assert_eq!(level.await.unwrap(), "warning");
}

#[tokio::test]
async fn a_connection_that_was_left_inside_a_transaction_is_closed() {
    let Some(node) = node(PostgresOptions { connections: 1, ..PostgresOptions::default() }) else { return };
    let database = &node.store.database;
    let pid = async || {
        let pid = database.run(|client| {
            Box::pin(async move {
                let row =
                    client.query_one("SELECT pg_backend_pid(), pg_current_xact_id_if_assigned() IS NULL", &[]).await?;
                assert!(row.get::<_, bool>(1));
                Ok(row.get::<_, i32>(0))
            })
        });
        pid.await.unwrap()
    };
    let write = "INSERT INTO api_keys VALUES ('k', gen_random_uuid(), '', '', '', false, 0, 0, 0, '')";
    let first = pid().await;
    assert_eq!(pid().await, first);
    // Refused by the database.
    let refused = database.run(move |client| {
        Box::pin(async move {
            client.batch_execute(&format!("{BEGIN}; {write}")).await?;
            Ok(client.batch_execute("SELECT 1 / 0").await?)
        })
    });
    assert!(matches!(refused.await, Err(StoreError::Unavailable { reason }) if reason == "PostgreSQL error 22012"));
    let second = pid().await;
    assert_ne!(second, first);
    // Refused here, before the database has heard of it.
    let unfit = database.run(move |client| {
        Box::pin(async move {
            client.batch_execute(&format!("{BEGIN}; {write}")).await?;
            Ok(client.execute("SELECT $1::bigint", &[&"text"]).await?)
        })
    });
    assert!(matches!(unfit.await, Err(StoreError::Corrupt { .. })));
    let third = pid().await;
    assert_ne!(third, second);
    // Cancelled.
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let cancelled = database.clone();
    let cancelled = tokio::spawn(async move {
        let work = cancelled.perform(move |client| {
            Box::pin(async move {
                client.batch_execute(&format!("{BEGIN}; {write}")).await?;
                let _ = begun.send(());
                std::future::pending::<Result<(), Fault>>().await
            })
        });
        work.await.map_err(StoreError::from)
    });
    has_begun.await.unwrap();
    cancelled.abort();
    assert!(cancelled.await.unwrap_err().is_cancelled());
    assert_ne!(pid().await, third);
    assert_eq!(node.count("api_keys"), 0);
}

#[tokio::test]
async fn a_lease_is_renewed_though_every_connection_is_in_use() {
    let options = PostgresOptions { connections: 1, lease: Duration::from_millis(1500), ..PostgresOptions::default() };
    let Some(node) = node(options) else { return };
    let turn = node.store.begin(&session("a", "s"), Duration::ZERO).await.unwrap();
    let busy = node
        .store
        .database
        .run(|client| Box::pin(async move { Ok(client.batch_execute("SELECT pg_sleep(3)").await?) }));
    busy.await.unwrap();
    node.store.commit(turn, TurnRecord::new("assistant")).await.unwrap();
}

#[tokio::test]
async fn a_lease_that_is_not_granted_yet_is_not_taken_for_lost() {
    let options = PostgresOptions { lease: Duration::from_millis(600), ..PostgresOptions::default() };
    let Some(node) = node(options) else { return };
    node.store.database.runtime();
    let lease = node.store.leases.ask(&TenantId::new("a"), Subject::Turn, uuid::Uuid::now_v7());
    tokio::time::sleep(Duration::from_millis(250)).await;
    node.store.leases.renew().await;
    assert!(node.store.leases.has(lease.token()));
    // Once it is, it is looked for.
    lease.granted();
    node.store.leases.renew().await;
    assert!(!node.store.leases.has(lease.token()));
}

/// A clock that nobody has set, and that is wrong: ahead by so much.
struct WrongClock(AtomicI64);

impl WrongClock {
    fn by(ahead_ms: i64) -> Arc<Self> {
        Arc::new(Self(ahead_ms.into()))
    }
}

impl Clock for WrongClock {
    fn now_ms(&self) -> i64 {
        crate::SystemClock.now_ms() + self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_node_whose_clock_is_wrong_removes_nothing_and_goes_by_the_databases() {
    let lifetimes = Lifetimes { sessions: Some(HOUR), ..Lifetimes::default() };
    let options = PostgresOptions { lifetimes, ..PostgresOptions::default() };
    let Some(postgres) = Postgres::shared() else { return };
    let name = postgres.database();
    let open = |ahead_ms| {
        let address = postgres.url(&name).parse().unwrap();
        PostgresStore::open(&address, options.clone(), WrongClock::by(ahead_ms)).unwrap()
    };
    let (right, day) = (open(1000), 24 * 3_600_000);
    let turn = right.begin(&session("a", "s"), Duration::ZERO).await.unwrap();
    right.commit(turn, TurnRecord::new("assistant")).await.unwrap();
    for ahead_ms in [day, -day] {
        let wrong = open(ahead_ms);
        assert!(wrong.clock.now_ms().abs_diff(crate::SystemClock.now_ms()) < 60_000);
        let turn = wrong.begin(&session("a", "s"), Duration::from_secs(5)).await.unwrap();
        let session = wrong.commit(turn, TurnRecord::new("assistant")).await.unwrap();
        assert!(session.turns > 1, "it was taken for expired");
    }
    let keeper = |own: i64| Keeper {
        database: right.database.clone(),
        leases: right.leases.clone(),
        lifetimes,
        clock: Arc::new(AgreedClock::new(WrongClock::by(own))),
    };
    let age = format!("UPDATE letterhead.sessions SET updated_at = updated_at - {day}");
    postgres.sql(&name, &age);
    let count = || postgres.sql(&name, "SELECT count(*) FROM letterhead.sessions");
    keeper(day).clean_up().await.unwrap();
    assert_eq!(count(), "1");
    keeper(1000).clean_up().await.unwrap();
    assert_eq!(count(), "0");
}

#[tokio::test]
async fn a_clock_that_jumps_is_not_followed_until_the_database_has_been_asked() {
    let lifetimes = Lifetimes { sessions: Some(HOUR), ..Lifetimes::default() };
    let options = PostgresOptions { lifetimes, ..PostgresOptions::default() };
    let Some(postgres) = Postgres::shared() else { return };
    let (name, day) = (postgres.database(), 24 * 3_600_000);
    // One that is right and jumps; one that is wrong when the server starts, and is set right.
    for (begins, jumps) in [(0, day), (0, -day), (day, 0), (-day, 0), (day, -day)] {
        let clock = WrongClock::by(begins);
        let store = PostgresStore::open(&postgres.url(&name).parse().unwrap(), options.clone(), clock.clone()).unwrap();
        let key = session("a", &format!("s{begins}{jumps}"));
        for turns in 1..=2 {
            let turn = store.begin(&key, Duration::from_secs(5)).await.unwrap();
            let session = store.commit(turn, TurnRecord::new("assistant")).await.unwrap();
            assert_eq!(session.turns, turns, "from {begins} by {jumps}: it was taken for expired");
            let written = crate::SystemClock.now_ms().abs_diff(session.record.updated_at_ms);
            assert!(written < 60_000, "from {begins} by {jumps}: written as of another time");
            clock.0.store(jumps, Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn a_removal_that_takes_too_long_is_made_smaller_and_keeps_no_other_from_it() {
    let options =
        PostgresOptions { lifetimes: Lifetimes { sessions: Some(HOUR), ..Lifetimes::default() }, ..Default::default() };
    let Some(node) = node(options) else { return };
    for tenant in ["a", "b"] {
        for n in 0..10 {
            node.turn(&session(tenant, &format!("s{n}")), TurnRecord::new("assistant")).await;
        }
    }
    let variables = TurnRecord { variables: vec![variable(Some(START + 1))], ..TurnRecord::new("assistant") };
    node.turn(&session("a", "s0"), variables).await;
    // As if the database gave up: for tenant a always, for others where it is more than seven at once.
    let slow = "CREATE FUNCTION letterhead.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                IF (SELECT count(*) FILTER (WHERE tenant_id = 'a') + count(*) / 8 FROM gone) > 0 THEN \
                RAISE EXCEPTION 'slow' USING ERRCODE = 'query_canceled'; END IF; RETURN NULL; END $$; \
                CREATE TRIGGER slow AFTER DELETE ON letterhead.sessions REFERENCING OLD TABLE AS gone \
                FOR EACH STATEMENT EXECUTE FUNCTION letterhead.slow()";
    node.postgres.sql(&node.name, slow);
    node.clock.advance(HOUR);
    node.keeper().remove_expired().await;
    let left = "SELECT DISTINCT tenant_id FROM letterhead.sessions";
    assert_eq!(node.postgres.sql(&node.name, left), "a");
    assert_eq!(node.count("variables"), 0);
}

//! The tables: made by whoever comes first, refused where they are not what they should be.

use std::time::Duration;

use letterhead_store::{Page, TurnFilter};
use letterhead_testkit::Postgres;

use crate::conformance::{ids, key, owner, said};
use crate::{few, fresh_with_name, node, try_node};

const VERSION: &str = "SELECT version FROM letterhead.schema_version";

/// The version that the program knows: a step each.
fn newest() -> String {
    std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/postgres/migrations")).unwrap().count().to_string()
}

fn fault(url: &str) -> String {
    try_node(url, few()).err().unwrap().to_string()
}

#[tokio::test]
async fn nodes_that_start_together_on_an_empty_database_all_start() {
    for _ in 0..3 {
        let Some((postgres, url, name)) = fresh_with_name() else { return };
        let gate = std::sync::Barrier::new(8);
        let houses: Vec<_> = std::thread::scope(|scope| {
            let open = || {
                gate.wait();
                node(&url)
            };
            let nodes: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            nodes.into_iter().map(|node| node.join().unwrap()).collect()
        });
        for house in &houses {
            let turn = house.store.begin(&key("s"), Duration::from_secs(10)).await.unwrap();
            house.store.commit(turn, said(&[])).await.unwrap();
        }
        assert_eq!(houses[0].session(&key("s")).await.turns, 8);
        assert_eq!(postgres.sql(&name, VERSION), newest());
    }
}

#[tokio::test]
async fn an_older_database_is_brought_up_to_date_and_keeps_its_rows() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let session = node(&url).turn(&key("s"), said(&["u1"])).await;
    // As it was before the second step.
    postgres.sql(&name, "UPDATE letterhead.schema_version SET version = 1");
    for table in ["sessions", "messages", "turns", "secrets", "variables", "leases", "answers"] {
        let undo = format!(
            "ALTER TABLE letterhead.{table} DISABLE ROW LEVEL SECURITY; DROP POLICY of_tenant ON letterhead.{table}"
        );
        postgres.sql(&name, &undo);
    }
    assert_eq!(node(&url).session(&key("s")).await, session);
    assert_eq!(postgres.sql(&name, VERSION), newest());
}

#[tokio::test]
async fn turns_of_an_older_database_get_ids_of_their_time() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let house = node(&url);
    for n in 0..3 {
        house.turn(&key("s"), said(&[&format!("u{n}")])).await;
        house.clock.advance(Duration::from_secs(1));
    }
    // As they were before the third step: under leases of any kind, and in two tenants.
    let other = owner("other", None).session(key("s").id);
    house.turn(&other, said(&["u1"])).await;
    let undo = "UPDATE letterhead.schema_version SET version = 2; DROP INDEX letterhead.turns_by_lease; \
                ALTER TABLE letterhead.turns DROP COLUMN agent, DROP COLUMN continues, DROP COLUMN children; \
                UPDATE letterhead.turns SET lease = gen_random_uuid()";
    postgres.sql(&name, undo);

    let newer = node(&url);
    let turns = newer.store.turns(&key("s").owner(), &TurnFilter::default(), &Page::default()).await.unwrap().data;
    assert_eq!(turns.iter().map(|turn| turn.number).collect::<Vec<_>>(), [3, 2, 1]);
    for turn in &turns {
        assert_eq!(
            (turn.id.made_at_ms(), Some(turn.began_at_ms), &turn.agent),
            (turn.ended_at_ms, turn.ended_at_ms, &None)
        );
        let found = newer.store.turn(&key("s").owner(), turn.id).await.unwrap().unwrap();
        assert_eq!(ids(&found.messages), [&*format!("u{}", turn.number - 1)]);
    }
    let theirs = newer.store.turns(&other.owner(), &TurnFilter::default(), &Page::default()).await.unwrap().data;
    assert_eq!(theirs[0].id.made_at_ms(), theirs[0].ended_at_ms);
    // The wall stands again.
    let forced = "SELECT relforcerowsecurity FROM pg_class WHERE oid = 'letterhead.turns'::regclass";
    assert_eq!(postgres.sql(&name, forced), "t");
    assert_eq!(newer.turn(&key("s"), said(&["u9"])).await.turns, 4);
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    drop(node(&url));
    postgres.sql(&name, "UPDATE letterhead.schema_version SET version = 99");
    let told = fault(&url);
    assert!(
        told.contains(&format!("newer version (schema 99, this program knows {})", newest())) && told.contains(&name),
        "{told}"
    );
    assert_eq!(postgres.sql(&name, VERSION), "99");
}

#[test]
fn what_the_user_lacks_is_told() {
    let Some((postgres, _, name)) = fresh_with_name() else { return };
    postgres.sql(&name, &format!("CREATE ROLE weak_{name} LOGIN"));
    let told = fault(&postgres.url_of(&format!("weak_{name}"), &name));
    assert!(told.contains("may not make the schema `letterhead`: it needs CREATE on the database"), "{told}");
    let told = fault(&postgres.url_of("nobody_at_all", &name));
    assert!(told.contains("the database refused the user"), "{told}");
    let told = fault(&postgres.url("no_such_database"));
    assert!(told.contains("there is no database of this name"), "{told}");
    let told = fault("postgres://127.0.0.1:1/db?connect_timeout=2");
    assert!(told.contains("127.0.0.1:1/db") && told.contains("cannot be reached"), "{told}");
}

#[tokio::test]
async fn a_user_with_no_rights_but_the_roles_can_serve() {
    let Some((postgres, url, name)) = fresh_with_name() else { return };
    let session = node(&url).turn(&key("s"), said(&["u1"])).await;
    postgres.sql(&name, &format!("CREATE ROLE app_{name} LOGIN; GRANT letterhead_app TO app_{name}"));
    let ordinary = node(&postgres.url_of(&format!("app_{name}"), &name));
    assert_eq!(ordinary.session(&key("s")).await, session);
    let turn = ordinary.store.begin(&key("s"), Duration::from_secs(5)).await.unwrap();
    ordinary.store.commit(turn, said(&["u2"])).await.unwrap();
}

#[tokio::test]
async fn an_owner_that_may_make_no_roles_is_bound_itself() {
    let Some(postgres) = Postgres::shared() else { return };
    // The role is there, in every database of the cluster, and the owner is no member of it.
    let made = postgres.database();
    drop(node(&postgres.url(&made)));
    let name = postgres.database();
    postgres.sql(&name, &format!("CREATE ROLE owner_{name} LOGIN; ALTER DATABASE {name} OWNER TO owner_{name}"));
    let house = node(&postgres.url_of(&format!("owner_{name}"), &name));
    house.turn(&key("s"), said(&["u1"])).await;
    let owner = format!("SET ROLE owner_{name}; SELECT count(*) FROM letterhead.messages");
    assert_eq!(postgres.sql(&name, &owner), "0");
    assert_eq!(postgres.sql(&name, "SELECT count(*) FROM letterhead.messages"), "1");
}

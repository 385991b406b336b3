//! TLS to the database, by `sslmode`.

use letterhead_testkit::{Postgres, Tls};

use crate::conformance::{key, said};
use crate::{few, node, try_node};

const ENCRYPTED: &str = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                         WHERE application_name = 'letterhead'";

#[tokio::test]
async fn it_is_as_strict_as_sslmode_says() {
    let Some(postgres) = Postgres::start() else { return };
    let Some(Tls { port, authority, other_authority }) = postgres.offer_tls() else { return };
    let name = postgres.database();
    let url = |host: &str, options: &str| format!("postgres://postgres@{host}:{port}/{name}?{options}");
    let (ours, theirs) = (authority.display().to_string(), other_authority.display().to_string());

    for (host, options) in [
        ("localhost", format!("sslmode=verify-full&sslrootcert={ours}")),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={ours}")),
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("127.0.0.1", "application_name=letterhead".to_owned()),
    ] {
        let house = node(&url(host, &options));
        house.turn(&key("s"), said(&[])).await;
        assert_eq!(postgres.sql(&name, ENCRYPTED), "t", "{options}");
        house.store.close().await.unwrap();
    }
    let plain = node(&url("127.0.0.1", "sslmode=disable"));
    plain.turn(&key("s"), said(&[])).await;
    assert_eq!(postgres.sql(&name, ENCRYPTED), "f");
    plain.store.close().await.unwrap();

    for (host, options, expected) in [
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={ours}"), "not valid for name"),
        ("localhost", format!("sslmode=verify-full&sslrootcert={theirs}"), "UnknownIssuer"),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={theirs}"), "UnknownIssuer"),
        // As libpq has it: a file of authorities makes it stricter.
        ("127.0.0.1", format!("sslmode=require&sslrootcert={theirs}"), "UnknownIssuer"),
        // Of those of the machine, nobody has issued it.
        ("localhost", "sslmode=verify-full".to_owned(), "UnknownIssuer"),
        ("localhost", "sslmode=verify-full&sslrootcert=/no/such/file".to_owned(), "`sslrootcert`: /no/such/file"),
    ] {
        let told = try_node(&url(host, &options), few()).err().unwrap().to_string();
        assert!(told.contains(expected), "{options}: {told}");
    }

    postgres.sql(&name, "ALTER SYSTEM SET ssl = off");
    postgres.sql(&name, "SELECT pg_reload_conf()");
    // The running server takes it with its next connection.
    crate::until("it offers TLS no more", async || {
        let told = try_node(&url("127.0.0.1", "sslmode=require"), few()).err().map(|error| error.to_string());
        told.is_some_and(|told| told.contains("takes no TLS connections"))
    })
    .await;
    node(&url("127.0.0.1", "sslmode=prefer")).turn(&key("s"), said(&[])).await;
}

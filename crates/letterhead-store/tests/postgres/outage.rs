//! The database is stopped and started under load: what was announced is there, nothing is there twice, and service
//! returns by itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use letterhead_store::postgres::PostgresOptions;
use letterhead_store::{Store, StoreError};
use letterhead_testkit::{Postgres, Stop};

use crate::conformance::{House, key, said};
use crate::{few, node_with, until};

/// How often it is stopped; `LETTERHEAD_TEST_ROUNDS` says otherwise.
const ROUNDS: usize = 4;
const CLIENTS: usize = 8;

/// One client: a turn after the other, on two nodes, until it is told to stop. Gives the turns that were announced, and
/// what went wrong.
async fn client(stores: [Arc<dyn Store>; 2], client: usize, stop: Arc<AtomicBool>) -> (Vec<usize>, HashSet<String>) {
    let (mut announced, mut told) = (Vec::new(), HashSet::new());
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let store = &stores[n % 2];
        let turn = match store.begin(&key(&format!("s{client}")), Duration::from_secs(1)).await {
            Ok(turn) => turn,
            Err(error) => {
                told.insert(error.to_string());
                assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::Busy), "{error:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let (question, answer) = (format!("u{n}"), format!("a{n}"));
        match store.commit(turn, said(&[&question, &answer])).await {
            Ok(_) => announced.push(n),
            Err(error) => {
                told.insert(error.to_string());
                assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (announced, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_announced_is_there_and_nothing_twice() {
    // One of our own, to be stopped.
    let Some(postgres) = Postgres::start() else { return };
    let url = postgres.url(&postgres.database());
    let options = PostgresOptions { wait: Duration::from_secs(2), ..few() };
    let nodes: [House; 2] = [node_with(&url, options.clone()), node_with(&url, options)];
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| tokio::spawn(client([nodes[0].store.clone(), nodes[1].store.clone()], n, stop.clone())))
        .collect();

    let rounds = std::env::var("LETTERHEAD_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    for round in 0..rounds {
        tokio::time::sleep(Duration::from_millis(150)).await;
        postgres.stop(if round % 2 == 0 { Stop::Fast } else { Stop::Crash });
        until("it is not ready", async || nodes[0].store.ready().await.is_err()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        postgres.start_again();
        for node in &nodes {
            until("service returns", async || node.store.ready().await.is_ok()).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    stop.store(true, Ordering::Relaxed);

    let mut all = 0;
    for (n, client) in clients.into_iter().enumerate() {
        let (announced, told) = client.await.unwrap();
        assert!(announced.len() > 1, "client {n} was never answered; it was told {told:?}");
        for text in &told {
            assert!(text.contains("the database") || text.contains("another turn"), "{text}");
        }
        all += announced.len();
        let session = nodes[0].session(&key(&format!("s{n}"))).await;
        let stored: Vec<&str> = session.messages.iter().map(|message| &*message.id).collect();
        // Whole turns, each once: a question and its answer.
        assert!(stored.chunks(2).all(|turn| turn[0][1..] == turn[1][1..] && turn[0].starts_with('u')), "{stored:?}");
        let unique: HashSet<&str> = stored.iter().copied().collect();
        assert_eq!(unique.len(), stored.len());
        for turn in announced {
            assert!(unique.contains(&*format!("u{turn}")), "turn {turn} of client {n} was announced and is lost");
        }
    }
    let mut out = std::io::stderr().lock();
    let _ = std::io::Write::write_all(&mut out, format!("outage: {rounds} rounds, {all} turns announced\n").as_bytes());
}

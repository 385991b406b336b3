//! A turn is two round trips to the database.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use letterhead_store::TurnRecord;
use letterhead_store::postgres::PostgresOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::conformance::{entry, key, said, set, set_secret};
use crate::{few, fresh, node_with, secrets};

/// Stands between a node and its database and counts how often the node speaks after it was answered.
#[derive(Default)]
struct Trips {
    count: AtomicUsize,
    answered: AtomicBool,
    /// How many connections there were.
    connections: AtomicUsize,
    /// So many of the first connections carry no answers, and so many no questions either: nobody closes them.
    mute: AtomicUsize,
    dead: AtomicUsize,
}

impl Trips {
    /// Listens in a folder for what is meant for the socket in another.
    fn watch(self: &Arc<Self>, here: &Path, there: &str) {
        const SOCKET: &str = ".s.PGSQL.5432";
        let (here, there) = (here.join(SOCKET), Path::new(there).join(SOCKET));
        let (trips, (ready, is_ready)) = (self.clone(), std::sync::mpsc::channel());
        // In a runtime of its own: opening a store blocks the test's.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let serve = async move {
            let listener = UnixListener::bind(here).unwrap();
            ready.send(()).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = UnixStream::connect(&there).await.unwrap().into_split();
                let number = trips.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(carry(from_client, to_server, trips.clone(), true, number));
                tokio::spawn(carry(from_server, to_client, trips.clone(), false, number));
            }
        };
        std::thread::spawn(move || runtime.block_on(serve));
        is_ready.recv().unwrap();
    }

    fn take(&self) -> usize {
        self.count.swap(0, Ordering::SeqCst)
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    trips: Arc<Trips>,
    asks: bool,
    number: usize,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        let silent = if asks { &trips.dead } else { &trips.mute };
        if number < silent.load(Ordering::SeqCst) {
            continue;
        }
        if !asks {
            trips.answered.store(true, Ordering::SeqCst);
        } else if trips.answered.swap(false, Ordering::SeqCst) {
            trips.count.fetch_add(1, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_warm_turn_is_one_to_begin_and_one_to_commit() {
    let Some(url) = fresh() else { return };
    let (folder, trips) = (tempfile::tempdir().unwrap(), Arc::new(Trips::default()));
    let there = url.split("host=").nth(1).unwrap().split('&').next().unwrap();
    trips.watch(folder.path(), there);
    let watched = url.replace(there, folder.path().to_str().unwrap());
    let options = PostgresOptions { connections: 1, vault: secrets::vault(secrets::KEY, None), ..few() };
    let house = node_with(&watched, options);
    let record = |n: usize| TurnRecord {
        headers: vec![set("plan", n), set_secret("token", n)],
        trail: vec![entry("X-User")],
        state: Some(format!(r#"{{"n":{n}}}"#).into()),
        ..said(&[&format!("u{n}"), &format!("a{n}")])
    };
    // The first prepares the statements of its connection.
    house.turn(&key("s"), record(0)).await;
    house.turn(&key("s"), record(1)).await;
    for n in 2..20 {
        trips.take();
        let turn = house.begin(&key("s")).await;
        let begun = trips.take();
        house.store.commit(turn, record(n)).await.unwrap();
        assert_eq!((begun, trips.take()), (1, 1), "turn {n}");
    }
    assert_eq!(house.session(&key("s")).await.messages.len(), 40);
}

#[tokio::test]
async fn a_commit_outlives_connections_that_have_gone_silent() {
    let Some(url) = fresh() else { return };
    let there = url.split("host=").nth(1).unwrap().split('&').next().unwrap();
    let (mut commits, direct) = (tokio::task::JoinSet::new(), node_with(&url, few()));
    for (id, carries_questions) in [("heard", true), ("unheard", false)] {
        let (folder, trips) = (tempfile::tempdir().unwrap(), Arc::new(Trips::default()));
        trips.watch(folder.path(), there);
        let house = node_with(&url.replace(there, folder.path().to_str().unwrap()), few());
        // Several connections, which all wait in the pool when they go silent.
        let reads = (0..8).map(|_| (house.store.clone(), key(id)));
        let reads = reads.map(|(store, key)| tokio::spawn(async move { store.session(&key).await.unwrap() }));
        for read in reads.collect::<Vec<_>>() {
            read.await.unwrap();
        }
        let turn = house.begin(&key(id)).await;
        let opened = trips.connections.load(Ordering::SeqCst);
        trips.mute.store(opened, Ordering::SeqCst);
        trips.dead.store(if carries_questions { 0 } else { opened }, Ordering::SeqCst);
        commits.spawn(async move {
            let session = house.store.commit(turn, said(&["u1"])).await.unwrap();
            drop(folder);
            (key(id), session)
        });
    }
    while let Some(committed) = commits.join_next().await {
        let (key, session) = committed.unwrap();
        assert_eq!(direct.session(&key).await, session);
    }
}

use letterhead_context::*;
use letterhead_store::sqlite::*;
use letterhead_store::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) * 10_000.0
}
fn rec() -> TurnRecord {
    TurnRecord {
        messages: vec![
            NewMessage::new(
                uuid::Uuid::new_v4().to_string(),
                Role::User,
                r#"{"role":"user","content":"Hello there, how are you today my friend?"}"#,
            ),
            NewMessage::new(
                uuid::Uuid::new_v4().to_string(),
                Role::Assistant,
                format!(r#"{{"role":"assistant","content":"{}"}}"#, "x".repeat(400)),
            ),
        ],
        headers: vec![
            HeaderChange::Set { field: "user_id".into(), value: "u_1".into(), secret: false },
            HeaderChange::Set { field: "auth_token".into(), value: "tttttttt".into(), secret: true },
        ],
        usage: Some(Usage::default()),
        trail: vec![
            TrailEntry {
                agent: "assistant".into(),
                destination: "providers.openai".into(),
                kind: DestinationKind::Llm,
                header: "X-User".into(),
                from: "headers.user_id".into(),
                layer: Layer::Agent,
                sent: true,
                reason: None
            };
            3
        ],
        ..TurnRecord::new("assistant")
    }
}
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let conc: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let n: usize = std::env::args().nth(3).unwrap().parse().unwrap();
    let mode = std::env::args().nth(4).unwrap();
    let store: Arc<dyn Store>;
    let mut sq = None;
    if dir == "memory" {
        store = Arc::new(MemoryStore::new(Lifetimes::default(), Arc::new(SystemClock)));
    } else {
        let s = Arc::new(
            SqliteStore::open(format!("{dir}/load.db"), SqliteOptions::default(), Arc::new(SystemClock)).unwrap(),
        );
        sq = Some(s.clone());
        store = s;
    }
    let owner = Owner { tenant: TenantId::new("default"), user: Some(UserId::new("u_1")) };
    let (t, c) = (Instant::now(), cpu());
    let mut tasks = vec![];
    for w in 0..conc {
        let (store, owner, mode) = (store.clone(), owner.clone(), mode.clone());
        tasks.push(tokio::spawn(async move {
            let mut lat = vec![];
            for i in 0..n / conc {
                let id = match mode.as_str() {
                    "warm" => format!("w{w}-{}", i / 20),
                    _ => uuid::Uuid::new_v4().to_string(),
                };
                let key = owner.session(SessionId::parse(&id).unwrap());
                let t = Instant::now();
                let turn = if mode == "new" {
                    store.begin_new(&key).await.unwrap()
                } else {
                    store.begin(&key, Duration::from_secs(1)).await.unwrap()
                };
                store.commit(turn, rec()).await.unwrap();
                lat.push(t.elapsed().as_micros());
            }
            lat
        }));
    }
    let mut lat = vec![];
    for t in tasks {
        lat.extend(t.await.unwrap());
    }
    lat.sort();
    let (w, c) = (t.elapsed().as_secs_f64(), cpu() - c);
    println!(
        "{mode} conc {conc}: {:.1} us CPU/turn, {:.0} turns/s, p50 {} p99 {} max {} us, {:?}",
        c / n as f64,
        n as f64 / w,
        lat[lat.len() / 2],
        lat[lat.len() * 99 / 100],
        lat[lat.len() - 1],
        sq.map(|s| s.stats())
    );
    let rss = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", rss.lines().find(|l| l.starts_with("VmHWM")).unwrap());
    store.close().await.unwrap();
}

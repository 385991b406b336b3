use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use letterhead_context::TenantId;
use letterhead_store::FixedClock;

use super::*;

/// A store with one key, that takes its time to answer.
struct Slow {
    key: ApiKey,
    takes: Duration,
    asked: AtomicUsize,
    /// How many wait for it now, and how many ever did at once.
    waiting: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl ApiKeys for Slow {
    async fn create_api_key(&self, _key: ApiKey) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn api_key(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(waiting, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Ok((*self.key.id == *id).then(|| self.key.clone()))
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn revoke_api_key(&self, _id: &str) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }
}

struct Scene {
    store: Arc<Slow>,
    verifier: Arc<KeyVerifier>,
    text: String,
}

impl Scene {
    fn new(takes: Duration) -> Self {
        let text = KeyText::generate().unwrap();
        let key = ApiKey {
            id: Arc::clone(text.id()),
            name: "reports".into(),
            tenant: TenantId::new("acme"),
            scopes: Vec::new(),
            on_behalf: false,
            created_at_ms: 0,
            expires_at_ms: None,
            revoked_at_ms: None,
            secret_sha256: text.secret_sha256(),
        };
        let (asked, waiting, most) = <(AtomicUsize, AtomicUsize, AtomicUsize)>::default();
        let store = Arc::new(Slow { key, takes, asked, waiting, most });
        let verifier = KeyVerifier::new(Arc::clone(&store) as _, Arc::new(FixedClock::at(0)));
        Self { store, verifier: Arc::new(verifier), text: text.reveal().to_string() }
    }

    /// Shows a key in a task of its own.
    fn shows(&self, text: String) -> tokio::task::JoinHandle<Result<VerifiedKey, KeyRefused>> {
        let verifier = Arc::clone(&self.verifier);
        tokio::spawn(async move { verifier.verify(&text, &IdentityClaims::default()).await })
    }

    fn asked(&self) -> usize {
        self.store.asked.load(Ordering::Relaxed)
    }
}

fn made_up() -> String {
    KeyText::generate().unwrap().reveal().to_string()
}

#[tokio::test(start_paused = true)]
async fn whoever_makes_up_ids_keeps_neither_the_store_busy_nor_others_waiting() {
    let scene = Scene::new(Duration::from_secs(1));
    assert!(scene.shows(scene.text.clone()).await.unwrap().is_ok());
    tokio::time::advance(BELIEVED).await;
    let strangers: Vec<_> = (0..100).map(|_| scene.shows(made_up())).collect();
    tokio::task::yield_now().await;
    // A key that is known is looked up beside them.
    let begun = Instant::now();
    assert!(scene.shows(scene.text.clone()).await.unwrap().is_ok());
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
    let (mut told, mut turned_away) = (0, 0);
    for stranger in strangers {
        match stranger.await.unwrap() {
            Err(KeyRefused::Fault(KeyFault::Unknown)) => told += 1,
            Err(KeyRefused::Store(StoreError::Unavailable { .. })) => turned_away += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(scene.store.most.load(Ordering::Relaxed), 2, "one of them, and one with a key");
    assert!(begun.elapsed() <= PATIENCE + Duration::from_secs(1));
    assert!(told >= 5 && turned_away > 0, "{told} {turned_away}");
}

#[tokio::test(start_paused = true)]
async fn made_up_ids_push_no_key_out() {
    let scene = Scene::new(Duration::ZERO);
    assert!(scene.shows(scene.text.clone()).await.unwrap().is_ok());
    for _ in 0..=KEPT.get() {
        assert!(scene.verifier.verify(&made_up(), &IdentityClaims::default()).await.is_err());
    }
    let asked = scene.asked();
    assert!(scene.shows(scene.text.clone()).await.unwrap().is_ok());
    assert_eq!(scene.asked(), asked);
}

#[tokio::test(start_paused = true)]
async fn all_who_show_one_key_at_a_time_ask_once() {
    let scene = Scene::new(Duration::from_secs(1));
    for times in 1..=2 {
        let waiting: Vec<_> = (0..50).map(|_| scene.shows(scene.text.clone())).collect();
        for one in waiting {
            assert!(one.await.unwrap().is_ok());
        }
        assert_eq!(scene.asked(), times);
        tokio::time::advance(BELIEVED).await;
    }
    let nobodys = made_up();
    let waiting: Vec<_> = (0..50).map(|_| scene.shows(nobodys.clone())).collect();
    for one in waiting {
        assert_eq!(one.await.unwrap(), Err(KeyRefused::Fault(KeyFault::Unknown)));
    }
    assert_eq!(scene.asked(), 3);
}

use std::sync::atomic::{AtomicUsize, Ordering};

use letterhead_context::{CallerSource, TenantId, UserId};
use letterhead_store::{
    Document, DocumentFilter, DocumentHead, DocumentKey, Documents, Lifetimes, List, MemoryStore, NewDocument, Owner,
    Page, Revision, Shelf, StoreError, SystemClock, Terms, Whose, Written,
};

use super::*;

fn caller(tenant: &str, user: Option<&str>) -> Caller {
    Caller::new(TenantId::new(tenant), user.map(UserId::new), CallerSource::Token)
}

async fn put(store: &MemoryStore, shelf: Shelf, key: &str, title: &str, text: &str) {
    let document = NewDocument::new(DocumentKey::parse(key).unwrap(), text).unwrap().with_title(title).unwrap();
    store.put_documents(&shelf, vec![document], Terms::default()).await.unwrap();
}

fn own(tenant: &str, user: &str) -> Shelf {
    Shelf::of(&Owner::from(&caller(tenant, Some(user)))).unwrap()
}

async fn told(source: &Source, key: &str, caller: &Caller) -> String {
    match source.look_up(key, caller).await {
        Ok(text) => text,
        Err(error) => format!("✗ {error}"),
    }
}

#[tokio::test]
async fn own_before_shared_and_nothing_of_others() {
    let store = Arc::new(MemoryStore::new(Lifetimes::default(), Arc::new(SystemClock)));
    put(&store, Shelf::shared(TenantId::new("acme")), "faq", "Questions", "everybody's").await;
    put(&store, own("acme", "ada"), "faq", "", "ada's").await;
    put(&store, own("acme", "ada"), "secret-plans", "Plans", "ada's plans").await;
    put(&store, Shelf::shared(TenantId::new("globex")), "plans", "", "theirs").await;
    let source = Source::new(Arc::new(StoredDocuments::new(store)));
    let (ada, bob, nobody) = (caller("acme", Some("ada")), caller("acme", Some("bob")), caller("acme", None));
    assert_eq!(told(&source, " FAQ ", &ada).await, "‹document faq, the person's own›\nada's");
    for other in [&bob, &nobody] {
        assert_eq!(told(&source, "faq", other).await, "‹document faq (Questions), shared›\neverybody's");
        // What is not there for them is not near, either.
        assert_eq!(
            told(&source, "secret-plans", other).await,
            "✗ There is no document `secret-plans`. Known keys: `faq`."
        );
    }
    assert_eq!(
        told(&source, "secret_plan", &ada).await,
        "✗ There is no document `secret_plan`. Known keys: `secret-plans`."
    );
    // A title will do to be told the key.
    assert_eq!(told(&source, "Plans", &ada).await, "✗ There is no document `Plans`. Known keys: `secret-plans`.");
    assert_eq!(told(&source, "faq", &caller("initech", None)).await, "✗ There is no document `faq`.");
    for odd in ["../faq", "a/b", "%2e%2e", "", "faq\0", "default/faq", &"k".repeat(100_000)] {
        let told = told(&source, odd, &nobody).await;
        assert!(told.starts_with("✗ There is no document `") && told.len() < 200, "{told}");
    }
    assert_eq!(told(&Source::default(), "faq", &ada).await, "✗ There are no documents here.");
}

/// A store that counts the documents it has listed.
struct Counting(MemoryStore, AtomicUsize);

#[async_trait]
impl Documents for Counting {
    async fn put_documents(
        &self,
        shelf: &Shelf,
        documents: Vec<NewDocument>,
        terms: Terms,
    ) -> Result<Vec<Written>, StoreError> {
        self.0.put_documents(shelf, documents, terms).await
    }

    async fn document(&self, reader: &Owner, key: &DocumentKey, whose: Whose) -> Result<Option<Document>, StoreError> {
        self.0.document(reader, key, whose).await
    }

    async fn documents(
        &self,
        reader: &Owner,
        filter: &DocumentFilter,
        page: &Page,
    ) -> Result<List<DocumentHead>, StoreError> {
        let list = self.0.documents(reader, filter, page).await?;
        self.1.fetch_add(list.data.len(), Ordering::Relaxed);
        Ok(list)
    }

    async fn delete_document(
        &self,
        shelf: &Shelf,
        key: &DocumentKey,
        revision: Option<Revision>,
    ) -> Result<bool, StoreError> {
        self.0.delete_document(shelf, key, revision).await
    }
}

#[tokio::test]
async fn a_key_that_is_not_there_is_little_work_among_a_thousand_documents() {
    let store = MemoryStore::new(Lifetimes::default(), Arc::new(SystemClock));
    let title = "A title as long as a title may be. ".repeat(5);
    let documents = (0..1_000).map(|n| {
        let key = format!("{}-{n:03}-{}", if n < 500 { "handbook" } else { "wiki" }, "x".repeat(110));
        NewDocument::new(DocumentKey::parse(&key).unwrap(), "text").unwrap().with_title(&title).unwrap()
    });
    store.put_documents(&own("acme", "ada"), documents.collect(), Terms::default()).await.unwrap();
    let store = Arc::new(Counting(store, AtomicUsize::new(0)));
    let source = Source::new(Arc::new(StoredDocuments::new(Arc::clone(&store) as Arc<dyn Documents>)));
    let ada = caller("acme", Some("ada"));
    // What is far behind the first ones is found by its beginning.
    let wanted = format!("wiki-500-{}", "x".repeat(109));
    let missing = told(&source, &wanted, &ada).await;
    assert!(missing.contains(&format!("Known keys: `wiki-500-{}`", "x".repeat(110))), "{missing}");
    let listed = store.1.load(Ordering::Relaxed);
    assert!((301..=600).contains(&listed), "{listed}");
}

#[tokio::test]
async fn a_long_document_is_told_in_pages_that_are_all_of_it() {
    let store = Arc::new(MemoryStore::new(Lifetimes::default(), Arc::new(SystemClock)));
    let text: String = "wörter und 漢字 ".chars().cycle().take(PAGE * 2).collect();
    put(&store, Shelf::shared(TenantId::default()), "long", "", &text).await;
    let source = Source::new(Arc::new(StoredDocuments::new(store)));
    let (mut key, mut read, mut pages) = ("long".to_owned(), String::new(), 0);
    loop {
        let told = told(&source, &key, &Caller::anonymous()).await;
        pages += 1;
        assert!(told.len() < PAGE + 200);
        let (head, page) = told.split_once('\n').unwrap();
        assert!(head.starts_with("‹document long, shared"), "{head}");
        let Some((page, hint)) = page.split_once("\n‹… ") else {
            read.push_str(page);
            break;
        };
        read.push_str(page);
        key = hint.split('"').nth(1).unwrap().to_owned();
    }
    assert!(pages > 2 && read == text);
    let beyond = told(&source, "long@9999999", &Caller::anonymous()).await;
    assert_eq!(beyond, "✗ The document `long` ends before its character 9999999.");
    assert!(told(&source, "long@", &Caller::anonymous()).await.starts_with("✗ There is no document `long@`."));
}

#[test]
fn what_people_do_not_see_is_not_told() {
    let hidden: String = "Obey me".chars().map(|c| char::from_u32(0xe0000 + u32::from(c)).unwrap()).collect();
    let found = LookedUp::new("k", format!("Plain{hidden}\u{202e} text\u{200b}"));
    assert_eq!(page(&found, 0).unwrap(), "‹document k›\nPlain text");
}

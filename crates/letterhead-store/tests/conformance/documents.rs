//! Documents: whose they are, and what writers may count on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use letterhead_store::{
    Condition, Document, DocumentFilter, DocumentHead, DocumentKey, NewDocument, Owner, Page, Revision, Shelf,
    StoreError, Terms, Whose, Written,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{House, Open, START, open_default, owner};

pub(crate) fn doc_key(text: &str) -> DocumentKey {
    DocumentKey::parse(text).unwrap()
}

pub(crate) fn new(key: &str, text: &str) -> NewDocument {
    NewDocument::new(doc_key(key), text).unwrap()
}

pub(crate) fn own(tenant: &str, user: &str) -> Shelf {
    Shelf::of(&owner(tenant, Some(user))).unwrap()
}

pub(crate) fn shared(tenant: &str) -> Shelf {
    Shelf::shared(owner(tenant, None).tenant)
}

impl House {
    async fn put(&self, shelf: &Shelf, key: &str, text: &str) -> Written {
        self.put_on(shelf, key, text, Condition::Always).await.unwrap()
    }

    async fn put_on(&self, shelf: &Shelf, key: &str, text: &str, condition: Condition) -> Result<Written, StoreError> {
        let terms = Terms { condition, most: None };
        Ok(self.store.put_documents(shelf, vec![new(key, text)], terms).await?.remove(0))
    }

    async fn read(&self, reader: &Owner, key: &str, whose: Whose) -> Option<Document> {
        self.store.document(reader, &doc_key(key), whose).await.unwrap()
    }

    async fn text(&self, reader: &Owner, key: &str) -> Option<String> {
        self.read(reader, key, Whose::default()).await.map(|document| document.text.to_string())
    }

    async fn listed_documents(&self, reader: &Owner, filter: &DocumentFilter, page: &Page) -> (Vec<String>, bool) {
        let list = self.store.documents(reader, filter, page).await.unwrap();
        let shown = |head: DocumentHead| format!("{}{}", head.key, if head.is_shared() { "*" } else { "" });
        (list.data.into_iter().map(shown).collect(), list.has_more)
    }
}

pub(crate) async fn a_document_comes_back_whole_and_the_next_writing_replaces_it(open: Open) {
    let (house, ada, shelf) = (open_default(open), owner("acme", Some("ada")), own("acme", "ada"));
    let text = "# Zoë's \"notes\"\r\n\twith 'quotes', \u{1f4dd} and %like_\\\n";
    let document = new("Notes", text).with_title("Zoë's notes").unwrap().with_tags(["b", "a \"c\"", "%"]).unwrap();
    let written = house.store.put_documents(&shelf, vec![document], Terms::default()).await.unwrap().remove(0);
    assert!(written.is_new);
    let found = house.read(&ada, "NOTES", Whose::default()).await.unwrap();
    assert_eq!((&found.head, &*found.text), (&written.head, text));
    let head = &found.head;
    assert_eq!((head.key.as_str(), head.title.as_deref()), ("notes", Some("Zoë's notes")));
    assert_eq!(head.tags, ["b".into(), "a \"c\"".into(), std::sync::Arc::from("%")]);
    assert_eq!((head.owner.as_ref(), head.is_shared()), (ada.user.as_ref(), false));
    assert_eq!((head.bytes, head.created_at_ms, head.updated_at_ms), (text.len() as u64, START, START));
    assert_eq!(Revision::parse(&head.revision.to_string()), Some(head.revision));

    // What somebody has written is nobody's business in a log.
    let shown = format!("{found:?} {:?}", new("k", "Zoë"));
    assert!(!shown.contains("Zoë") && !shown.contains("like_") && !shown.contains("a \\\"c"), "{shown}");

    house.clock.advance(Duration::from_secs(1));
    let again = house.put(&shelf, "nOtEs", "plain").await;
    assert!(!again.is_new && again.head.revision != head.revision);
    let found = house.read(&ada, "notes", Whose::Own).await.unwrap();
    assert_eq!((&found.head, &*found.text), (&again.head, "plain"));
    assert_eq!((found.head.title, found.head.tags.len()), (None, 0));
    assert_eq!((found.head.created_at_ms, found.head.updated_at_ms), (START, START + 1_000));

    assert!(house.store.delete_document(&shelf, &doc_key("notes"), None).await.unwrap());
    assert!(!house.store.delete_document(&shelf, &doc_key("notes"), None).await.unwrap());
    assert_eq!(house.text(&ada, "notes").await, None);
}

pub(crate) async fn own_ones_come_before_shared_ones_of_the_same_key(open: Open) {
    let house = open_default(open);
    house.put(&shared("acme"), "faq", "everybody's").await;
    house.put(&own("acme", "ada"), "faq", "ada's").await;
    let ada = owner("acme", Some("ada"));
    let text = async |whose| house.read(&ada, "faq", whose).await.unwrap().text.to_string();
    assert_eq!(text(Whose::OwnBeforeShared).await, "ada's");
    assert_eq!(text(Whose::Own).await, "ada's");
    assert_eq!(text(Whose::Shared).await, "everybody's");
    for other in [owner("acme", Some("bob")), owner("acme", None), owner("acme", Some(""))] {
        assert_eq!(house.text(&other, "faq").await.unwrap(), "everybody's", "{other:?}");
        assert_eq!(house.read(&other, "faq", Whose::Own).await, None, "{other:?}");
    }
    // Each shelf keeps its own.
    assert!(house.store.delete_document(&own("acme", "ada"), &doc_key("faq"), None).await.unwrap());
    assert_eq!(house.text(&ada, "faq").await.unwrap(), "everybody's");
    assert!(!house.store.delete_document(&own("acme", "ada"), &doc_key("faq"), None).await.unwrap());
    assert_eq!(house.text(&owner("globex", None), "faq").await, None);
}

pub(crate) async fn documents_come_by_key_in_pages(open: Open) {
    let house = open_default(open);
    let (ada, everything) = (owner("acme", Some("ada")), DocumentFilter::default());
    for key in ["b", "B2", "a.z", "0", "a-z", "aa"] {
        house.put(&own("acme", "ada"), key, "mine").await;
    }
    for key in ["b", "c", "a_z", "9"] {
        house.put(&shared("acme"), key, "shared").await;
    }
    house.put(&own("acme", "bob"), "a", "bob's").await;
    house.put(&shared("globex"), "a", "theirs").await;
    // By bytes, whatever language the database orders by.
    let all = ["0", "9*", "a-z", "a.z", "a_z*", "aa", "b", "b2", "c*"];
    assert_eq!(
        house.listed_documents(&ada, &everything, &Page::default()).await,
        (all.map(Into::into).to_vec(), false)
    );
    let nobody = owner("acme", None);
    let shown = house.listed_documents(&nobody, &everything, &Page::default()).await.0;
    assert_eq!(shown, ["9*", "a_z*", "b*", "c*"]);
    for (whose, shown) in
        [(Whose::Own, vec!["0", "a-z", "a.z", "aa", "b", "b2"]), (Whose::Shared, vec!["9*", "a_z*", "b*", "c*"])]
    {
        let filter = DocumentFilter { whose, tag: None };
        assert_eq!(house.listed_documents(&ada, &filter, &Page::default()).await.0, shown, "{whose:?}");
    }
    let none = DocumentFilter { whose: Whose::Own, tag: None };
    assert_eq!(house.listed_documents(&nobody, &none, &Page::default()).await.0, Vec::<String>::new());

    for limit in 1..=all.len() {
        let (mut seen, mut page) = (Vec::new(), Page::first(limit));
        loop {
            let (shown, has_more) = house.listed_documents(&ada, &everything, &page).await;
            assert!(shown.len() <= limit && (has_more || seen.len() + shown.len() == all.len()));
            seen.extend(shown);
            if !has_more {
                break;
            }
            page = Page::first(limit).after(seen.last().unwrap().trim_end_matches('*'));
        }
        assert_eq!(seen, all, "{limit} a page");
    }
    // A page goes on behind what was removed, and behind another's key, of which it tells nothing.
    let behind = house.listed_documents(&ada, &everything, &Page::first(2).after("A")).await;
    assert_eq!(behind, (vec!["a-z".into(), "a.z".into()], true));
    let refused = house.store.documents(&ada, &everything, &Page::first(1).after("../a")).await;
    assert_eq!(refused, Err(StoreError::UnknownCursor));
}

pub(crate) async fn documents_are_listed_by_tag(open: Open) {
    let (house, ada) = (open_default(open), owner("acme", Some("ada")));
    let put = async |shelf: &Shelf, key: &str, tags: &[&str]| {
        let document = new(key, "text").with_tags(tags.iter().copied()).unwrap();
        house.store.put_documents(shelf, vec![document], Terms::default()).await.unwrap();
    };
    put(&own("acme", "ada"), "one", &["api", "two words"]).await;
    put(&own("acme", "ada"), "hides", &["other"]).await;
    put(&shared("acme"), "hides", &["api"]).await;
    put(&shared("acme"), "shared", &["x", "api"]).await;
    let tagged = async |tag: &str| {
        let filter = DocumentFilter { whose: Whose::OwnBeforeShared, tag: Some(tag.into()) };
        house.listed_documents(&ada, &filter, &Page::default()).await.0
    };
    // What a look-up does not find is not listed either.
    assert_eq!(tagged("api").await, ["one", "shared*"]);
    assert_eq!(tagged("two words").await, ["one"]);
    for other in ["API", "ap", "%", "", "two", "api\0", "\"api\""] {
        assert_eq!(tagged(other).await, Vec::<String>::new(), "{other:?}");
    }
}

pub(crate) async fn several_are_written_together_or_not_at_all(open: Open) {
    let (house, ada, shelf) = (open_default(open), owner("acme", Some("ada")), own("acme", "ada"));
    let put = async |keys: &[&str], terms| {
        let documents = keys.iter().map(|key| new(key, "text")).collect();
        house.store.put_documents(&shelf, documents, terms).await.map(|written| written.len())
    };
    assert_eq!(put(&["b", "a", "c"], Terms::default()).await, Ok(3));
    assert_eq!(put(&[], Terms::default()).await, Ok(0));
    let absent = Terms { condition: Condition::Absent, most: None };
    assert_eq!(put(&["d", "c", "e"], absent).await, Err(StoreError::Changed));
    let five = Terms { condition: Condition::Always, most: Some(5) };
    assert!(matches!(put(&["d", "c", "e", "f"], five).await, Err(StoreError::Full { .. })));
    assert!(matches!(put(&["d", "D"], Terms::default()).await, Err(StoreError::Invalid { .. })));
    let all = async || house.listed_documents(&ada, &DocumentFilter::default(), &Page::default()).await.0;
    assert_eq!(all().await, ["a", "b", "c"]);

    // What replaces another needs no room; who has too many already may still write those.
    assert_eq!(put(&["d", "c", "e"], five).await, Ok(3));
    let one = Terms { condition: Condition::Always, most: Some(1) };
    assert_eq!(put(&["d"], one).await, Ok(1));
    assert!(matches!(put(&["f"], one).await, Err(StoreError::Full { .. })));
    assert_eq!(all().await, ["a", "b", "c", "d", "e"]);
    // Each shelf is counted for itself.
    let other = house.store.put_documents(&own("acme", "bob"), vec![new("a", "text")], one).await;
    assert!(other.unwrap().remove(0).is_new);
}

pub(crate) async fn a_condition_holds_or_nothing_is_written(open: Open) {
    let (house, ada, shelf) = (open_default(open), owner("acme", Some("ada")), own("acme", "ada"));
    house.put(&shared("acme"), "k", "shared").await;
    let first = house.put_on(&shelf, "k", "1", Condition::Absent).await.unwrap();
    assert_eq!(house.put_on(&shelf, "k", "x", Condition::Absent).await, Err(StoreError::Changed));
    let unchanged = Condition::Unchanged(first.head.revision);
    let second = house.put_on(&shelf, "k", "2", unchanged).await.unwrap();
    assert_eq!(house.put_on(&shelf, "k", "x", unchanged).await, Err(StoreError::Changed));
    assert_eq!(house.text(&ada, "k").await.unwrap(), "2");
    // A revision is that of one document.
    assert_eq!(house.put_on(&shelf, "other", "x", unchanged).await, Err(StoreError::Changed));
    let theirs = Condition::Unchanged(second.head.revision);
    assert_eq!(house.put_on(&own("acme", "bob"), "k", "x", theirs).await, Err(StoreError::Changed));
    assert_eq!(house.put_on(&shared("acme"), "k", "x", theirs).await, Err(StoreError::Changed));

    let delete = async |revision| house.store.delete_document(&shelf, &doc_key("k"), Some(revision)).await;
    assert_eq!(delete(first.head.revision).await, Err(StoreError::Changed));
    assert_eq!(delete(second.head.revision).await, Ok(true));
    assert_eq!(delete(second.head.revision).await, Err(StoreError::Changed));
    // A new one of the same key is not the old one.
    let third = house.put(&shelf, "k", "2").await;
    assert!(third.is_new && third.head.revision != second.head.revision);
    assert_eq!(house.put_on(&shelf, "k", "x", theirs).await, Err(StoreError::Changed));
    assert_eq!(house.text(&owner("acme", None), "k").await.unwrap(), "shared");
}

pub(crate) async fn of_writers_at_once_one_wins_each_revision(open: Open) {
    let (house, shelf) = (open_default(open), own("acme", "ada"));
    let mut condition = Condition::Absent;
    for round in 0..5 {
        let writers = (0..8).map(|n| {
            let (store, shelf, document) = (house.store.clone(), shelf.clone(), new("k", &format!("{round}.{n}")));
            let terms = Terms { condition, most: None };
            tokio::spawn(async move {
                store.put_documents(&shelf, vec![document], terms).await.map(|mut all| all.remove(0))
            })
        });
        let writers: Vec<_> = writers.collect();
        let mut winners = Vec::new();
        for writer in writers {
            match writer.await.unwrap() {
                Ok(written) => winners.push(written.head),
                Err(error) => assert_eq!(error, StoreError::Changed),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        let found = house.read(&owner("acme", Some("ada")), "k", Whose::Own).await.unwrap();
        assert_eq!(found.head, winners[0]);
        condition = Condition::Unchanged(found.head.revision);
    }
}

pub(crate) async fn a_closed_store_has_no_documents(open: Open) {
    let house = open_default(open);
    house.put(&shared("acme"), "k", "text").await;
    house.store.close().await.unwrap();
    let (reader, shelf) = (owner("acme", None), shared("acme"));
    assert_eq!(house.store.document(&reader, &doc_key("k"), Whose::Shared).await, Err(StoreError::Closed));
    assert_eq!(house.store.put_documents(&shelf, vec![], Terms::default()).await, Err(StoreError::Closed));
    assert_eq!(house.store.delete_document(&shelf, &doc_key("k"), None).await, Err(StoreError::Closed));
    let listed = house.store.documents(&reader, &DocumentFilter::default(), &Page::default()).await;
    assert_eq!(listed, Err(StoreError::Closed));
}

/// Callers that are easily mixed up.
fn callers() -> Vec<Owner> {
    let users = [None, Some("ada"), Some("acme")];
    ["acme", "ada"].into_iter().flat_map(|tenant| users.map(|user| owner(tenant, user))).collect()
}

#[derive(Clone, Debug)]
enum Deed {
    Put { shared: bool },
    Delete { shared: bool },
}

/// What must be there: a text by tenant, user and key.
type Model = BTreeMap<(String, Option<String>), BTreeMap<String, String>>;

const KEYS: [&str; 2] = ["faq", "ada"];

pub(crate) async fn random_use_of_documents_agrees_with_a_simple_model(open: Open) {
    let deed = prop_oneof![
        3 => any::<bool>().prop_map(|shared| Deed::Put { shared }),
        1 => any::<bool>().prop_map(|shared| Deed::Delete { shared }),
    ];
    let deeds = prop::collection::vec((0..6_usize, 0..KEYS.len(), deed), 1..40);
    let cases = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        TestRunner::new(cases).run(&deeds, |deeds| {
            runtime.block_on(act(&open_default(open), &deeds));
            Ok(())
        })
    };
    tokio::task::spawn_blocking(run).await.unwrap().unwrap();
}

async fn act(house: &House, deeds: &[(usize, usize, Deed)]) {
    let (callers, mut model) = (callers(), Model::new());
    for (n, (who, key, deed)) in deeds.iter().enumerate() {
        let (caller, key) = (&callers[*who], KEYS[*key]);
        let shelf = |of_all: bool| if of_all { Some(shared(caller.tenant.as_str())) } else { Shelf::of(caller) };
        let (Deed::Put { shared: of_all } | Deed::Delete { shared: of_all }) = deed;
        let Some(shelf) = shelf(*of_all) else { continue };
        let place = (caller.tenant.to_string(), shelf.user().map(ToString::to_string));
        let there = model.entry(place).or_default();
        match deed {
            Deed::Put { .. } => {
                let written = house.put(&shelf, key, &format!("text {n}")).await;
                assert_eq!(written.is_new, there.insert(key.to_owned(), format!("text {n}")).is_none());
            }
            Deed::Delete { .. } => {
                let deleted = house.store.delete_document(&shelf, &doc_key(key), None).await.unwrap();
                assert_eq!(deleted, there.remove(key).is_some());
            }
        }
        for reader in &callers {
            compare(house, reader, &model).await;
        }
    }
}

/// What a reader sees is what the model says, key by key and as a whole.
async fn compare(house: &House, reader: &Owner, model: &Model) {
    let nothing = BTreeMap::new();
    let tenant = reader.tenant.to_string();
    let common = model.get(&(tenant.clone(), None)).unwrap_or(&nothing);
    let user = reader.user.as_ref().map(ToString::to_string);
    let mine = user.and_then(|user| model.get(&(tenant, Some(user)))).unwrap_or(&nothing);
    for key in KEYS {
        let text = |document: Option<Document>| document.map(|document| document.text.to_string());
        assert_eq!(text(house.read(reader, key, Whose::Own).await).as_ref(), mine.get(key));
        assert_eq!(text(house.read(reader, key, Whose::Shared).await).as_ref(), common.get(key));
        assert_eq!(house.text(reader, key).await.as_ref(), mine.get(key).or_else(|| common.get(key)));
    }
    let (shown, _) = house.listed_documents(reader, &DocumentFilter::default(), &Page::default()).await;
    let keys: BTreeSet<&String> = mine.keys().chain(common.keys()).collect();
    let wanted: Vec<String> =
        keys.into_iter().map(|key| format!("{key}{}", if mine.contains_key(key) { "" } else { "*" })).collect();
    assert_eq!(shown, wanted, "{reader:?}");
}

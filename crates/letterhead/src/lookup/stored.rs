//! Looking up the documents of a store.

use std::fmt;
use std::iter;
use std::sync::Arc;

use async_trait::async_trait;
use letterhead_context::Caller;
use letterhead_store::{Document, DocumentFilter, DocumentKey, Documents, List, Owner, Page, StoreError, Whose};

use super::near::nearest_keys;
use super::{Found, LookedUp, LookupSource};
use crate::tool::ToolError;

/// How many keys are told where there is nothing under the one that was meant.
const NEAR: usize = 10;

/// How many documents are looked through for them: so many of all, and where there are more, of those that begin alike.
const LOOKED_THROUGH: usize = 300;

/// How many characters that is.
const BEGINNING: usize = 3;

/// The documents of a store: of each caller its own, then those that its tenant shares.
///
/// ```
/// use std::sync::Arc;
///
/// use letterhead::lookup::StoredDocuments;
/// use letterhead::{Agent, Runner, TenantId};
/// use letterhead_store::{DocumentKey, Documents, Lifetimes, MemoryStore, NewDocument, Shelf, SystemClock, Terms};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = Arc::new(MemoryStore::new(Lifetimes::default(), Arc::new(SystemClock)));
/// let hours = NewDocument::new(DocumentKey::parse("opening-hours")?, "Open from nine to five.")?;
/// store.put_documents(&Shelf::shared(TenantId::default()), vec![hours], Terms::default()).await?;
///
/// let agent = Agent::new("front-desk").with_tool_named("lookup");
/// let runner = Runner::with_agents([agent]).lookup(StoredDocuments::new(store)).build()?;
/// let result = runner.run("/lookup Opening-Hours").await?;
/// assert!(result.output.contains("Open from nine to five."));
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct StoredDocuments(Arc<dyn Documents>);

impl fmt::Debug for StoredDocuments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredDocuments").finish_non_exhaustive()
    }
}

impl StoredDocuments {
    /// The documents of this store.
    pub fn new(store: Arc<dyn Documents>) -> Self {
        Self(store)
    }

    /// Keys that the reader may read, and that may have been meant; where nothing is near, the first ones.
    async fn near(&self, wanted: &str, reader: &Owner) -> Result<Vec<String>, StoreError> {
        let filter = DocumentFilter::default();
        let List { mut data, has_more, .. } = self.0.documents(reader, &filter, &Page::first(LOOKED_THROUGH)).await?;
        // Of many, those too that begin as the one that was meant.
        if has_more && let Some(last) = data.last() {
            let beginning: String = wanted.chars().take(BEGINNING).collect();
            let beginning = DocumentKey::parse(&beginning).ok().filter(|key| *key > last.key);
            let after = beginning.as_ref().unwrap_or(&last.key).as_str().to_owned();
            data.extend(self.0.documents(reader, &filter, &Page::first(LOOKED_THROUGH).after(after)).await?.data);
        }
        // An answer may have many look-ups: others have their turn between them.
        tokio::task::yield_now().await;
        let names = data.iter().flat_map(|head| {
            let key = head.key.as_str();
            iter::once((key, key)).chain(head.title.as_deref().map(|title| (key, title)))
        });
        Ok(match nearest_keys(wanted, names) {
            near if near.is_empty() => data.iter().take(NEAR).map(|head| head.key.as_str().to_owned()).collect(),
            near => near.into_iter().take(NEAR).map(str::to_owned).collect(),
        })
    }
}

#[async_trait]
impl LookupSource for StoredDocuments {
    async fn look_up(&self, key: &str, caller: &Caller) -> Result<Found, ToolError> {
        let reader = Owner::from(caller);
        let found = match DocumentKey::parse(key) {
            Ok(key) => self.0.document(&reader, &key, Whose::OwnBeforeShared).await,
            Err(_) => Ok(None),
        };
        let found = match found {
            Ok(Some(document)) => Ok(Found::Text(looked_up(document))),
            Ok(None) => self.near(key, &reader).await.map(|near| Found::Nothing { near }),
            Err(error) => Err(error),
        };
        found.map_err(|error| {
            tracing::warn!(reason = %error, "a document could not be looked up");
            ToolError::new("Documents cannot be looked up now.")
        })
    }
}

fn looked_up(document: Document) -> LookedUp {
    let Document { head, text } = document;
    let whose = if head.is_shared() { "shared" } else { "the person's own" };
    LookedUp { title: head.title, whose: Some(whose), ..LookedUp::new(head.key.as_str(), text) }
}

//! Looking up the documents of a store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use letterhead_context::Caller;
use letterhead_context::name::nearest;
use letterhead_store::{
    Document, DocumentFilter, DocumentKey, Documents, MAX_DOCUMENT_KEY, Owner, Page, StoreError, Whose,
};

use super::{Found, LookedUp, LookupSource};
use crate::tool::ToolError;

/// How many keys are told where there is nothing under the one that was meant.
const NEAR: usize = 10;

/// How many documents are looked through for them.
const LOOKED_THROUGH: usize = 2_000;

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
        let (mut keys, mut names, mut page) = (Vec::new(), Vec::new(), Page::first(500));
        loop {
            let list = self.0.documents(reader, &DocumentFilter::default(), &page).await?;
            for head in &list.data {
                let key = head.key.as_str().to_owned();
                names.extend(head.title.as_ref().map(|title| (title.to_string(), key.clone())));
                names.push((key.clone(), key.clone()));
                keys.push(key);
            }
            match list.data.last() {
                Some(last) if list.has_more && keys.len() < LOOKED_THROUGH => {
                    page = Page::first(500).after(last.key.as_str());
                }
                _ => break,
            }
        }
        // A key that cannot be one may have any length.
        let wanted: String = wanted.chars().take(MAX_DOCUMENT_KEY).collect();
        let mut near: Vec<String> = Vec::new();
        while near.len() < NEAR
            && let Some(name) = nearest(&wanted, names.iter().map(|(name, _)| name.as_str()))
            && let Some(key) = names.iter().find(|(known, _)| known == name).map(|(_, key)| key.clone())
        {
            names.retain(|(_, known)| *known != key);
            near.push(key);
        }
        if near.is_empty() {
            keys.truncate(NEAR);
            return Ok(keys);
        }
        Ok(near)
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

//! Documents in memory, as many as there is room for.
//!
//! Where there is no room more are refused, though sessions would make room: one caller's writing must not remove
//! another's documents.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;

use super::MemoryStore;
use crate::document::{check_keys, cursor, holds, shelves, too_many};
use crate::{
    Document, DocumentFilter, DocumentHead, DocumentKey, Documents, List, NewDocument, Owner, Page, Revision, Shelf,
    StoreError, Terms, Whose, Written,
};

/// The most bytes of documents that are kept.
const MAX_BYTES: usize = 16 << 20;

#[derive(Default)]
pub(super) struct Shelves {
    shelves: HashMap<Shelf, BTreeMap<DocumentKey, Arc<Document>>>,
    bytes: usize,
}

/// Roughly the bytes that a document takes.
fn weight(head: &DocumentHead, text: &str) -> usize {
    let title = head.title.as_ref().map_or(0, |title| title.len());
    512 + head.key.as_str().len() + title + head.tags.iter().map(|tag| tag.len() + 16).sum::<usize>() + text.len()
}

impl Shelves {
    fn put(
        &mut self,
        shelf: &Shelf,
        documents: &[NewDocument],
        terms: Terms,
        now_ms: i64,
    ) -> Result<Vec<Written>, StoreError> {
        check_keys(documents)?;
        let there = self.shelves.get(shelf);
        let found = |new: &NewDocument| there.and_then(|there| there.get(new.key()));
        if !documents.iter().all(|new| holds(terms.condition, found(new).map(|old| old.head.revision))) {
            return Err(StoreError::Changed);
        }
        let (before, more) =
            (there.map_or(0, BTreeMap::len), documents.iter().filter(|new| found(new).is_none()).count());
        if let Some(most) = terms.most.filter(|most| more > 0 && before + more > *most) {
            return Err(too_many(most));
        }
        let mut bytes = self.bytes;
        let mut writing = Vec::with_capacity(documents.len());
        for new in documents {
            let old = found(new);
            let created_at_ms = old.map_or(now_ms, |old| old.head.created_at_ms);
            let head = new.stored(shelf, Revision::next(), created_at_ms, now_ms);
            bytes = (bytes + weight(&head, new.text())) - old.map_or(0, |old| weight(&old.head, &old.text));
            writing.push((Written { head, is_new: old.is_none() }, Arc::clone(new.text())));
        }
        if bytes > MAX_BYTES && bytes > self.bytes {
            return Err(StoreError::Full { reason: "`store: memory` keeps 16 MiB of documents, and no more".into() });
        }
        self.bytes = bytes;
        let there = self.shelves.entry(shelf.clone()).or_default();
        let write = |(written, text): (Written, Arc<str>)| {
            there.insert(written.head.key.clone(), Arc::new(Document { head: written.head.clone(), text }));
            written
        };
        Ok(writing.into_iter().map(write).collect())
    }

    fn remove(&mut self, shelf: &Shelf, key: &DocumentKey, revision: Option<Revision>) -> Result<bool, StoreError> {
        let Some(there) = self.shelves.get_mut(shelf) else { return gone(revision) };
        match there.get(key) {
            None => return gone(revision),
            Some(found) if revision.is_some_and(|revision| revision != found.head.revision) => {
                return Err(StoreError::Changed);
            }
            Some(found) => self.bytes -= weight(&found.head, &found.text),
        }
        there.remove(key);
        if there.is_empty() {
            self.shelves.remove(shelf);
        }
        Ok(true)
    }

    /// What a reader may read, own before shared.
    fn of(&self, reader: &Owner, whose: Whose) -> impl Iterator<Item = &BTreeMap<DocumentKey, Arc<Document>>> {
        shelves(reader, whose).filter_map(|shelf| self.shelves.get(&shelf))
    }

    fn list(&self, reader: &Owner, filter: &DocumentFilter, page: &Page) -> Result<List<DocumentHead>, StoreError> {
        let after = cursor(page)?;
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut merged: BTreeMap<&DocumentKey, &Arc<Document>> = BTreeMap::new();
        for there in self.of(reader, filter.whose) {
            for (key, document) in there.range((from, Bound::Unbounded)) {
                merged.entry(key).or_insert(document);
            }
        }
        let has_tag = |head: &DocumentHead| filter.tag.as_ref().is_none_or(|tag| head.tags.contains(tag));
        let heads = merged.into_values().map(|document| &document.head).filter(|head| has_tag(head));
        Ok(List::cut(heads.take(page.limit() + 1).cloned().collect(), page.limit()))
    }
}

/// There is nothing to remove, which is not what a condition says.
fn gone(revision: Option<Revision>) -> Result<bool, StoreError> {
    if revision.is_some() { Err(StoreError::Changed) } else { Ok(false) }
}

#[async_trait]
impl Documents for MemoryStore {
    async fn put_documents(
        &self,
        shelf: &Shelf,
        documents: Vec<NewDocument>,
        terms: Terms,
    ) -> Result<Vec<Written>, StoreError> {
        self.open()?;
        self.shelves().put(shelf, &documents, terms, self.clock.now_ms())
    }

    async fn document(&self, reader: &Owner, key: &DocumentKey, whose: Whose) -> Result<Option<Document>, StoreError> {
        self.open()?;
        let shelves = self.shelves();
        let found = shelves.of(reader, whose).find_map(|there| there.get(key));
        Ok(found.map(|document| Document::clone(document)))
    }

    async fn documents(
        &self,
        reader: &Owner,
        filter: &DocumentFilter,
        page: &Page,
    ) -> Result<List<DocumentHead>, StoreError> {
        self.open()?;
        self.shelves().list(reader, filter, page)
    }

    async fn delete_document(
        &self,
        shelf: &Shelf,
        key: &DocumentKey,
        revision: Option<Revision>,
    ) -> Result<bool, StoreError> {
        self.open()?;
        self.shelves().remove(shelf, key, revision)
    }
}

#[cfg(test)]
mod tests {
    use letterhead_context::TenantId;

    use super::*;

    fn new(key: &str, bytes: usize) -> NewDocument {
        NewDocument::new(DocumentKey::parse(key).unwrap(), "x".repeat(bytes)).unwrap()
    }

    #[test]
    fn there_is_room_for_so_much_and_nothing_is_pushed_out() {
        let (mut shelves, shelf) = (Shelves::default(), Shelf::shared(TenantId::default()));
        let put = |shelves: &mut Shelves, document| shelves.put(&shelf, &[document], Terms::default(), 0);
        put(&mut shelves, new("a", MAX_BYTES / 2)).unwrap();
        assert!(matches!(put(&mut shelves, new("b", MAX_BYTES / 2)), Err(StoreError::Full { .. })));
        // A smaller one in its place is always taken.
        put(&mut shelves, new("a", 1)).unwrap();
        put(&mut shelves, new("b", MAX_BYTES / 2)).unwrap();
        for key in ["a", "b"] {
            assert!(shelves.remove(&shelf, &DocumentKey::parse(key).unwrap(), None).unwrap());
        }
        assert_eq!((shelves.bytes, shelves.shelves.len()), (0, 0));
    }
}

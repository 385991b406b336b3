//! Documents in the file.

use std::sync::Arc;

use async_trait::async_trait;
use letterhead_context::UserId;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params, params_from_iter};

use super::read::look_up;
use super::tool::SqliteTool;
use super::{SqliteStore, errand};
use crate::columns::{from_json, to_json};
use crate::document::{check_keys, cursor, holds, shelves, too_many};
use crate::{
    Document, DocumentFilter, DocumentHead, DocumentKey, Documents, List, NewDocument, Owner, Page, Revision, Shelf,
    StoreError, Terms, Whose, Written,
};

/// The columns of a document, in the order that [`head`] reads them.
const HEAD: &str = "key, user_id, title, tags, size, revision, created_at, updated_at";

/// The condition that finds a shelf's rows, with the tenant as `?1` and the user as `?2`. Written out, for an index of some
/// rows is used only so.
fn on(shelf: &Shelf) -> &'static str {
    match shelf {
        Shelf::Own { .. } => "tenant_id = ?1 AND user_id = ?2",
        Shelf::Shared { .. } => "tenant_id = ?1 AND user_id IS NULL AND ?2 IS NULL",
    }
}

fn user(shelf: &Shelf) -> Option<&str> {
    shelf.user().map(UserId::as_str)
}

/// Writes documents, within a transaction. What is refused is refused before anything is written.
fn put(
    connection: &Connection,
    shelf: &Shelf,
    documents: &[NewDocument],
    terms: Terms,
    now_ms: i64,
) -> Result<Vec<Written>, StoreError> {
    check_keys(documents)?;
    let (tenant, user, on) = (shelf.tenant().as_str(), user(shelf), on(shelf));
    let mut found = Vec::with_capacity(documents.len());
    let sql = format!("SELECT id, revision, created_at FROM documents WHERE {on} AND key = ?3");
    let mut look = connection.prepare_cached(&sql)?;
    for new in documents {
        let key = new.key().as_str();
        let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?));
        let old = look.query_row(params![tenant, user, key], row).optional()?;
        let revision = old.as_ref().map(|(_, text, _)| revision(text)).transpose()?;
        if !holds(terms.condition, revision) {
            return Err(StoreError::Changed);
        }
        found.push(old.map(|(id, _, created_at_ms)| (id, created_at_ms)));
    }
    let more = found.iter().filter(|old| old.is_none()).count();
    if let Some(most) = terms.most.filter(|_| more > 0) {
        let sql = format!("SELECT count(*) FROM documents WHERE {on}");
        let there: i64 = connection.prepare_cached(&sql)?.query_row(params![tenant, user], |row| row.get(0))?;
        if usize::try_from(there).unwrap_or(usize::MAX).saturating_add(more) > most {
            return Err(too_many(most));
        }
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO documents (id, tenant_id, user_id, key, title, tags, revision, size, created_at, updated_at, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO UPDATE SET title = excluded.title, \
         tags = excluded.tags, revision = excluded.revision, size = excluded.size, updated_at = excluded.updated_at, \
         body = excluded.body",
    )?;
    let mut written = Vec::with_capacity(documents.len());
    for (new, old) in documents.iter().zip(found) {
        let head = new.stored(shelf, Revision::next(), old.map_or(now_ms, |(_, at)| at), now_ms);
        insert.execute(params![
            old.map(|(id, _)| id),
            tenant,
            user,
            head.key.as_str(),
            head.title,
            to_json(&head.tags)?,
            head.revision.to_string(),
            head.bytes.cast_signed(),
            head.created_at_ms,
            head.updated_at_ms,
            &**new.text(),
        ])?;
        written.push(Written { head, is_new: old.is_none() });
    }
    Ok(written)
}

/// The document of this key that a reader may read.
fn find(
    connection: &Connection,
    reader: &Owner,
    key: &DocumentKey,
    whose: Whose,
) -> Result<Option<Document>, StoreError> {
    for shelf in shelves(reader, whose) {
        let sql = format!("SELECT {HEAD}, body FROM documents WHERE {} AND key = ?3", on(&shelf));
        let found = connection
            .prepare_cached(&sql)?
            .query_row(params![shelf.tenant().as_str(), user(&shelf), key.as_str()], |row| {
                Ok(head(row).and_then(|head| Ok(Document { head, text: row.get(8)? })))
            })
            .optional()?;
        if let Some(found) = found {
            return found.map(Some);
        }
    }
    Ok(None)
}

/// A page of what a reader may read: one of each shelf, put together.
fn list(
    connection: &Connection,
    reader: &Owner,
    filter: &DocumentFilter,
    page: &Page,
) -> Result<List<DocumentHead>, StoreError> {
    let after = cursor(page)?;
    let after = after.as_ref().map_or("", DocumentKey::as_str);
    let mut heads = Vec::new();
    for shelf in shelves(reader, filter.whose) {
        let mut values = vec![
            Value::Text(shelf.tenant().as_str().into()),
            user(&shelf).map_or(Value::Null, |user| Value::Text(user.into())),
            Value::Text(after.into()),
            Value::Integer(look_up(page)),
        ];
        let mut sql = format!("SELECT {HEAD} FROM documents d WHERE {} AND key > ?3", on(&shelf));
        if let Some(tag) = &filter.tag {
            values.push(Value::Text(tag.as_ref().into()));
            sql.push_str(" AND EXISTS (SELECT 1 FROM json_each(d.tags) WHERE value = ?5)");
        }
        if let (Shelf::Shared { .. }, Whose::OwnBeforeShared, Some(own)) = (&shelf, filter.whose, &reader.user) {
            values.push(Value::Text(own.as_str().into()));
            let hidden = "SELECT 1 FROM documents own WHERE own.tenant_id = ?1 AND own.key = d.key AND own.user_id =";
            sql.push_str(&format!(" AND NOT EXISTS ({hidden} ?{})", values.len()));
        }
        sql.push_str(" ORDER BY key LIMIT ?4");
        let mut statement = connection.prepare_cached(&sql)?;
        let found = statement.query_and_then(params_from_iter(values), head)?;
        heads.extend(found.collect::<Result<Vec<_>, StoreError>>()?);
    }
    heads.sort_unstable_by(|one, two| one.key.cmp(&two.key));
    Ok(List::cut(heads, page.limit()))
}

/// Removes a document, within a transaction.
fn remove(
    connection: &Connection,
    shelf: &Shelf,
    key: &DocumentKey,
    wanted: Option<Revision>,
) -> Result<bool, StoreError> {
    let (tenant, user, on) = (shelf.tenant().as_str(), user(shelf), on(shelf));
    if let Some(wanted) = wanted {
        let sql = format!("SELECT revision FROM documents WHERE {on} AND key = ?3");
        let found: Option<String> = connection
            .prepare_cached(&sql)?
            .query_row(params![tenant, user, key.as_str()], |row| row.get(0))
            .optional()?;
        if found.as_deref().map(revision).transpose()? != Some(wanted) {
            return Err(StoreError::Changed);
        }
    }
    let sql = format!("DELETE FROM documents WHERE {on} AND key = ?3");
    Ok(connection.prepare_cached(&sql)?.execute(params![tenant, user, key.as_str()])? > 0)
}

fn head(row: &Row<'_>) -> Result<DocumentHead, StoreError> {
    let key = DocumentKey::parse(&row.get::<_, String>(0)?);
    Ok(DocumentHead {
        key: key.map_err(|_| StoreError::Corrupt { what: "the key of a document" })?,
        owner: row.get::<_, Option<Arc<str>>>(1)?.map(UserId::new),
        title: row.get(2)?,
        tags: from_json(&row.get::<_, String>(3)?, "the tags of a document")?,
        bytes: row.get(4).map(i64::cast_unsigned)?,
        revision: revision(&row.get::<_, String>(5)?)?,
        created_at_ms: row.get(6)?,
        updated_at_ms: row.get(7)?,
    })
}

fn revision(text: &str) -> Result<Revision, StoreError> {
    Revision::parse(text).ok_or(StoreError::Corrupt { what: "the revision of a document" })
}

/// What was refused was not written, and is no fault of the transaction, in which there may be jobs of others.
fn refused<T>(done: Result<T, StoreError>) -> Result<Result<T, StoreError>, StoreError> {
    match done {
        Err(StoreError::Changed | StoreError::Full { .. } | StoreError::Invalid { .. }) => Ok(done),
        other => other.map(Ok),
    }
}

#[async_trait]
impl Documents for SqliteStore {
    async fn put_documents(
        &self,
        shelf: &Shelf,
        documents: Vec<NewDocument>,
        terms: Terms,
    ) -> Result<Vec<Written>, StoreError> {
        self.open_for_business()?;
        let (shelf, now_ms) = (shelf.clone(), self.shared.clock.now_ms());
        let write = move |connection: &Connection| refused(put(connection, &shelf, &documents, terms, now_ms));
        self.ask(|reply| errand::job(write, reply)).await?
    }

    async fn document(&self, reader: &Owner, key: &DocumentKey, whose: Whose) -> Result<Option<Document>, StoreError> {
        self.open_for_business()?;
        let (reader, key) = (reader.clone(), key.clone());
        self.readers.read(move |connection| find(connection, &reader, &key, whose)).await
    }

    async fn documents(
        &self,
        reader: &Owner,
        filter: &DocumentFilter,
        page: &Page,
    ) -> Result<List<DocumentHead>, StoreError> {
        self.open_for_business()?;
        let (reader, filter, page) = (reader.clone(), filter.clone(), page.clone());
        self.readers.read(move |connection| list(connection, &reader, &filter, &page)).await
    }

    async fn delete_document(
        &self,
        shelf: &Shelf,
        key: &DocumentKey,
        revision: Option<Revision>,
    ) -> Result<bool, StoreError> {
        self.open_for_business()?;
        let (shelf, key) = (shelf.clone(), key.clone());
        let write = move |connection: &Connection| refused(remove(connection, &shelf, &key, revision));
        self.ask(|reply| errand::job(write, reply)).await?
    }
}

impl SqliteTool {
    /// Does something in a transaction of its own, which is written whole or not at all.
    fn transact<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let connection = self.connection();
        // It is rolled back where it is dropped.
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }
}

#[async_trait]
impl Documents for SqliteTool {
    async fn put_documents(
        &self,
        shelf: &Shelf,
        documents: Vec<NewDocument>,
        terms: Terms,
    ) -> Result<Vec<Written>, StoreError> {
        let now_ms = self.now_ms();
        self.transact(|connection| put(connection, shelf, &documents, terms, now_ms))
    }

    async fn document(&self, reader: &Owner, key: &DocumentKey, whose: Whose) -> Result<Option<Document>, StoreError> {
        find(&self.connection(), reader, key, whose)
    }

    async fn documents(
        &self,
        reader: &Owner,
        filter: &DocumentFilter,
        page: &Page,
    ) -> Result<List<DocumentHead>, StoreError> {
        list(&self.connection(), reader, filter, page)
    }

    async fn delete_document(
        &self,
        shelf: &Shelf,
        key: &DocumentKey,
        revision: Option<Revision>,
    ) -> Result<bool, StoreError> {
        self.transact(|connection| remove(connection, shelf, key, revision))
    }
}

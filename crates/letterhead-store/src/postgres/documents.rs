//! Documents in the database. Every transaction is bound to its tenant and its user; one that writes what a tenant shares
//! says so, and can then write nothing else: row-level security holds it to that.

use async_trait::async_trait;
use deadpool_postgres::ClientWrapper;
use letterhead_context::UserId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresStore;
use super::database::{BEGIN, BEGIN_READ, bound, prepared};
use super::fault::Fault;
use super::read::look_up;
use super::row::{get, optional_text, text};
use crate::Clock as _;
use crate::document::{check_keys, cursor, holds, shelves, too_many};
use crate::{
    Condition, Document, DocumentFilter, DocumentHead, DocumentKey, Documents, List, NewDocument, Owner, Page,
    Revision, Shelf, StoreError, Terms, Whose, Written,
};

/// Whose documents the transaction may change, besides its tenant: this user's, or those that the tenant shares.
const BIND_USER: &str = "SELECT set_config('app.user_id', $1, true), set_config('app.shares', $2, true)";

/// The columns of a document, in the order that [`head`] reads them.
macro_rules! head_columns {
    () => {
        "key, user_id, title, tags, size, revision, created_at, updated_at"
    };
}

/// Two forms of a statement: for a user's documents, and for shared ones. An index of some rows is used only where the
/// condition is written out. Both take the tenant as `$1` and the user as `$2`.
type ByShelf = [&'static str; 2];

macro_rules! by_shelf {
    ($before:expr, $behind:expr) => {
        [
            concat!($before, " tenant_id = $1 AND user_id = $2 ", $behind),
            concat!($before, " tenant_id = $1 AND user_id IS NULL AND $2::text IS NULL ", $behind),
        ]
    };
}

macro_rules! insert {
    ($conflict:expr) => {
        concat!(
            "INSERT INTO documents (id, tenant_id, user_id, key, title, tags, revision, size, created_at, updated_at, \
             body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10) ON CONFLICT ",
            $conflict,
            " RETURNING created_at"
        )
    };
}

macro_rules! replace {
    () => {
        " DO UPDATE SET title = excluded.title, tags = excluded.tags, revision = excluded.revision, \
         size = excluded.size, updated_at = excluded.updated_at, body = excluded.body"
    };
}

const LOCK: ByShelf =
    by_shelf!("SELECT key, revision FROM documents WHERE", "AND key = ANY($3) ORDER BY key FOR UPDATE");
const COUNT: ByShelf = by_shelf!("SELECT count(*) FROM documents WHERE", "");
const PUT: ByShelf = [
    insert!(concat!("(tenant_id, user_id, key) WHERE user_id IS NOT NULL", replace!())),
    insert!(concat!("(tenant_id, key) WHERE user_id IS NULL", replace!())),
];
const PUT_NEW: &str = insert!("DO NOTHING");
const FIND: ByShelf = by_shelf!(concat!("SELECT ", head_columns!(), ", body FROM documents WHERE"), "AND key = $3");
const LIST: ByShelf = by_shelf!(
    concat!("SELECT ", head_columns!(), " FROM documents WHERE"),
    "AND key > $3 AND ($4::text IS NULL OR $4 = ANY(tags)) ORDER BY key LIMIT $5"
);
/// What is shared, but not where the user has one of the same key.
const LIST_UNHIDDEN: &str = concat!(
    "SELECT ",
    head_columns!(),
    " FROM documents d WHERE tenant_id = $1 AND user_id IS NULL AND key > $3 AND ($4::text IS NULL OR $4 = ANY(tags)) \
     AND NOT EXISTS (SELECT 1 FROM documents own WHERE own.tenant_id = $1 AND own.user_id = $2 AND own.key = d.key) \
     ORDER BY key LIMIT $5"
);
const DELETE: ByShelf =
    by_shelf!("DELETE FROM documents WHERE", "AND key = $3 AND ($4::uuid IS NULL OR revision = $4)");

/// The form for a user, or for what is shared.
fn form(user: Option<&str>, forms: ByShelf) -> &'static str {
    let [of_user, shared] = forms;
    if user.is_some() { of_user } else { shared }
}

/// Binds the transaction to who reads or writes.
async fn bind(client: &ClientWrapper, user: Option<&str>, shares: bool) -> Result<(), Fault> {
    let [bind] = prepared(client, [BIND_USER]).await?;
    client.execute(&bind, &[&user.unwrap_or_default(), &if shares { "on" } else { "off" }]).await?;
    Ok(())
}

async fn put(
    client: &ClientWrapper,
    shelf: &Shelf,
    documents: &[NewDocument],
    terms: Terms,
    now_ms: i64,
) -> Result<Vec<Written>, Fault> {
    let (tenant, user) = (shelf.tenant().as_str(), user(shelf));
    bind(client, user, user.is_none()).await?;
    let put = if terms.condition == Condition::Absent { PUT_NEW } else { form(user, PUT) };
    let [lock, count, put] = prepared(client, [form(user, LOCK), form(user, COUNT), put]).await?;
    let keys: Vec<&str> = documents.iter().map(|new| new.key().as_str()).collect();
    let mut found = Vec::new();
    for row in client.query(&lock, &[&tenant, &user, &keys]).await? {
        found.push((text(&row, 0)?, Revision::of(get(&row, 1)?)));
    }
    let revision_of = |new: &NewDocument| found.iter().find(|(key, _)| **key == *new.key().as_str()).map(|one| one.1);
    if !documents.iter().all(|new| holds(terms.condition, revision_of(new))) {
        return Err(StoreError::Changed.into());
    }
    let more = documents.len() - found.len();
    if let Some(most) = terms.most.filter(|_| more > 0) {
        let there: i64 = get(&client.query_one(&count, &[&tenant, &user]).await?, 0)?;
        if usize::try_from(there).unwrap_or(usize::MAX).saturating_add(more) > most {
            return Err(too_many(most).into());
        }
    }
    let mut written = Vec::with_capacity(documents.len());
    for new in documents {
        let mut head = new.stored(shelf, Revision::next(), now_ms, now_ms);
        let tags: Vec<&str> = head.tags.iter().map(AsRef::as_ref).collect();
        let (key, title, bytes) = (head.key.as_str(), head.title.as_deref(), head.bytes.cast_signed());
        let row = client
            .query_opt(
                &put,
                &[
                    &Uuid::now_v7(),
                    &tenant,
                    &user,
                    &key,
                    &title,
                    &tags,
                    &head.revision.uuid(),
                    &bytes,
                    &now_ms,
                    &&**new.text(),
                ],
            )
            .await?;
        // Another node was first.
        let row = row.ok_or(StoreError::Changed)?;
        head.created_at_ms = get(&row, 0)?;
        written.push(Written { head, is_new: revision_of(new).is_none() });
    }
    Ok(written)
}

async fn find(
    client: &ClientWrapper,
    reader: &Owner,
    key: &DocumentKey,
    whose: Whose,
) -> Result<Option<Document>, Fault> {
    let own = Shelf::of(reader);
    bind(client, own.as_ref().and_then(user), false).await?;
    for shelf in shelves(reader, whose) {
        let (tenant, user) = (shelf.tenant().as_str(), user(&shelf));
        let [find] = prepared(client, [form(user, FIND)]).await?;
        if let Some(row) = client.query_opt(&find, &[&tenant, &user, &key.as_str()]).await? {
            return Ok(Some(Document { head: head(&row)?, text: text(&row, 8)? }));
        }
    }
    Ok(None)
}

async fn list(
    client: &ClientWrapper,
    reader: &Owner,
    filter: &DocumentFilter,
    page: &Page,
) -> Result<List<DocumentHead>, Fault> {
    let after = cursor(page)?;
    let (after, tag) = (after.as_ref().map_or("", DocumentKey::as_str), filter.tag.as_deref());
    let own = Shelf::of(reader);
    let own = own.as_ref().and_then(user);
    let hider = own.filter(|_| filter.whose == Whose::OwnBeforeShared);
    bind(client, own, false).await?;
    let mut heads = Vec::new();
    for shelf in shelves(reader, filter.whose) {
        let (tenant, user) = (shelf.tenant().as_str(), user(&shelf));
        let is_hidden = user.is_none() && hider.is_some();
        let statement = if is_hidden { LIST_UNHIDDEN } else { form(user, LIST) };
        let [list] = prepared(client, [statement]).await?;
        for row in client.query(&list, &[&tenant, &user.or(hider), &after, &tag, &look_up(page)]).await? {
            heads.push(head(&row)?);
        }
    }
    heads.sort_unstable_by(|one, two| one.key.cmp(&two.key));
    Ok(List::cut(heads, page.limit()))
}

async fn remove(
    client: &ClientWrapper,
    shelf: &Shelf,
    key: &DocumentKey,
    revision: Option<Revision>,
) -> Result<bool, Fault> {
    let (tenant, user) = (shelf.tenant().as_str(), user(shelf));
    bind(client, user, user.is_none()).await?;
    let [delete] = prepared(client, [form(user, DELETE)]).await?;
    let removed = client.execute(&delete, &[&tenant, &user, &key.as_str(), &revision.map(Revision::uuid)]).await?;
    if removed == 0 && revision.is_some() {
        return Err(StoreError::Changed.into());
    }
    Ok(removed > 0)
}

fn user(shelf: &Shelf) -> Option<&str> {
    shelf.user().map(UserId::as_str)
}

fn head(row: &Row) -> Result<DocumentHead, Fault> {
    let key = DocumentKey::parse(get(row, 0)?).map_err(|_| StoreError::Corrupt { what: "the key of a document" })?;
    Ok(DocumentHead {
        key,
        owner: get::<Option<&str>>(row, 1)?.map(UserId::new),
        title: optional_text(row, 2)?,
        tags: get::<Vec<&str>>(row, 3)?.into_iter().map(Into::into).collect(),
        bytes: get::<i64>(row, 4)?.cast_unsigned(),
        revision: Revision::of(get(row, 5)?),
        created_at_ms: get(row, 6)?,
        updated_at_ms: get(row, 7)?,
    })
}

#[async_trait]
impl Documents for PostgresStore {
    async fn put_documents(
        &self,
        shelf: &Shelf,
        documents: Vec<NewDocument>,
        terms: Terms,
    ) -> Result<Vec<Written>, StoreError> {
        self.open_for_business()?;
        check_keys(&documents)?;
        let (shelf, now_ms) = (shelf.clone(), self.clock.now_ms());
        let written = self.database.run(move |client| {
            Box::pin(async move {
                let work = put(client, &shelf, &documents, terms, now_ms);
                bound(client, BEGIN, shelf.tenant(), work).await
            })
        });
        written.await
    }

    async fn document(&self, reader: &Owner, key: &DocumentKey, whose: Whose) -> Result<Option<Document>, StoreError> {
        self.open_for_business()?;
        let (reader, key) = (reader.clone(), key.clone());
        let found = self.database.run(move |client| {
            Box::pin(async move { bound(client, BEGIN_READ, &reader.tenant, find(client, &reader, &key, whose)).await })
        });
        found.await
    }

    async fn documents(
        &self,
        reader: &Owner,
        filter: &DocumentFilter,
        page: &Page,
    ) -> Result<List<DocumentHead>, StoreError> {
        self.open_for_business()?;
        // No text with this character is stored, nor can it be asked for.
        if filter.tag.as_ref().is_some_and(|tag| tag.contains('\0')) {
            return Ok(List { data: Vec::new(), has_more: false });
        }
        let (reader, filter, page) = (reader.clone(), filter.clone(), page.clone());
        let listed = self.database.run(move |client| {
            Box::pin(
                async move { bound(client, BEGIN_READ, &reader.tenant, list(client, &reader, &filter, &page)).await },
            )
        });
        listed.await
    }

    async fn delete_document(
        &self,
        shelf: &Shelf,
        key: &DocumentKey,
        revision: Option<Revision>,
    ) -> Result<bool, StoreError> {
        self.open_for_business()?;
        let (shelf, key) = (shelf.clone(), key.clone());
        let removed = self.database.run(move |client| {
            Box::pin(async move { bound(client, BEGIN, shelf.tenant(), remove(client, &shelf, &key, revision)).await })
        });
        removed.await
    }
}

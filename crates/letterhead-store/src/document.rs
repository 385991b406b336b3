//! Documents: texts with a key, that agents look up.

mod key;
mod text;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use letterhead_context::{TenantId, UserId};
use uuid::Uuid;

pub use self::key::{DocumentKey, MAX_DOCUMENT_KEY};
pub use self::text::{DocumentFault, MAX_TAG, MAX_TAGS, MAX_TITLE, NewDocument};
use crate::{List, Owner, Page, StoreError};

/// Whose a document is. Nobody comes by a shared one by mistake: a caller without a user has no shelf of its own.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Shelf {
    /// One user's, read by that user alone.
    Own {
        /// The user's tenant.
        tenant: TenantId,
        /// The user.
        user: UserId,
    },
    /// Shared by all callers of a tenant, those without a user too. Other tenants have their own.
    Shared {
        /// The tenant.
        tenant: TenantId,
    },
}

impl Shelf {
    /// A caller's own shelf; none where the caller is nobody in particular.
    pub fn of(owner: &Owner) -> Option<Self> {
        // A user with an empty name would be nobody to a database.
        let user = owner.user.clone().filter(|user| !user.as_str().is_empty())?;
        Some(Self::Own { tenant: owner.tenant.clone(), user })
    }

    /// What a tenant shares.
    pub fn shared(tenant: TenantId) -> Self {
        Self::Shared { tenant }
    }

    /// The tenant.
    pub fn tenant(&self) -> &TenantId {
        match self {
            Self::Own { tenant, .. } | Self::Shared { tenant } => tenant,
        }
    }

    /// The user; none where it is shared.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Own { user, .. } => Some(user),
            Self::Shared { .. } => None,
        }
    }
}

/// Names what a writer wrote: every writing makes another one. So who has read a document can write it on condition that it
/// is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision(Uuid);

impl Revision {
    /// One that there was not before.
    pub(crate) fn next() -> Self {
        Self(Uuid::now_v7())
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn of(uuid: Uuid) -> Self {
        Self(uuid)
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn uuid(self) -> Uuid {
        self.0
    }

    /// Reads what [`Display`](fmt::Display) has written: 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 32).then(|| Uuid::try_parse(text).ok()).flatten().map(Self)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// A document without its text, as lists have it.
#[derive(Clone, PartialEq, Eq)]
pub struct DocumentHead {
    /// What it is found by.
    pub key: DocumentKey,
    /// Whose it is; none: shared by its tenant.
    pub owner: Option<UserId>,
    /// What people call it.
    pub title: Option<Arc<str>>,
    /// What it is about, in the order given.
    pub tags: Vec<Arc<str>>,
    /// The length of its text, in bytes.
    pub bytes: u64,
    /// What was written last.
    pub revision: Revision,
    /// When there was first one of this key, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When it was last written, in Unix milliseconds.
    pub updated_at_ms: i64,
}

/// Neither title nor tags: they are somebody's words, too.
impl fmt::Debug for DocumentHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentHead")
            .field("key", &self.key)
            .field("owner", &self.owner)
            .field("bytes", &self.bytes)
            .field("revision", &self.revision)
            .field("created_at_ms", &self.created_at_ms)
            .field("updated_at_ms", &self.updated_at_ms)
            .finish_non_exhaustive()
    }
}

impl DocumentHead {
    /// Is it its tenant's, and nobody's in particular?
    pub fn is_shared(&self) -> bool {
        self.owner.is_none()
    }
}

/// A document as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// All but the text.
    pub head: DocumentHead,
    /// The text.
    pub text: Arc<str>,
}

/// What somebody has written stays out of logs.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("head", &self.head).finish_non_exhaustive()
    }
}

/// Which of the documents that a caller may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// The caller's own before shared ones: of two with one key, the caller's own alone.
    #[default]
    OwnBeforeShared,
    /// The caller's own. A caller without a user has none.
    Own,
    /// Shared ones, also where the caller has one of the same key.
    Shared,
}

/// Which documents a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentFilter {
    /// Whose.
    pub whose: Whose,
    /// Only those with this tag, spelled the same; none: all.
    pub tag: Option<Arc<str>>,
}

/// When a document is written, and when not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Always: the last one who writes wins.
    #[default]
    Always,
    /// Only where the shelf has none of this key.
    Absent,
    /// Only where it is still what was written then.
    Unchanged(Revision),
}

/// On which terms documents are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Holds for each of them.
    pub condition: Condition,
    /// How many documents the shelf may have afterwards, where that is more than before; none: as many as there is room
    /// for. Several nodes that write at the same moment may go over it by as many.
    pub most: Option<usize>,
}

/// What became of a document that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// As it is stored now.
    pub head: DocumentHead,
    /// Whether there was none of this key on the shelf.
    pub is_new: bool,
}

/// Keeps documents. Every [`Store`](crate::Store) does; for a database that a server has open, so does
/// [`SqliteTool`](crate::sqlite::SqliteTool).
///
/// Whoever reads is named by an [`Owner`]: its own documents and those that its tenant shares are there, and no others.
/// Whoever writes says on which [`Shelf`].
#[async_trait]
pub trait Documents: Send + Sync {
    /// Writes documents, all of them or none, each in place of the one with the same key on that shelf, if there is one.
    /// Gives them in the same order.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where the condition does not hold; [`StoreError::Full`]; [`StoreError::Invalid`] where two
    /// have one key; [`StoreError::Unavailable`].
    async fn put_documents(
        &self,
        shelf: &Shelf,
        documents: Vec<NewDocument>,
        terms: Terms,
    ) -> Result<Vec<Written>, StoreError>;

    /// The document of this key that the reader may read.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn document(&self, reader: &Owner, key: &DocumentKey, whose: Whose) -> Result<Option<Document>, StoreError>;

    /// The documents that the reader may read, by key. The cursor is a key, which need not be there any more.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`] for what is no key; [`StoreError::Unavailable`].
    async fn documents(
        &self,
        reader: &Owner,
        filter: &DocumentFilter,
        page: &Page,
    ) -> Result<List<DocumentHead>, StoreError>;

    /// Removes a document; where a revision is given, only that one. Tells whether the shelf had one of this key.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where it is another revision, or none; [`StoreError::Unavailable`].
    async fn delete_document(
        &self,
        shelf: &Shelf,
        key: &DocumentKey,
        revision: Option<Revision>,
    ) -> Result<bool, StoreError>;
}

/// The key behind which a page begins.
pub(crate) fn cursor(page: &Page) -> Result<Option<DocumentKey>, StoreError> {
    page.cursor().map(|key| DocumentKey::parse(key).map_err(|_| StoreError::UnknownCursor)).transpose()
}

/// Where a reader may read, in this order.
pub(crate) fn shelves(reader: &Owner, whose: Whose) -> impl Iterator<Item = Shelf> {
    let own = Shelf::of(reader).filter(|_| whose != Whose::Shared);
    let shared = (whose != Whose::Own).then(|| Shelf::shared(reader.tenant.clone()));
    own.into_iter().chain(shared)
}

/// Two documents of one key cannot be written at once.
pub(crate) fn check_keys(documents: &[NewDocument]) -> Result<(), StoreError> {
    let mut keys: Vec<_> = documents.iter().map(NewDocument::key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(StoreError::Invalid { reason: "two of the documents have one key" });
    }
    Ok(())
}

/// The shelf would have more documents than it may.
pub(crate) fn too_many(most: usize) -> StoreError {
    StoreError::Full { reason: format!("there may be {most} documents of one owner; remove some").into() }
}

/// Is a document written on this condition, where the shelf has this one?
pub(crate) fn holds(condition: Condition, found: Option<Revision>) -> bool {
    match condition {
        Condition::Always => true,
        Condition::Absent => found.is_none(),
        Condition::Unchanged(revision) => found == Some(revision),
    }
}

impl NewDocument {
    /// The document as it is stored on a shelf, with when there was first one.
    pub(crate) fn stored(&self, shelf: &Shelf, revision: Revision, created_at_ms: i64, now_ms: i64) -> DocumentHead {
        DocumentHead {
            key: self.key().clone(),
            owner: shelf.user().cloned(),
            title: self.title().map(Into::into),
            tags: self.tags().to_vec(),
            bytes: u64::try_from(self.text().len()).unwrap_or(u64::MAX),
            revision,
            created_at_ms,
            updated_at_ms: now_ms,
        }
    }
}

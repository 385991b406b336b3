#![doc = include_str!("../README.md")]

mod advance;
mod api_key;
mod claims;
mod clock;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod columns;
mod document;
mod error;
mod export;
#[cfg(feature = "vault")]
mod fingerprints;
mod hold;
mod idempotency;
mod key;
mod lifetimes;
mod memory;
mod message;
mod page;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod seals;
mod secrets;
mod session;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod store;
mod turn;
mod turn_id;
mod turns;
mod variable;
#[cfg(feature = "vault")]
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(dead_code, reason = "without a database nothing is sealed")
)]
mod vault;

pub use api_key::{ApiKey, ApiKeys};
pub use clock::{Clock, FixedClock, SystemClock};
pub use document::{
    Condition, Document, DocumentFault, DocumentFilter, DocumentHead, DocumentKey, Documents, MAX_DOCUMENT_KEY,
    MAX_TAG, MAX_TAGS, MAX_TITLE, NewDocument, Revision, Shelf, Terms, Whose, Written,
};
pub use error::StoreError;
pub use export::SessionExport;
#[cfg(feature = "vault")]
pub use fingerprints::Fingerprints;
pub use idempotency::{ANSWERS_KEPT, Claim, Claimed, Idempotency, IdempotencyKey, KeptAnswer};
pub use key::{Owner, SessionKey};
pub use lifetimes::Lifetimes;
pub use memory::{MEMORY_BYTES, MemoryStore};
pub use message::{Message, NewMessage, Role, Status, Usage};
pub use page::{List, MAX_PAGE, Page, SessionFilter};
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
pub use session::{Session, SessionRecord, SessionSummary, StoredHeader};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use store::Store;
pub use turn::{HeaderChange, Turn, TurnRecord, TurnTrail};
pub use turn_id::TurnId;
pub use turns::{ChildRun, TurnDetail, TurnError, TurnFilter, TurnStatus, TurnSummary, Turns};
pub use variable::{Fingerprint, KeptVariable};
#[cfg(feature = "vault")]
pub use vault::{BadKey, NoRandomness, Vault, VaultKey};

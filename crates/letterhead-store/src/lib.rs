#![doc = include_str!("../README.md")]

mod advance;
mod clock;
mod error;
mod hold;
mod key;
mod lifetimes;
mod memory;
mod message;
mod page;
mod secrets;
mod session;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod store;
mod turn;
#[cfg(feature = "sqlite")]
mod vault;

pub use clock::{Clock, FixedClock, SystemClock};
pub use error::StoreError;
pub use key::{Owner, SessionKey};
pub use lifetimes::Lifetimes;
pub use memory::{MEMORY_BYTES, MemoryStore};
pub use message::{Message, NewMessage, Role, Status, Usage};
pub use page::{List, MAX_PAGE, Page, SessionFilter};
pub use session::{Session, SessionRecord, SessionSummary, StoredHeader};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use store::Store;
pub use turn::{HeaderChange, Turn, TurnRecord, TurnTrail};
#[cfg(feature = "sqlite")]
pub use vault::{BadKey, NoRandomness, Vault, VaultKey};

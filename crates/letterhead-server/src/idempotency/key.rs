//! The header, as it arrived.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use letterhead_context::{Code, Fault};
use uuid::Uuid;

/// The header's name, as documentation writes it.
pub(super) const NAME: &str = "Idempotency-Key";

/// The longest key, in bytes.
const LONGEST: usize = 255;

/// The `Idempotency-Key` of a request, and the path that it was sent to.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyHeader {
    key: Arc<str>,
    path: Box<str>,
}

/// What may be anything, even a secret by mistake, stays out of logs.
impl fmt::Debug for KeyHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHeader").field("path", &self.path).finish_non_exhaustive()
    }
}

impl KeyHeader {
    /// Reads the header of a request to `path`.
    ///
    /// # Errors
    ///
    /// For one that comes twice, or is not 1 to 255 visible ASCII characters. An empty one is no absent one: whoever sends it
    /// counts on being protected.
    pub(crate) fn read(headers: &HeaderMap, path: &str) -> Result<Option<Self>, Fault> {
        let mut values = headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Fault::header(NAME, Code::AmbiguousHeader, "sent more than once"));
        }
        match std::str::from_utf8(value.as_bytes()) {
            Ok(key) if (1..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Some(Self { key: key.into(), path: path.into() }))
            }
            _ => Err(Fault::header(NAME, Code::InvalidHeader, "expected 1 to 255 visible ASCII characters")),
        }
    }

    pub(super) fn text(&self) -> Arc<str> {
        Arc::clone(&self.key)
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Does it end with a random UUID, which nobody can guess? Some SDKs write their name before it.
    pub(super) fn is_random(&self) -> bool {
        let uuid = self.key.len().checked_sub(36).and_then(|start| self.key.get(start..));
        uuid.is_some_and(|text| Uuid::parse_str(text).is_ok_and(|uuid| uuid.get_version_num() == 4))
    }
}

//! Which conversation a request belongs to, and what it is for.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::problem::{Code, Problem};

/// The id of a conversation: 1 to 128 of `A-Za-z0-9._:-`, and not `.` or `..`.
///
/// ```
/// use letterhead_context::SessionId;
///
/// assert!(SessionId::parse("sess-456").is_ok());
/// assert!(SessionId::parse("../etc").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// Checks the form of an id.
    pub fn parse(id: &str) -> Result<Self, Problem> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
        let valid = (1..=128).contains(&id.len()) && id.bytes().all(allowed) && id != "." && id != "..";
        if valid {
            Ok(Self(id.into()))
        } else {
            Err(Problem::new(
                Code::InvalidSessionId,
                "a session id is 1 to 128 letters, digits, `.`, `_`, `:` or `-`, and not `.` or `..`",
            ))
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SessionId {
    type Error = Problem;

    fn try_from(id: String) -> Result<Self, Problem> {
        Self::parse(&id)
    }
}

impl AsRef<str> for SessionId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Whether a session is real use or an evaluation (`X-Is-Eval`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SessionMode {
    /// Real use.
    #[default]
    Normal,
    /// Marked by `X-Is-Eval: true`.
    Evaluation,
}

impl SessionMode {
    /// The name in the API and in templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Evaluation => "evaluation",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_read_has_its_form_too() {
        let read = |text: &str| serde_json::from_value::<SessionId>(text.into());
        let id = SessionId::parse("sess-456").unwrap();
        assert_eq!(read("sess-456").unwrap(), id);
        assert_eq!(serde_json::to_value(&id).unwrap(), "sess-456");
        for odd in ["", "..", "a/b", "a\nb", &"x".repeat(129)] {
            assert!(read(odd).is_err(), "{odd:?}");
        }
    }
}

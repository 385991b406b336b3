//! Faults of a declaration.

use std::fmt;
use std::ops::Deref;
use std::vec;

/// A fault of a declaration: where (a JSON pointer into it), and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaFault {
    /// A JSON pointer (RFC 6901) into the declaration.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// Is it the key there that is wrong, and not its value?
    pub of_key: bool,
}

impl fmt::Display for SchemaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

/// A declaration that cannot be used: every fault that could be found at once.
///
/// ```
/// use letterhead_context::HeaderSchema;
/// use serde_json::json;
///
/// let declaration = json!({ "required": ["user_di"], "properties": { "user_id": { "type": "text" } } });
/// let faults = HeaderSchema::compile(&declaration).unwrap_err();
/// assert_eq!(faults[0].pointer, "/properties/user_id/type");
/// assert!(faults.to_string().contains("`type` is one of string, integer"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the declaration of headers cannot be used: {}", self.in_words())]
pub struct SchemaFaults(Vec<SchemaFault>);

impl SchemaFaults {
    pub(super) fn new(faults: Vec<SchemaFault>) -> Self {
        Self(faults)
    }

    fn in_words(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl Deref for SchemaFaults {
    type Target = [SchemaFault];

    fn deref(&self) -> &[SchemaFault] {
        &self.0
    }
}

impl IntoIterator for SchemaFaults {
    type Item = SchemaFault;
    type IntoIter = vec::IntoIter<SchemaFault>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a SchemaFaults {
    type Item = &'a SchemaFault;
    type IntoIter = std::slice::Iter<'a, SchemaFault>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

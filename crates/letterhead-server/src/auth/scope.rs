//! What an API key may be used for beyond asking agents. Scopes belong to keys of this server alone: what a token's `scope`
//! claim says is about its issuer's APIs, and opens nothing here.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use letterhead_context::{Code, Problem};

/// A right that is given to an API key by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Writing and removing documents without an owner, which every caller of the tenant reads.
    DocsWrite,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::DocsWrite];

    /// The name, as `letterhead api-key new --scope` takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DocsWrite => "docs:write",
        }
    }

    /// What a caller is told whose key does not have it, or who has no key.
    #[must_use]
    pub fn missing(self) -> Problem {
        Problem::new(
            Code::InsufficientScope,
            format!(
                "this takes an API key with the scope `{self}`: `letterhead api-key new NAME --scope {self}` makes one"
            ),
        )
    }

    /// The challenge that goes with it (RFC 6750, 3.1).
    pub(crate) fn challenge(self) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("Bearer error=\"insufficient_scope\", scope=\"{self}\"")).ok()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The scopes of the API key that a caller showed; none for all other callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Arc<str>>);

impl Scopes {
    /// Those that a key was made with. Of names that this version does not know none opens anything.
    pub(super) fn of_key(names: Vec<Arc<str>>) -> Self {
        Self(names)
    }

    /// Is this one of them?
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.0.iter().any(|name| **name == *scope.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_had_by_its_whole_name_alone() {
        assert!(Scopes::of_key(vec!["other".into(), "docs:write".into()]).has(Scope::DocsWrite));
        for names in
            [vec![], vec!["docs"], vec!["docs:*"], vec!["docs:write "], vec!["DOCS:WRITE"], vec!["docs:write x"]]
        {
            let scopes = Scopes::of_key(names.iter().map(|name| Arc::from(*name)).collect());
            assert!(!scopes.has(Scope::DocsWrite), "{names:?}");
        }
    }
}

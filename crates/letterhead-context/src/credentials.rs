//! Credentials that are the operator's and not the user's: `credentials:` of the configuration, for destinations only.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::value::Secret;

/// The operator's credentials as they are when a turn begins, by name. Cheap to clone; `Debug` shows names.
///
/// A snapshot: a file that is read again while a turn runs changes the next turn.
///
/// ```
/// use letterhead_context::{Credentials, Secret};
///
/// let credentials: Credentials = [("crm", Secret::new("sk-123".into()))].into_iter().collect();
/// assert_eq!(format!("{credentials:?}"), r#"["crm"]"#);
/// ```
#[derive(Clone, Default)]
pub struct Credentials(Option<Arc<BTreeMap<String, Secret>>>);

impl Credentials {
    /// The credentials with their values.
    pub fn new(values: BTreeMap<String, Secret>) -> Self {
        Self((!values.is_empty()).then(|| Arc::new(values)))
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.as_ref()?.get(name)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|all| all.keys().map(String::as_str))
    }
}

impl<N: Into<String>> FromIterator<(N, Secret)> for Credentials {
    fn from_iter<I: IntoIterator<Item = (N, Secret)>>(values: I) -> Self {
        Self::new(values.into_iter().map(|(name, secret)| (name.into(), secret)).collect())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

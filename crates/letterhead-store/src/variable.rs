//! Context variables that a session keeps, so that they are not fetched each turn.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::session::value_weight;

/// The fingerprint of a request: equal for equal requests, and telling nothing else of them
/// (see [`Fingerprints`](crate::Fingerprints)).
pub type Fingerprint = [u8; 32];

/// A context variable as a session keeps it: what was fetched, by which request, and for how long it holds.
///
/// Its `Debug` shows neither the value nor the fingerprint.
#[derive(Clone, PartialEq)]
pub struct KeptVariable {
    /// The variable's name. A session has one of each name.
    pub name: Arc<str>,
    /// What was fetched.
    pub value: Arc<Value>,
    /// Of the rendered request that fetched it. Another one means that it is to be fetched again.
    pub fingerprint: Fingerprint,
    /// When it was fetched, in Unix milliseconds.
    pub fetched_at_ms: i64,
    /// From this time on it is not there any more, in Unix milliseconds; none: it lives as long as its session.
    pub expires_at_ms: Option<i64>,
    /// Whether its request had a secret in it. Then value and fingerprint reach a database only encrypted, and without
    /// a key not at all: they are kept in memory, as far as there is room.
    pub secret: bool,
}

impl KeptVariable {
    /// Whether it still holds at this time, in Unix milliseconds.
    pub fn is_fresh(&self, now_ms: i64) -> bool {
        self.expires_at_ms.is_none_or(|expires_at_ms| now_ms < expires_at_ms)
    }

    /// Roughly the bytes that it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + 64 + self.name.len() + value_weight(&self.value)
    }
}

impl fmt::Debug for KeptVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptVariable")
            .field("name", &self.name)
            .field("fetched_at_ms", &self.fetched_at_ms)
            .field("expires_at_ms", &self.expires_at_ms)
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

/// Sets variables among those of a session, which stand in the order of their names. Gives those that are new or other
/// than before.
pub(crate) fn set(kept: &mut Vec<KeptVariable>, new: Vec<KeptVariable>) -> Vec<KeptVariable> {
    let mut changed = Vec::with_capacity(new.len());
    for variable in new {
        match kept.binary_search_by(|old| old.name.cmp(&variable.name)) {
            Err(place) => kept.insert(place, variable.clone()),
            Ok(place) => match kept.get_mut(place) {
                Some(old) if *old != variable => *old = variable.clone(),
                _ => continue,
            },
        }
        // Set twice in one turn: the last one counts.
        changed.retain(|earlier: &KeptVariable| earlier.name != variable.name);
        changed.push(variable);
    }
    changed
}

/// Adds variables of other names to those of a session, in the order of their names.
pub(crate) fn add(kept: &mut Vec<KeptVariable>, others: Vec<KeptVariable>) {
    if !others.is_empty() {
        kept.extend(others);
        kept.sort_unstable_by(|one, two| one.name.cmp(&two.name));
    }
}

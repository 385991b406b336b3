//! Headers that cannot be admitted, and the one answer that says everything about them.

use std::sync::Arc;

use serde_json::Value;

use super::IdentityClaims;
use crate::headers::Sent;
use crate::problem::{Code, Fault, Place, Problem};
use crate::schema::HeaderSchema;

/// Headers that cannot be admitted: every fault, and what could be read in spite of them.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rejected {
    /// Every fault of what was sent.
    pub faults: Vec<Fault>,
    /// What could be read of who is asking.
    pub identity: IdentityClaims,
    sent: Sent,
    /// Positions of the fields that were sent, and not so that they can be used.
    faulty: Vec<usize>,
}

impl Rejected {
    pub(super) fn new(faults: Vec<Fault>, identity: IdentityClaims, sent: Sent, faulty: Vec<usize>) -> Self {
        Self { faults, identity, sent, faulty }
    }

    /// Adds the headers that are missing besides, so that one answer names everything.
    ///
    /// `stored` are the values that the session already has, and `requires` what the starting agent needs: see
    /// [`HeaderSchema::merge`].
    pub fn problem<'a>(
        mut self,
        schema: &HeaderSchema,
        stored: impl IntoIterator<Item = (&'a str, &'a Value)>,
        requires: &[Arc<str>],
    ) -> Problem {
        if let Err(more) = schema.merge(stored, &self.sent, requires) {
            let sent = |fault: &Fault| match &fault.place {
                Place::Header(name) => schema.position(name).is_some_and(|at| self.faulty.contains(&at)),
                Place::Pointer(_) => false,
            };
            let missing = more.into_iter().filter(|fault| fault.code == Code::MissingHeader && !sent(fault));
            self.faults.extend(missing.collect::<Vec<_>>());
        }
        Problem::faults(self.faults)
    }
}

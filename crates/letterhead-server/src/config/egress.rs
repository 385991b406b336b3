//! `egress:` — which private addresses calls out may go to.

use super::{placed::Placed, section::Section};

/// Which private addresses calls out may go to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Egress {
    /// Hosts, hosts with a port, and networks.
    pub allow: Vec<Placed<String>>,
}

impl Egress {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let allow = section.child("allow").texts();
        let allow = allow.into_iter().map(|(text, item)| Placed::new(text.to_owned(), item.pointer()));
        Self { allow: allow.collect() }
    }
}

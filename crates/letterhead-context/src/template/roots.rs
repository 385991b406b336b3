//! The names that templates begin with, besides context variables.

use std::sync::Arc;

/// Roots whose members are known.
pub(super) const KNOWN: [(&str, &[&str]); 4] = [
    ("caller", &["tenant_id", "user_id", "source"]),
    ("session", &["id", "mode"]),
    ("request", &["id", "client_id"]),
    ("agent", &["name"]),
];

/// Roots whose members are data.
pub(super) const OPEN: [&str; 2] = ["claims", "state"];

/// Roots whose members the configuration names, or a tool's parameters.
const NAMED: [&str; 4] = ["headers", "env", "credentials", "args"];

/// The one root that has a member of this name.
pub(super) fn with_member(member: &str) -> Option<&'static str> {
    let mut roots = KNOWN.iter().filter(|(_, members)| members.contains(&member)).map(|(root, _)| *root);
    roots.next().filter(|_| roots.next().is_none())
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    NAMED.into_iter().chain(KNOWN.iter().map(|(root, _)| *root)).chain(OPEN)
}

/// A root with the member that is read of it, as a trail names it.
pub(super) fn path(root: &str, member: Option<&str>) -> Arc<str> {
    match member {
        Some(member) => format!("{root}.{member}").into(),
        None => Arc::from(root),
    }
}

//! `limits:` — what callers and runs may use.

use std::num::NonZeroU32;

use super::section::Section;

/// What the HTTP layer takes of a request's headers together, in bytes; larger limits have no effect.
const CONNECTION_HEADERS: u64 = 64 << 10;

/// What callers and runs may use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Model calls in one run.
    pub max_turns: u32,
    /// How deep delegates may delegate.
    pub depth: u32,
    /// Runs in one turn, the first and all delegates together.
    pub runs: u32,
    /// The largest value of a context header, in bytes.
    pub header_value: u64,
    /// All context headers of a request together, in bytes.
    pub headers_total: u64,
    /// The largest document, in bytes of text.
    pub document_size: u64,
    /// How many documents a user may have.
    pub documents_per_user: u32,
    /// How many turns may be begun in a minute.
    pub requests_per_minute: PerCaller,
    /// How many turns may run at the same time.
    pub concurrent_turns: PerCaller,
}

/// A limit for each caller. Nothing is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PerCaller {
    /// For each user of each tenant. Callers without a user are one user of their tenant.
    pub user: Option<NonZeroU32>,
    /// For each tenant, all its users together.
    pub tenant: Option<NonZeroU32>,
}

impl PerCaller {
    fn read(section: &Section<'_>) -> Self {
        let limit = |key: &str| section.child(key).optional_count().and_then(NonZeroU32::new);
        let limits = Self { user: limit("user"), tenant: limit("tenant") };
        if let (Some(user), Some(tenant)) = (limits.user, limits.tenant)
            && user > tenant
        {
            let name = section.pointer().dotted();
            section
                .child("user")
                .warn(format!("`{name}.user` is more than `{name}.tenant`, so no user can reach it"), None);
        }
        limits
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_turns: 10,
            depth: 4,
            runs: 32,
            header_value: 4 << 10,
            headers_total: 16 << 10,
            document_size: 256 << 10,
            documents_per_user: 1_000,
            requests_per_minute: PerCaller::default(),
            concurrent_turns: PerCaller::default(),
        }
    }
}

impl Limits {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let limits = Self {
            max_turns: section.child("max_turns").count(default.max_turns),
            depth: section.child("depth").count(default.depth),
            runs: section.child("runs").count(default.runs),
            header_value: section.child("header_value").bytes(default.header_value),
            headers_total: section.child("headers_total").bytes(default.headers_total),
            document_size: section.child("document_size").bytes(default.document_size),
            documents_per_user: section.child("documents_per_user").count(default.documents_per_user),
            requests_per_minute: PerCaller::read(&section.child("requests_per_minute")),
            concurrent_turns: PerCaller::read(&section.child("concurrent_turns")),
        };
        limits.check(section);
        limits
    }

    fn check(&self, section: &Section<'_>) {
        let value = section.child("header_value");
        let total = section.child("headers_total");
        if self.header_value > self.headers_total {
            let place = if value.exists() { &value } else { &total };
            place.warn("`limits.header_value` is more than `limits.headers_total`, so no value can be as large", None);
        }
        if self.headers_total > CONNECTION_HEADERS {
            let help = "the connection itself takes 64 KiB of headers; larger requests get an empty 431".to_owned();
            total.warn("`limits.headers_total` has no effect above 64KiB", help);
        }
    }
}

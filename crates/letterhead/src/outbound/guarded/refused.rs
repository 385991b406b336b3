//! Why a call out is not made. Says the host and the rule; never a path, a query, a header or an address behind a name.

use std::sync::Arc;

use super::AddressKind;
use crate::outbound::Url;

/// A call out that is not made, because of where it would go. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Neither `http` nor `https`.
    #[error("calls out go over http and https alone, not over `{0}`")]
    Scheme(Arc<str>),
    /// The URL has a user name or a password, which would become a second credential.
    #[error("the URL of `{0}` holds a user name or password: set the credential as a header instead")]
    UserInfo(Arc<str>),
    /// The URL names an address that is not allowed.
    #[error("`{host}` is {kind}, where calls out do not go unless `egress.allow` lists it")]
    Address {
        /// The host as the URL has it.
        host: Arc<str>,
        /// What it is.
        kind: AddressKind,
    },
    /// The URL's host has no address that is allowed.
    #[error("the name `{host}` leads to {kind}, where calls out do not go unless `egress.allow` lists it")]
    Resolved {
        /// The host as the URL has it.
        host: Arc<str>,
        /// What it leads to; of several addresses the first.
        kind: AddressKind,
    },
}

/// The host of a URL and its port, if it has one of its own: all of a URL that may be shown.
pub(super) fn shown(url: &Url) -> Arc<str> {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}").into(),
        None => host.into(),
    }
}

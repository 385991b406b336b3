//! The third way of knowing: `X-User-Id` and `X-Tenant-Id`, from an address that is trusted to set them.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;
use letterhead_context::{Caller, CallerSource, Code, IdentityClaims, Problem, TenantId, UserId};

use crate::config::auth::{Network, Trust};

/// Whose identity headers are believed.
#[derive(Clone, Debug)]
pub(super) enum Trusted {
    Loopback,
    Nobody,
    Networks(Vec<Network>),
}

/// What says that a request went through a proxy, besides `X-Forwarded…` and `X-Original-…`.
const FORWARDING: [&str; 7] =
    ["forwarded", "x-real-ip", "via", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-envoy-external-address"];

impl Trusted {
    /// What the configuration says, or what holds where it says nothing.
    pub(super) fn new(said: Option<&Trust>, has_verifier: bool) -> Self {
        match said {
            Some(Trust::Loopback) => Self::Loopback,
            Some(Trust::Never) => Self::Nobody,
            Some(Trust::Networks(networks)) => Self::Networks(networks.clone()),
            None if has_verifier => Self::Nobody,
            None => Self::Loopback,
        }
    }

    /// An address that is trusted, if any is.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Loopback => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Self::Nobody => None,
            Self::Networks(networks) => networks.first().map(Network::address),
        }
    }

    /// The caller that the headers name, if they are believed and name one. `forwarded` is what [`is_forwarded`] says of
    /// the request.
    ///
    /// # Errors
    ///
    /// 403 for a forwarded request where loopback is trusted: through the proxy everybody looks local.
    pub(super) fn caller(
        &self,
        address: IpAddr,
        forwarded: bool,
        claims: &IdentityClaims,
    ) -> Result<Option<Caller>, Problem> {
        let address = address.to_canonical();
        if matches!(self, Self::Loopback) && address.is_loopback() && forwarded {
            let detail = "the request came through a proxy, which makes everyone look local: \
                          configure `auth.trust_identity_headers` with the proxy's address";
            return Err(Problem::new(Code::ProxyWithoutAuth, detail));
        }
        let named = claims.user_id.is_some() || claims.tenant_id.is_some();
        if !named || !self.includes(address) {
            return Ok(None);
        }
        let tenant = claims.tenant_id.as_deref().map(TenantId::new).unwrap_or_default();
        let user = claims.user_id.as_deref().map(UserId::new);
        Ok(Some(Caller::new(tenant, user, CallerSource::TrustedHeader)))
    }

    fn includes(&self, address: IpAddr) -> bool {
        match self {
            Self::Loopback => address.is_loopback(),
            Self::Nobody => false,
            Self::Networks(networks) => networks.iter().any(|network| network.contains(address)),
        }
    }
}

/// Does the request say that it went through a proxy?
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        let name = if name.contains('_') { Cow::Owned(name.replace('_', "-")) } else { Cow::Borrowed(name) };
        FORWARDING.contains(&&*name) || name.starts_with("x-forwarded") || name.starts_with("x-original-")
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::is_forwarded;

    #[test]
    fn whatever_a_proxy_adds_tells_of_it_in_either_spelling() {
        let forwarded = |name: &'static str| {
            let one = (HeaderName::from_static(name), HeaderValue::from_static("x"));
            is_forwarded(&HeaderMap::from_iter([one]))
        };
        for name in
            ["via", "forwarded", "x-forwarded-for", "x-forwarded_for", "x-original-forwarded-for", "cf-connecting-ip"]
        {
            assert!(forwarded(name), "{name}");
        }
        assert!(!forwarded("x-request-id") && !forwarded("x-user-id"));
    }
}

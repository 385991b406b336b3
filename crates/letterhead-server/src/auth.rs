//! Who is calling. Verified tokens come first, then API keys, then trusted headers, then nobody.
//!
//! In this version there are the last two: `X-User-Id` and `X-Tenant-Id` from an address that is trusted to set them,
//! and anonymous callers.

use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;
use letterhead_context::{Caller, CallerSource, Code, IdentityClaims, Problem, TenantId, UserId};

use crate::config::auth::{Anonymous, Auth, Network, Trust};
use crate::edge::Peer;

/// Says who is calling.
#[derive(Clone, Debug)]
pub struct Authenticator {
    trust: Trusted,
    anonymous: bool,
    has_verifier: bool,
}

#[derive(Clone, Debug)]
enum Trusted {
    Loopback,
    Nobody,
    Networks(Vec<Network>),
}

/// What says that a request went through a proxy, besides `X-Forwarded…` and `X-Original-…`.
const FORWARDING: [&str; 7] =
    ["forwarded", "x-real-ip", "via", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-envoy-external-address"];

impl Authenticator {
    /// The rules of a configuration. Without a verifier, loopback is trusted and anonymous callers are served.
    pub fn new(auth: &Auth) -> Self {
        let has_verifier = auth.has_verifier();
        let trust = match &auth.trust_identity_headers {
            Some(Trust::Loopback) => Trusted::Loopback,
            Some(Trust::Never) => Trusted::Nobody,
            Some(Trust::Networks(networks)) => Trusted::Networks(networks.clone()),
            None if has_verifier => Trusted::Nobody,
            None => Trusted::Loopback,
        };
        let anonymous = match auth.anonymous {
            Some(Anonymous::Allow) => true,
            Some(Anonymous::Deny) => false,
            None => !has_verifier,
        };
        Self { trust, anonymous, has_verifier }
    }

    /// Is there anybody who verifies callers? Without, the server is one person's own.
    pub fn has_verifier(&self) -> bool {
        self.has_verifier
    }

    /// An address that is trusted to say who is calling, if any is.
    pub fn trusted_address(&self) -> Option<IpAddr> {
        match &self.trust {
            Trusted::Loopback => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Trusted::Nobody => None,
            Trusted::Networks(networks) => networks.first().map(Network::address),
        }
    }

    /// The caller of a request, by the socket's address and the identity headers. `forwarded` is what [`is_forwarded`]
    /// says of the request.
    ///
    /// # Errors
    ///
    /// 401 if nobody is known and somebody must be; 403 for a forwarded request on a server that trusts loopback.
    pub fn caller(&self, peer: Peer, forwarded: bool, claims: &IdentityClaims) -> Result<Caller, Problem> {
        let address = peer.0.ip().to_canonical();
        if matches!(self.trust, Trusted::Loopback) && address.is_loopback() && forwarded {
            let detail = "the request came through a proxy, which makes everyone look local: \
                          configure `auth.trust_identity_headers` with the proxy's address";
            return Err(Problem::new(Code::ProxyWithoutAuth, detail));
        }
        let named = claims.user_id.is_some() || claims.tenant_id.is_some();
        if named && self.trusts(address) {
            let tenant = claims.tenant_id.as_deref().map(TenantId::new).unwrap_or_default();
            let user = claims.user_id.as_deref().map(UserId::new);
            if user.is_some() || self.anonymous {
                return Ok(Caller::new(tenant, user, CallerSource::TrustedHeader));
            }
        }
        if self.anonymous {
            return Ok(Caller::anonymous());
        }
        let detail = "nobody said who is calling: send `X-User-Id` from an address that is trusted to";
        Err(Problem::new(Code::Unauthenticated, detail))
    }

    fn trusts(&self, address: IpAddr) -> bool {
        match &self.trust {
            Trusted::Loopback => address.is_loopback(),
            Trusted::Nobody => false,
            Trusted::Networks(networks) => networks.iter().any(|network| network.contains(address)),
        }
    }
}

/// Does the request say that it went through a proxy?
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str().replace('_', "-");
        FORWARDING.contains(&name.as_str()) || name.starts_with("x-forwarded") || name.starts_with("x-original-")
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

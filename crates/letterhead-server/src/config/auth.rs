//! `auth:` — who is calling.

mod jwt;

use std::net::IpAddr;

use letterhead::outbound::Url;

use super::section::Section;

pub use jwt::Jwt;

/// Who is calling. What is not said has a default that depends on whether there is a verifier: tokens, API keys, or a
/// trusted network.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Auth {
    /// Whose tokens are believed.
    pub jwt: Option<Jwt>,
    /// Whether the store's API keys are taken. It is said here and not seen from the store, so that revoking the last key
    /// does not open the server.
    pub api_keys: bool,
    /// From whom `X-User-Id` and `X-Tenant-Id` are believed; nothing is loopback while there is no verifier, else nobody.
    pub trust_identity_headers: Option<Trust>,
    /// Whether callers without a name are served; nothing is yes while there is no verifier, else no.
    pub anonymous: Option<Anonymous>,
}

/// From whom identity headers are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// From the machine itself.
    Loopback,
    /// From nobody.
    Never,
    /// From these networks: gateways that have verified the caller.
    Networks(Vec<Network>),
}

/// What happens to callers without a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// They are served.
    Allow,
    /// They get 401.
    Deny,
}

impl Auth {
    /// Whether anybody verifies callers: an issuer of tokens, API keys, or a gateway in a trusted network.
    #[must_use]
    pub fn has_verifier(&self) -> bool {
        self.jwt.is_some() || self.api_keys || matches!(&self.trust_identity_headers, Some(Trust::Networks(_)))
    }

    pub(super) fn read(section: &Section<'_>) -> Self {
        let anonymous = section.child("anonymous");
        Self {
            jwt: Jwt::read(&section.child("jwt")),
            api_keys: section.child("api_keys").bool(false),
            trust_identity_headers: trust(&section.child("trust_identity_headers")),
            anonymous: match anonymous.text() {
                Some("allow") => Some(Anonymous::Allow),
                Some("deny") => Some(Anonymous::Deny),
                _ => None,
            },
        }
    }
}

/// Does an address stay on this machine, where TLS guards against nobody?
pub(crate) fn is_this_machine(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

fn trust(section: &Section<'_>) -> Option<Trust> {
    match section.text() {
        Some("loopback") => return Some(Trust::Loopback),
        Some("never") => return Some(Trust::Never),
        _ => {}
    }
    let networks = section.texts().into_iter().filter_map(|(text, item)| {
        let network = Network::parse(text);
        if network.is_none() {
            item.error(
                format!("{} is no network", item.shown()),
                Some("for example `10.0.0.0/8` or `fd00::/8`".to_owned()),
            );
        }
        if network.is_some_and(|network| network.prefix == 0) {
            let help = "every client could call itself anybody; name the addresses of your gateway".to_owned();
            item.error("this network is the whole internet", help);
            return None;
        }
        network
    });
    let networks: Vec<Network> = networks.collect();
    (!networks.is_empty()).then_some(Trust::Networks(networks))
}

/// A network in CIDR notation (RFC 4632), such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `address/prefix`; nothing if it is none. Bits after the prefix are of no account.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= width(address))?;
        Some(Self { address, prefix })
    }

    /// An address in it.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether an address lies in it. An IPv4 address in IPv6 form (`::ffff:10.0.0.1`) is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let shift = u32::from(width(self.address) - self.prefix);
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let contains =
            |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("192.0.2.7/32", "192.0.2.7") && !contains("192.0.2.7/32", "192.0.2.6"));
        assert!(contains("fd00::/8", "fd12::1") && !contains("fd00::/8", "fe80::1"));
        assert!(contains("0.0.0.0/0", "203.0.113.1") && !contains("0.0.0.0/0", "::1"));
        for text in ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/129", "a/8"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}

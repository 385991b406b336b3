//! What kind of place an IP address is. Pure: no name is resolved here.
//!
//! The ranges are those of IANA's special-purpose registries (RFC 6890, and
//! <https://www.iana.org/assignments/iana-ipv4-special-registry>, `…/iana-ipv6-special-registry`), and the addresses at
//! which clouds answer their own machines. An IPv6 address that carries an IPv4 address is what that one is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is. All but [`Public`](Self::Public) is refused unless it is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressKind {
    /// A host of the internet.
    Public,
    /// This machine.
    Loopback,
    /// A private network (RFC 1918, RFC 4193).
    Private,
    /// The network segment, without a router.
    LinkLocal,
    /// The inside of a provider's address translation (RFC 6598).
    Carrier,
    /// Where a cloud tells its machines their credentials.
    Metadata,
    /// No address, which many systems take for this machine.
    Unspecified,
    /// A group of machines.
    Multicast,
    /// All machines of a network.
    Broadcast,
    /// An address for examples.
    Documentation,
    /// An address for measurements.
    Benchmark,
    /// For protocols, deprecated, or not given to anybody.
    Reserved,
}

use AddressKind::{
    Benchmark, Broadcast, Carrier, Documentation, LinkLocal, Loopback, Metadata, Multicast, Private, Public, Reserved,
    Unspecified,
};

/// Network, length of its prefix, kind: the first that fits counts.
const V4: [(Ipv4Addr, u32, AddressKind); 21] = [
    // AWS, Azure, Google and most others; Alibaba; Oracle; Azure's platform, which is a public address by its number.
    (Ipv4Addr::new(169, 254, 169, 254), 32, Metadata),
    (Ipv4Addr::new(169, 254, 170, 2), 32, Metadata),
    (Ipv4Addr::new(100, 100, 100, 200), 32, Metadata),
    (Ipv4Addr::new(192, 0, 0, 192), 32, Metadata),
    (Ipv4Addr::new(168, 63, 129, 16), 32, Metadata),
    (Ipv4Addr::new(255, 255, 255, 255), 32, Broadcast),
    (Ipv4Addr::new(0, 0, 0, 0), 8, Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Carrier),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Documentation),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Reserved),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Benchmark),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Documentation),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Documentation),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Multicast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Reserved),
];

const V6: [(Ipv6Addr, u32, AddressKind); 15] = [
    // AWS, Google, Oracle.
    (Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254), 128, Metadata),
    (Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254), 128, Metadata),
    (Ipv6Addr::new(0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), 128, Metadata),
    (Ipv6Addr::UNSPECIFIED, 128, Unspecified),
    (Ipv6Addr::LOCALHOST, 128, Loopback),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, LinkLocal),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, Private),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, Multicast),
    // NAT64 of one's own network: where the IPv4 address is in it, only that network knows (RFC 8215).
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, Private),
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48, Benchmark),
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32, Documentation),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Documentation),
    // Protocols, among them Teredo, which carries any IPv4 address in disguise.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Reserved),
    // What is given to hosts of the internet. All the rest is given to nobody.
    (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, Public),
];

impl AddressKind {
    /// The kind of an address.
    ///
    /// ```
    /// use letterhead::outbound::AddressKind;
    ///
    /// assert_eq!(AddressKind::of("::ffff:10.0.0.1".parse().unwrap()), AddressKind::Private);
    /// assert_eq!(AddressKind::of("169.254.169.254".parse().unwrap()), AddressKind::Metadata);
    /// assert_eq!(AddressKind::of("9.9.9.9".parse().unwrap()), AddressKind::Public);
    /// ```
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressKind {
    let fits = |network: Ipv4Addr, prefix: u32| (network.to_bits() ^ address.to_bits()).leading_zeros() >= prefix;
    V4.iter().find(|(network, prefix, _)| fits(*network, *prefix)).map_or(Public, |(_, _, kind)| *kind)
}

fn of_v6(address: Ipv6Addr) -> AddressKind {
    let fits = |network: Ipv6Addr, prefix: u32| (network.to_bits() ^ address.to_bits()).leading_zeros() >= prefix;
    match (address.segments(), carried(address)) {
        // Mapped; NAT64 (RFC 6052), through which a network without IPv4 reaches the internet; 6to4 (RFC 3056).
        ([0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..], (_, last)) => of_v4(last),
        ([0x2002, ..], (first, _)) => of_v4(first),
        // Deprecated forms that no host has: compatible (RFC 4291) and translated (RFC 2765).
        ([0, 0, 0, 0, 0, 0, high, low], (_, last)) if high != 0 || low > 1 => not_public(of_v4(last)),
        ([0, 0, 0, 0, 0xffff, 0, ..], (_, last)) => not_public(of_v4(last)),
        _ => V6.iter().find(|(network, prefix, _)| fits(*network, *prefix)).map_or(Reserved, |(_, _, kind)| *kind),
    }
}

/// The two places in which an IPv6 address carries an IPv4 address: after 16 bits, and at its end.
fn carried(address: Ipv6Addr) -> (Ipv4Addr, Ipv4Addr) {
    let [_, _, a, b, c, d, .., e, f, g, h] = address.octets();
    (Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h))
}

fn not_public(kind: AddressKind) -> AddressKind {
    if kind == Public { Reserved } else { kind }
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Public => "a public address",
            Loopback => "a loopback address",
            Private => "a private address",
            LinkLocal => "a link-local address",
            Carrier => "an address behind a provider's translation",
            Metadata => "a cloud's metadata address",
            Unspecified => "an unspecified address",
            Multicast => "a multicast address",
            Broadcast => "the broadcast address",
            Documentation => "an address for documentation",
            Benchmark => "an address for benchmarks",
            Reserved => "a reserved address",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(addresses: &[(&str, AddressKind)]) {
        for (address, kind) in addresses {
            assert_eq!(AddressKind::of(address.parse().unwrap()), *kind, "{address}");
        }
    }

    #[test]
    fn an_ipv4_address_is_what_the_registry_says() {
        kinds(&[
            ("0.0.0.0", Unspecified),
            ("0.1.2.3", Unspecified),
            ("9.255.255.255", Public),
            ("10.0.0.0", Private),
            ("10.255.255.255", Private),
            ("11.0.0.0", Public),
            ("100.63.255.255", Public),
            ("100.64.0.0", Carrier),
            ("100.100.100.200", Metadata),
            ("100.127.255.255", Carrier),
            ("100.128.0.0", Public),
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("128.0.0.0", Public),
            ("168.63.129.16", Metadata),
            ("169.254.0.1", LinkLocal),
            ("169.254.169.254", Metadata),
            ("169.255.0.0", Public),
            ("172.15.255.255", Public),
            ("172.16.0.0", Private),
            ("172.31.255.255", Private),
            ("172.32.0.0", Public),
            ("192.0.0.192", Metadata),
            ("192.0.0.8", Reserved),
            ("192.0.2.1", Documentation),
            ("192.88.99.1", Reserved),
            ("192.167.255.255", Public),
            ("192.168.0.1", Private),
            ("198.17.255.255", Public),
            ("198.18.0.1", Benchmark),
            ("198.19.255.255", Benchmark),
            ("198.51.100.1", Documentation),
            ("203.0.113.1", Documentation),
            ("223.255.255.255", Public),
            ("224.0.0.1", Multicast),
            ("240.0.0.1", Reserved),
            ("255.255.255.255", Broadcast),
        ]);
    }

    #[test]
    fn an_ipv6_address_is_what_the_registry_says() {
        kinds(&[
            ("::", Unspecified),
            ("::1", Loopback),
            ("100::1", Reserved),
            ("2001::1", Reserved),
            ("2001:2::1", Benchmark),
            ("2001:db8::1", Documentation),
            ("2001:200::1", Public),
            ("2606:4700:4700::1111", Public),
            ("3fff:1::1", Documentation),
            ("4000::1", Reserved),
            ("5f00::1", Reserved),
            ("64:ff9b:1::a00:1", Private),
            ("fc00::1", Private),
            ("fd12:3456::1", Private),
            ("fd00:ec2::254", Metadata),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("fec0::1", Private),
            ("ff02::1", Multicast),
        ]);
    }

    #[test]
    fn an_ipv4_address_in_an_ipv6_address_is_what_it_is() {
        kinds(&[
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:8.8.8.8", Public),
            ("::ffff:169.254.169.254", Metadata),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::169.254.169.254", Metadata),
            ("64:ff9b::8.8.8.8", Public),
            ("2002:7f00:1::", Loopback),
            ("2002:a00:1::1", Private),
            ("2002:808:808::1", Public),
            ("::10.0.0.1", Private),
            ("::0.0.0.2", Unspecified),
            ("::8.8.8.8", Reserved),
            ("::ffff:0:192.168.0.1", Private),
            ("::ffff:0:8.8.8.8", Reserved),
            // Teredo: 127.0.0.1, each bit turned over.
            ("2001:0:1:2:3:4:80ff:fffe", Reserved),
        ]);
    }
}

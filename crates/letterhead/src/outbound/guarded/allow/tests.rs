use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn allow(entries: &[&str]) -> EgressAllow {
    EgressAllow::parse(entries).unwrap()
}

fn kind(allow: &EgressAllow, text: &str) -> Option<AddressKind> {
    match allow.check(&url(text)) {
        Ok(()) => None,
        Err(Refused::Address { kind, .. }) => Some(kind),
        Err(other) => panic!("{text}: {other}"),
    }
}

/// Every way to write an address that some system takes.
#[test]
fn an_address_is_known_in_every_spelling() {
    use AddressKind::{Carrier, Loopback, Metadata, Private, Unspecified};
    let nothing = EgressAllow::default();
    for (host, expected) in [
        ("127.0.0.1", Loopback),
        ("127.0.0.1.", Loopback),
        ("127.1", Loopback),
        ("127.0.1", Loopback),
        ("127.255.255.254", Loopback),
        ("2130706433", Loopback),
        ("017700000001", Loopback),
        ("0177.0.0.1", Loopback),
        ("0x7f000001", Loopback),
        ("0x7F.1", Loopback),
        ("0x7f.0x0.0x0.0x1", Loopback),
        ("%31%32%37.0.0.1", Loopback),
        ("１２７.０.０.１", Loopback),
        ("127。0。0。1", Loopback),
        ("①②⑦.0.0.1", Loopback),
        ("[::1]", Loopback),
        ("[0:0:0:0:0:0:0:1]", Loopback),
        ("[::ffff:127.0.0.1]", Loopback),
        ("[::ffff:7f00:1]", Loopback),
        ("[0:0:0:0:0:FFFF:7F00:0001]", Loopback),
        ("[64:ff9b::7f00:1]", Loopback),
        ("[2002:7f00:1::]", Loopback),
        ("localhost", Loopback),
        ("LOCALHOST", Loopback),
        ("localhost.", Loopback),
        ("a.b.localhost", Loopback),
        ("loc%61lhost", Loopback),
        ("ｌｏｃａｌｈｏｓｔ", Loopback),
        ("0", Unspecified),
        ("0.0.0.0", Unspecified),
        ("0x0", Unspecified),
        ("[::]", Unspecified),
        ("[::ffff:0.0.0.0]", Unspecified),
        ("10.0.0.1", Private),
        ("10.1", Private),
        ("167772161", Private),
        ("012.0.0.1", Private),
        ("192.168.257", Private),
        ("[fd12::1]", Private),
        ("[::ffff:a00:1]", Private),
        ("100.64.0.1", Carrier),
        ("169.254.169.254", Metadata),
        ("2852039166", Metadata),
        ("0xa9fea9fe", Metadata),
        ("0251.0376.0251.0376", Metadata),
        ("169.254.43518", Metadata),
        ("[::ffff:169.254.169.254]", Metadata),
        ("[64:ff9b::a9fe:a9fe]", Metadata),
        ("[fd00:ec2::254]", Metadata),
        ("[fd00:0ec2:0:0:0:0:0:254]", Metadata),
    ] {
        for scheme in ["http", "https"] {
            for port in ["", ":80", ":8080"] {
                let text = format!("{scheme}://{host}{port}/a?b");
                assert_eq!(kind(&nothing, &text), Some(expected), "{text}");
            }
        }
    }
}

/// One number of an IPv4 address, in some base.
fn number(value: u32, base: u8) -> String {
    match base {
        0 => format!("0x{value:x}"),
        1 => format!("0X{value:08X}"),
        2 => format!("0{value:o}"),
        _ => value.to_string(),
    }
}

proptest::proptest! {
    /// However an IPv4 address is spelled, it is the one that it is.
    #[test]
    fn a_spelling_changes_nothing(bits: u32, shape in 0..7, bases: [u8; 4], dot: bool) {
        let address = std::net::Ipv4Addr::from_bits(bits);
        let [a, b, c, d] = address.octets().map(u32::from);
        let [w, x, y, z] = bases.map(|base| base % 4);
        let host = match shape {
            0 => number(bits, w),
            1 => format!("{}.{}", number(a, w), number(bits & 0xff_ffff, x)),
            2 => format!("{}.{}.{}", number(a, w), number(b, x), number(bits & 0xffff, y)),
            3 => format!("{}.{}.{}.{}", number(a, w), number(b, x), number(c, y), number(d, z)),
            4 => format!("[::ffff:{address}]"),
            5 => format!("[64:ff9b::{address}]"),
            _ => format!("[2002:{:x}:{:x}::1]", bits >> 16, bits & 0xffff),
        };
        let dot = if dot && shape < 4 { "." } else { "" };
        let found = kind(&EgressAllow::default(), &format!("http://{host}{dot}/"));
        let expected = Some(AddressKind::of(address.into())).filter(|kind| *kind != AddressKind::Public);
        proptest::prop_assert_eq!(found, expected, "{}", host);
    }
}

#[test]
fn what_is_neither_a_name_nor_an_address_is_no_url() {
    for host in ["256.0.0.1", "1.2.3.4.5", "a.0x7f", "[::1%25eth0]", "[::1", "0x1ffffffff", "a b", ""] {
        assert!(Url::parse(&format!("http://{host}/")).is_err(), "{host}");
    }
}

#[test]
fn the_internet_is_allowed_and_names_are_for_the_resolver() {
    let nothing = EgressAllow::default();
    for host in ["9.9.9.9", "[2606:4700:4700::1111]", "[::ffff:9.9.9.9]", "api.example.com", "crm.internal", "intranet"]
    {
        assert_eq!(nothing.route(&url(&format!("https://{host}/"))), Ok(Route::Checked), "{host}");
    }
}

#[test]
fn a_listed_host_is_allowed_under_its_name_alone() {
    let allow = allow(&["CRM.internal", "localhost:8080", "bücher.internal"]);
    for listed in [
        "http://crm.internal/",
        "https://crm.internal:8443/",
        "http://Crm.Internal./",
        "http://localhost:8080/",
        "https://localhost:8080/",
        "http://xn--bcher-kva.internal/",
    ] {
        assert_eq!(allow.route(&url(listed)), Ok(Route::Listed), "{listed}");
    }
    assert_eq!(allow.route(&url("http://www.crm.internal/")), Ok(Route::Checked));
    assert_eq!(allow.route(&url("http://crm.internal.example.com/")), Ok(Route::Checked));
    assert_eq!(kind(&allow, "http://localhost/"), Some(AddressKind::Loopback));
    assert_eq!(kind(&allow, "http://localhost:8081/"), Some(AddressKind::Loopback));
    assert_eq!(
        kind(&allow, "http://127.0.0.1:8080/"),
        Some(AddressKind::Loopback),
        "the name is listed, not the address"
    );
}

#[test]
fn a_port_that_is_the_schemes_own_is_a_port_too() {
    let allow = allow(&["localhost:80", "10.0.0.1:443"]);
    assert_eq!(kind(&allow, "http://localhost/"), None);
    assert_eq!(kind(&allow, "https://localhost/"), Some(AddressKind::Loopback));
    assert_eq!(kind(&allow, "https://10.0.0.1/"), None);
    assert_eq!(kind(&allow, "http://10.0.0.1/"), Some(AddressKind::Private));
}

#[test]
fn a_listed_network_is_allowed_in_every_spelling_and_under_every_name() {
    let allow = allow(&["127.0.0.0/8", "10.1.0.0/16", "192.168.0.7", "::1", "[fd00::1]", "[fd00::2]:8080"]);
    for allowed in [
        "http://127.1/",
        "http://2130706433/",
        "http://localhost/",
        "http://a.localhost/",
        "http://[::ffff:127.0.0.1]/",
        "http://10.1.255.255/",
        "http://0xa010001/",
        "http://192.168.0.7:9/",
        "http://[::1]/",
        "http://[fd00:0::1]/",
        "http://[fd00::2]:8080/",
    ] {
        assert_eq!(kind(&allow, allowed), None, "{allowed}");
    }
    for refused in ["http://10.2.0.1/", "http://192.168.0.8/", "http://[fd00::2]/", "http://[64:ff9b::a01:1]/"] {
        assert_eq!(kind(&allow, refused), Some(AddressKind::Private), "{refused}");
    }
    assert_eq!(allow.refusal("10.1.2.3".parse().unwrap()), None);
    assert_eq!(allow.refusal("::ffff:10.1.2.3".parse().unwrap()), None);
    assert_eq!(allow.refusal("10.2.2.3".parse().unwrap()), Some(AddressKind::Private));
}

#[test]
fn a_url_that_is_not_plain_http_is_refused() {
    let nothing = EgressAllow::default();
    for (text, expected) in [
        ("ftp://example.com/", "calls out go over http and https alone, not over `ftp`"),
        ("file:///etc/passwd", "calls out go over http and https alone, not over `file`"),
        ("gopher://127.0.0.1:70/", "calls out go over http and https alone, not over `gopher`"),
        ("data:,hello", "calls out go over http and https alone, not over `data`"),
        ("ws://example.com/", "calls out go over http and https alone, not over `ws`"),
    ] {
        assert_eq!(nothing.check(&url(text)).unwrap_err().to_string(), expected);
    }
    for text in [
        "https://sk-1@example.com:8443/p?q",
        "https://:sk-1@example.com:8443/p?q",
        "https://sk-1:sk-1@example.com:8443/",
    ] {
        assert_eq!(
            nothing.check(&url(text)).unwrap_err().to_string(),
            "the URL of `example.com:8443` holds a user name or password: set the credential as a header instead"
        );
    }
}

#[test]
fn a_refusal_shows_the_host_and_the_port_and_no_more() {
    let refused = EgressAllow::default().check(&url("http://127.1:8080/secret?token=secret#secret")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`127.0.0.1:8080` is a loopback address, where calls out do not go unless `egress.allow` lists it"
    );
    assert!(!format!("{refused:?}").contains("secret"));
}

#[test]
fn every_entry_that_is_none_is_told_with_what_to_write() {
    let entries = [
        "crm.internal",
        "http://crm.internal",
        "crm.internal/users",
        "*.internal",
        "10.0.0.0/33",
        "10.0.0.5/8",
        "crm.internal:0",
        "crm.internal:http",
        "fd00::/8",
        "256.1.1.1",
        "user@crm.internal",
        "",
        "a b",
        "10.0.0.0/",
        "[::1",
    ];
    let EgressAllowFaults(faults) = EgressAllow::parse(&entries).unwrap_err();
    let told: Vec<_> = faults.iter().map(|fault| (fault.entry, fault.to_string())).collect();
    let expected = [
        (1, "`http://crm.internal`: write the host alone, or `host:port`, without a scheme"),
        (2, "`crm.internal/users` is no host, no `host:port` and no network"),
        (3, "`*.internal`: hosts are listed one by one; a network is written as `10.0.0.0/8`"),
        (4, "`10.0.0.0/33` is no network: the part after `10.0.0.0/` counts its fixed bits"),
        (5, "`10.0.0.5/8` is an address, not a network: write `10.0.0.0/8` or `10.0.0.5`"),
        (6, "`crm.internal:0`: after the colon comes a port, from 1 to 65535"),
        (7, "`crm.internal:http`: after the colon comes a port, from 1 to 65535"),
        (9, "`256.1.1.1` is no host: write for example `crm.internal`, `crm.internal:8080` or `10.0.0.0/8`"),
        (10, "`user@crm.internal` is no host, no `host:port` and no network"),
        (11, "`` is no host, no `host:port` and no network"),
        (12, "`a b` is no host, no `host:port` and no network"),
        (13, "`10.0.0.0/` is no network: the part after `10.0.0.0/` counts its fixed bits"),
        (14, "`[::1` is no host: write for example `crm.internal`, `crm.internal:8080` or `10.0.0.0/8`"),
    ];
    assert_eq!(told.iter().map(|(entry, text)| (*entry, text.as_str())).collect::<Vec<_>>(), expected);
}

//! Which places calls out may go to: the internet, and what the operator lists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{AddressKind, Refused, shown};
use crate::outbound::Url;

/// The places beyond the public internet to which calls out may go: the configuration's `egress.allow`.
///
/// ```
/// use letterhead::outbound::{EgressAllow, Url};
///
/// let allow = EgressAllow::parse(&["crm.internal", "localhost:8080", "10.1.0.0/16"])?;
/// let check = |url| allow.check(&Url::parse(url).unwrap());
/// assert!(check("http://localhost:8080/users").is_ok());
/// assert!(check("http://10.1.2.3/").is_ok());
/// assert_eq!(
///     check("http://127.0.0.1/").unwrap_err().to_string(),
///     "`127.0.0.1` is a loopback address, where calls out do not go unless `egress.allow` lists it"
/// );
///
/// let faults = EgressAllow::parse(&["*.internal"]).unwrap_err();
/// assert!(faults.to_string().contains("hosts are listed one by one"));
/// # Ok::<(), letterhead::outbound::EgressAllowFaults>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressAllow {
    hosts: Vec<Listed>,
    networks: Vec<IpNet>,
}

/// A host whose addresses are the operator's word.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    host: Host<String>,
    /// None: any.
    port: Option<u16>,
}

/// An entry of `egress.allow` that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct EgressAllowFault {
    /// Which entry, counted from 0.
    pub entry: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// A list of places that cannot be used: every fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct EgressAllowFaults(pub Vec<EgressAllowFault>);

/// How the addresses of a destination are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The host is listed: its addresses are the operator's word.
    Listed,
    /// Each address is checked.
    Checked,
}

/// The host of a URL, in one spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Host<Name> {
    Address(IpAddr),
    Name(Name),
}

impl<'a> Host<&'a str> {
    /// The URL parser has undone other spellings before: case, `%31`, `0x7f.1`, `2130706433`, `１２７.１`, `127.0.0.1.`.
    fn of(url: &'a Url) -> Option<Self> {
        let host = url.host_str()?;
        let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        // The very question by which the connector decides not to ask the resolver.
        Some(match inner.parse::<IpAddr>() {
            Ok(address) => Self::Address(address.to_canonical()),
            Err(_) => Self::Name(host.strip_suffix('.').unwrap_or(host)),
        })
    }
}

impl Listed {
    fn is(&self, host: &Host<&str>, port: u16) -> bool {
        let is_host = match (&self.host, host) {
            (Host::Address(listed), Host::Address(address)) => listed == address,
            (Host::Name(listed), Host::Name(name)) => listed == name,
            (Host::Address(_), Host::Name(_)) | (Host::Name(_), Host::Address(_)) => false,
        };
        is_host && self.port.is_none_or(|only| only == port)
    }
}

/// A name that is this machine by definition (RFC 6761, 6.3), whatever a resolver says.
fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

impl EgressAllow {
    /// Reads the entries: `host`, `host:port`, an address, `address:port`, or a network such as `10.0.0.0/8`.
    ///
    /// A host's port, if one is written, is the only one that is allowed. A host that is listed by name may have any
    /// address; an address or network that is listed may be reached under any name.
    ///
    /// # Errors
    ///
    /// A fault for each entry that is none of these.
    pub fn parse(entries: &[impl AsRef<str>]) -> Result<Self, EgressAllowFaults> {
        let (mut allow, mut faults) = (Self::default(), Vec::new());
        for (entry, text) in entries.iter().enumerate() {
            if let Err(message) = allow.add(text.as_ref().trim()) {
                faults.push(EgressAllowFault { entry, message });
            }
        }
        if faults.is_empty() { Ok(allow) } else { Err(EgressAllowFaults(faults)) }
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        if let Some((address, _)) = text.split_once('/').filter(|(address, _)| address.parse::<IpAddr>().is_ok()) {
            let Ok(network) = text.parse::<IpNet>() else {
                return Err(format!("`{text}` is no network: the part after `{address}/` counts its fixed bits"));
            };
            if network.trunc() != network {
                return Err(format!(
                    "`{text}` is an address, not a network: write `{}` or `{address}`",
                    network.trunc()
                ));
            }
            self.networks.push(network);
            return Ok(());
        }
        if text.contains('*') {
            return Err(format!("`{text}`: hosts are listed one by one; a network is written as `10.0.0.0/8`"));
        }
        let bare = text.parse::<Ipv6Addr>().is_ok();
        let (host, port) = if bare { (format!("[{text}]"), None) } else { split(text)? };
        let url = Url::parse(&format!("http://{host}/")).ok();
        let Some(host) = url.as_ref().and_then(Host::of) else {
            return Err(format!(
                "`{text}` is no host: write for example `crm.internal`, `crm.internal:8080` or `10.0.0.0/8`"
            ));
        };
        match (host, port) {
            (Host::Address(address), None) => self.networks.push(address.into()),
            (Host::Address(address), port) => self.hosts.push(Listed { host: Host::Address(address), port }),
            (Host::Name(name), port) => self.hosts.push(Listed { host: Host::Name(name.to_owned()), port }),
        }
        Ok(())
    }

    /// Checks all of a destination that can be known without asking for its addresses, as is done before each call.
    ///
    /// # Errors
    ///
    /// If calls there are refused.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        self.route(url).map(drop)
    }

    pub(super) fn route(&self, url: &Url) -> Result<Route, Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme(url.scheme().into()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserInfo(shown(url)));
        }
        // Both schemes have a host and a port.
        let (Some(host), Some(port)) = (Host::of(url), url.port_or_known_default()) else {
            return Err(Refused::Scheme(url.scheme().into()));
        };
        if self.hosts.iter().any(|listed| listed.is(&host, port)) {
            return Ok(Route::Listed);
        }
        let refused = match host {
            Host::Address(address) => self.refusal(address),
            Host::Name(name) if is_localhost(name) => {
                let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
                loopback.iter().all(|address| self.refusal(*address).is_some()).then_some(AddressKind::Loopback)
            }
            Host::Name(_) => None,
        };
        match refused {
            Some(kind) => Err(Refused::Address { host: shown(url), kind }),
            None => Ok(Route::Checked),
        }
    }

    /// Why an address may not be called, if so.
    pub(in crate::outbound) fn refusal(&self, address: IpAddr) -> Option<AddressKind> {
        let kind = AddressKind::of(address);
        let address = address.to_canonical();
        let allowed = kind == AddressKind::Public || self.networks.iter().any(|network| network.contains(&address));
        (!allowed).then_some(kind)
    }

    /// Is any host listed by name?
    pub(super) fn lists_hosts(&self) -> bool {
        !self.hosts.is_empty()
    }
}

/// Splits `host:port`, whose port the URL parser would forget where it is the scheme's own.
fn split(text: &str) -> Result<(String, Option<u16>), String> {
    if text.contains("://") {
        return Err(format!("`{text}`: write the host alone, or `host:port`, without a scheme"));
    }
    if text.is_empty() || text.contains(['/', '\\', '?', '#', '@', ' ', '\t', '\r', '\n']) {
        return Err(format!("`{text}` is no host, no `host:port` and no network"));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok((host.to_owned(), Some(port))),
            _ => Err(format!("`{text}`: after the colon comes a port, from 1 to 65535")),
        },
        _ => Ok((text.to_owned(), None)),
    }
}

#[cfg(test)]
mod tests;

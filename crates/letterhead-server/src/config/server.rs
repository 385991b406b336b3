//! `server:` — where the HTTP server listens, and what it takes.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::section::Section;

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What a `Host` may be besides loopback: a name in small letters, perhaps with a port.
    pub hosts: Vec<String>,
    /// Which pages may call it.
    pub cors: Cors,
    /// The address by which clients reach it: scheme, host and port. Where there is none, what a request says.
    pub public_url: Option<String>,
    /// The largest request body, in bytes.
    pub max_body: u64,
    /// How many connections there may be at a time, where the open files of the process allow them. None is the usual.
    pub max_connections: Option<u32>,
    /// How long a client may take to send its headers, and a kept connection may be silent.
    pub header_timeout: Duration,
    /// How long a stopping server lets running turns finish.
    pub drain: Duration,
}

/// Which pages may call the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cors {
    /// Those of these origins, in small letters; none if the list is empty.
    Origins(Vec<String>),
    /// All.
    Any,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            hosts: Vec::new(),
            cors: Cors::Origins(Vec::new()),
            public_url: None,
            max_body: 4 << 20,
            max_connections: None,
            header_timeout: Duration::from_secs(75),
            drain: Duration::from_secs(30),
        }
    }
}

impl Server {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        Self {
            listen: listen(&section.child("listen")).unwrap_or(default.listen),
            hosts: lower(&section.child("hosts")),
            cors: cors(&section.child("cors")),
            public_url: section.child("public_url").text().map(|url| url.trim_end_matches('/').to_owned()),
            max_body: section.child("max_body").bytes(default.max_body),
            max_connections: section.child("max_connections").optional_count(),
            header_timeout: section.child("header_timeout").duration(default.header_timeout),
            drain: section.child("drain").duration(default.drain),
        }
    }
}

fn listen(section: &Section<'_>) -> Option<SocketAddr> {
    let text = section.text()?;
    let address = parse_listen(text);
    if address.is_none() {
        section.error("`server.listen` is no address and port", Some("for example `127.0.0.1:8080`".to_owned()));
    }
    address
}

/// An IP address and a port; `localhost` is 127.0.0.1.
pub(crate) fn parse_listen(text: &str) -> Option<SocketAddr> {
    text.replacen("localhost", "127.0.0.1", 1).parse().ok()
}

fn cors(section: &Section<'_>) -> Cors {
    let origins = lower(section);
    if origins.iter().any(|origin| origin == "*") { Cors::Any } else { Cors::Origins(origins) }
}

fn lower(section: &Section<'_>) -> Vec<String> {
    section.texts().into_iter().map(|(text, _)| text.to_ascii_lowercase()).collect()
}

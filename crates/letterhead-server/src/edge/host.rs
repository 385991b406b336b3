//! `Host`: a server without a verifier answers to loopback names and those it was given, so that a web page cannot
//! reach it by pointing a name of its own at 127.0.0.1 (DNS rebinding).

use std::net::IpAddr;

use axum::extract::Request;
use http::header;
use letterhead_context::{Code, Problem};

/// The names that a `Host` may have, besides loopback.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Names in small letters, each perhaps with a port.
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    pub(super) fn check(&self, request: &Request) -> Result<(), Problem> {
        let mut sent = request.headers().get_all(header::HOST).iter();
        let host = match (sent.next(), sent.next()) {
            (Some(host), None) => host.to_str().ok().map(str::to_ascii_lowercase),
            _ => None,
        };
        // A request line with a full URL names the host, too: both must be known.
        let in_uri = request.uri().authority().map(|authority| authority.as_str().to_ascii_lowercase());
        let known =
            |host: &str| is_loopback(host) || self.0.iter().any(|name| name == host || name == without_port(host));
        let all_known = host.as_deref().is_some_and(known) && in_uri.as_deref().is_none_or(known);
        if all_known {
            return Ok(());
        }
        let detail = "the `Host` is neither loopback nor listed in `server.hosts`";
        Err(Problem::new(Code::UnknownHost, detail))
    }
}

/// Does a `Host` name this machine?
fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    name == "localhost"
        || name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (name.ends_with(']') || !name.contains(':')) =>
        {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(hosts: &Hosts, host: &str) -> bool {
        hosts.check(&Request::builder().header("host", host).body(axum::body::Body::empty()).unwrap()).is_ok()
    }

    #[test]
    fn loopback_names_are_known_in_every_spelling() {
        let hosts = Hosts::default();
        for host in
            ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:3003", "[::1]", "[::1]:80", "[::ffff:127.0.0.1]:80"]
        {
            assert!(allowed(&hosts, host), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[::2]:80", "a:b:c"]
        {
            assert!(!allowed(&hosts, host), "{host}");
        }
    }

    #[test]
    fn a_listed_name_is_known_with_any_port_unless_it_names_one() {
        let hosts = Hosts::new(vec!["agents.example.com".into(), "other.example:81".into()]);
        assert!(allowed(&hosts, "agents.example.com"));
        assert!(allowed(&hosts, "agents.example.com:8443"));
        assert!(allowed(&hosts, "other.example:81"));
        assert!(!allowed(&hosts, "other.example:82"));
    }

    #[test]
    fn two_hosts_or_a_foreign_request_line_are_refused() {
        let two = Request::builder().header("host", "localhost").header("host", "localhost");
        assert!(Hosts::default().check(&two.body(axum::body::Body::empty()).unwrap()).is_err());
        let foreign = Request::builder().uri("http://evil.example/health").header("host", "localhost");
        assert!(Hosts::default().check(&foreign.body(axum::body::Body::empty()).unwrap()).is_err());
    }
}

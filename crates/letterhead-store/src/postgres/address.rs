//! `postgres://…`, as libpq reads it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// What the client library has where an address says nothing of keepalives.
const LIBRARY_IDLE: Duration = Duration::from_hours(2);

/// How the connection is protected: libpq's `sslmode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Protection {
    /// No TLS.
    Disable,
    /// TLS if the server has it, with whatever certificate.
    #[default]
    Prefer,
    /// TLS, with whatever certificate.
    Require,
    /// TLS; the certificate is by an authority that is trusted.
    VerifyCa,
    /// TLS; the certificate is by an authority that is trusted, and for this host.
    VerifyFull,
}

/// Which authorities are trusted: libpq's `sslrootcert`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Roots {
    /// Those of the machine.
    #[default]
    System,
    /// Those in a file of PEM certificates.
    File(PathBuf),
}

/// What the client shows of itself: libpq's `sslcert` and `sslkey`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) certificates: PathBuf,
    pub(super) key: PathBuf,
}

/// Where a database is and how to get into it. Its `Debug` shows no password.
///
/// ```
/// use letterhead_store::postgres::PostgresAddress;
///
/// let address: PostgresAddress = "postgres://letterhead:secret@db.example.com/letterhead?sslmode=verify-full".parse()?;
/// assert_eq!(format!("{address:?}"), "PostgresAddress(letterhead@db.example.com:5432/letterhead)");
/// assert!("postgres://db.example.com/letterhead?sslmode=please".parse::<PostgresAddress>().is_err());
/// # Ok::<(), letterhead_store::postgres::BadAddress>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresAddress {
    pub(super) config: Config,
    pub(super) protection: Protection,
    pub(super) roots: Roots,
    pub(super) identity: Option<Identity>,
}

/// Why an address cannot be read. The text never repeats the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// It has another form.
    #[error(
        "this is no address of a database: write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for an @ in the \
         password, %2F for a /, and so on, also in what `${{…}}` brings"
    )]
    Form,
    /// An option behind the `?` has a value that it cannot have, or is none.
    #[error("{0}")]
    Option(String),
}

impl FromStr for PostgresAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(BadAddress::Form);
        }
        if is_ambiguous(text) {
            return Err(BadAddress::Form);
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut others, mut tls) = (Vec::new(), Tls::default());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if !tls.take(pair)? {
                others.push(pair);
            }
        }
        let rest = if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
        let mut config: Config = rest.parse().map_err(|error| refused(&error))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(BadAddress::Option(
                "the address names no host: write it before the database, or a socket's folder as ?host=/run/postgresql"
                    .to_owned(),
            ));
        }
        let (protection, roots, identity) = tls.done()?;
        let is_socket = |host: &Host| !matches!(host, Host::Tcp(_));
        // As libpq has it: a socket of this machine needs no TLS, and servers offer none on it.
        let local = config.get_hostaddrs().is_empty() && config.get_hosts().iter().all(is_socket);
        let protection = if local { Protection::Disable } else { protection };
        config.ssl_mode(match protection {
            Protection::Disable => SslMode::Disable,
            Protection::Prefer => SslMode::Prefer,
            Protection::Require | Protection::VerifyCa | Protection::VerifyFull => SslMode::Require,
        });
        if config.get_application_name().is_none() {
            config.application_name("letterhead");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        // A connection that has gone silent is to be noticed before somebody needs it, and soon after it was used.
        if config.get_keepalives_idle() == LIBRARY_IDLE {
            config.keepalives_idle(Duration::from_secs(30));
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(Duration::from_secs(5));
        }
        if config.get_keepalives_retries().is_none() {
            config.keepalives_retries(3);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(10));
        }
        Ok(Self { config, protection, roots, identity })
    }
}

/// Whether another `@` than the one before the host is there: then what follows the first could be a part of the password,
/// and would be shown as the host, the database or the user.
fn is_ambiguous(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    rest.matches('@').count() != usize::from(authority.contains('@'))
}

/// The options that are ours to read, because the client library knows them in part only.
#[derive(Default)]
struct Tls {
    mode: Option<String>,
    root: Option<String>,
    certificates: Option<String>,
    key: Option<String>,
}

impl Tls {
    /// Takes an option if it is one of these.
    fn take(&mut self, pair: &str) -> Result<bool, BadAddress> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = match name {
            "sslmode" => &mut self.mode,
            "sslrootcert" => &mut self.root,
            "sslcert" => &mut self.certificates,
            "sslkey" => &mut self.key,
            _ => return Ok(false),
        };
        let value = percent_decode_str(value).decode_utf8().map_err(|_| BadAddress::Form)?;
        *place = Some(value.into_owned());
        Ok(true)
    }

    fn done(self) -> Result<(Protection, Roots, Option<Identity>), BadAddress> {
        let roots = match self.root.as_deref() {
            None | Some("system") => Roots::System,
            Some(path) => Roots::File(path.into()),
        };
        let option = |text: &str| Err(BadAddress::Option(text.to_owned()));
        let protection = match self.mode.as_deref() {
            Some("disable") => Protection::Disable,
            // Trying without TLS first is not worth having.
            None | Some("allow" | "prefer") => Protection::Prefer,
            // As libpq has it, for the sake of old configurations.
            Some("require") if roots != Roots::System => Protection::VerifyCa,
            Some("require") => Protection::Require,
            Some("verify-ca") if roots == Roots::System => {
                return option(
                    "`sslmode=verify-ca` needs `sslrootcert=FILE`: anybody can have a certificate by some public \
                     authority; `verify-full` also looks whose it is",
                );
            }
            Some("verify-ca") => Protection::VerifyCa,
            Some("verify-full") => Protection::VerifyFull,
            Some(_) => return option("`sslmode` is disable, prefer, require, verify-ca or verify-full"),
        };
        let identity = match (self.certificates, self.key) {
            (None, None) => None,
            (Some(certificates), Some(key)) => Some(Identity { certificates: certificates.into(), key: key.into() }),
            _ => return option("`sslcert` and `sslkey` belong together"),
        };
        Ok((protection, roots, identity))
    }
}

/// The library's own texts name options, never values; everything else is a fault of form.
fn refused(error: &tokio_postgres::Error) -> BadAddress {
    let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let names_an_option = text.starts_with("unknown option `") || text.starts_with("invalid value for option `");
    if !names_an_option {
        return BadAddress::Form;
    }
    let range = if text.ends_with("`port`") { ": it is a number from 1 to 65535" } else { "" };
    BadAddress::Option(format!("the database's address has an {text}{range}"))
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        for (n, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            match host {
                Host::Tcp(name) => {
                    write!(f, "{comma}{name}")?;
                    // One for all hosts, or one for each.
                    let ports = self.config.get_ports();
                    match ports.get(n).or(ports.first()) {
                        Some(port) => write!(f, ":{port}")?,
                        None => write!(f, ":5432")?,
                    }
                }
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{comma}{}", path.display())?,
            }
        }
        let name = self.config.get_dbname().or_else(|| self.config.get_user());
        write!(f, "/{}", name.unwrap_or_default())
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> PostgresAddress {
        text.parse().unwrap()
    }

    fn fault(text: &str) -> String {
        text.parse::<PostgresAddress>().unwrap_err().to_string()
    }

    #[test]
    fn sslmode_is_as_libpq_has_it() {
        for (query, protection) in [
            ("", Protection::Prefer),
            ("?sslmode=disable", Protection::Disable),
            ("?sslmode=allow", Protection::Prefer),
            ("?sslmode=require", Protection::Require),
            ("?sslmode=require&sslrootcert=/ca.pem", Protection::VerifyCa),
            ("?sslrootcert=%2Fca.pem&sslmode=verify-ca", Protection::VerifyCa),
            ("?sslmode=verify-full&application_name=x", Protection::VerifyFull),
        ] {
            assert_eq!(read(&format!("postgres://h/db{query}")).protection, protection, "{query}");
        }
        let full = read("postgresql://h/db?sslmode=verify-full&sslrootcert=%2Fmy%20ca.pem&sslcert=/c&sslkey=/k");
        assert_eq!(full.roots, Roots::File("/my ca.pem".into()));
        assert_eq!(full.config.get_ssl_mode(), SslMode::Require);
        assert!(full.identity.is_some());
        assert!(fault("postgres://h/db?sslmode=verify-ca").contains("sslrootcert"));
        assert!(fault("postgres://h/db?sslmode=on").contains("verify-full"));
        assert!(fault("postgres://h/db?sslcert=/c").contains("sslkey"));
    }

    #[test]
    fn a_socket_needs_no_tls() {
        let socket = read("postgres:///db?host=/run/postgresql&sslmode=require&user=me");
        assert_eq!((socket.protection, socket.to_string()), (Protection::Disable, "me@/run/postgresql/db".to_owned()));
    }

    #[test]
    fn no_part_of_a_password_is_taken_for_another_part() {
        for text in [
            "postgres://u:hunter2@canary@h/db",
            "postgres://u:hunter2@canary/x@h/db",
            "postgres://u:canary/x@h/db",
            "postgres://u:canary?x@h/db",
            "postgres://u:canary#x@h/db",
            "postgres://u:p@h/db@canary",
            "postgres://h/db?user=u&password=canary@x",
        ] {
            let told = fault(text);
            assert!(told.contains("%40") && !told.contains("canary"), "{told}");
        }
        let encoded = read("postgres://u:hunter2%40canary@h/db");
        assert_eq!(encoded.config.get_password(), Some(&b"hunter2@canary"[..]));
        assert_eq!(encoded.to_string(), "u@h:5432/db");
    }

    #[test]
    fn the_port_is_told() {
        assert_eq!(read("postgres://u@h:6432/db").to_string(), "u@h:6432/db");
        assert_eq!(read("postgres://u@h:1,g/db").to_string(), "u@h:1,g:5432/db");
    }

    #[test]
    fn what_cannot_be_read_is_told_without_the_password() {
        for text in ["mysql://u:canary@h/db", "postgres://u:canary@h/db?sslmode=%ff"] {
            let told = fault(text);
            assert!(told.contains("PASSWORD") && !told.contains("canary"), "{told}");
        }
        assert!(
            fault("postgres://u:canary@h:port/db")
                .ends_with("has an invalid value for option `port`: it is a number from 1 to 65535")
        );
        assert!(fault("postgres://u:canary@h:99999/db").ends_with("from 1 to 65535"));
        assert!(fault("postgres://u:canary@h/db?pool=3").contains("unknown option `pool`"));
        assert!(fault("postgres:///db").contains("names no host"));
        assert!(!format!("{:?}", read("postgres://u:canary@h/db")).contains("canary"));
    }
}

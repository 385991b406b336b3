//! Why a call out brought no whole answer. Plain values: they hold no URL, no header and no text of the other side.

use std::error::Error;
use std::fmt;
use std::io;

use hyper_util::client::legacy;
use tokio::time::error::Elapsed;

/// Why a call out brought no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// There is no connection.
    Connect(ConnectReason),
    /// The connection took too long.
    ConnectTimeout,
    /// The head of the answer took too long.
    FirstByteTimeout,
    /// The answer fell silent.
    IdleTimeout,
    /// The connection ended before the answer did.
    BrokeOff,
    /// The answer is larger than allowed.
    TooLarge,
    /// What came is not HTTP, or has headers without end.
    Malformed,
    /// The address cannot be sent: it is longer than 64 KiB, or has a host that HTTP does not know.
    Address,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectReason {
    /// Nothing listens there.
    Refused,
    /// The name has no address.
    Name,
    /// TLS failed: a certificate that is not trusted, or no TLS at the other end.
    Tls,
    /// Anything else.
    Other,
}

impl fmt::Display for ConnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the connection was refused",
            Self::Name => "its name has no address",
            Self::Tls => "no secure connection, check the scheme and the certificate",
            Self::Other => "the connection failed",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(reason) => reason.fmt(f),
            Self::ConnectTimeout => f.write_str("no connection in time"),
            Self::FirstByteTimeout => f.write_str("no answer in time"),
            Self::IdleTimeout => f.write_str("the answer fell silent"),
            Self::BrokeOff => f.write_str("the connection ended before the answer did"),
            Self::TooLarge => f.write_str("the answer is too large"),
            Self::Malformed => f.write_str("the answer is not HTTP, or has too many headers"),
            Self::Address => f.write_str("the address is too long, or its host is none that HTTP knows"),
        }
    }
}

/// A call out that brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
#[non_exhaustive]
pub struct SendError {
    /// Why, the last time.
    pub fault: Fault,
    /// Whether the request was repeated.
    pub retried: bool,
}

impl Fault {
    /// Reads the error of a request that got no answer.
    pub(super) fn before_answer(error: &legacy::Error) -> Self {
        if !error.is_connect() {
            return if is_malformed(error) { Self::Malformed } else { Self::BrokeOff };
        }
        let mut source = error.source();
        while let Some(inner) = source {
            if inner.is::<Elapsed>() {
                return Self::ConnectTimeout;
            }
            // The resolver's error is known by its name alone: its type is private.
            if inner.to_string() == "dns error" {
                return Self::Connect(ConnectReason::Name);
            }
            let io = inner.downcast_ref::<io::Error>();
            match io.map(io::Error::kind) {
                Some(io::ErrorKind::ConnectionRefused) => return Self::Connect(ConnectReason::Refused),
                Some(io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                    return Self::Connect(ConnectReason::Tls);
                }
                Some(io::ErrorKind::TimedOut) => return Self::ConnectTimeout,
                _ => {}
            }
            // An I/O error that wraps another gives that one's source, and so would pass it over.
            let wrapped = io.and_then(io::Error::get_ref).map(|wrapped| wrapped as &(dyn Error + 'static));
            source = wrapped.or_else(|| inner.source());
        }
        Self::Connect(ConnectReason::Other)
    }
}

/// Did something come that is no HTTP/1.1? The parser's errors are known by their words alone.
fn is_malformed(error: &legacy::Error) -> bool {
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if words == "message head is too large" || words.starts_with("invalid HTTP") {
            return true;
        }
        source = inner.source();
    }
    false
}

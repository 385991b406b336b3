//! Where an answer redirects to, and whether a call follows.
//!
//! Followed are redirects within one origin (scheme, host and port), at most [`MOST_REDIRECTS`] in a row:
//!
//! | status | GET, HEAD | other methods |
//! |---|---|---|
//! | 301, 302 | the same again | not followed: clients differ in whether the call is made again or turned into a GET (RFC 9110, 15.4.2) |
//! | 303 | the same again | a GET without a body: the call was done, and its outcome is elsewhere (15.4.4) |
//! | 307, 308 | the same again | the same again, with its body: the other side asks for that (15.4.8) |
//!
//! To follow one to another origin would carry credentials there which were meant for this one.

use std::fmt;

use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};

use crate::outbound::Url;

/// The most redirects that one call follows.
pub const MOST_REDIRECTS: usize = 3;

/// Why a redirect was not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectFault {
    /// To another scheme, host or port.
    OtherOrigin,
    /// To an address where calls out may not go: the origin's name leads elsewhere by now.
    Refused,
    /// Without one readable target.
    NoTarget,
    /// More than [`MOST_REDIRECTS`].
    TooMany,
    /// A call that may have effects would have to be guessed.
    Ambiguous(StatusCode),
    /// A status that is no redirect, and no answer either: 300, 304, 305, …
    NoAnswer(StatusCode),
}

impl fmt::Display for RedirectFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherOrigin => {
                f.write_str("redirects to another origin, where calls do not follow: configure the final URL")
            }
            Self::Refused => f.write_str("redirects to a place where calls out do not go (see `egress.allow`)"),
            Self::NoTarget => f.write_str("redirects without saying where to"),
            Self::TooMany => write!(f, "redirects more than {MOST_REDIRECTS} times"),
            Self::Ambiguous(status) => write!(
                f,
                "redirects a call that may have effects with status {}, where calls do not follow: configure the final URL",
                status.as_u16()
            ),
            Self::NoAnswer(status) => write!(f, "answers with status {}, which holds no answer", status.as_u16()),
        }
    }
}

/// What is sent next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) url: Url,
    /// The method and the body stay; else it is a GET without one.
    pub(super) same: bool,
}

/// Reads an answer of a status from 300 to 399.
pub(super) fn next(
    method: &Method,
    from: &Url,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Next, RedirectFault> {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let same = match status.as_u16() {
        307 | 308 => true,
        303 => is_read,
        301 | 302 if is_read => true,
        301 | 302 => return Err(RedirectFault::Ambiguous(status)),
        _ => return Err(RedirectFault::NoAnswer(status)),
    };
    let mut targets = headers.get_all(LOCATION).iter();
    let (Some(target), None) = (targets.next(), targets.next()) else { return Err(RedirectFault::NoTarget) };
    let url = target.to_str().ok().and_then(|target| from.join(target).ok());
    let Some(mut url) = url else { return Err(RedirectFault::NoTarget) };
    if url.origin() != from.origin() {
        return Err(RedirectFault::OtherOrigin);
    }
    url.set_fragment(None);
    Ok(Next { url, same })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const FROM: &str = "https://api.example.com/v1/users?id=1";

    fn next_of(method: &Method, status: u16, location: &str) -> Result<Next, RedirectFault> {
        let headers = [(LOCATION, HeaderValue::from_str(location).unwrap())].into_iter().collect();
        next(method, &Url::parse(FROM).unwrap(), StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn a_target_within_the_origin_is_followed() {
        for (location, expected) in [
            ("/v2/users", "https://api.example.com/v2/users"),
            ("me?x=1#top", "https://api.example.com/v1/me?x=1"),
            ("../a/./b", "https://api.example.com/a/b"),
            ("https://API.example.com:443/x", "https://api.example.com/x"),
            ("//api.example.com/x", "https://api.example.com/x"),
        ] {
            let next = next_of(&Method::GET, 302, location).unwrap();
            assert_eq!((next.url.as_str(), next.same), (expected, true), "{location}");
        }
    }

    #[test]
    fn a_target_elsewhere_is_not() {
        for location in [
            "http://api.example.com/v1",
            "https://api.example.com:8443/v1",
            "https://www.api.example.com/",
            "https://api.example.com.evil.example/",
            "https://api.example.com@evil.example/",
            "//evil.example/",
            "/\\evil.example/",
            "\\\\evil.example",
            "https:\\\\evil.example",
            "http://127.0.0.1/",
            "file:///etc/passwd",
            "data:,x",
            "javascript:1",
        ] {
            assert_eq!(next_of(&Method::GET, 302, location), Err(RedirectFault::OtherOrigin), "{location}");
        }
        assert_eq!(next_of(&Method::GET, 302, "https://[::1"), Err(RedirectFault::NoTarget));
    }

    #[test]
    fn the_method_and_the_body_are_kept_or_dropped_as_the_status_says() {
        let same = |method: &Method, status| next_of(method, status, "/x").map(|next| next.same);
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(same(&Method::GET, status), Ok(true));
            assert_eq!(same(&Method::HEAD, status), Ok(true));
        }
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            for status in [307, 308] {
                assert_eq!(same(&method, status), Ok(true));
            }
            assert_eq!(same(&method, 303), Ok(false));
            for status in [301, 302] {
                let fault = RedirectFault::Ambiguous(StatusCode::from_u16(status).unwrap());
                assert_eq!(same(&method, status), Err(fault));
            }
        }
        for status in [300, 304, 305, 306, 399] {
            let fault = RedirectFault::NoAnswer(StatusCode::from_u16(status).unwrap());
            assert_eq!(same(&Method::GET, status), Err(fault));
        }
    }

    #[test]
    fn one_readable_target_is_wanted() {
        let from = Url::parse(FROM).unwrap();
        let mut headers = HeaderMap::new();
        let read = |headers: &HeaderMap| next(&Method::GET, &from, StatusCode::FOUND, headers);
        assert_eq!(read(&headers), Err(RedirectFault::NoTarget));
        headers.append(LOCATION, HeaderValue::from_bytes(b"/\xff").unwrap());
        assert_eq!(read(&headers), Err(RedirectFault::NoTarget));
        headers.insert(LOCATION, HeaderValue::from_static("/a"));
        assert!(read(&headers).is_ok());
        headers.append(LOCATION, HeaderValue::from_static("/b"));
        assert_eq!(read(&headers), Err(RedirectFault::NoTarget));
    }
}
